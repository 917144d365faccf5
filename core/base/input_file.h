// Files that are read, and the directories they lie in, behind a small face, so that tests can
// rotate, truncate and break them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace sluice {

/// What makes a file this file, whatever it is called. A value.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t birth_ns = 0;  ///< 0 where the file system does not tell. Inodes are used again.

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// What the system says about a file just now.
struct FileLook {
  FileIdentity identity;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  bool regular = true;  ///< Neither directory nor pipe nor device.
  bool directory = false;
};

/// A file open for reading. One thread. Errors name the file; Closed: there is none any more.
class InputFile {
 public:
  virtual ~InputFile() = default;
  /// Reads at `offset`; less than asked for only at the end, 0 there.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) = 0;
  virtual Result<FileLook> look() = 0;
  /// The first byte at or behind `offset` that is no part of a hole; the size when all is hole.
  virtual std::uint64_t skip_hole(std::uint64_t offset) = 0;
};

/// A name in a directory.
struct DirectoryEntry {
  std::string name;
  std::uint64_t inode = 0;  ///< Of the name itself: for a symbolic link not that of its target.
  bool symbolic_link = false;
};

/// The files of the machine, for reading. Thread-safe.
class InputFiles {
 public:
  virtual ~InputFiles() = default;

  /// Follows symbolic links. Errors: Closed (no such file), Retry.
  virtual Result<std::unique_ptr<InputFile>> open(const std::string& path) = 0;
  virtual Result<FileLook> look(const std::string& path) = 0;
  /// All names but "." and "..", in no order. Errors: Closed (no such directory), Retry.
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& directory) = 0;
  /// Makes the directory and those above it; one that is there is fine. Errors: Retry.
  virtual Status make_directories(const std::string& directory) = 0;

  /// The machine's.
  static InputFiles& real() noexcept;
};

/// The whole content. Errors: as InputFiles::open(); Reject: more than `bytes_max`.
Result<std::string> read_whole_file(InputFiles& files, const std::string& path,
                                    std::size_t bytes_max);

}  // namespace sluice

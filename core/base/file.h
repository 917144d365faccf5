// Files behind a small face, so that tests can fill the disk and tear writes.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace sluice {

/// A file that is written at its end. One thread. Errors name the file and say what to do.
class OutputFile {
 public:
  virtual ~OutputFile() = default;  ///< Closes; what was appended stays.

  /// Writes all pieces at the end, or says Retry (a full disk, an I/O error); then some of them may
  /// be in the file and truncate() takes them out.
  virtual Status append(std::span<const iovec> pieces) = 0;
  virtual Status truncate(std::uint64_t bytes) = 0;
  /// Ok: what was appended survives a power cut (the directory entry: see
  /// FileSystem::sync_directory).
  virtual Status sync() = 0;
  virtual std::uint64_t size_bytes() const noexcept = 0;
  virtual const std::string& path() const noexcept = 0;
};

/// The file system. Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// A new file that nobody else has. A name that is taken is Reject (try another one), unless
  /// `may_exist`, which goes on at the end of what is there. Errors besides: Retry.
  virtual Result<std::unique_ptr<OutputFile>> create(const std::string& path, bool may_exist) = 0;
  /// The file, to go on at its end; one that is not there is made for the agent's user alone.
  /// Errors: Retry.
  virtual Result<std::unique_ptr<OutputFile>> open_private(const std::string& path) = 0;
  /// Bytes [offset, offset + bytes) of a file; fewer only where it ends. Errors: Retry.
  virtual Result<std::string> read(const std::string& path, std::uint64_t offset,
                                   std::size_t bytes) = 0;
  /// Ok when the directory is there and can be written. Errors: Retry, with the reason.
  virtual Status check_directory(const std::string& path) = 0;
  virtual Status sync_directory(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;
  /// As rename(), but a name that is taken keeps its file: Reject. Errors besides: Retry.
  virtual Status rename_new(const std::string& from, const std::string& to) = 0;
  /// Bytes of a file; nothing when there is none of this name. Errors: Retry.
  virtual Result<std::optional<std::uint64_t>> size_of(const std::string& path) = 0;
  /// Makes a directory and those above it, readable for others. The directories in which one was
  /// made. Errors: Retry.
  virtual Result<std::vector<std::string>> make_path(const std::string& path) = 0;
  /// Ok: what was appended to these files, and the names in these directories, survives a power
  /// cut. One call for each of them; where they are many on one file system that keeps a journal,
  /// one for all of it. REQUIRES: the files stand in the order in which they were opened.
  virtual Status sync_together(std::span<OutputFile* const> files,
                               std::span<const std::string> directories) = 0;

  /// The machine's.
  static FileSystem& real() noexcept;
};

/// Makes a directory and those above it, for the agent alone. Ok when it is there. Errors: Retry.
Status make_directories(const std::string& path);
/// Makes the file (and its directory) with this content, durably. Errors: Retry.
Status write_whole_file(const std::string& path, std::string_view content);
/// Gives `to` the mode, and where it is allowed the group and the owner, of `from`. What cannot be
/// done is left undone.
void copy_owner(const std::string& from, const std::string& to) noexcept;
/// The one name of a path: absolute, without links and dots; what is not there yet stays as it is.
std::string canonical_path(const std::string& path);
/// Names of what is in a directory; none when it cannot be read.
std::vector<std::string> file_names_in(const std::string& directory);

}  // namespace sluice

// Where complete files go.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/base/content.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/hadoop/webhdfs.h"

namespace sluice {

/// A file system in which files appear whole. Thread-safe. Names are as they stand in the book: a
/// path of this machine, or "hdfs://nn:8020/path". Errors: Retry, unless another one is named.
class FilePlace {
 public:
  virtual ~FilePlace() = default;

  /// A whole file in place of what has this name. Its bytes; they are safe.
  virtual Result<std::uint64_t> write(const std::string& name, Content& content) = 0;
  /// Nothing when there is none of this name.
  virtual Result<std::optional<std::uint64_t>> size_of(const std::string& name) = 0;
  /// A name that is taken keeps its file: Reject. Ok also when an earlier call has done it, of
  /// which the answer was lost.
  virtual Status rename_new(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& name) = 0;
  /// Ends calls under way, and later ones, with an error.
  virtual void abort() noexcept {}
};

/// On this machine. `files` outlives it.
std::unique_ptr<FilePlace> make_local_place(FileSystem& files);
/// Behind WebHDFS. Names begin with the file system's.
std::unique_ptr<FilePlace> make_webhdfs_place(WebHdfs::Options options);

/// True for a name in a Hadoop file system. A path may hold "://" as well, from a header.
bool is_elsewhere(const std::string& name);

/// "/data/x" of "/data/x/file"; "." where there is no directory.
std::string directory_of(const std::string& path);

}  // namespace sluice

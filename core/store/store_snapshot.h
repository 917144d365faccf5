// The files of a database as they were at one moment, while another process works on them.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace sluice {

/// A directory that stands still, and that nobody can write to.
///
/// take() opens every table, log and manifest and notes how long each is. From then on names, sizes
/// and contents are those: a file that the agent deletes can be read until this object is gone
/// (and takes its room on the disk until then), and what the agent appends is not seen. RocksDB,
/// opened on it for reading only, finds what a database that was killed at that moment would leave.
/// Thread-safe once it is taken.
class StoreSnapshot final : public rocksdb::FileSystemWrapper {
 public:
  explicit StoreSnapshot(const std::shared_ptr<rocksdb::FileSystem>& base)
      : FileSystemWrapper(base) {}
  const char* Name() const override { return "StoreSnapshot"; }

  /// `between`: called once the files are listed, for tests that move them meanwhile.
  /// Errors: Invalid (no database there), Retry (no right to read it; it never stood still).
  Status take(const std::string& directory, const std::function<void()>& between = {});

  std::uint64_t files() const noexcept { return held_.size(); }
  /// Bytes of all files whose names end like this.
  std::uint64_t bytes_of(std::string_view ending) const noexcept;
  /// The name of the newest log; "" when there is none.
  std::string last_log() const;

  // FileSystem: reading
  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus FileExists(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetChildren(const std::string& directory, const rocksdb::IOOptions& options,
                                std::vector<std::string>* names,
                                rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFileSize(const std::string& name, const rocksdb::IOOptions& options,
                                std::uint64_t* bytes, rocksdb::IODebugContext* debug) override;

  // FileSystem: writing, which is refused
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomRWFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDir(const std::string& name, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& name, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LockFile(const std::string& name, const rocksdb::IOOptions& options,
                             rocksdb::FileLock** lock, rocksdb::IODebugContext* debug) override;

 private:
  struct Held {
    std::shared_ptr<rocksdb::FSRandomAccessFile> file;
    std::uint64_t bytes = 0;
  };
  class Sequential;
  class Random;

  /// What tells whether tables or logs came or went: which manifest there is, and how long it is.
  struct Mark {
    std::string manifest;
    std::uint64_t bytes = 0;
    bool operator==(const Mark&) const = default;
  };
  Result<Mark> mark();
  rocksdb::IOStatus hold(const std::string& name);
  const Held* find(const std::string& path) const;
  bool ours(const std::string& path) const;

  std::string directory_;
  std::map<std::string, Held, std::less<>> held_;  ///< By the name in the directory.
};

}  // namespace sluice

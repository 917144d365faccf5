// Damaged logs as RocksDB can read them, without a change to the files.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "core/base/status.h"

namespace sluice {

/// A file system on which the logs that were loaded read as mend_log() leaves them. All else is
/// passed on, also what is written. Thread-safe but for load() and unload(), which nobody reads
/// beside.
class MendedLogs final : public rocksdb::FileSystemWrapper {
 public:
  explicit MendedLogs(const std::shared_ptr<rocksdb::FileSystem>& base) : FileSystemWrapper(base) {}
  const char* Name() const override { return "MendedLogs"; }

  /// How many damaged places were passed over in the logs that were read.
  std::size_t places() const noexcept { return places_; }

  /// Reads and mends all logs of a directory, which are given out from memory afterwards. The
  /// library passes over damage in this way of opening, and would pass over a log that cannot be
  /// read just now as well.
  rocksdb::IOStatus load(const std::string& directory);
  /// Gives the memory back.
  void unload() { loaded_.clear(); }

  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override;

 private:
  std::atomic<std::size_t> places_{0};
  std::map<std::string, std::string> loaded_;  ///< By the last part of the path.
};

/// True when RocksDB reads a log of this directory as if it ended at its damage, and then the logs
/// after it: it says nothing, and its last sequence is not too low. Reads all logs but the last.
/// Errors: Retry.
Result<bool> a_log_ends_unsaid(rocksdb::FileSystem& files, const std::string& directory);

}  // namespace sluice

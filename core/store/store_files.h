// The file system that a store's database works on; it knows which logs are not synced.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace sluice {

/// Passes everything on, and syncs the logs itself.
///
/// RocksDB 7.8 with the assertions that Debian builds it with aborts when a log is synced after a
/// write or a sync of it failed, and a flush in the background may be what saw the failure. So its
/// own SyncWAL() is not used: sync_logs() syncs the files beside it, and a sync that RocksDB asks
/// for never fails for it, but for the next sync_logs(). Thread-safe.
class StoreFiles final : public rocksdb::FileSystemWrapper {
 public:
  /// `sync_takes`: added to every sync_logs(), for measuring what slow disks cost.
  StoreFiles(const std::shared_ptr<rocksdb::FileSystem>& base, milliseconds sync_takes)
      : FileSystemWrapper(base), sync_takes_(sync_takes) {}
  const char* Name() const override { return "StoreFiles"; }

  /// Ok: what was written to any log before the call survives a power cut. Errors: Retry; then
  /// every later call fails too, because the system may have dropped what it could not write.
  Status sync_logs();

  /// Before a log begins, those before it are synced: a power cut must not leave a later one whole
  /// and take the end of an earlier one. RocksDB would not see that a piece is missing.
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;

 private:
  struct LogState;
  class Log;
  rocksdb::IOStatus sync_all();
  Status failure(const rocksdb::IOStatus& status);

  const milliseconds sync_takes_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<LogState>> logs_;  // guarded by mutex_
  Status failed_;                                // guarded by mutex_
};

}  // namespace sluice

#include "core/store/store_files.h"

#include <algorithm>
#include <atomic>
#include <string_view>
#include <utility>

#include "core/base/wait.h"

namespace sluice {
namespace {

bool is_log(std::string_view name) {
  constexpr std::string_view ending = ".log";
  return name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending;
}

void pause(milliseconds time) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  wait_until(never, lock, Deadline::in(time), {}, [] { return false; });
}

}  // namespace

/// Shared by RocksDB's handle and sync_logs(), which may hold it longer.
struct StoreFiles::LogState {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  std::string directory;
  std::atomic<bool> unsynced{false};  ///< Set once the bytes are written.
  std::mutex mutex;                   ///< Syncs and the end of the file; not its writes.
  bool entry_synced = false;          // guarded by mutex
  bool closed = false;                // guarded by mutex

  rocksdb::IOStatus sync() {
    const std::lock_guard lock(mutex);
    if (closed || !unsynced.exchange(false)) return rocksdb::IOStatus::OK();
    return file->Sync(rocksdb::IOOptions(), nullptr);
  }
  rocksdb::IOStatus sync_entry(rocksdb::FileSystem& files) {
    const std::lock_guard lock(mutex);
    if (entry_synced) return rocksdb::IOStatus::OK();
    std::unique_ptr<rocksdb::FSDirectory> handle;
    auto status = files.NewDirectory(directory, rocksdb::IOOptions(), &handle, nullptr);
    if (status.ok()) status = handle->Fsync(rocksdb::IOOptions(), nullptr);
    entry_synced = status.ok();
    return status;
  }
};

class StoreFiles::Log final : public rocksdb::FSWritableFileWrapper {
 public:
  Log(std::shared_ptr<LogState> state, StoreFiles& files)
      : FSWritableFileWrapper(state->file.get()), state_(std::move(state)), files_(files) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    const auto status = FSWritableFileWrapper::Append(data, options, debug);
    state_->unsynced = true;
    return status;
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& info,
                           rocksdb::IODebugContext* debug) override {
    const auto status = FSWritableFileWrapper::Append(data, options, info, debug);
    state_->unsynced = true;
    return status;
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& /*options*/,
                         rocksdb::IODebugContext* /*debug*/) override {
    return sync_for_rocksdb();
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& /*options*/,
                          rocksdb::IODebugContext* /*debug*/) override {
    return sync_for_rocksdb();
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    static_cast<void>(sync_for_rocksdb());
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
    return FSWritableFileWrapper::Close(options, debug);
  }

 private:
  rocksdb::IOStatus sync_for_rocksdb() {
    const auto status = state_->sync();
    if (!status.ok()) static_cast<void>(files_.failure(status));
    return rocksdb::IOStatus::OK();
  }

  const std::shared_ptr<LogState> state_;
  StoreFiles& files_;
};

rocksdb::IOStatus StoreFiles::NewWritableFile(const std::string& name,
                                              const rocksdb::FileOptions& options,
                                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                                              rocksdb::IODebugContext* debug) {
  if (is_log(name)) {
    if (const auto synced = sync_all(); !synced.ok()) {
      static_cast<void>(failure(synced));
      return synced;
    }
  }
  const auto status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
  if (!status.ok() || !is_log(name)) return status;
  auto state = std::make_shared<LogState>();
  state->file = std::move(*file);
  state->directory = name.substr(0, name.rfind('/'));
  *file = std::make_unique<Log>(state, *this);
  const std::lock_guard lock(mutex_);
  logs_.push_back(std::move(state));
  return status;
}

Status StoreFiles::failure(const rocksdb::IOStatus& status) {
  const std::lock_guard lock(mutex_);
  if (failed_.ok()) failed_ = Retry(status.ToString());
  return failed_;
}

rocksdb::IOStatus StoreFiles::sync_all() {
  std::vector<std::shared_ptr<LogState>> logs;
  {
    const std::lock_guard lock(mutex_);
    logs = logs_;
  }
  for (const auto& log : logs) {
    if (auto status = log->sync(); !status.ok()) return status;
    if (auto status = log->sync_entry(*target()); !status.ok()) return status;
  }
  return rocksdb::IOStatus::OK();
}

Status StoreFiles::sync_logs() {
  {
    const std::lock_guard lock(mutex_);
    if (!failed_.ok()) return failed_;
  }
  if (sync_takes_ > milliseconds(0)) pause(sync_takes_);
  if (const auto status = sync_all(); !status.ok()) return failure(status);
  const std::lock_guard lock(mutex_);
  std::erase_if(logs_, [](const auto& log) {
    const std::lock_guard its_lock(log->mutex);
    return log->closed && !log->unsynced;
  });
  return failed_;  // a sync of RocksDB's own may have failed meanwhile
}

}  // namespace sluice

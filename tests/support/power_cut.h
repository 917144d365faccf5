// A file system whose power can be cut: what was not synced is gone, or torn.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>

namespace sluice::testing {

/// Passes everything on until cut(); then every call that writes fails. tear() makes the directory
/// what a disk might hold after that: of each file its synced bytes and a part of the others, files
/// and renames only as far as their directory was synced. Syncs are only noted, for no power is
/// really cut, and without them a run takes a tenth of the time. Thread-safe.
class PowerCut final : public rocksdb::FileSystemWrapper {
 public:
  PowerCut() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "PowerCut"; }

  /// The power fails at the n-th write or sync from now on.
  void cut_at(std::uint64_t n) {
    const std::lock_guard lock(mutex_);
    left_ = n;
  }
  /// The n-th write or sync from now on fails, and no other; with `tables`, of those of tables and
  /// of their list alone.
  void fail_once_at(std::uint64_t n, bool tables = false) {
    const std::lock_guard lock(mutex_);
    left_ = n;
    once_ = true;
    tables_ = tables;
  }
  bool has_failed() const {
    const std::lock_guard lock(mutex_);
    return once_ && left_ == 0;
  }
  /// Syncs of logs wait while this is true.
  void hold_syncs(bool hold) {
    const std::lock_guard lock(mutex_);
    held_ = hold;
    released_.notify_all();
  }
  std::uint64_t log_syncs() const {
    const std::lock_guard lock(mutex_);
    return log_syncs_;
  }
  void cut() {
    const std::lock_guard lock(mutex_);
    cut_ = true;
  }
  bool is_cut() const {
    const std::lock_guard lock(mutex_);
    return cut_;
  }
  /// Is called once when the power goes, on the thread whose step it was. REQUIRES: nobody writes
  /// yet.
  void on_cut(std::function<void()> call) { on_cut_ = std::move(call); }
  /// A step of somebody else on the same power: true when that is gone, or goes now.
  bool step_elsewhere() { return spent(); }
  /// It is there again. Without tear() before it only the process had died: what was not synced
  /// may still be lost the next time. REQUIRES: everything on the directory is closed.
  void back() {
    const std::lock_guard lock(mutex_);
    cut_ = once_ = false;
    left_.reset();
  }
  /// REQUIRES: is_cut(), and everything on the directory is closed.
  void tear(std::mt19937_64& random) {
    for (const auto& [path, file] : files_) {
      std::error_code error;
      if (!std::filesystem::is_regular_file(path, error)) continue;
      if (!file.entry_synced && random() % 2 == 0) {
        std::filesystem::remove(path, error);
        continue;
      }
      // Written in place, which nobody syncs: a disk may have done that first of all.
      if (file.written == 0 && random() % 2 == 0) continue;
      const std::uint64_t size = std::filesystem::file_size(path);
      const std::uint64_t torn = size > file.synced ? random() % (size - file.synced + 1) : 0;
      std::filesystem::resize_file(path, std::min(size, file.synced + torn));
    }
    for (const auto& [path, before] : renamed_) {
      if (!before || random() % 2 == 0) continue;
      std::ofstream(path, std::ios::binary | std::ios::trunc) << *before;
    }
    files_.clear();
    renamed_.clear();
  }

  /// The worst order in which a disk may have written: of every log but the last only what was
  /// synced, of the last one everything. REQUIRES: as tear().
  void tear_all_logs_but_the_last() {
    std::string last;
    for (const auto& [path, file] : files_) {
      if (is_log(path)) last = std::max(last, path);
    }
    for (const auto& [path, file] : files_) {
      std::error_code error;
      if (!is_log(path) || path == last || !std::filesystem::exists(path, error)) continue;
      std::filesystem::resize_file(path, std::min(std::filesystem::file_size(path), file.synced));
    }
  }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    if (spent(name)) return dead();
    const auto status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (!status.ok()) return status;
    {
      const std::lock_guard lock(mutex_);
      files_[name] = {};
    }
    *file = std::make_unique<File>(std::move(*file), *this, name);
    return status;
  }
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override {
    const auto status = FileSystemWrapper::NewDirectory(name, options, directory, debug);
    if (status.ok()) *directory = std::make_unique<Directory>(std::move(*directory), *this, name);
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (spent()) return dead();
    std::optional<std::string> before;
    if (std::ifstream old(to, std::ios::binary); old) {
      before.emplace(std::istreambuf_iterator<char>(old), std::istreambuf_iterator<char>());
    }
    const auto status = FileSystemWrapper::RenameFile(from, to, options, debug);
    const std::lock_guard lock(mutex_);
    if (status.ok()) {
      renamed_.try_emplace(to, std::move(before));
      files_[to] = files_[from];
      files_[to].entry_synced = true;  // renamed_ says what becomes of the entry
      files_.erase(from);
    }
    return status;
  }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (is_cut()) return dead();  // no step: RocksDB deletes when it has time
    {
      const std::lock_guard lock(mutex_);
      files_.erase(name);
    }
    return FileSystemWrapper::DeleteFile(name, options, debug);
  }

 private:
  struct Kept {
    std::uint64_t written = 0;
    std::uint64_t synced = 0;
    bool entry_synced = false;
  };

  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, PowerCut& power, std::string name)
        : FSWritableFileOwnerWrapper(std::move(file)), power_(power), name_(std::move(name)) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      if (power_.spent(name_)) return dead();
      const auto status = target()->Append(data, options, debug);
      power_.wrote(name_, data.size());
      return status;
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo& /*info*/,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& /*options*/,
                           rocksdb::IODebugContext* /*debug*/) override {
      return sync();
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& /*options*/,
                            rocksdb::IODebugContext* /*debug*/) override {
      return sync();
    }

   private:
    rocksdb::IOStatus sync() {
      // What another thread appends meanwhile may or may not be part of it: it is not.
      const std::uint64_t before = power_.written(name_);
      power_.wait_while_held(name_);
      if (power_.spent(name_)) return dead();
      power_.synced(name_, before);
      return rocksdb::IOStatus::OK();
    }
    PowerCut& power_;
    const std::string name_;
  };

  class Directory final : public rocksdb::FSDirectoryWrapper {
   public:
    Directory(std::unique_ptr<rocksdb::FSDirectory> directory, PowerCut& power, std::string name)
        : FSDirectoryWrapper(std::move(directory)), power_(power), name_(std::move(name)) {}
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& /*options*/,
                            rocksdb::IODebugContext* /*debug*/) override {
      if (power_.spent()) return dead();
      power_.directory_synced(name_);
      return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options,
                                          rocksdb::IODebugContext* debug,
                                          const rocksdb::DirFsyncOptions& /*dir*/) override {
      return Fsync(options, debug);
    }

   private:
    PowerCut& power_;
    const std::string name_;
  };

  static bool is_log(const std::string& name) { return name.ends_with(".log"); }
  static rocksdb::IOStatus dead() { return rocksdb::IOStatus::IOError("the power is cut"); }

  /// Counts a step; true once the power is gone.
  bool spent(const std::string& name = {}) {
    {
      const std::lock_guard lock(mutex_);
      if (cut_) return true;
      const bool is_table = name.ends_with(".sst") || name.find("MANIFEST") != std::string::npos;
      if (tables_ && !is_table) return false;
      if (!left_ || *left_ == 0 || --*left_ > 0) return false;
      if (once_) return true;
      cut_ = true;
    }
    if (on_cut_) on_cut_();
    return true;
  }
  void wait_while_held(const std::string& name) {
    if (!is_log(name)) return;
    std::unique_lock lock(mutex_);
    ++log_syncs_;
    released_.wait(lock, [this] { return !held_ || cut_; });
  }
  void wrote(const std::string& name, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    files_[name].written += bytes;
  }
  std::uint64_t written(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return files_[name].written;
  }
  void synced(const std::string& name, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    files_[name].synced = std::max(files_[name].synced, bytes);
    // Of a log the entry counts only once its directory is synced. With other files RocksDB relies
    // on what every journaling file system does: who syncs a new file has its entry, too.
    if (!is_log(name)) files_[name].entry_synced = true;
  }
  void directory_synced(const std::string& directory) {
    const std::lock_guard lock(mutex_);
    for (auto& [path, file] : files_) {
      if (path.rfind(directory, 0) == 0) file.entry_synced = true;
    }
    renamed_.clear();
  }

  mutable std::mutex mutex_;
  std::optional<std::uint64_t> left_;
  bool cut_ = false;
  bool once_ = false;
  std::function<void()> on_cut_;
  bool tables_ = false;  ///< Only their steps count.
  bool held_ = false;
  std::condition_variable released_;
  std::uint64_t log_syncs_ = 0;
  std::map<std::string, Kept> files_;
  std::map<std::string, std::optional<std::string>> renamed_;
};

}  // namespace sluice::testing

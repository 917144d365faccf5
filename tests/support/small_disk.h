// A file system that is full once so many bytes are on it.
#pragma once

#include <rocksdb/file_system.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace sluice::testing {

/// Counts what is appended; what does not fit is written as far as it does, and refused. Removed
/// files give their bytes back. Thread-safe.
class SmallDisk final : public rocksdb::FileSystemWrapper {
 public:
  explicit SmallDisk(std::uint64_t bytes)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), bytes_max_(bytes) {}
  const char* Name() const override { return "SmallDisk"; }

  /// From now on who asks is told how much is left, instead of what the machine's disk has.
  void tell_free_space() {
    const std::lock_guard lock(mutex_);
    tells_ = true;
  }
  void grow_to(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_max_ = bytes;
  }
  std::uint64_t refusals() const {
    const std::lock_guard lock(mutex_);
    return refusals_;
  }
  std::uint64_t used_bytes() const {
    const std::lock_guard lock(mutex_);
    return used_;
  }

  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                 std::uint64_t* bytes, rocksdb::IODebugContext* debug) override {
    {
      const std::lock_guard lock(mutex_);
      *bytes = bytes_max_ - std::min(bytes_max_, used_);
      if (tells_) return rocksdb::IOStatus::OK();
    }
    return FileSystemWrapper::GetFreeSpace(path, options, bytes, debug);
  }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    const auto status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (!status.ok()) return status;
    forget(name);
    *file = std::make_unique<File>(std::move(*file), *this, name);
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    const auto status = FileSystemWrapper::RenameFile(from, to, options, debug);
    if (!status.ok()) return status;
    forget(to);
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(from);
    if (found == files_.end()) return status;
    files_[to] = found->second;
    files_.erase(from);
    return status;
  }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    const auto status = FileSystemWrapper::DeleteFile(name, options, debug);
    if (status.ok()) forget(name);
    return status;
  }

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, SmallDisk& disk, std::string name)
        : FSWritableFileOwnerWrapper(std::move(file)), disk_(disk), name_(std::move(name)) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      const std::uint64_t fits = disk_.claim(name_, data.size());
      const auto status = target()->Append({data.data(), fits}, options, debug);
      return fits < data.size() ? rocksdb::IOStatus::NoSpace("the small disk is full") : status;
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo& /*info*/,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }

   private:
    SmallDisk& disk_;
    const std::string name_;
  };

  /// How many of these bytes there is room for.
  std::uint64_t claim(const std::string& name, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t fits = std::min(bytes, bytes_max_ - std::min(bytes_max_, used_));
    refusals_ += fits < bytes ? 1 : 0;
    used_ += fits;
    files_[name] += fits;
    return fits;
  }
  void forget(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(name);
    if (found == files_.end()) return;
    used_ -= found->second;
    files_.erase(found);
  }

  mutable std::mutex mutex_;
  std::uint64_t bytes_max_;
  std::uint64_t used_ = 0;
  std::uint64_t refusals_ = 0;
  bool tells_ = false;
  std::map<std::string, std::uint64_t> files_;
};

}  // namespace sluice::testing

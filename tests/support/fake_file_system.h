// A file system in memory that runs full, tears writes and refuses directories.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/file.h"

namespace sluice {

/// Thread-safe. Content is looked at with files().
class FakeFileSystem final : public FileSystem {
 public:
  /// So many bytes fit from now on; what is beyond is torn off the write.
  void bytes_left(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_left_ = bytes;
  }
  void directory_is_there(bool there) {
    const std::lock_guard lock(mutex_);
    directory_ = there;
  }
  void truncate_works(bool works) {
    const std::lock_guard lock(mutex_);
    truncate_ = works;
  }
  void sync_works(bool works) {
    const std::lock_guard lock(mutex_);
    sync_ = works;
  }
  /// Syncs of files and directories that were asked for and worked.
  std::uint64_t syncs() const {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }
  /// As if somebody else had written it.
  void put_file(const std::string& path, std::string content) {
    const std::lock_guard lock(mutex_);
    files_[path] = std::move(content);
  }
  std::map<std::string, std::string> files() const {
    const std::lock_guard lock(mutex_);
    return files_;
  }
  /// All content, in the order of the names.
  std::string content() const {
    std::string all;
    for (const auto& [path, bytes] : files()) all += bytes;
    return all;
  }

  Result<std::unique_ptr<OutputFile>> create(const std::string& path, bool may_exist) override {
    const std::lock_guard lock(mutex_);
    if (!directory_) return Retry("cannot create " + path + ": no such directory");
    const auto [file, is_new] = files_.try_emplace(path);
    if (!is_new && !may_exist) return Reject(path + " exists");
    return std::unique_ptr<OutputFile>(std::make_unique<File>(*this, path, file->second.size()));
  }
  Result<std::unique_ptr<OutputFile>> open_private(const std::string& path) override {
    return create(path, true);
  }
  Result<std::string> read(const std::string& path, std::uint64_t offset,
                           std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    const auto file = files_.find(path);
    if (file == files_.end()) return Retry("cannot open " + path + ": no such file");
    return file->second.substr(std::min<std::size_t>(offset, file->second.size()), bytes);
  }
  Status check_directory(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    return directory_ ? Status() : Retry("cannot use directory " + path);
  }
  Status sync_directory(const std::string& path) override { return synced(path); }
  Status rename(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(mutex_);
    files_[to] = files_[from];
    files_.erase(from);
    return {};
  }
  Status remove(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    files_.erase(path);
    return {};
  }

 private:
  Status synced(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (!sync_) return Retry("cannot sync " + path + ": input/output error");
    ++syncs_;
    return {};
  }

  class File final : public OutputFile {
   public:
    File(FakeFileSystem& owner, std::string path, std::uint64_t bytes)
        : owner_(owner), path_(std::move(path)), bytes_(bytes) {}
    Status append(std::span<const iovec> pieces) override {
      const std::lock_guard lock(owner_.mutex_);
      std::string& content = owner_.files_[path_];
      for (const iovec& piece : pieces) {
        const auto fits = std::min<std::uint64_t>(piece.iov_len, owner_.bytes_left_);
        content.append(static_cast<const char*>(piece.iov_base), fits);
        owner_.bytes_left_ -= fits;
        bytes_ = content.size();
        if (fits < piece.iov_len) return Retry("cannot write to " + path_ + ": no space left");
      }
      return {};
    }
    Status truncate(std::uint64_t bytes) override {
      const std::lock_guard lock(owner_.mutex_);
      if (!owner_.truncate_) return Retry("cannot shorten " + path_);
      std::string& content = owner_.files_[path_];
      owner_.bytes_left_ += content.size() - bytes;
      content.resize(bytes);
      bytes_ = bytes;
      return {};
    }
    Status sync() override { return owner_.synced(path_); }
    std::uint64_t size_bytes() const noexcept override { return bytes_; }
    const std::string& path() const noexcept override { return path_; }

   private:
    FakeFileSystem& owner_;
    const std::string path_;
    std::uint64_t bytes_;
  };

  mutable std::mutex mutex_;
  std::map<std::string, std::string> files_;   // guarded by mutex_
  std::uint64_t bytes_left_ = UINT64_MAX / 2;  // guarded by mutex_
  bool directory_ = true;                      // guarded by mutex_
  bool truncate_ = true;                       // guarded by mutex_
  bool sync_ = true;                           // guarded by mutex_
  std::uint64_t syncs_ = 0;                    // guarded by mutex_
};

}  // namespace sluice

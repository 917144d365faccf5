// The machine's file system, on a disk that loses names which were not synced.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/file.h"

namespace sluice::testing {

/// Notes every name that is made, changed or removed until its directory is synced. Once the power
/// is cut nothing changes any more, and lose_unsynced() takes those names back, the last one first:
/// the worst that a disk may do. Position files are passed over. Thread-safe.
class UnsyncedNames final : public FileSystem {
 public:
  /// Removed files are kept in `attic`, on the same file system, so that they come back as they
  /// were.
  explicit UnsyncedNames(std::string attic) : attic_(std::move(attic)) {}

  /// The power fails at the n-th change or sync of names from now on.
  void cut_at(std::uint64_t n) { left_ = n; }
  bool is_cut() const noexcept { return left_ == 0; }
  /// REQUIRES: nobody uses it. The power is on again afterwards.
  void lose_unsynced() {
    const std::lock_guard lock(mutex_);
    for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) change->take_back();
    changes_.clear();
    left_ = UINT64_MAX;
  }
  std::uint64_t syncs() const noexcept { return syncs_; }  ///< Of directories.
  /// Syncs of this directory fail; none: all of them work.
  void refuse_syncs_of(const std::string& directory) {
    const std::lock_guard lock(mutex_);
    refused_ = directory.empty() ? "" : without_slash(directory);
  }

  Result<std::unique_ptr<OutputFile>> create(const std::string& path, bool may_exist) override {
    if (passed_over(path)) return real().create(path, may_exist);
    if (cuts()) return dead();
    const bool is_new = !std::filesystem::exists(path);
    auto file = real().create(path, may_exist);
    if (is_new && file.ok()) note(path, [path] { std::filesystem::remove(path); });
    return file;
  }
  Result<std::unique_ptr<OutputFile>> open_private(const std::string& path) override {
    return real().open_private(path);
  }
  Result<std::string> read(const std::string& path, std::uint64_t offset,
                           std::size_t bytes) override {
    return real().read(path, offset, bytes);
  }
  Status check_directory(const std::string& path) override { return real().check_directory(path); }
  Status sync_directory(const std::string& path) override {
    const std::string directory = without_slash(path);
    if (cuts()) return dead();
    const std::lock_guard lock(mutex_);
    if (directory == refused_) return Retry("cannot sync directory " + directory);
    ++syncs_;
    std::erase_if(changes_, [&](const Change& change) { return change.directory == directory; });
    return {};
  }
  Status rename(const std::string& from, const std::string& to) override {
    if (passed_over(from)) return real().rename(from, to);
    if (cuts()) return dead();
    Status status = real().rename(from, to);
    if (status.ok()) note(to, [from, to] { std::filesystem::rename(to, from); });
    return status;
  }
  Status remove(const std::string& path) override {
    if (cuts()) return dead();
    const std::string kept = attic_ + "/" + std::to_string(++removed_);
    std::filesystem::rename(path, kept);
    note(path, [path, kept] { std::filesystem::rename(kept, path); });
    return {};
  }
  Status rename_new(const std::string& from, const std::string& to) override {
    return rename(from, to);
  }
  Result<std::optional<std::uint64_t>> size_of(const std::string& path) override {
    return real().size_of(path);
  }
  Result<std::vector<std::string>> make_path(const std::string& path) override {
    if (cuts()) return dead();
    std::vector<std::string> fresh;
    for (std::filesystem::path part = without_slash(path); !std::filesystem::exists(part);
         part = part.parent_path()) {
      fresh.push_back(part.string());
    }
    auto made = real().make_path(path);
    for (auto each = fresh.rbegin(); made.ok() && each != fresh.rend(); ++each) {
      note(*each, [directory = *each] { std::filesystem::remove_all(directory); });
    }
    return made;
  }
  Status sync_together(std::span<OutputFile* const> /*files*/,
                       std::span<const std::string> directories) override {
    for (const std::string& directory : directories) {
      if (Status status = sync_directory(directory); !status.ok()) return status;
    }
    return {};
  }

 private:
  struct Change {
    std::string directory;
    std::function<void()> take_back;
  };

  static bool passed_over(const std::string& path) {
    return path.find("/sluice-", path.rfind('/')) != std::string::npos;
  }
  static std::string without_slash(const std::string& path) {
    return (std::filesystem::path(path) / "").parent_path().string();
  }
  static Status dead() { return Retry("the power is cut"); }

  bool cuts() {
    std::uint64_t left = left_;
    while (left != 0 && left != UINT64_MAX && !left_.compare_exchange_weak(left, left - 1)) {
    }
    return left <= 1;
  }
  void note(const std::string& path, std::function<void()> take_back) {
    const std::lock_guard lock(mutex_);
    changes_.push_back({std::filesystem::path(path).parent_path().string(), std::move(take_back)});
  }

  const std::string attic_;
  std::atomic<std::uint64_t> left_{UINT64_MAX};
  std::atomic<std::uint64_t> syncs_{0};
  std::atomic<std::uint64_t> removed_{0};
  std::mutex mutex_;
  std::vector<Change> changes_;  // guarded by mutex_; in their order
  std::string refused_;          // guarded by mutex_
};

}  // namespace sluice::testing

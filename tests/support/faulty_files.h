// The machine's files, of which some cannot be read, and a disk that refuses to change names.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/file.h"
#include "core/base/input_file.h"

namespace sluice::testing {

/// Files whose names have bad places: reads that touch a byte at or behind one fail. Thread-safe.
class BadInput final : public InputFiles {
 public:
  /// By the last part of the path.
  void break_at(const std::string& name, std::uint64_t offset) {
    const std::lock_guard lock(mutex_);
    bad_[name] = offset;
  }
  void mend() {
    const std::lock_guard lock(mutex_);
    bad_.clear();
  }
  std::uint64_t failures() const noexcept { return failures_; }

  Result<std::unique_ptr<InputFile>> open(const std::string& path) override {
    auto file = InputFiles::real().open(path);
    if (!file.ok()) return file;
    return std::unique_ptr<InputFile>(
        std::make_unique<File>(*this, path.substr(path.rfind('/') + 1), *std::move(file)));
  }
  Result<FileLook> look(const std::string& path) override { return InputFiles::real().look(path); }
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override {
    return InputFiles::real().list(directory);
  }
  Status make_directories(const std::string& directory) override {
    return InputFiles::real().make_directories(directory);
  }

 private:
  class File final : public InputFile {
   public:
    File(BadInput& owner, std::string name, std::unique_ptr<InputFile> file)
        : owner_(owner), name_(std::move(name)), file_(std::move(file)) {}
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
      auto got = file_->read_at(offset, into);
      if (!got.ok() || !owner_.is_bad(name_, offset + *got)) return got;
      ++owner_.failures_;
      return Retry("cannot read " + name_ + ": Input/output error (5)");
    }
    Result<FileLook> look() override { return file_->look(); }
    std::uint64_t skip_hole(std::uint64_t offset) override { return file_->skip_hole(offset); }

   private:
    BadInput& owner_;
    const std::string name_;
    const std::unique_ptr<InputFile> file_;
  };

  bool is_bad(const std::string& name, std::uint64_t end) const {
    const std::lock_guard lock(mutex_);
    const auto bad = bad_.find(name);
    return bad != bad_.end() && end > bad->second;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> bad_;  // guarded by mutex_
  std::atomic<std::uint64_t> failures_{0};
};

/// As long as it `refuses`, what lies below a directory cannot be changed, as where a file system
/// was mounted read-only. Thread-safe.
class ReadOnlyFiles final : public FileSystem {
 public:
  explicit ReadOnlyFiles(std::string directory) : directory_(std::move(directory)) {
    while (directory_.ends_with('/')) directory_.pop_back();
  }

  std::atomic<bool> refuses{false};
  std::atomic<std::uint64_t> refusals{0};

  Result<std::unique_ptr<OutputFile>> create(const std::string& path, bool may_exist) override {
    if (Status status = allowed(path); !status.ok()) return status;
    return real().create(path, may_exist);
  }
  Result<std::unique_ptr<OutputFile>> open_private(const std::string& path) override {
    if (Status status = allowed(path); !status.ok()) return status;
    return real().open_private(path);
  }
  Result<std::string> read(const std::string& path, std::uint64_t offset,
                           std::size_t bytes) override {
    return real().read(path, offset, bytes);
  }
  Status check_directory(const std::string& path) override {
    Status status = allowed(path);
    return status.ok() ? real().check_directory(path) : status;
  }
  Status sync_directory(const std::string& path) override { return real().sync_directory(path); }
  Status rename(const std::string& from, const std::string& to) override {
    Status status = allowed(from);
    return status.ok() ? real().rename(from, to) : status;
  }
  Status remove(const std::string& path) override {
    Status status = allowed(path);
    return status.ok() ? real().remove(path) : status;
  }
  Status rename_new(const std::string& from, const std::string& to) override {
    Status status = allowed(from);
    return status.ok() ? real().rename_new(from, to) : status;
  }
  Result<std::optional<std::uint64_t>> size_of(const std::string& path) override {
    return real().size_of(path);
  }
  Result<std::vector<std::string>> make_path(const std::string& path) override {
    if (Status status = allowed(path); !status.ok()) return status;
    return real().make_path(path);
  }
  Status sync_together(std::span<OutputFile* const> files,
                       std::span<const std::string> directories) override {
    return real().sync_together(files, directories);
  }

 private:
  Status allowed(const std::string& path) {
    if (!refuses || !path.starts_with(directory_)) return {};
    ++refusals;
    return Retry("cannot change " + path + ": Read-only file system (30)");
  }

  std::string directory_;
};

}  // namespace sluice::testing

// A file system whose files cannot be read for a while, or are read wrongly.
#pragma once

#include <rocksdb/file_system.h>

#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace sluice::testing {

/// What becomes of a read that is hit.
enum class BadRead : unsigned char {
  Error,    ///< EIO.
  Short,    ///< Half of the bytes, as if the file ended there.
  Flipped,  ///< A bit in the middle is another.
};

/// Passes everything on; what reads files is hit as it was told to. Tables are read at places,
/// logs, manifests and the small files one piece after the other: both count as reads. Thread-safe.
class BadReads final : public rocksdb::FileSystemWrapper {
 public:
  using Which = std::function<bool(const std::string& name)>;

  explicit BadReads(
      const std::shared_ptr<rocksdb::FileSystem>& files = rocksdb::FileSystem::Default())
      : FileSystemWrapper(files) {}
  const char* Name() const override { return "BadReads"; }

  /// From the n-th read (1: the next) of such files on so many are hit, then so many more fail with
  /// errors, and none before or after.
  void hit(Which which, std::uint64_t nth = 1, std::uint64_t times = UINT64_MAX,
           BadRead how = BadRead::Error, std::uint64_t errors_behind = 0) {
    const std::lock_guard lock(mutex_);
    errors_behind_ = errors_behind;
    which_ = std::move(which);
    before_ = nth - 1;
    times_ = times;
    every_ = 1;
    how_ = how;
  }
  /// One in so many reads of such files, for as long as it lasts.
  void hit_one_in(std::uint64_t every, Which which, BadRead how = BadRead::Error) {
    hit(std::move(which), every, UINT64_MAX, how);
    const std::lock_guard lock(mutex_);
    every_ = every;
  }
  void mend() {
    const std::lock_guard lock(mutex_);
    which_ = nullptr;
  }
  std::uint64_t hits() const {
    const std::lock_guard lock(mutex_);
    return hits_;
  }

  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override {
    const auto status = FileSystemWrapper::NewRandomAccessFile(name, options, file, debug);
    if (status.ok()) *file = std::make_unique<Random>(std::move(*file), *this, name);
    return status;
  }
  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override {
    const auto status = FileSystemWrapper::NewSequentialFile(name, options, file, debug);
    if (status.ok()) *file = std::make_unique<Sequential>(std::move(*file), *this, name);
    return status;
  }

 private:
  class Random final : public rocksdb::FSRandomAccessFileOwnerWrapper {
   public:
    Random(std::unique_ptr<rocksdb::FSRandomAccessFile> file, BadReads& disk, std::string name)
        : FSRandomAccessFileOwnerWrapper(std::move(file)), disk_(disk), name_(std::move(name)) {}
    rocksdb::IOStatus Read(std::uint64_t offset, size_t bytes, const rocksdb::IOOptions& options,
                           rocksdb::Slice* result, char* scratch,
                           rocksdb::IODebugContext* debug) const override {
      const auto status = target()->Read(offset, bytes, options, result, scratch, debug);
      return status.ok() ? disk_.after_read(name_, *result, scratch) : status;
    }
    /// One by one, so that each of them may be hit.
    rocksdb::IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count,
                                const rocksdb::IOOptions& options,
                                rocksdb::IODebugContext* debug) override {
      for (size_t i = 0; i < count; ++i) {
        rocksdb::FSReadRequest& one = requests[i];
        one.status = Read(one.offset, one.len, options, &one.result, one.scratch, debug);
      }
      return rocksdb::IOStatus::OK();
    }

   private:
    BadReads& disk_;
    const std::string name_;
  };

  class Sequential final : public rocksdb::FSSequentialFileOwnerWrapper {
   public:
    Sequential(std::unique_ptr<rocksdb::FSSequentialFile> file, BadReads& disk, std::string name)
        : FSSequentialFileOwnerWrapper(std::move(file)), disk_(disk), name_(std::move(name)) {}
    rocksdb::IOStatus Read(size_t bytes, const rocksdb::IOOptions& options, rocksdb::Slice* result,
                           char* scratch, rocksdb::IODebugContext* debug) override {
      const auto status = target()->Read(bytes, options, result, scratch, debug);
      return status.ok() ? disk_.after_read(name_, *result, scratch) : status;
    }

   private:
    BadReads& disk_;
    const std::string name_;
  };

  rocksdb::IOStatus after_read(const std::string& name, rocksdb::Slice& result, char* scratch) {
    const std::lock_guard lock(mutex_);
    if (times_ == 0 && errors_behind_ > 0) {
      times_ = std::exchange(errors_behind_, 0);
      how_ = BadRead::Error;
    }
    if (!which_ || times_ == 0 || !which_(name)) return rocksdb::IOStatus::OK();
    if (before_ > 0) {
      --before_;
      return rocksdb::IOStatus::OK();
    }
    if (times_ != UINT64_MAX) --times_;
    before_ = every_ - 1;
    ++hits_;
    if (how_ == BadRead::Error) {
      result = {};
      return rocksdb::IOStatus::IOError("While reading " + name, "Input/output error");
    }
    if (how_ == BadRead::Short) {
      result = {result.data(), result.size() / 2};
    } else if (result.size() > 0) {
      if (result.data() != scratch) std::memmove(scratch, result.data(), result.size());
      scratch[result.size() / 2] = static_cast<char>(scratch[result.size() / 2] ^ 1);
      result = {scratch, result.size()};
    }
    return rocksdb::IOStatus::OK();
  }

  mutable std::mutex mutex_;
  Which which_;  // guarded by mutex_, as all below; none: every read is good
  std::uint64_t before_ = 0;
  std::uint64_t times_ = 0;
  std::uint64_t errors_behind_ = 0;
  std::uint64_t every_ = 1;
  std::uint64_t hits_ = 0;
  BadRead how_ = BadRead::Error;
};

inline bool is_table(const std::string& name) { return name.ends_with(".sst"); }

}  // namespace sluice::testing

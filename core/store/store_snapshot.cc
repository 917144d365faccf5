#include "core/store/store_snapshot.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

// Each is some milliseconds; an agent at full speed changes its manifest about ten times a second.
constexpr int tries_max = 100;

bool ends_with(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() && text.substr(text.size() - ending.size()) == ending;
}

bool is_part_of_database(std::string_view name) {
  return ends_with(name, ".sst") || ends_with(name, ".log") || name == "CURRENT" ||
         name == "IDENTITY" || name.starts_with("MANIFEST-");
}

rocksdb::IOStatus refused() { return rocksdb::IOStatus::NotSupported("this store is only read"); }

Status cannot_read(const std::string& directory, const rocksdb::IOStatus& status) {
  const std::string text = status.ToString();
  if (text.find("Permission denied") != std::string::npos) {
    return Retry("the store " + directory + " may not be read by this user (" + text +
                 "): run this as the user of the agent, or as root");
  }
  return Retry("the store " + directory + " cannot be read: " + text);
}

}  // namespace

/// Logs and manifests, from their begin to the end that they had.
class StoreSnapshot::Sequential final : public rocksdb::FSSequentialFile {
 public:
  explicit Sequential(Held held) : held_(std::move(held)) {}

  rocksdb::IOStatus Read(size_t bytes, const rocksdb::IOOptions& options, rocksdb::Slice* result,
                         char* scratch, rocksdb::IODebugContext* debug) override {
    const auto status = PositionedRead(at_, bytes, options, result, scratch, debug);
    if (status.ok()) at_ += result->size();
    return status;
  }
  rocksdb::IOStatus Skip(std::uint64_t bytes) override {
    at_ += std::min(bytes, held_.bytes - at_);
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus PositionedRead(std::uint64_t offset, size_t bytes,
                                   const rocksdb::IOOptions& options, rocksdb::Slice* result,
                                   char* scratch, rocksdb::IODebugContext* debug) override {
    const std::uint64_t left = held_.bytes - std::min(offset, held_.bytes);
    *result = {};
    if (left == 0) return rocksdb::IOStatus::OK();  // the library takes a read of nothing ill
    return held_.file->Read(offset, std::min<std::uint64_t>(bytes, left), options, result, scratch,
                            debug);
  }

 private:
  const Held held_;
  std::uint64_t at_ = 0;
};

/// Tables, which never grow.
class StoreSnapshot::Random final : public rocksdb::FSRandomAccessFileWrapper {
 public:
  explicit Random(Held held) : FSRandomAccessFileWrapper(held.file.get()), held_(std::move(held)) {}

 private:
  const Held held_;
};

Status StoreSnapshot::take(const std::string& directory, const std::function<void()>& between) {
  directory_ = directory;
  while (directory_.size() > 1 && directory_.back() == '/') directory_.pop_back();
  for (int attempt = 0; attempt < tries_max; ++attempt) {
    held_.clear();
    const auto before = mark();
    if (!before.ok()) return before.status();
    std::vector<std::string> names;
    auto status = target()->GetChildren(directory_, {}, &names, nullptr);
    if (!status.ok()) return cannot_read(directory_, status);
    if (between) between();
    for (const std::string& name : names) {
      if (status.ok() && is_part_of_database(name)) status = hold(name);
    }
    // The library notes in the manifest what it made before it deletes what that replaces. So when
    // the manifest is as it was, all that it refers to is held.
    const auto after = mark();
    const bool stood_still = after.ok() && after.value() == before.value();
    if (stood_still && status.ok()) {
      const auto manifest = held_.find(before.value().manifest);
      if (manifest == held_.end()) {
        return Reject("the store " + directory_ + " is damaged: its manifest is gone");
      }
      manifest->second.bytes = before.value().bytes;
      return {};
    }
    if (stood_still && !status.IsNotFound() && !status.IsPathNotFound()) {
      return cannot_read(directory_, status);
    }
  }
  return Retry("the store " + directory_ + " changes faster than it can be looked at; try again");
}

Result<StoreSnapshot::Mark> StoreSnapshot::mark() {
  std::vector<std::string> names;
  auto status = target()->GetChildren(directory_, {}, &names, nullptr);
  if (status.IsNotFound() || status.IsPathNotFound()) {
    // The library calls it so, too, when there is no right to look.
    return Invalid("there is no store in " + directory_ +
                   ": no such directory (a store is the folder 'store' in an agent's state "
                   "directory), or this user may not read it (the agent's user and root may)");
  }
  if (!status.ok()) return cannot_read(directory_, status);
  if (std::find(names.begin(), names.end(), "CURRENT") == names.end()) {
    if (std::any_of(names.begin(), names.end(),
                    [](const auto& name) { return name.starts_with("MANIFEST-"); })) {
      return Reject("the store " + directory_ + " is damaged: its file CURRENT is gone");
    }
    return Invalid("there is no store in " + directory_ + ": it has no file CURRENT");
  }
  Mark mark;
  status = rocksdb::ReadFileToString(target(), directory_ + "/CURRENT", &mark.manifest);
  if (!status.ok()) return cannot_read(directory_, status);
  while (!mark.manifest.empty() && mark.manifest.back() == '\n') mark.manifest.pop_back();
  if (!mark.manifest.starts_with("MANIFEST-") || mark.manifest.find('/') != std::string::npos) {
    return Reject("the store " + directory_ + " is damaged: its file CURRENT names no manifest");
  }
  status = target()->GetFileSize(directory_ + "/" + mark.manifest, {}, &mark.bytes, nullptr);
  if (status.IsNotFound() || status.IsPathNotFound()) {
    // Between the two looks the agent may have begun the next one; then the next look differs.
    mark.bytes = 0;
    return mark;
  }
  if (!status.ok()) return cannot_read(directory_, status);
  return mark;
}

rocksdb::IOStatus StoreSnapshot::hold(const std::string& name) {
  const std::string path = directory_ + "/" + name;
  Held held;
  std::unique_ptr<rocksdb::FSRandomAccessFile> file;
  auto status = target()->NewRandomAccessFile(path, {}, &file, nullptr);
  if (status.ok()) status = target()->GetFileSize(path, {}, &held.bytes, nullptr);
  if (!status.ok()) return status;
  held.file = std::move(file);
  held_.insert_or_assign(name, std::move(held));
  return status;
}

std::uint64_t StoreSnapshot::bytes_of(std::string_view ending) const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& [name, held] : held_) {
    if (ends_with(name, ending)) bytes += held.bytes;
  }
  return bytes;
}

std::string StoreSnapshot::last_log() const {
  // Their numbers have leading zeros, or one digit more.
  std::string last;
  for (const auto& [name, held] : held_) {
    const bool newer = std::pair(name.size(), name) > std::pair(last.size(), last);
    if (ends_with(name, ".log") && newer) last = name;
  }
  return last;
}

bool StoreSnapshot::ours(const std::string& path) const {
  return path.starts_with(directory_ + "/") &&
         path.find_first_not_of('/', directory_.size()) != std::string::npos;
}

const StoreSnapshot::Held* StoreSnapshot::find(const std::string& path) const {
  if (!ours(path)) return nullptr;
  // The library joins names with one slash or two.
  const auto found = held_.find(path.substr(path.find_first_not_of('/', directory_.size())));
  return found == held_.end() ? nullptr : &found->second;
}

rocksdb::IOStatus StoreSnapshot::NewSequentialFile(const std::string& name,
                                                   const rocksdb::FileOptions& options,
                                                   std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                                   rocksdb::IODebugContext* debug) {
  if (!ours(name)) return FileSystemWrapper::NewSequentialFile(name, options, file, debug);
  const Held* const held = find(name);
  if (held == nullptr) return rocksdb::IOStatus::PathNotFound(name);
  *file = std::make_unique<Sequential>(*held);
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus StoreSnapshot::NewRandomAccessFile(
    const std::string& name, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSRandomAccessFile>* file, rocksdb::IODebugContext* debug) {
  if (!ours(name)) return FileSystemWrapper::NewRandomAccessFile(name, options, file, debug);
  const Held* const held = find(name);
  if (held == nullptr) return rocksdb::IOStatus::PathNotFound(name);
  *file = std::make_unique<Random>(*held);
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus StoreSnapshot::FileExists(const std::string& name,
                                            const rocksdb::IOOptions& options,
                                            rocksdb::IODebugContext* debug) {
  if (!ours(name)) return FileSystemWrapper::FileExists(name, options, debug);
  return find(name) != nullptr ? rocksdb::IOStatus::OK() : rocksdb::IOStatus::NotFound(name);
}

rocksdb::IOStatus StoreSnapshot::GetChildren(const std::string& directory,
                                             const rocksdb::IOOptions& options,
                                             std::vector<std::string>* names,
                                             rocksdb::IODebugContext* debug) {
  const std::size_t end = directory.find_last_not_of('/') + 1;
  if (directory.substr(0, end) != directory_) {
    return FileSystemWrapper::GetChildren(directory, options, names, debug);
  }
  names->clear();
  for (const auto& [name, held] : held_) names->push_back(name);
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus StoreSnapshot::GetFileSize(const std::string& name,
                                             const rocksdb::IOOptions& options,
                                             std::uint64_t* bytes, rocksdb::IODebugContext* debug) {
  if (!ours(name)) return FileSystemWrapper::GetFileSize(name, options, bytes, debug);
  const Held* const held = find(name);
  if (held == nullptr) return rocksdb::IOStatus::PathNotFound(name);
  *bytes = held->bytes;
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus StoreSnapshot::NewWritableFile(const std::string& /*name*/,
                                                 const rocksdb::FileOptions& /*options*/,
                                                 std::unique_ptr<rocksdb::FSWritableFile>* /*file*/,
                                                 rocksdb::IODebugContext* /*debug*/) {
  return refused();
}
rocksdb::IOStatus StoreSnapshot::ReopenWritableFile(
    const std::string& /*name*/, const rocksdb::FileOptions& /*options*/,
    std::unique_ptr<rocksdb::FSWritableFile>* /*file*/, rocksdb::IODebugContext* /*debug*/) {
  return refused();
}
rocksdb::IOStatus StoreSnapshot::NewRandomRWFile(const std::string& /*name*/,
                                                 const rocksdb::FileOptions& /*options*/,
                                                 std::unique_ptr<rocksdb::FSRandomRWFile>* /*file*/,
                                                 rocksdb::IODebugContext* /*debug*/) {
  return refused();
}
rocksdb::IOStatus StoreSnapshot::CreateDir(const std::string& /*name*/,
                                           const rocksdb::IOOptions& /*options*/,
                                           rocksdb::IODebugContext* /*debug*/) {
  return refused();
}
rocksdb::IOStatus StoreSnapshot::CreateDirIfMissing(const std::string& /*name*/,
                                                    const rocksdb::IOOptions& /*options*/,
                                                    rocksdb::IODebugContext* /*debug*/) {
  return refused();
}
rocksdb::IOStatus StoreSnapshot::DeleteFile(const std::string& /*name*/,
                                            const rocksdb::IOOptions& /*options*/,
                                            rocksdb::IODebugContext* /*debug*/) {
  return refused();
}
rocksdb::IOStatus StoreSnapshot::RenameFile(const std::string& /*from*/, const std::string& /*to*/,
                                            const rocksdb::IOOptions& /*options*/,
                                            rocksdb::IODebugContext* /*debug*/) {
  return refused();
}
rocksdb::IOStatus StoreSnapshot::LinkFile(const std::string& /*from*/, const std::string& /*to*/,
                                          const rocksdb::IOOptions& /*options*/,
                                          rocksdb::IODebugContext* /*debug*/) {
  return refused();
}
rocksdb::IOStatus StoreSnapshot::LockFile(const std::string& /*name*/,
                                          const rocksdb::IOOptions& /*options*/,
                                          rocksdb::FileLock** /*lock*/,
                                          rocksdb::IODebugContext* /*debug*/) {
  return refused();
}

}  // namespace sluice

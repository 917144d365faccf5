#include "core/store/mended_logs.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "core/store/log_blocks.h"
#include "core/store/store_rows.h"

namespace sluice {
namespace {

bool is_log(std::string_view name) {
  constexpr std::string_view ending = ".log";
  return name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending;
}

/// Bytes in memory, of somebody else.
class Held final : public rocksdb::FSSequentialFile {
 public:
  explicit Held(std::string_view bytes) : bytes_(bytes) {}

  rocksdb::IOStatus Read(size_t bytes, const rocksdb::IOOptions& /*options*/,
                         rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* /*debug*/) override {
    const std::size_t some = std::min(bytes, bytes_.size() - at_);
    if (some > 0) std::memcpy(scratch, bytes_.data() + at_, some);
    *result = {scratch, some};
    at_ += some;
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Skip(std::uint64_t bytes) override {
    at_ += std::min<std::uint64_t>(bytes, bytes_.size() - at_);
    return rocksdb::IOStatus::OK();
  }

 private:
  const std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace

rocksdb::IOStatus MendedLogs::load(const std::string& directory) {
  std::vector<std::string> names;
  auto status = target()->GetChildren(directory, {}, &names, nullptr);
  for (const std::string& name : names) {
    if (!status.ok() || !is_log(name)) continue;
    std::string bytes;
    status = static_cast<rocksdb::IOStatus>(
        rocksdb::ReadFileToString(target(), directory + "/" + name, &bytes));
    places_ += mend_log(bytes);
    loaded_[name] = std::move(bytes);
  }
  return status;
}

rocksdb::IOStatus MendedLogs::NewSequentialFile(const std::string& name,
                                                const rocksdb::FileOptions& options,
                                                std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                                rocksdb::IODebugContext* debug) {
  const auto found = loaded_.find(name.substr(name.rfind('/') + 1));
  if (found == loaded_.end()) {
    return FileSystemWrapper::NewSequentialFile(name, options, file, debug);
  }
  *file = std::make_unique<Held>(found->second);
  return rocksdb::IOStatus::OK();
}

Result<bool> a_log_ends_unsaid(rocksdb::FileSystem& files, const std::string& directory) {
  std::vector<std::string> logs;
  auto status = files.GetChildren(directory, {}, &logs, nullptr);
  if (!status.ok()) return store_failure("read", directory, status);
  std::erase_if(logs, [](const std::string& name) { return !is_log(name); });
  // Their numbers have leading zeros, or one digit more.
  const auto older = [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), std::string_view(a)) < std::pair(b.size(), std::string_view(b));
  };
  const auto last = std::max_element(logs.begin(), logs.end(), older);
  for (const std::string& name : logs) {
    std::string bytes;
    if (name == *last) continue;
    status = rocksdb::ReadFileToString(&files, directory + "/" + name, &bytes);
    if (!status.ok()) return store_failure("read", directory, status);
    if (ends_unsaid(bytes)) return true;
  }
  return false;
}

}  // namespace sluice

#include "core/store/rocksdb_log.h"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <string_view>
#include <utility>

#include "core/base/log.h"

namespace sluice {
namespace {

class RocksdbLog final : public rocksdb::Logger {
 public:
  explicit RocksdbLog(std::string path)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), path_(std::move(path)) {}

  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < GetInfoLogLevel()) return;
    std::array<char, 1024> text{};
    const int length = std::vsnprintf(text.data(), text.size(), format, arguments);
    if (length <= 0) return;
    std::string_view line(text.data());
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.remove_suffix(1);
    if (level >= rocksdb::InfoLogLevel::ERROR_LEVEL) {
      log::error("store {}: {}", path_, line);
    } else if (level == rocksdb::InfoLogLevel::WARN_LEVEL) {
      log::warn("store {}: {}", path_, line);
    } else {
      log::debug("store {}: {}", path_, line);
    }
  }

 private:
  const std::string path_;
};

}  // namespace

std::shared_ptr<rocksdb::Logger> make_rocksdb_log(std::string path) {
  return std::make_shared<RocksdbLog>(std::move(path));
}

}  // namespace sluice

#include "core/kafka/client_log.h"

#include <syslog.h>

#include <utility>

#include "core/base/log.h"
#include "core/base/rarely.h"

namespace sluice {
namespace {

/// Nothing is lost by what librdkafka logs: it goes on trying. What fails in the end is an outcome.
/// A connection that fails is also an error event, which error() words better.
log::Level level_of(int syslog_level, std::string_view kind) noexcept {
  if (kind == "FAIL" || kind == "ERROR") return log::Level::Debug;
  if (syslog_level <= LOG_WARNING) return log::Level::Warn;
  return syslog_level <= LOG_INFO ? log::Level::Info : log::Level::Debug;
}

}  // namespace

void KafkaClientLog::line(int level, std::string_view kind, std::string_view text) {
  // A setting of ours, which keeps the order of records; nobody else can do anything about it.
  if (kind == "CONFWARN" && text.find("enable.gapless.guarantee") != text.npos) return;
  if (kind == "APIVERSION" && looks_for_produce_) see_api_version(text);
  const log::Level ours = level_of(level, kind);
  if (!log::enabled(ours)) return;
  // Debug lines are asked for by `debug`, and then all of them.
  if (ours != log::Level::Debug && !worth_saying_again("line " + std::string(kind))) return;
  log::print(ours, "{}: librdkafka: {}: {}", component_, kind, text);
}

/// "...: ApiKey Produce (0) Versions 3..13": see client_settings.cc, which asks for such lines.
void KafkaClientLog::see_api_version(std::string_view text) {
  constexpr std::string_view produce = "ApiKey Produce (0) Versions ";
  const std::size_t at = text.find(produce);
  if (at == text.npos) return;
  const std::string_view versions = text.substr(at + produce.size());
  if (versions.starts_with("0..") || !worth_saying_again("produce versions")) return;
  log::warn(
      "{}: records go out uncompressed: this librdkafka compresses with gzip, snappy and lz4 only "
      "for brokers that still take Produce 0, and one takes {}; compression.type = zstd works",
      component_, versions);
}

void KafkaClientLog::error(int code, const Status& status) {
  {
    const std::lock_guard lock(mutex_);
    latest_error_ = status.message();
    troubled_ = true;
  }
  if (!worth_saying_again("error " + std::to_string(code))) return;
  log::warn("{}: {}", component_, status.message());
}

std::string KafkaClientLog::latest_error() const {
  const std::lock_guard lock(mutex_);
  return latest_error_;
}

void KafkaClientLog::recovered() {
  const std::lock_guard lock(mutex_);
  latest_error_.clear();
  troubled_ = false;
  times_.clear();
}

bool KafkaClientLog::worth_saying_again(std::string kind) {
  const std::lock_guard lock(mutex_);
  return worth_saying(++times_[std::move(kind)]);
}

}  // namespace sluice

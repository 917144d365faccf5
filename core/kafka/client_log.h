// librdkafka's own log, and the errors it reports beside it, in ours.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// Writes what clients of one component have to say, each kind of it the 1st, 2nd, 4th, ... time.
/// Thread-safe: librdkafka's threads call it.
class KafkaClientLog {
 public:
  /// `component` stands in front: "sink k1".
  explicit KafkaClientLog(std::string component) : component_(std::move(component)) {}

  /// A line of librdkafka's log: a syslog level, its kind ("FAIL"), a text.
  void line(int level, std::string_view kind, std::string_view text);
  /// From now on a broker for which records go out uncompressed is told of, as lines of `debug =
  /// feature` show it.
  void look_for_produce() noexcept { looks_for_produce_ = true; }
  /// An error event; `status` as kafka_status() words it. It is remembered as the latest.
  void error(int code, const Status& status);
  /// Why things may be stuck, for messages: the latest error since recovered(). May be empty.
  std::string latest_error() const;
  /// True from an error() until recovered().
  bool troubled() const noexcept { return troubled_.load(std::memory_order_relaxed); }
  /// Something has worked: what goes wrong from now on is news again.
  void recovered();
  const std::string& component() const noexcept { return component_; }

 private:
  bool worth_saying_again(std::string kind);
  void see_api_version(std::string_view text);

  const std::string component_;
  std::atomic<bool> troubled_{false};
  std::atomic<bool> looks_for_produce_{false};
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> times_;  // guarded by mutex_
  std::string latest_error_;                    // guarded by mutex_
};

}  // namespace sluice

// When micro-batches end, and what they are called.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/clock.h"

namespace sluice {

/// Batches end at the multiples of an interval since an origin, 1970 if nothing else is said, and
/// are called by their ends, in milliseconds since 1970. These strictly rise, whatever the clock on
/// the wall does: put back, names go on from the last one; put forward, one batch is long, and none
/// are made up for the time between. One thread.
class BatchClock {
 public:
  BatchClock(milliseconds interval, const Clock& clock) : interval_(interval), clock_(clock) {}

  /// Before the first begin(). The origin is in milliseconds since 1970.
  void count_from(std::int64_t origin_ms) noexcept { origin_ms_ = origin_ms; }

  /// The batch that is open from now on. `last`: the name of the one before.
  void begin(std::int64_t last) {
    const std::int64_t interval = interval_.count();
    const std::int64_t now = clock_.wall_ms();
    const std::int64_t next = multiple_at(now) + interval;
    name_ = std::max(next, last + interval);
    // Where names are a little ahead of the clock, for a batch ended early or the clock was put
    // back, one batch is longer; where they are far ahead, batches are not, and stay ahead.
    const std::int64_t lead = name_ - now;
    ends_ = clock_.steady() + milliseconds(lead <= 2 * interval ? lead : next - now);
  }
  /// The open batch is over.
  bool over() const { return clock_.steady() >= ends_; }
  milliseconds left() const {
    const auto left = std::chrono::ceil<milliseconds>(ends_ - clock_.steady());
    return std::max(left, milliseconds(0));
  }
  /// What the open batch is called, now that it ends: the latest multiple that has passed, if
  /// the thread came late.
  std::int64_t end() const { return std::max(name_, multiple_at(clock_.wall_ms())); }
  /// What it is called if it ends before its time.
  std::int64_t end_early() const { return name_; }

 private:
  /// The last one at or before a time, also before the origin.
  std::int64_t multiple_at(std::int64_t time_ms) const noexcept {
    const std::int64_t rest = (time_ms - origin_ms_) % interval_.count();
    return time_ms - (rest < 0 ? rest + interval_.count() : rest);
  }

  const milliseconds interval_;
  const Clock& clock_;
  std::int64_t origin_ms_ = 0;
  std::int64_t name_ = 0;
  SteadyTime ends_{};
};

}  // namespace sluice

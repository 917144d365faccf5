// When micro-batches end, and what they are called.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/clock.h"

namespace sluice {

/// Batches end at the multiples of an interval since 1970 and are called by their ends, which
/// strictly rise, whatever the clock on the wall does: put back, names go on from the last one; put
/// forward, one batch is long, and none are made up for the time between. One thread.
class BatchClock {
 public:
  BatchClock(milliseconds interval, const Clock& clock) : interval_(interval), clock_(clock) {}

  /// The batch that is open from now on. `last`: the name of the one before.
  void begin(std::int64_t last) {
    const std::int64_t interval = interval_.count();
    const std::int64_t now = clock_.wall_ms();
    const std::int64_t next = (now / interval + 1) * interval;
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
  std::int64_t end() const {
    const std::int64_t interval = interval_.count();
    return std::max(name_, clock_.wall_ms() / interval * interval);
  }
  /// What it is called if it ends before its time.
  std::int64_t end_early() const { return name_; }

 private:
  const milliseconds interval_;
  const Clock& clock_;
  std::int64_t name_ = 0;
  SteadyTime ends_{};
};

}  // namespace sluice

// How long to wait before the next try.
#pragma once

#include <algorithm>

#include "core/base/clock.h"

namespace sluice {

/// Doubles from `first` up to `most`; reset() after a success. A value, one thread.
class Backoff {
 public:
  Backoff(milliseconds first, milliseconds most) noexcept
      : first_(first), most_(most), next_(first) {}

  /// The pause before the next try.
  milliseconds next() noexcept {
    const milliseconds now = next_;
    next_ = std::min(most_, next_ * 2);
    return now;
  }
  void reset() noexcept { next_ = first_; }

 private:
  milliseconds first_;
  milliseconds most_;
  milliseconds next_;
};

}  // namespace sluice

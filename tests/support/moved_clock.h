// A clock that other threads may read while a test moves it.
#pragma once

#include <atomic>
#include <chrono>

#include "core/base/clock.h"

namespace sluice {

/// Stands still until it is moved. Thread-safe.
class MovedClock final : public Clock {
 public:
  std::int64_t wall_ms() const noexcept override { return wall_ms_; }
  SteadyTime steady() const noexcept override {
    return SteadyTime(std::chrono::hours(1)) + milliseconds(moved_ms_);
  }
  void advance(milliseconds by) noexcept {
    wall_ms_ += by.count();
    moved_ms_ += by.count();
  }
  void set_wall_ms(std::int64_t wall_ms) noexcept { wall_ms_ = wall_ms; }

 private:
  std::atomic<std::int64_t> wall_ms_{1'700'000'000'000};
  std::atomic<std::int64_t> moved_ms_{0};
};

}  // namespace sluice

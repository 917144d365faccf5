// Time as a thing that is handed in, so that tests can turn it.
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice {

using SteadyTime = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

/// Where a component reads the time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  /// Milliseconds since 1970 UTC; may jump when an administrator sets the clock.
  virtual std::int64_t wall_ms() const noexcept = 0;
  /// Never goes back; for intervals and deadlines.
  virtual SteadyTime steady() const noexcept = 0;

  /// The machine's clocks.
  static const Clock& system() noexcept;
};

/// A clock that stands still until a test moves it. Not thread-safe while it is moved.
class ManualClock final : public Clock {
 public:
  std::int64_t wall_ms() const noexcept override { return wall_ms_; }
  SteadyTime steady() const noexcept override { return steady_; }
  void advance(milliseconds by) noexcept {
    wall_ms_ += by.count();
    steady_ += by;
  }
  void set_wall_ms(std::int64_t wall_ms) noexcept { wall_ms_ = wall_ms; }

 private:
  std::int64_t wall_ms_ = 1'700'000'000'000;
  SteadyTime steady_{std::chrono::hours(1)};
};

/// When a wait gives up. A value.
class Deadline {
 public:
  static Deadline never() noexcept { return Deadline(SteadyTime::max()); }
  static Deadline at(SteadyTime time) noexcept { return Deadline(time); }
  /// Measured from now on the machine's steady clock; what is beyond its end is never().
  static Deadline in(milliseconds from_now) noexcept;

  bool is_never() const noexcept { return time_ == SteadyTime::max(); }
  bool passed() const noexcept;
  SteadyTime time() const noexcept { return time_; }
  /// Time left, never negative; capped at `most` so that it can be handed to poll(2) and friends.
  milliseconds left(milliseconds most) const noexcept;

 private:
  explicit Deadline(SteadyTime time) noexcept : time_(time) {}
  SteadyTime time_;
};

}  // namespace sluice

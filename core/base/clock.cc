#include "core/base/clock.h"

#include <algorithm>

namespace sluice {
namespace {

class SystemClock final : public Clock {
 public:
  std::int64_t wall_ms() const noexcept override {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<milliseconds>(since_epoch).count();
  }
  SteadyTime steady() const noexcept override { return std::chrono::steady_clock::now(); }
};

}  // namespace

const Clock& Clock::system() noexcept {
  static const SystemClock clock;
  return clock;
}

Deadline Deadline::in(milliseconds from_now) noexcept {
  const SteadyTime now = Clock::system().steady();
  // Nanoseconds hold 292 years, milliseconds far more.
  if (from_now >= std::chrono::floor<milliseconds>(SteadyTime::max() - now)) return never();
  return Deadline(now + from_now);
}

bool Deadline::passed() const noexcept { return !is_never() && Clock::system().steady() >= time_; }

milliseconds Deadline::left(milliseconds most) const noexcept {
  if (is_never()) return most;
  const auto left = std::chrono::ceil<milliseconds>(time_ - Clock::system().steady());
  return std::clamp(left, milliseconds(0), most);
}

}  // namespace sluice

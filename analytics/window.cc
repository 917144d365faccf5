#include "analytics/window.h"

#include <numeric>

namespace sluice::analytics {

std::int64_t Window::pane_ms() const noexcept { return std::gcd(length_ms, slide_ms); }

std::int64_t align_down(std::int64_t time, std::int64_t step, std::int64_t offset) noexcept {
  const std::int64_t rest = (time - offset) % step;
  return time - (rest < 0 ? rest + step : rest);
}

}  // namespace sluice::analytics

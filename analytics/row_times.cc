#include "analytics/row_times.h"

#include <algorithm>

namespace sluice::analytics {

std::span<const std::int64_t> RowTimes::read(Expression& time, const Rows& rows, TextArena& arena) {
  time.evaluate(rows, arena, column_);
  // Rows of the batch that is open, also where nobody said what the clock says.
  const std::int64_t latest = now_ms_ + options_.interval_ms + options_.future_ms;
  std::uint64_t timeless = 0;
  std::uint64_t future = 0;
  times_.resize(rows.size);
  for (std::uint32_t row = 0; row < rows.size; ++row) {
    std::int64_t& at = times_[row];
    at = column_.is_null(row) ? none : column_.cells[row].integer;
    if (at < 0) {  // no clock says that
      at = none;
      ++timeless;
    } else if (at > latest) {
      at = none;
      ++future;
    } else {
      seen_ms_ = std::max(seen_ms_, at);
    }
  }
  if (timeless > 0) timeless_.fetch_add(timeless, std::memory_order_relaxed);
  if (future > 0) future_.fetch_add(future, std::memory_order_relaxed);
  return times_;
}

void RowTimes::tick() noexcept {
  if (seen_ms_ != none) watermark_ms_ = std::max(watermark_ms_, seen_ms_ - options_.delay_ms);
}

}  // namespace sluice::analytics

// The times that rows carry, and how far time has come by them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "analytics/expression.h"
#include "analytics/rows.h"

namespace sluice::analytics {

/// Reads the times of rows, in milliseconds since 1970.
///
/// The watermark says how far time has come: the latest time of any row less the delay, as it was
/// at the last tick(). It never goes back. One thread; the counts may be read by any.
class RowTimes {
 public:
  /// What a row has that does not count.
  static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::min();

  struct Options {
    std::int64_t delay_ms = 0;     ///< How far rows may be out of order.
    std::int64_t future_ms = 0;    ///< Further ahead of the clock they do not count.
    std::int64_t interval_ms = 0;  ///< Of batches.
  };
  explicit RowTimes(Options options) : options_(options) {}

  /// What the clock says; when it was put back it stands still.
  void set_now(std::int64_t now_ms) noexcept { now_ms_ = std::max(now_ms_, now_ms); }
  std::int64_t now_ms() const noexcept { return now_ms_; }

  /// The time of each row; `none` for those without one (or one before 1970), and for those of the
  /// future; both are counted. Valid until the next call.
  std::span<const std::int64_t> read(Expression& time, const Rows& rows, TextArena& arena);

  /// The end of a batch.
  void tick() noexcept;
  std::int64_t watermark_ms() const noexcept { return watermark_ms_; }
  std::int64_t seen_ms() const noexcept { return seen_ms_; }
  void restore(std::int64_t seen_ms, std::int64_t watermark_ms) noexcept {
    seen_ms_ = seen_ms;
    watermark_ms_ = watermark_ms;
  }

  std::uint64_t timeless() const noexcept { return timeless_; }
  std::uint64_t future() const noexcept { return future_; }

 private:
  const Options options_;
  std::int64_t now_ms_ = 0;
  std::int64_t seen_ms_ = none;  ///< Latest time of any row.
  std::int64_t watermark_ms_ = none;
  std::atomic<std::uint64_t> timeless_{0};
  std::atomic<std::uint64_t> future_{0};
  Column column_;
  std::vector<std::int64_t> times_;
};

}  // namespace sluice::analytics

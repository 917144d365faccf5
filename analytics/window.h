// Which rows belong together in time.
#pragma once

#include <cstdint>

namespace sluice::analytics {

/// Windows of one length, every so often. Times in milliseconds since 1970, windows are
/// [end - length, end).
///
/// They are put together of panes, which are as long as the longest time that all their borders are
/// multiples of.
struct Window {
  std::int64_t length_ms = 0;  ///< 0: a window is a batch.
  std::int64_t slide_ms = 0;
  std::int64_t offset_ms = 0;  ///< Windows end at multiples of slide_ms, and so much later.
  /// Of processing time: keys that left the window stay, and have the results of no rows.
  bool keep_zero = false;
  /// By the time that rows carry, instead of when they came.
  bool event_time = false;
  std::int64_t delay_ms = 0;   ///< How much out of order rows may be.
  std::int64_t future_ms = 0;  ///< Rows further ahead of the clock do not count.
  /// So long after a window was passed on, late rows still change it, and it is passed on again.
  std::int64_t update_ms = 0;

  bool is_batch() const noexcept { return length_ms == 0; }
  std::int64_t pane_ms() const noexcept;
};

/// The multiple of `step` (and `offset`) at or below `time`.
std::int64_t align_down(std::int64_t time, std::int64_t step, std::int64_t offset = 0) noexcept;

}  // namespace sluice::analytics

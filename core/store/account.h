// What a store knows of one channel beside its frames: where its queue begins and ends, and its
// books.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// Sequences [0, low) are out for good, so are the ranges of `above`; [low, next) without those
/// wait.
///
/// A value. Written in the commit of every put and take, so it never disagrees with the frames.
struct Account {
  std::uint64_t next = 0;                        ///< Sequence of the next event that enters.
  std::uint64_t low = 0;                         ///< Every sequence below it is out.
  std::uint64_t head_frame = 0;                  ///< First sequence of the frame that holds `low`.
  std::map<std::uint64_t, std::uint64_t> above;  ///< Out as well: begin -> end, above low, apart.

  // Books, over all openings of the store.
  std::uint64_t put_bytes = 0;  ///< Of bodies; the events are `next`.
  std::uint64_t out_events = 0;
  std::uint64_t out_bytes = 0;
  std::uint64_t quarantined_events = 0;  ///< Part of those that are out: damaged, never delivered.
  std::uint64_t quarantined_bytes = 0;

  std::uint64_t stored_events() const noexcept { return next - out_events; }
  std::uint64_t stored_bytes() const noexcept { return put_bytes - out_bytes; }

  /// Marks [begin, end) as out. REQUIRES: it was not before, and begin < end <= next.
  void settle(std::uint64_t begin, std::uint64_t end);
  /// True when `sequence` is out.
  bool settled(std::uint64_t sequence) const noexcept;
  /// Calls f(begin, end) for each run of [begin, end) that waits, in order, until it returns false.
  void for_each_waiting(std::uint64_t begin, std::uint64_t end,
                        const std::function<bool(std::uint64_t, std::uint64_t)>& f) const;

  std::string encode() const;
  /// Errors: Reject (damaged, or of a newer version).
  static Result<Account> decode(std::string_view bytes);

  bool operator==(const Account&) const = default;
};

}  // namespace sluice

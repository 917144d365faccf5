// What a store knows of one channel beside its frames: where its queue begins and ends, and its
// books.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace sluice {

/// What a channel keeps of what it delivered: the frames of [low, head_frame), and those behind
/// that are out before their turn. See core/store/retention.h.
struct Kept {
  /// All below `sequence`, where a frame ends, was out by `wall_ms`.
  struct Mark {
    std::uint64_t sequence = 0;
    std::int64_t wall_ms = 0;
    std::uint64_t events = 0;  ///< Delivered by then, ever.
    std::uint64_t bytes = 0;   ///< Of their bodies.
    bool operator==(const Mark&) const = default;
  };
  std::uint64_t low = 0;             ///< Frames before it were dropped, or never kept.
  std::uint64_t dropped_events = 0;  ///< Delivered, and kept no more or never.
  std::uint64_t dropped_bytes = 0;
  std::vector<Mark> marks = {};  ///< Rising in all their fields.
  bool operator==(const Kept&) const = default;
};

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

  std::optional<Kept> kept;  ///< None: frames are removed when all their events are out.

  std::uint64_t stored_events() const noexcept { return next - out_events; }
  std::uint64_t stored_bytes() const noexcept { return put_bytes - out_bytes; }
  std::uint64_t delivered_events() const noexcept { return out_events - quarantined_events; }
  std::uint64_t delivered_bytes() const noexcept { return out_bytes - quarantined_bytes; }
  /// Delivered, and not dropped yet. What is out of a frame of which the rest waits counts, too.
  std::uint64_t kept_events() const noexcept {
    return kept ? delivered_events() - kept->dropped_events : 0;
  }
  std::uint64_t kept_bytes() const noexcept {
    return kept ? delivered_bytes() - kept->dropped_bytes : 0;
  }

  /// Marks [begin, end) as out. REQUIRES: it was not before, and begin < end <= next.
  void settle(std::uint64_t begin, std::uint64_t end);
  /// True when `sequence` is out.
  bool settled(std::uint64_t sequence) const noexcept;
  /// Calls f(begin, end) for each run of [begin, end) that waits, in order, until it returns false.
  void for_each_waiting(std::uint64_t begin, std::uint64_t end,
                        const std::function<bool(std::uint64_t, std::uint64_t)>& f) const;
  /// Likewise for each run that is out and kept.
  void for_each_kept(std::uint64_t begin, std::uint64_t end,
                     const std::function<bool(std::uint64_t, std::uint64_t)>& f) const;

  /// As version 1, which the releases before retention read, where nothing is kept.
  std::string encode() const;
  /// Errors: Reject (damaged, or of a newer version).
  static Result<Account> decode(std::string_view bytes);

  bool operator==(const Account&) const = default;
};

}  // namespace sluice

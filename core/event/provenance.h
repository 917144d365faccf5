// Where events come from: the numbers that let a durable channel take each of them once.
//
// An origin is an id and a sequence. The first durable channel on an event's way gives every event
// the next sequence under an id of 128 random bits; events read from Kafka carry their offset,
// under an id that the group has drawn for the partition. A batch covers ranges of sequences: those
// of its events and those of events that interceptors dropped out of it, so that a receiver can
// account for all of them.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace sluice {

/// 128 random bits, drawn each time a store is opened.
struct OriginId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const OriginId&) const = default;  // NOLINT(modernize-use-nullptr): not so
  /// That of events which have no origin yet, beside others that have one.
  bool none() const noexcept { return high == 0 && low == 0; }
};

/// The id of the part that goes into one of several channels, or of what a channel numbers itself:
/// parts of one batch are not doubles of each other.
OriginId part_of(OriginId id, std::string_view channel);

/// Sequences [begin, end) under one id.
struct OriginRange {
  OriginId id;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const OriginRange&) const = default;
};

/// The origin of one event.
struct Origin {
  OriginId id;
  std::uint64_t sequence = 0;
  bool operator==(const Origin&) const = default;
};

/// The origins of a row of events. Immutable and shared; a view of it is cut by first and count.
///
/// Coverage: consecutive slices cover disjoint ranges whose union is the whole, dropped sequences
/// included. A batch without events covers all of it.
class Provenance {
 public:
  /// Neighbouring events under one id.
  struct Run {
    OriginRange range;                     ///< What the run covers. Empty, where id.none().
    std::uint32_t events = 0;              ///< Events in it.
    std::vector<std::uint64_t> sequences;  ///< Empty: dense from range.begin. Else ascending.
    std::uint64_t sequence(std::uint32_t i) const {
      if (range.id.none()) return 0;
      return sequences.empty() ? range.begin + i : sequences[i];
    }
  };

  Provenance() noexcept = default;

  /// REQUIRES: runs as decode() would take them.
  static Provenance of_runs(std::vector<Run> runs);
  /// `events` fresh events numbered begin, begin + 1, ...
  static Provenance dense(OriginId id, std::uint64_t begin, std::uint32_t events);

  bool known() const noexcept { return rep_ != nullptr; }
  std::uint32_t size() const noexcept { return count_; }

  /// REQUIRES: index < size().
  Origin origin(std::uint32_t index) const;
  /// The ranges this view answers for, in order.
  std::vector<OriginRange> covered() const;
  /// The view as runs, in order.
  std::vector<Run> runs() const;

  Provenance slice(std::uint32_t first, std::uint32_t count) const;
  /// Only the events at `kept` (ascending indices); the coverage stays.
  Provenance select(const std::vector<std::uint32_t>& kept) const;
  /// Rows one after another.
  struct Part {
    const Provenance& provenance;
    std::uint32_t events;
  };
  /// Events of a part whose origins are not known have none; unknown, where that holds for all.
  static Provenance concat(const std::vector<Part>& parts);
  /// For a row of `events`: those without an origin get {id, first_sequence + their place}.
  Provenance numbered(OriginId id, std::uint64_t first_sequence, std::uint32_t events) const;
  /// The same sequences under the ids that these have as a part for `channel`.
  Provenance for_channel(std::string_view channel) const;
  /// As bytes, for frames; what holds them has a version and a checksum.
  std::string encode() const;
  /// Errors: Reject (damaged).
  static Result<Provenance> decode(std::string_view bytes);

 private:
  static void append(std::vector<Run>& runs, Run run);

  std::shared_ptr<const std::vector<Run>> rep_;
  std::uint32_t first_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t total_ = 0;
};

}  // namespace sluice

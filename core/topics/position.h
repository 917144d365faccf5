// Where a reader of a Kafka partition stands, and in which log.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/event/provenance.h"

namespace sluice {

/// A place in the log of a partition.
///
/// `log` is 128 random bits, drawn by the member of the group that begins to read a log and handed
/// on with the group's offset, so that all members know it by the same number. A topic that was
/// deleted and made anew is another log, though its name and its offsets are the same; the offsets
/// of one log are the sequences of its records' origins.
struct KafkaPosition {
  OriginId log;
  std::int64_t offset = 0;  ///< Of the next record.
  bool operator==(const KafkaPosition&) const = default;
};

/// What goes with an offset into the group's own store: "sluice 1 0123...cdef".
std::string kafka_metadata(const OriginId& log);
/// Nothing for what was not written by kafka_metadata(): another program has committed.
std::optional<OriginId> parse_kafka_metadata(std::string_view metadata);

/// As a note of the store: "1 0123...cdef 17".
std::string kafka_note(const KafkaPosition& position);
std::optional<KafkaPosition> parse_kafka_note(std::string_view note);

/// What the group knows: an offset, and the log that it belongs to, where one of us committed it.
struct KafkaGroupPosition {
  std::int64_t offset = 0;
  std::optional<OriginId> log;
};

/// Where to go on, when the group and our own stores have each something to say.
struct KafkaChoice {
  std::optional<std::int64_t> offset;  ///< None: nobody knows, auto.offset.reset decides.
  std::optional<OriginId> log;         ///< None: draw a new one.
};
/// The further of the two, as long as they speak of one log: what the store has and the group does
/// not was read by us just before we stopped; what the group has beyond that was read by others.
/// Where they do not, the group is right: another member has seen a new log, or somebody has set
/// the offsets by hand, and then records come again on purpose. Of several stores, which a crash
/// may have left one behind the other, the lowest counts.
KafkaChoice choose_position(const std::optional<KafkaGroupPosition>& group,
                            std::span<const KafkaPosition> notes);

OriginId draw_kafka_log();

}  // namespace sluice

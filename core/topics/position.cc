#include "core/topics/position.h"

#include <algorithm>
#include <charconv>
#include <random>

#include "core/event/origin_text.h"

namespace sluice {
namespace {

constexpr std::string_view metadata_start = "sluice 1 ";
constexpr std::string_view note_start = "1 ";
constexpr std::size_t log_digits = 32;

std::optional<std::uint64_t> parse_hex(std::string_view digits) {
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, value, 16);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

std::optional<OriginId> parse_log(std::string_view digits) {
  if (digits.size() != log_digits) return std::nullopt;
  const auto high = parse_hex(digits.substr(0, log_digits / 2));
  const auto low = parse_hex(digits.substr(log_digits / 2));
  if (!high || !low) return std::nullopt;
  const OriginId log{*high, *low};
  if (log.none()) return std::nullopt;
  return log;
}

}  // namespace

std::string kafka_metadata(const OriginId& log) {
  return std::string(metadata_start) + to_string(log);
}

std::optional<OriginId> parse_kafka_metadata(std::string_view metadata) {
  if (!metadata.starts_with(metadata_start)) return std::nullopt;
  return parse_log(metadata.substr(metadata_start.size()));
}

std::string kafka_note(const KafkaPosition& position) {
  return std::string(note_start) + to_string(position.log) + " " + std::to_string(position.offset);
}

std::optional<KafkaPosition> parse_kafka_note(std::string_view note) {
  if (!note.starts_with(note_start)) return std::nullopt;
  note.remove_prefix(note_start.size());
  const auto log = parse_log(note.substr(0, std::min(log_digits, note.size())));
  if (!log || note.size() <= log_digits + 1 || note[log_digits] != ' ') return std::nullopt;
  note.remove_prefix(log_digits + 1);
  KafkaPosition position{*log, 0};
  const char* const end = note.data() + note.size();
  const auto [at, error] = std::from_chars(note.data(), end, position.offset);
  if (error != std::errc() || at != end || position.offset < 0) return std::nullopt;
  return position;
}

KafkaChoice choose_position(const std::optional<KafkaGroupPosition>& group,
                            std::span<const KafkaPosition> notes) {
  const bool group_knows_log = group && group->log;
  if (group && !group_knows_log) return {group->offset, std::nullopt};
  std::optional<KafkaPosition> lowest;
  for (const KafkaPosition& note : notes) {
    if (group_knows_log && note.log != *group->log) continue;
    if (!lowest || note.offset < lowest->offset) lowest = note;
  }
  if (!group) {
    if (!lowest) return {};
    return {lowest->offset, lowest->log};
  }
  return {lowest ? std::max(lowest->offset, group->offset) : group->offset, group->log};
}

OriginId draw_kafka_log() {
  std::random_device source;
  const auto word = [&source] { return std::uint64_t{source()} << 32 | source(); };
  OriginId log;
  while (log.none()) log = {word(), word()};
  return log;
}

}  // namespace sluice

#include "core/topics/events.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <span>

#include "core/base/assert.h"

namespace sluice {
namespace {

// Flume's names.
constexpr std::string_view timestamp_header = "timestamp";
constexpr std::string_view partition_header = "partition";
constexpr std::string_view offset_header = "offset";
constexpr std::string_view key_header = "key";
// Index entry, line feed, and what alignment may take.
constexpr std::size_t beside_bytes = 256;

template <std::size_t size>
std::string_view digits(char (&buffer)[size], std::int64_t number) noexcept {
  const auto [end, error] = std::to_chars(buffer, buffer + size, number);
  return {buffer, static_cast<std::size_t>(end - buffer)};
}

bool is_own_header(std::string_view name) noexcept {
  return name == timestamp_header || name == partition_header || name == offset_header ||
         name == key_header;
}

std::uint64_t sequence_of(std::int64_t offset) { return static_cast<std::uint64_t>(offset); }

}  // namespace

// ---- KafkaBatch

std::vector<KafkaMark> KafkaBatch::marks() const {
  std::vector<KafkaMark> marks;
  for (const Run& run : runs) {
    const auto end = static_cast<std::int64_t>(run.origins.range.end);
    const auto found = std::find_if(marks.begin(), marks.end(), [&run](const KafkaMark& mark) {
      return mark.lane == run.lane;
    });
    if (found == marks.end()) {
      marks.push_back({run.lane, end});
    } else {
      found->offset = end;
    }
  }
  return marks;
}

Provenance KafkaBatch::provenance() const {
  std::vector<Provenance::Run> origins;
  origins.reserve(runs.size());
  for (const Run& run : runs) origins.push_back(run.origins);
  return Provenance::of_runs(std::move(origins));
}

void KafkaBatch::drop(std::span<const std::uint32_t> lanes) {
  const auto goes = [&](const Run& run) {
    return std::find(lanes.begin(), lanes.end(), run.lane) != lanes.end();
  };
  if (std::none_of(runs.begin(), runs.end(), goes)) return;
  std::vector<std::uint32_t> kept;
  std::vector<Run> left;
  std::uint32_t first = 0;
  for (Run& run : runs) {
    const std::uint32_t count = run.origins.events;
    if (!goes(run)) {
      for (std::uint32_t i = 0; i < count; ++i) kept.push_back(first + i);
      left.push_back(std::move(run));
    }
    first += count;
  }
  runs = std::move(left);
  events = kept.empty() ? Batch() : events.with_receipt({}).select(kept);
}

// ---- KafkaEvents

KafkaEvents::KafkaEvents(Options options, SlabPool& pool, MemoryAccount& window, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      plain_(!options_.flume_events && options_.places && !options_.record_headers &&
             options_.picked.empty() && !is_own_header(options_.topic_header)),
      builder_(pool, EventHeaders::Own, &window) {}

KafkaEvents::Added KafkaEvents::add(const KafkaFetched& record, const KafkaConsumer& consumer,
                                    KafkaLane& lane) {
  std::string_view body = record.value;
  headers_.clear();
  if (options_.flume_events && !decode(record.value, body)) {
    cover(lane, record.offset, false);
    return Added::Nothing;
  }
  if (plain_) {
    make_plain_headers(record, lane);
  } else {
    make_headers(record, consumer, lane);
  }
  if (!builder_.append(body, block_)) {
    if (builder_.marked_events() > 0) return Added::Full;
    builder_.renew(body.size() + block_.size() + beside_bytes);
    const bool fits = builder_.append(body, block_);
    SLUICE_ASSERT(fits, "a fresh slab was asked for the room that the event takes");
  }
  cover(lane, record.offset, true);
  return Added::Event;
}

bool KafkaEvents::decode(std::string_view value, std::string_view& body) {
  if (value.size() > std::numeric_limits<std::uint32_t>::max()) {
    problem_ = "it is longer than 4 GiB";
    return false;
  }
  if (Status status = decoder_.parse("append", value); !status.ok()) {
    problem_ = status.message();
    return false;
  }
  const AvroEvents::Place& place = decoder_.places().front();
  body = value.substr(place.body.offset, place.body.bytes);
  decoded_.clear();
  append_avro_headers(value.substr(place.headers.offset, place.headers.bytes), decoded_);
  HeaderCursor cursor(decoded_);
  std::string_view name;
  std::string_view text;
  while (cursor.next(name, text)) headers_.emplace_back(name, text);
  return true;
}

/// Of records from before Kafka 0.10, which have no time, that of their arrival.
std::string_view KafkaEvents::timestamp_of(const KafkaFetched& record) noexcept {
  return digits(timestamp_, record.timestamp_ms < 0 ? clock_.wall_ms() : record.timestamp_ms);
}

void KafkaEvents::make_plain_headers(const KafkaFetched& record, const KafkaLane& lane) {
  if (prefix_.empty() || prefix_lane_ != lane.number) {
    prefix_.clear();
    prefix_lane_ = lane.number;
    if (!options_.topic_header.empty()) {
      append_header(prefix_, options_.topic_header, lane.partition.topic);
    }
    append_header(prefix_, partition_header, digits(partition_, lane.partition.number));
  }
  block_.assign(prefix_);
  append_header(block_, timestamp_header, timestamp_of(record));
  append_header(block_, offset_header, digits(offset_, record.offset));
  if (record.has_key) append_header(block_, key_header, record.key);
}

/// In Flume's order: what the event has, the time, headers of the record that were picked, and so
/// on; only these and the key take the place of a header that is there.
void KafkaEvents::make_headers(const KafkaFetched& record, const KafkaConsumer& consumer,
                               const KafkaLane& lane) {
  std::string_view name;
  std::string_view value;
  if (options_.record_headers) {
    for (std::size_t i = 0; consumer.header(i, name, value); ++i) set(name, value);
  }
  if (options_.places) set_if_absent(timestamp_header, timestamp_of(record));
  for (const auto& [header, wanted] : options_.picked) {
    for (std::size_t i = 0; consumer.header(i, name, value); ++i) {
      if (name == wanted) set(header, value);
    }
  }
  if (!options_.topic_header.empty()) set_if_absent(options_.topic_header, lane.partition.topic);
  if (options_.places) {
    set_if_absent(partition_header, digits(partition_, lane.partition.number));
    set_if_absent(offset_header, digits(offset_, record.offset));
  }
  if (record.has_key) set(key_header, record.key);
  block_.clear();
  for (const auto& [header, text] : headers_) append_header(block_, header, text);
}

bool KafkaEvents::has(std::string_view name) const noexcept {
  return std::any_of(headers_.begin(), headers_.end(),
                     [name](const auto& header) { return header.first == name; });
}

void KafkaEvents::set(std::string_view name, std::string_view value) {
  for (auto& [header, text] : headers_) {
    if (header != name) continue;
    text = value;
    return;
  }
  headers_.emplace_back(name, value);
}

void KafkaEvents::set_if_absent(std::string_view name, std::string_view value) {
  if (!has(name)) headers_.emplace_back(name, value);
}

/// What lies between two records (other transactions' marks, what compaction took) will never come,
/// so it is answered for with the second of them.
void KafkaEvents::cover(KafkaLane& lane, std::int64_t offset, bool event) {
  if (runs_.empty() || runs_.back().lane != lane.number) {
    const std::uint64_t begin = sequence_of(lane.next);
    runs_.push_back({lane.number, {{lane.log, begin, begin}, 0, {}}});
  }
  Provenance::Run& run = runs_.back().origins;
  const std::uint64_t sequence = sequence_of(offset);
  if (event) {
    const bool dense = run.sequences.empty() && sequence == run.range.begin + run.events;
    if (!dense && run.sequences.empty()) {
      for (std::uint32_t i = 0; i < run.events; ++i) run.sequences.push_back(run.range.begin + i);
    }
    if (!dense) run.sequences.push_back(sequence);
    ++run.events;
  }
  run.range.end = sequence + 1;
  lane.next = offset + 1;
}

KafkaBatch KafkaEvents::seal() {
  KafkaBatch batch;
  batch.events = builder_.seal();
  batch.runs = std::move(runs_);
  runs_.clear();
  return batch;
}

void KafkaEvents::reset() {
  builder_.discard();
  builder_.reset();
  runs_.clear();
}

}  // namespace sluice

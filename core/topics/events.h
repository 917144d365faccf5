// Kafka records as events, in batches.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/event/batch_builder.h"
#include "core/kafka/consumer.h"
#include "core/topics/deliveries.h"
#include "core/topics/lanes.h"
#include "core/wire/avro_rpc.h"

namespace sluice {

/// Events that were made of records, and the places that they go up to.
struct KafkaBatch {
  /// Neighbours of one lane.
  struct Run {
    std::uint32_t lane = 0;
    Provenance::Run origins;
  };
  Batch events;  ///< Without origins.
  std::vector<Run> runs;

  bool empty() const noexcept { return runs.empty(); }
  /// One a lane.
  std::vector<KafkaMark> marks() const;
  Provenance provenance() const;
  /// Leaves out what came of these lanes.
  void drop(std::span<const std::uint32_t> lanes);
};

/// Copies records into a slab, each once, with headers as Flume's Kafka source (places) or channel
/// gives them. What is no event (useFlumeEventFormat, and the value cannot be decoded) costs
/// nothing but itself: its place is passed over. One thread.
class KafkaEvents {
 public:
  struct Options {
    bool flume_events = false;      ///< Values are Avro's AvroFlumeEvent.
    bool places = true;             ///< Headers say the time, the partition and the offset.
    std::string topic_header = {};  ///< Empty: no such header.
    bool record_headers = false;    ///< All headers of records become headers of events.
    /// Event's header, record's header.
    std::vector<std::pair<std::string, std::string>> picked = {};
  };
  KafkaEvents(Options options, SlabPool& pool, MemoryAccount& window, const Clock& clock);

  enum class Added : unsigned char {
    Event,
    Nothing,  ///< It cannot be decoded; problem() says why.
    Full,     ///< It was not added: the batch must be sealed first.
  };
  /// `consumer` has just given the record.
  Added add(const KafkaFetched& record, const KafkaConsumer& consumer, KafkaLane& lane);
  const std::string& problem() const noexcept { return problem_; }

  bool empty() const noexcept { return runs_.empty(); }
  std::uint32_t size() const noexcept { return builder_.marked_events(); }
  /// Of the last record. REQUIRES: not empty().
  std::uint32_t lane() const noexcept { return runs_.back().lane; }
  KafkaBatch seal();
  /// Forgets what is not sealed and lets go of the slab.
  void reset();

 private:
  bool decode(std::string_view value, std::string_view& body);
  void make_plain_headers(const KafkaFetched& record, const KafkaLane& lane);
  void make_headers(const KafkaFetched& record, const KafkaConsumer& consumer,
                    const KafkaLane& lane);
  bool has(std::string_view name) const noexcept;
  void set(std::string_view name, std::string_view value);
  void set_if_absent(std::string_view name, std::string_view value);
  void cover(KafkaLane& lane, std::int64_t offset, bool event);

  std::string_view timestamp_of(const KafkaFetched& record) noexcept;

  const Options options_;
  const Clock& clock_;
  const bool plain_;  ///< No header can be there twice.
  BatchBuilder builder_;
  std::vector<KafkaBatch::Run> runs_;
  std::string prefix_;  ///< Headers that all plain events of a lane have.
  std::uint32_t prefix_lane_ = 0;
  // Of the record that is being added:
  AvroEvents decoder_;
  std::string decoded_;  ///< Headers within the value.
  std::string problem_;
  std::string block_;
  std::vector<std::pair<std::string_view, std::string_view>> headers_;
  char timestamp_[24] = {};
  char partition_[24] = {};
  char offset_[24] = {};
};

}  // namespace sluice

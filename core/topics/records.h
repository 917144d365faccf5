// What an event becomes as a record: its topic, partition, key, headers and value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/event/batch.h"
#include "core/kafka/producer.h"
#include "core/topics/topic_name.h"

namespace sluice {

/// Makes and sends records. One thread.
class KafkaRecords {
 public:
  struct Options {
    std::string component;  ///< For messages.
    KafkaTopicName topic;
    std::string topic_header = {};  ///< Names another topic; empty: none does.
    std::string partition_header = {};
    std::int32_t partition = -1;  ///< Where no header says it; -1: the partitioner's choice.
    std::string timestamp_header = {};
    bool flume_format = false;  ///< The value is Avro's AvroFlumeEvent, else the body alone.
    bool all_headers = false;   ///< All headers of an event become headers of its record.
    /// Event's header, record's header.
    std::vector<std::pair<std::string, std::string>> header_names = {};
  };
  explicit KafkaRecords(Options options) : options_(std::move(options)) {}

  /// Sends the batch; in one call where every event is its body alone, for one topic. As
  /// KafkaProducer::send(); an event is rejected where no topic can have the name that its header
  /// says, no partition the number.
  void send(const Batch& batch, KafkaProducer& producer, KafkaProducer::Done done);

 private:
  bool plain(const Batch& batch) const;
  /// The batch that the next make() calls are about.
  void begin(const Batch& batch);
  /// The record of its event `i`; valid until the next one.
  Status make(std::uint32_t i, KafkaRecord& record);
  Status make_all_but_value(const HeaderView& headers, KafkaRecord& record);
  Status set_topic(const HeaderView& headers, KafkaRecord& record);
  Status set_partition(const HeaderView& headers, KafkaRecord& record) const;
  void set_timestamp(const HeaderView& headers, KafkaRecord& record);
  void set_headers(const HeaderView& headers, KafkaRecord& record);
  bool matters(std::string_view header) const;
  bool any_matters(std::string_view block) const;
  bool used_otherwise(std::string_view header) const;

  const Options options_;
  std::uint64_t bad_timestamps_ = 0;

  const Batch* batch_ = nullptr;
  /// Of a batch whose events share all their headers: what is the same for each of them.
  std::optional<KafkaRecord> shared_;
  std::string topic_text_;
  std::string value_;
  std::vector<std::pair<std::string_view, std::string_view>> headers_;
};

}  // namespace sluice

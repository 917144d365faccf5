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

namespace sluice {

/// A topic's name with %{header} in it.
class KafkaTopicName {
 public:
  /// Errors: Invalid (an escape that is none of these, a name that no topic can have).
  static Result<KafkaTopicName> make(std::string_view text, bool may_have_headers);

  bool fixed() const noexcept { return pieces_.size() == 1 && !pieces_[0].is_header; }
  /// REQUIRES: fixed().
  const std::string& text() const noexcept { return pieces_[0].text; }
  /// A header that is not there is empty, as in Flume.
  void append_for(const HeaderView& headers, std::string& out) const;
  /// Calls f(name) for each header.
  template <typename F>
  void for_each_header(F&& f) const {
    for (const Piece& each : pieces_) {
      if (each.is_header) f(each.text);
    }
  }

 private:
  struct Piece {
    bool is_header = false;
    std::string text;
  };
  std::vector<Piece> pieces_;
};

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

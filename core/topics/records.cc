#include "core/topics/records.h"

#include <algorithm>
#include <charconv>

#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/config/diagnostics.h"
#include "core/wire/avro_rpc.h"

namespace sluice {
namespace {

constexpr std::string_view key_header = "key";

template <typename Number>
bool parse_whole(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

/// True where a header changes the record.
bool KafkaRecords::matters(std::string_view header) const {
  if (options_.all_headers || header == key_header) return true;
  if (header == options_.topic_header) return true;
  if (header == options_.partition_header || header == options_.timestamp_header) return true;
  return std::any_of(options_.header_names.begin(), options_.header_names.end(),
                     [&](const auto& each) { return each.first == header; });
}

bool KafkaRecords::any_matters(std::string_view block) const {
  HeaderCursor cursor(block);
  std::string_view name;
  std::string_view value;
  while (cursor.next(name, value)) {
    if (matters(name)) return true;
  }
  return false;
}

void KafkaRecords::send(const Batch& batch, KafkaProducer& producer, KafkaProducer::Done done) {
  if (plain(batch))
    return producer.send(batch, options_.topic.text(), options_.partition, std::move(done));
  begin(batch);
  producer.send(
      batch, [this](std::uint32_t i, KafkaRecord& record) { return make(i, record); },
      std::move(done));
}

/// True where every event of the batch is its body alone, for one topic.
bool KafkaRecords::plain(const Batch& batch) const {
  if (options_.flume_format || !options_.topic.fixed()) return false;
  if (batch.without_headers()) return true;
  if (batch.own_headers()) return false;
  return !any_matters(batch.imposed_headers().bytes()) &&
         !any_matters(batch.fallback_headers().bytes());
}

void KafkaRecords::begin(const Batch& batch) {
  batch_ = &batch;
  shared_.reset();
  if (batch.own_headers() || batch.empty()) return;
  KafkaRecord record;
  if (make_all_but_value(batch.headers(0), record).ok()) shared_ = record;
}

Status KafkaRecords::make(std::uint32_t i, KafkaRecord& record) {
  if (shared_) {
    record = *shared_;
  } else if (Status status = make_all_but_value(batch_->headers(i), record); !status.ok()) {
    return status;
  }
  if (options_.flume_format) {
    value_.clear();
    append_avro_event(batch_->headers(i), batch_->body(i), value_);
    record.value = value_;
  } else {
    record.value = batch_->body(i);
    record.value_in_slab = true;
  }
  return {};
}

Status KafkaRecords::make_all_but_value(const HeaderView& headers, KafkaRecord& record) {
  if (Status status = set_topic(headers, record); !status.ok()) return status;
  if (Status status = set_partition(headers, record); !status.ok()) return status;
  std::string_view key;
  if (headers.find(key_header, key)) record.key = key;
  if (!options_.timestamp_header.empty()) set_timestamp(headers, record);
  if (options_.all_headers || !options_.header_names.empty()) set_headers(headers, record);
  return {};
}

Status KafkaRecords::set_topic(const HeaderView& headers, KafkaRecord& record) {
  std::string_view name;
  if (!options_.topic_header.empty() && headers.find(options_.topic_header, name)) {
    record.topic = name;
  } else if (options_.topic.fixed()) {
    record.topic = options_.topic.text();
    return {};
  } else {
    topic_text_.clear();
    if (Status status = options_.topic.append_for(headers, topic_text_); !status.ok()) {
      return status;
    }
    record.topic = topic_text_;
  }
  if (is_kafka_topic_name(record.topic)) return {};
  return Reject("its headers name the topic " + in_quotes(record.topic) +
                ", which no topic can be called");
}

Status KafkaRecords::set_partition(const HeaderView& headers, KafkaRecord& record) const {
  record.partition = options_.partition;
  std::string_view text;
  if (options_.partition_header.empty() || !headers.find(options_.partition_header, text))
    return {};
  record.partition_is_its_own = true;
  if (parse_whole(text, record.partition) && record.partition >= 0) return {};
  return Reject("its header " + in_quotes(options_.partition_header) + " holds " + in_quotes(text) +
                ", which is no partition");
}

/// One that is no number leaves the time to the client, as in Flume.
void KafkaRecords::set_timestamp(const HeaderView& headers, KafkaRecord& record) {
  std::string_view text;
  if (!headers.find(options_.timestamp_header, text)) return;
  std::int64_t time = 0;
  if (parse_whole(text, time) && time > 0) {
    record.timestamp_ms = time;
  } else if (worth_saying(++bad_timestamps_)) {
    log::warn(
        "{}: the header {} of an event holds {}, which is no time in milliseconds; the "
        "record gets the time of its sending ({} so far)",
        options_.component, in_quotes(options_.timestamp_header), in_quotes(text), bad_timestamps_);
  }
}

/// Those that already say where and when the record goes are not told twice.
bool KafkaRecords::used_otherwise(std::string_view header) const {
  return header == key_header || (header == options_.topic_header) ||
         header == options_.partition_header || header == options_.timestamp_header;
}

void KafkaRecords::set_headers(const HeaderView& headers, KafkaRecord& record) {
  headers_.clear();
  std::string_view value;
  for (const auto& [of_event, of_record] : options_.header_names) {
    if (headers.find(of_event, value)) headers_.emplace_back(of_record, value);
  }
  if (options_.all_headers) {
    headers.for_each([&](std::string_view name, std::string_view each) {
      if (!used_otherwise(name)) headers_.emplace_back(name, each);
    });
  }
  record.headers = headers_;
}

}  // namespace sluice

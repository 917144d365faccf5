// librdkafka's mock cluster as the receiver of a sink, and what has arrived in its topics.
//
// It keeps no more than 5 MiB a partition, and checks no sequences of idempotent producers.
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/kafka/handle.h"

namespace sluice {

struct ReceivedRecord {
  std::int32_t partition = 0;
  std::optional<std::string> key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;
  std::int64_t timestamp_ms = 0;
};

/// One thread.
class KafkaReceiver {
 public:
  static constexpr std::int16_t produce_requests = 0;  ///< Kafka's number for them.
  static constexpr std::int16_t identity_requests = 22;

  explicit KafkaReceiver(int brokers = 1) : brokers_(brokers) {
    std::array<char, 512> why{};
    handle_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, quiet(), why.data(), why.size()));
    if (!handle_) std::abort();
    cluster_ = rd_kafka_mock_cluster_new(handle_.get(), brokers);
    if (cluster_ == nullptr) std::abort();
  }
  ~KafkaReceiver() {
    readers_.clear();
    rd_kafka_mock_cluster_destroy(cluster_);
  }
  KafkaReceiver(const KafkaReceiver&) = delete;
  KafkaReceiver& operator=(const KafkaReceiver&) = delete;

  std::string servers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  void create(const std::string& topic, int partitions) {
    check(rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, 1));
  }
  void down(bool is_down) {
    for (int broker = 1; broker <= brokers_; ++broker) {
      check(is_down ? rd_kafka_mock_broker_set_down(cluster_, broker)
                    : rd_kafka_mock_broker_set_up(cluster_, broker));
    }
  }
  /// The next requests with records are answered with these, and nothing of them is kept.
  void refuse(const std::vector<rd_kafka_resp_err_t>& errors) {
    rd_kafka_mock_push_request_errors_array(cluster_, produce_requests, errors.size(),
                                            errors.data());
  }
  /// The next idempotent producers that ask who they are get these.
  void refuse_identity(const std::vector<rd_kafka_resp_err_t>& errors) {
    rd_kafka_mock_push_request_errors_array(cluster_, identity_requests, errors.size(),
                                            errors.data());
  }
  /// No more of the errors of refuse().
  void relent() { rd_kafka_mock_clear_request_errors(cluster_, produce_requests); }
  /// What is asked of the topic is answered with it.
  void topic_error(const std::string& topic, rd_kafka_resp_err_t error) {
    rd_kafka_mock_topic_set_error(cluster_, topic.c_str(), error);
  }
  void answer_after_ms(int ms) { check(rd_kafka_mock_broker_set_rtt(cluster_, 1, ms)); }

  /// All that has arrived in the topic by now, or a little later; by partition, in order.
  const std::vector<ReceivedRecord>& records(const std::string& topic) {
    Reader& reader = reader_of(topic);
    while (KafkaMessage message{rd_kafka_consumer_poll(reader.client.get(), 5)}) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      ReceivedRecord record;
      record.partition = message->partition;
      if (message->key != nullptr) {
        record.key.emplace(static_cast<const char*>(message->key), message->key_len);
      }
      record.value.assign(static_cast<const char*>(message->payload), message->len);
      record.timestamp_ms = rd_kafka_message_timestamp(message.get(), nullptr);
      record.headers = headers_of_message(*message);
      reader.records.push_back(std::move(record));
    }
    return reader.records;
  }
  /// The values, a line each.
  std::string lines(const std::string& topic) {
    std::string text;
    for (const ReceivedRecord& each : records(topic)) text += each.value + "\n";
    return text;
  }

 private:
  struct Reader {
    KafkaHandle client;
    std::vector<ReceivedRecord> records;
  };

  static void check(rd_kafka_resp_err_t error) {
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) std::abort();
  }
  static rd_kafka_conf_t* quiet() {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, nullptr);
    return conf;
  }
  Reader& reader_of(const std::string& topic) {
    Reader& reader = readers_[topic];
    if (reader.client) return reader;
    rd_kafka_conf_t* const conf = quiet();
    std::array<char, 512> why{};
    const auto set = [&](const char* name, const std::string& value) {
      if (rd_kafka_conf_set(conf, name, value.c_str(), why.data(), why.size()) != 0) std::abort();
    };
    set("bootstrap.servers", servers());
    set("group.id", "reader");
    set("enable.auto.commit", "false");
    set("fetch.wait.max.ms", "10");
    set("reconnect.backoff.max.ms", "20");
    set("reconnect.backoff.ms", "10");
    reader.client.reset(rd_kafka_new(RD_KAFKA_CONSUMER, conf, why.data(), why.size()));
    if (!reader.client) std::abort();
    const KafkaPartitions all(rd_kafka_topic_partition_list_new(16));
    for (std::int32_t i = 0; i < partitions_of(reader.client.get(), topic); ++i) {
      rd_kafka_topic_partition_list_add(all.get(), topic.c_str(), i)->offset =
          RD_KAFKA_OFFSET_BEGINNING;
    }
    check(rd_kafka_assign(reader.client.get(), all.get()));
    return reader;
  }
  static int partitions_of(rd_kafka_t* client, const std::string& topic) {
    const KafkaTopic it(rd_kafka_topic_new(client, topic.c_str(), nullptr));
    const rd_kafka_metadata_t* metadata = nullptr;
    check(rd_kafka_metadata(client, 0, it.get(), &metadata, 10'000));
    const KafkaMetadata owner(metadata);
    return metadata->topics[0].partition_cnt;
  }
  static std::vector<std::pair<std::string, std::string>> headers_of_message(
      const rd_kafka_message_t& message) {
    std::vector<std::pair<std::string, std::string>> result;
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return result;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t bytes = 0;
    for (std::size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &bytes) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i) {
      result.emplace_back(name, std::string(static_cast<const char*>(value), bytes));
    }
    return result;
  }

  const int brokers_;
  KafkaHandle handle_;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  std::map<std::string, Reader> readers_;
};

}  // namespace sluice

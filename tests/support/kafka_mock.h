// librdkafka's mock cluster in this process: brokers on loopback, for tests only.
//
// It keeps no more than 5 MiB a partition, cannot abort or fence transactions, lets a new group
// wait for three seconds, and one that a member has left for its session timeout less one second.
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/kafka/handle.h"
#include "tests/support/eventually.h"

namespace sluice {

/// A record as a test writes it.
struct TestRecord {
  std::string value;
  std::optional<std::string> key = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::int64_t timestamp_ms = 0;  ///< 0: now.
  bool null_value = false;
};

class KafkaMock {
 public:
  explicit KafkaMock(int brokers = 1) {
    std::array<char, 512> why{};
    rd_kafka_conf_t* const quiet = rd_kafka_conf_new();
    set(quiet, "log_level", "0");
    handle_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, quiet, why.data(), why.size()));
    if (!handle_) std::abort();
    cluster_ = rd_kafka_mock_cluster_new(handle_.get(), brokers);
    if (cluster_ == nullptr) std::abort();
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap());
    // What is produced in one call goes together, when it is flushed.
    set(conf, "linger.ms", "5000");
    set(conf, "log_level", "0");
    producer_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size()));
    if (!producer_) std::abort();
  }
  ~KafkaMock() {
    asker_.reset();
    producer_.reset();
    rd_kafka_mock_cluster_destroy(cluster_);
  }
  KafkaMock(const KafkaMock&) = delete;
  KafkaMock& operator=(const KafkaMock&) = delete;

  std::string bootstrap() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  rd_kafka_mock_cluster_t* cluster() noexcept { return cluster_; }

  void create_topic(const std::string& topic, int partitions) {
    if (rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, 1) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      std::abort();
    }
  }

  /// Returns when the broker has them.
  void produce(const std::string& topic, std::int32_t partition,
               const std::vector<TestRecord>& records) {
    for (const TestRecord& record : records) add(topic, partition, record);
    if (rd_kafka_flush(producer_.get(), 20'000) != RD_KAFKA_RESP_ERR_NO_ERROR) std::abort();
  }
  /// "first", "first + 1", ...
  void produce_numbers(const std::string& topic, std::int32_t partition, std::uint64_t first,
                       std::uint64_t count) {
    std::vector<TestRecord> records;
    for (std::uint64_t i = 0; i < count; ++i) records.push_back({std::to_string(first + i)});
    produce(topic, partition, records);
  }

  struct Position {
    std::int64_t offset = RD_KAFKA_OFFSET_INVALID;
    std::string metadata;
  };
  /// What the group has committed.
  Position committed(const std::string& group, const std::string& topic, std::int32_t partition) {
    if (asker_group_ != group) asker_ = group_client(group);
    asker_group_ = group;
    const KafkaPartitions list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
    if (rd_kafka_committed(asker_.get(), list.get(), 10'000) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return {};
    }
    const rd_kafka_topic_partition_t& one = list->elems[0];
    return {one.offset, {static_cast<const char*>(one.metadata), one.metadata_size}};
  }
  /// As an operator's tool does it, when the group has no other members: the mock takes positions
  /// from members only.
  void set_committed(const std::string& group, const std::string& topic, std::int32_t partition,
                     const Position& position) {
    const KafkaHandle client = group_client(group);
    const KafkaPartitions list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_t* const one =
        rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
    rd_kafka_subscribe(client.get(), list.get());
    const auto is_member = [&] {
      const KafkaMessage ignored(rd_kafka_consumer_poll(client.get(), 10));
      rd_kafka_topic_partition_list_t* assigned = nullptr;
      if (rd_kafka_assignment(client.get(), &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
      return KafkaPartitions(assigned)->cnt > 0;
    };
    if (!eventually(is_member)) std::abort();
    one->offset = position.offset;
    if (!position.metadata.empty()) {
      one->metadata = strdup(position.metadata.c_str());
      one->metadata_size = position.metadata.size();
    }
    if (rd_kafka_commit(client.get(), list.get(), 0) != RD_KAFKA_RESP_ERR_NO_ERROR) std::abort();
    rd_kafka_consumer_close(client.get());
  }

  void set_down(bool down) {
    if (down) {
      rd_kafka_mock_broker_set_down(cluster_, 1);
    } else {
      rd_kafka_mock_broker_set_up(cluster_, 1);
    }
  }

 private:
  static void set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
    std::array<char, 512> why{};
    if (rd_kafka_conf_set(conf, name, value.c_str(), why.data(), why.size()) != RD_KAFKA_CONF_OK) {
      std::abort();
    }
  }
  KafkaHandle group_client(const std::string& group) {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap());
    set(conf, "group.id", group);
    set(conf, "session.timeout.ms", "4000");
    set(conf, "heartbeat.interval.ms", "200");
    set(conf, "enable.auto.commit", "false");
    std::array<char, 512> why{};
    KafkaHandle client(rd_kafka_new(RD_KAFKA_CONSUMER, conf, why.data(), why.size()));
    if (!client) std::abort();
    return client;
  }
  void add(const std::string& topic, std::int32_t partition, const TestRecord& record) {
    rd_kafka_headers_t* const headers = rd_kafka_headers_new(record.headers.size());
    for (const auto& [name, value] : record.headers) {
      rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                          static_cast<ssize_t>(value.size()));
    }
    const char* const key = record.key ? record.key->data() : nullptr;
    const std::size_t key_bytes = record.key ? record.key->size() : 0;
    const char* const value = record.null_value ? nullptr : record.value.data();
    const std::size_t value_bytes = record.null_value ? 0 : record.value.size();
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        producer_.get(), RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
        RD_KAFKA_V_VALUE(const_cast<char*>(value), value_bytes), RD_KAFKA_V_KEY(key, key_bytes),
        RD_KAFKA_V_TIMESTAMP(record.timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) std::abort();
  }

  KafkaHandle handle_;
  KafkaHandle producer_;
  KafkaHandle asker_;  ///< Of the group whose positions were asked for last.
  std::string asker_group_;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

}  // namespace sluice

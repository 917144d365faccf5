// Owners for what librdkafka's C API hands out. Only this room sees librdkafka.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>

#include "core/base/status.h"
#include "core/kafka/client_log.h"
#include "core/kafka/client_settings.h"

namespace sluice {

struct KafkaFree {
  void operator()(rd_kafka_conf_t* it) const noexcept { rd_kafka_conf_destroy(it); }
  void operator()(rd_kafka_topic_t* it) const noexcept { rd_kafka_topic_destroy(it); }
  void operator()(rd_kafka_queue_t* it) const noexcept { rd_kafka_queue_destroy(it); }
  void operator()(rd_kafka_event_t* it) const noexcept { rd_kafka_event_destroy(it); }
  void operator()(rd_kafka_message_t* it) const noexcept { rd_kafka_message_destroy(it); }
  void operator()(rd_kafka_headers_t* it) const noexcept { rd_kafka_headers_destroy(it); }
  void operator()(rd_kafka_error_t* it) const noexcept { rd_kafka_error_destroy(it); }
  void operator()(rd_kafka_topic_partition_list_t* it) const noexcept {
    rd_kafka_topic_partition_list_destroy(it);
  }
  void operator()(rd_kafka_consumer_group_metadata_t* it) const noexcept {
    rd_kafka_consumer_group_metadata_destroy(it);
  }
  void operator()(const rd_kafka_metadata_t* it) const noexcept { rd_kafka_metadata_destroy(it); }
};

using KafkaConf = std::unique_ptr<rd_kafka_conf_t, KafkaFree>;
using KafkaTopic = std::unique_ptr<rd_kafka_topic_t, KafkaFree>;
using KafkaQueue = std::unique_ptr<rd_kafka_queue_t, KafkaFree>;
using KafkaEvent = std::unique_ptr<rd_kafka_event_t, KafkaFree>;
using KafkaMessage = std::unique_ptr<rd_kafka_message_t, KafkaFree>;
using KafkaHeaders = std::unique_ptr<rd_kafka_headers_t, KafkaFree>;
using KafkaError = std::unique_ptr<rd_kafka_error_t, KafkaFree>;
using KafkaPartitions = std::unique_ptr<rd_kafka_topic_partition_list_t, KafkaFree>;
using KafkaGroupMetadata = std::unique_ptr<rd_kafka_consumer_group_metadata_t, KafkaFree>;
using KafkaMetadata = std::unique_ptr<const rd_kafka_metadata_t, KafkaFree>;

/// A client goes without closing its consumer: whoever wants that has closed it before, in time
/// that it bounds.
struct KafkaDestroy {
  void operator()(rd_kafka_t* it) const noexcept {
    rd_kafka_destroy_flags(it, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }
};
/// Destroyed after every topic and queue that was made with it.
using KafkaHandle = std::unique_ptr<rd_kafka_t, KafkaDestroy>;

/// A configuration that logs into `log`, which outlives the client. It is the client's opaque
/// (rd_kafka_opaque()). Errors: Invalid (settings that are not usable()).
Result<KafkaConf> make_kafka_conf(const KafkaClientSettings& settings, KafkaClientLog& log);

/// A client; it connects in its own time. Errors: Retry (a file of keys or certificates that cannot
/// be read, no more threads), Invalid (properties that contradict each other).
Result<KafkaHandle> make_kafka_handle(rd_kafka_type_t type, KafkaConf conf);

}  // namespace sluice

// Writes events to Kafka topics, as records that all replicas have acknowledged.

#include <algorithm>
#include <atomic>
#include <charconv>
#include <memory>
#include <string>
#include <vector>

#include "core/base/assert.h"
#include "core/kafka/producer.h"
#include "core/topics/client_keys.h"
#include "core/topics/records.h"
#include "sinks/exactly_once.h"
#include "sinks/kafka_output.h"
#include "sinks/sink.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "kafka.bootstrap.servers",
     .type = KeyType::Text,
     .meaning = "Brokers to begin with, host:port with commas between them; they name the others.",
     .required = true,
     .old_names = "brokerList"},
    {.name = "kafka.topic",
     .type = KeyType::Text,
     .default_value = "default-flume-topic",
     .meaning = "Topic of events whose headers name none; may hold Flume's escapes, such as "
                "%{header} and %Y-%m-%d, where allowTopicOverride is true.",
     .old_names = "topic"},
    {.name = "flumeBatchSize",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Events a transaction; more are taken at once where they lie together.",
     .min = 1,
     .max = 1'000'000,
     .old_names = "batchSize kafka.flumeBatchSize"},
    {.name = "maxBatchesInFlight",
     .type = KeyType::Integer,
     .default_value = "64",
     .meaning = "Transactions that may wait for their acknowledgements at once.",
     .min = 1,
     .max = 1000},
    {.name = "allowTopicOverride",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "An event's header topicHeader names its topic."},
    {.name = "topicHeader",
     .type = KeyType::Text,
     .default_value = "topic",
     .meaning = "Header that names the topic."},
    {.name = "partitionIdHeader",
     .type = KeyType::Text,
     .meaning = "Header that holds the partition's number; it goes before defaultPartitionId."},
    {.name = "defaultPartitionId",
     .type = KeyType::Integer,
     .meaning = "Partition of all other events; otherwise the partitioner's choice, by the key "
                "where there is one.",
     .min = 0,
     .max = 1'000'000},
    {.name = "timestampHeader",
     .type = KeyType::Text,
     .meaning = "Header that holds the record's time, in milliseconds since 1970; otherwise the "
                "time of its sending."},
    {.name = "headers",
     .type = KeyType::List,
     .default_value = "none",
     .meaning = "Which headers of an event become headers of the record: none, all, or their "
                "names."},
    {.name = "header.*",
     .type = KeyType::Text,
     .meaning = "header.<of the event> = <of the record>: one header under another name."},
    {.name = "useFlumeEventFormat",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "The value is an event with its headers, in Avro as Flume writes it, instead of "
                "the body."},
    {.name = "delivery",
     .type = KeyType::Choice,
     .default_value = "at-least-once",
     .meaning = "exactly-once: in Kafka's transactions, with the position of the channel in each; "
                "it needs a channel on disk that no other sink reads.",
     .choices = "at-least-once exactly-once"},
    {.name = "transactionTime",
     .type = KeyType::Millis,
     .default_value = "200",
     .meaning = "With exactly-once: a transaction is committed when it is so old ...",
     .min = 1,
     .max = 10'000},
    {.name = "transactionBytes",
     .type = KeyType::Bytes,
     .default_value = "4Mi",
     .meaning = "... or holds bodies of so many bytes.",
     .min = 1,
     .max = 256 << 20},
    {.name = "transactionalIdPrefix",
     .type = KeyType::Text,
     .default_value = "sluice",
     .meaning = "With exactly-once: the transactional id, and the group that keeps the position, "
                "are PREFIX-SINK-STORE."},
    {.name = "positionTopic",
     .type = KeyType::Text,
     .meaning = "With exactly-once: the topic whose partition 0 the position is an offset of; "
                "without it kafka.topic."},
    {.name = "kafka.producer.acks",
     .type = KeyType::Text,
     .default_value = "all",
     .meaning = "Who must have a record: all replicas in sync, 1 for the leader alone, 0 for "
                "nobody.",
     .old_names = "requiredAcks"},
    {.name = "kafka.producer.*",
     .type = KeyType::Text,
     .meaning = "Any property of Kafka's Java producer or of librdkafka: compression.type, "
                "linger.ms, security.protocol."},
};

constexpr std::string_view producer_family = "kafka.producer";

KafkaClientSettings client_settings(const Settings& settings) {
  return kafka_client_of(settings, KafkaRole::Producer, producer_family);
}

bool is_exactly_once(const Settings& settings) {
  return settings.text("delivery") == "exactly-once";
}

std::string position_topic(const Settings& settings) {
  return settings.text(settings.has("positionTopic") ? "positionTopic" : "kafka.topic");
}

std::vector<Finding> judge(const Settings& settings) {
  const KafkaClientSettings client = client_settings(settings);
  std::vector<Finding> findings = kafka_client_findings(settings, client, producer_family);
  const auto topic =
      KafkaTopicName::make(settings.text("kafka.topic"), settings.boolean("allowTopicOverride"));
  if (!topic.ok()) {
    findings.push_back({Severity::Error, "kafka.topic", topic.status().message()});
  } else {
    for (const std::string& each : topic->warnings()) {
      findings.push_back({Severity::Warning, "kafka.topic", each});
    }
  }
  if (is_exactly_once(settings)) {
    const std::string place = position_topic(settings);
    if (!is_kafka_topic_name(place)) {
      findings.push_back({Severity::Error, "positionTopic",
                          in_quotes(place) + " is no topic that a position can be kept with",
                          "name a topic that exists"});
    }
    const std::string acks = settings.text("kafka.producer.acks");
    if (acks != "all" && acks != "-1") {
      findings.push_back({Severity::Error, "kafka.producer.acks",
                          "transactions need the acknowledgement of all replicas", "write all"});
    }
    if (client.value("retries") == "0") {
      findings.push_back({Severity::Error, "kafka.producer.retries",
                          "transactions need records that are sent again", "leave it out"});
    }
    constexpr int in_flight_max = 5;
    const std::string in_flight = client.value("max.in.flight.requests.per.connection");
    if (!in_flight.empty() && std::atoi(in_flight.c_str()) > in_flight_max) {
      findings.push_back({Severity::Error, "kafka.producer.max.in.flight.requests.per.connection",
                          "transactions have 5 requests on their way at most", "leave it out"});
    }
  } else if (settings.text("kafka.producer.acks") == "0") {
    findings.push_back({Severity::Warning, "kafka.producer.acks",
                        "events leave the channel when they are sent, whether a broker has them or "
                        "not",
                        "acks = all loses nothing"});
  }
  return findings;
}

constexpr ComponentInfo info{.alias = "kafka",
                             .class_name = "org.apache.flume.sink.kafka.KafkaSink",
                             .meaning = "Writes events to Kafka topics.",
                             .keys = keys,
                             .batch_size_key = "flumeBatchSize",
                             .judge = judge,
                             .wants_channel_to_itself = is_exactly_once};

/// REQUIRES: settings that judge() found nothing wrong with.
KafkaRecords::Options record_options(const Settings& settings) {
  const bool override_topic = settings.boolean("allowTopicOverride");
  auto topic = KafkaTopicName::make(settings.text("kafka.topic"), override_topic);
  SLUICE_ASSERT(topic.ok(), "judge() let a bad topic through");
  KafkaRecords::Options options{.component = settings.component(), .topic = *std::move(topic)};
  if (override_topic) options.topic_header = settings.text("topicHeader");
  options.partition_header = settings.text("partitionIdHeader");
  if (settings.has("defaultPartitionId")) {
    options.partition = static_cast<std::int32_t>(settings.integer("defaultPartitionId"));
  }
  options.timestamp_header = settings.text("timestampHeader");
  options.flume_format = settings.boolean("useFlumeEventFormat");
  options.header_names = settings.below("header");
  const std::vector<std::string> names = settings.list("headers");
  options.all_headers = names.size() == 1 && equal_ignoring_case(names[0], "all");
  const bool none = names.size() == 1 && equal_ignoring_case(names[0], "none");
  if (options.all_headers || none) return options;
  for (const std::string& each : names) options.header_names.emplace_back(each, each);
  return options;
}

KafkaProducer::Options producer_options(const Settings& settings, KafkaClientLog& log,
                                        std::uint32_t batches_max) {
  return {.log = &log, .settings = client_settings(settings), .batches_max = batches_max};
}

class KafkaSink final : public Sink {
 public:
  KafkaSink(const Settings& settings, SinkContext context)
      : counters_(context.counters),
        log_(settings.component()),
        options_(producer_options(
            settings, log_, static_cast<std::uint32_t>(settings.integer("maxBatchesInFlight")))),
        servers_(settings.text("kafka.bootstrap.servers")),
        batch_events_(static_cast<std::uint32_t>(settings.integer("flumeBatchSize"))),
        records_(record_options(settings)) {}

  // Connections are made in the producer's own time: brokers that are down are no reason not to
  // start.
  Status open(const std::stop_token& stop) override { return make_producer(stop); }

  void deliver(const Batch& batch, std::stop_token stop, DeliveryDone done) override {
    if (Status status = make_ready(stop); !status.ok()) {
      return done({.status = std::move(status)});
    }
    const auto ended = [this, done](KafkaProducer::Outcome outcome) {
      if (outcome.status.ok()) {
        some_arrived_ = true;
      } else {
        outcome.rejected.clear();  // they come again, with the others
      }
      done({.status = outcome.status.with_context(servers_),
            .arrived = outcome.arrived,
            .may_have_arrived = outcome.may_have_arrived,
            .rejected = std::move(outcome.rejected),
            .rejected_because = std::move(outcome.rejected_because)});
    };
    records_.send(batch, *producer_, ended);
  }

  // What is sent next begins with what failed: by a producer that knows nothing of it.
  void start_over() override {
    if (producer_ && !producer_->broken().ok()) take_remedy();
  }

  void close() override { let_go(); }

  TakeLimit take_limit() const override {
    return {.events_max = batch_events_, .bytes_at_least = stream_bytes_at_least};
  }
  std::uint32_t in_flight_max() const override { return options_.batches_max; }

 private:
  Status make_producer(const std::stop_token& stop) {
    auto producer = KafkaProducer::make(options_, stop);
    if (!producer.ok()) {
      counters_.connections_failed.add();
      return producer.status();
    }
    counters_.connections_created.add();
    producer_ = *std::move(producer);
    some_arrived_ = false;
    return {};
  }

  Status make_ready(const std::stop_token& stop) {
    if (options_.one_by_one && producer_) {
      // One batch at a time; the record that was refused is in the first.
      if (!producer_->wait_until_idle(stop)) return Closed("the agent is stopping");
      if (some_arrived_) {
        options_.one_by_one = false;
        let_go();
      }
    }
    return producer_ ? Status() : make_producer(stop);
  }

  void take_remedy() {
    apply_remedy(*producer_, options_);
    let_go();
  }

  void let_go() {
    if (!producer_) return;
    producer_.reset();
    counters_.connections_closed.add();
  }

  SinkCounters& counters_;
  KafkaClientLog log_;
  KafkaProducer::Options options_;
  const std::string servers_;
  const std::uint32_t batch_events_;
  KafkaRecords records_;
  std::unique_ptr<KafkaProducer> producer_;
  std::atomic<bool> some_arrived_{false};  ///< Of this producer.
};

/// The same in transactions.
class TransactionalKafkaSink final : public Sink {
 public:
  TransactionalKafkaSink(const Settings& settings, SinkContext context)
      : batch_events_(static_cast<std::uint32_t>(settings.integer("flumeBatchSize"))),
        age_max_(settings.duration("transactionTime")),
        log_(settings.component()),
        records_(record_options(settings)),
        output_({.producer = producer_options(settings, log_, batches_max),
                 .id_prefix = settings.text("transactionalIdPrefix") + "-" + settings.name(),
                 .position_topic = position_topic(settings)},
                records_, context.counters),
        deliveries_({.component = settings.component(),
                     .note_prefix = "kafka/" + settings.name() + "/",
                     .bytes_max = settings.bytes("transactionBytes"),
                     .age_max = age_max_},
                    output_, *context.committer, context.clock) {}

  Status open(const std::stop_token& stop) override { return deliveries_.open(stop); }
  void deliver(const Batch& batch, std::stop_token stop, DeliveryDone done) override {
    deliveries_.deliver(batch, stop, done);
  }
  void tend() override { deliveries_.tend(); }
  void hurry() override { deliveries_.hurry(); }
  void close() override { deliveries_.close(); }

  TakeLimit take_limit() const override {
    return {.events_max = batch_events_,
            .bytes_at_least = stream_bytes_at_least,
            .wait_max = std::max(milliseconds(1), age_max_ / 4)};
  }
  std::uint32_t in_flight_max() const override { return batches_max; }

 private:
  static constexpr std::uint32_t batches_max = 64;
  const std::uint32_t batch_events_;
  const milliseconds age_max_;
  KafkaClientLog log_;
  KafkaRecords records_;
  KafkaOutput output_;
  ExactlyOnce deliveries_;
};

std::unique_ptr<Sink> make(const Settings& settings, SinkContext context) {
  if (is_exactly_once(settings)) {
    SLUICE_ASSERT(context.committer != nullptr, "the plan gave it a channel that is not on disk");
    return std::make_unique<TransactionalKafkaSink>(settings, context);
  }
  return std::make_unique<KafkaSink>(settings, context);
}

}  // namespace

extern const SinkType kafka_sink{&info, make};

}  // namespace sluice

// Flume's Kafka channel: what a file says of it.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "channels/channel_type.h"
#include "channels/topic_channel.h"
#include "core/base/assert.h"
#include "core/config/diagnostics.h"
#include "core/topics/client_keys.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "kafka.bootstrap.servers",
     .type = KeyType::Text,
     .meaning =
         "Brokers to ask first, host:port with commas between them; they name the others. Flume's "
         "zookeeperConnect named ZooKeepers, which are no brokers.",
     .required = true,
     .old_names = "brokerList bootstrap.servers"},
    {.name = "kafka.topic",
     .type = KeyType::Text,
     .default_value = "flume-channel",
     .meaning = "The topic that is the channel.",
     .old_names = "topic"},
    {.name = "kafka.consumer.group.id",
     .type = KeyType::Text,
     .default_value = "flume",
     .meaning = "The consumer group: agents of one group share what is in the topic. Two channels "
                "on different topics may have the same.",
     .old_names = "groupId kafka.group.id"},
    {.name = "parseAsFlumeEvent",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "Records are events with their headers, in Avro as Flume writes them. false: the "
                "body alone, and the header key as the record's key."},
    {.name = "partitionIdHeader",
     .type = KeyType::Text,
     .meaning = "Header that holds the number of a record's partition; it goes before "
                "defaultPartitionId."},
    {.name = "defaultPartitionId",
     .type = KeyType::Integer,
     .meaning = "Partition of all other events; otherwise the partitioner's choice, by the key "
                "where there is one.",
     .min = 0,
     .max = 1'000'000},
    {.name = "keep-alive",
     .type = KeyType::Seconds,
     .default_value = "3",
     .meaning = "How long a source with onFull = reject waits for brokers that do not "
                "acknowledge. Not in Flume.",
     .min = 0},
    {.name = "fetchedAhead",
     .type = KeyType::Integer,
     .default_value = "10000",
     .meaning = "Events that are fetched and wait for a sink, at most. Not in Flume.",
     .min = 1,
     .max = 10'000'000},
    {.name = "kafka.consumer.auto.offset.reset",
     .type = KeyType::Text,
     .default_value = "earliest",
     .meaning = "Where to begin when the group has no position: earliest, latest, or none, which "
                "is an error.",
     .old_names = "auto.offset.reset"},
    {.name = "kafka.producer.acks",
     .type = KeyType::Text,
     .default_value = "all",
     .meaning = "Who must have a record before it is put: all replicas in sync, 1 for the leader "
                "alone, 0 for nobody."},
    {.name = "kafka.producer.*",
     .type = KeyType::Text,
     .meaning = "Any property of Kafka's Java producer or of librdkafka: compression.type, "
                "security.protocol."},
    {.name = "kafka.consumer.*",
     .type = KeyType::Text,
     .meaning = "Properties of Kafka's consumer, by Java's names or librdkafka's."},
    {.name = "kafka.pollTimeout",
     .type = KeyType::Ignored,
     .meaning = "Sinks are woken when something has come.",
     .old_names = "pollTimeout timeout"},
    {.name = "capacity", .type = KeyType::Ignored, .meaning = "A topic has no capacity."},
    {.name = "transactionCapacity",
     .type = KeyType::Ignored,
     .meaning = "A topic takes transactions of any size."},
    {.name = "zookeeperConnect",
     .type = KeyType::Ignored,
     .meaning = "Offsets are kept by the brokers. Offsets that an old Flume left in ZooKeeper are "
                "not read."},
    {.name = "migrateZookeeperOffsets",
     .type = KeyType::Ignored,
     .meaning = "Offsets in ZooKeeper are not read."},
    {.name = "readSmallestOffset",
     .type = KeyType::Ignored,
     .meaning = "It is kafka.consumer.auto.offset.reset now, and earliest."},
};

constexpr std::string_view producer_family = "kafka.producer";
constexpr std::string_view consumer_family = "kafka.consumer";

// What librdkafka fetches ahead, unless the file says otherwise: beside what waits in the channel.
constexpr std::uint64_t client_ahead_bytes = 16 << 20;
constexpr std::uint32_t batches_in_flight = 64;

KafkaClientSettings producer_settings(const Settings& settings) {
  return kafka_client_of(settings, KafkaRole::Producer, producer_family);
}

KafkaClientSettings consumer_settings(const Settings& settings) {
  return kafka_client_of(
      settings, KafkaRole::Consumer, consumer_family,
      {{"queued.min.messages", "10000000"},  // so that the bytes are what is reached first
       {"queued.max.messages.kbytes", std::to_string(client_ahead_bytes >> 10)},
       {"auto.offset.reset", settings.text("kafka.consumer.auto.offset.reset")}},
      {{"group.id", settings.text("kafka.consumer.group.id")}});
}

std::vector<Finding> judge(const Settings& settings) {
  std::vector<Finding> findings =
      kafka_client_findings(settings, producer_settings(settings), producer_family);
  for (Finding& each :
       kafka_client_findings(settings, consumer_settings(settings), consumer_family)) {
    if (each.key != "kafka.bootstrap.servers") findings.push_back(std::move(each));
  }
  const std::string topic = settings.text("kafka.topic");
  if (!is_kafka_topic_name(topic)) {
    findings.push_back({Severity::Error, "kafka.topic",
                        in_quotes(topic) + " is no name that a topic can have",
                        "1 to 249 letters, digits, '.', '_' and '-'"});
  }
  if (settings.text("kafka.producer.acks") == "0") {
    findings.push_back({Severity::Warning, "kafka.producer.acks",
                        "events count as put when they are sent, whether a broker has them or not",
                        "acks = all loses nothing"});
  }
  return findings;
}

constexpr ComponentInfo info{.alias = "kafka",
                             .class_name = "org.apache.flume.channel.kafka.KafkaChannel",
                             .meaning = "Keeps events in a Kafka topic.",
                             .keys = keys,
                             .judge = judge,
                             .has_others = true};

KafkaRecords::Options record_options(const Settings& settings) {
  auto topic = KafkaTopicName::make(settings.text("kafka.topic"), false);
  SLUICE_ASSERT(topic.ok(), "judge() let a bad topic through");
  KafkaRecords::Options options{.component = "channel " + settings.name(),
                                .topic = *std::move(topic)};
  options.partition_header = settings.text("partitionIdHeader");
  if (settings.has("defaultPartitionId")) {
    options.partition = static_cast<std::int32_t>(settings.integer("defaultPartitionId"));
  }
  options.flume_format = settings.boolean("parseAsFlumeEvent");
  return options;
}

KafkaReader::Options reader_options(const Settings& settings, std::uint32_t events_max) {
  KafkaReader::Options options;
  options.component = "channel " + settings.name();
  options.client = consumer_settings(settings);
  options.group = settings.text("kafka.consumer.group.id");
  options.topics = {settings.text("kafka.topic")};
  options.events.flume_events = settings.boolean("parseAsFlumeEvent");
  options.events.places = false;
  options.batch_events_max = std::min<std::uint32_t>(options.batch_events_max, events_max);
  options.partitions_apart =
      options.client.value("partition.assignment.strategy").find("cooperative") !=
      std::string::npos;
  options.may_end = true;
  return options;
}

std::unique_ptr<Channel> make(const Settings& settings, ChannelContext context) {
  TopicChannel::Options options;
  options.name = settings.name();
  options.capacity_events = static_cast<std::uint64_t>(settings.integer("fetchedAhead"));
  options.transaction_capacity = UINT32_MAX;
  options.keep_alive = settings.duration("keep-alive");
  options.budget_bytes = context.memory_share_bytes;
  options.clock = &context.clock;
  options.writer = {
      .producer = {.settings = producer_settings(settings), .batches_max = batches_in_flight},
      .records = record_options(settings),
      .abandon = context.abandon,
      .dead_letters = context.dead_letters};
  options.reader = reader_options(settings, static_cast<std::uint32_t>(options.capacity_events));
  options.fetched_ahead_bytes = client_ahead_bytes;
  return std::make_unique<TopicChannel>(std::move(options), context.pool);
}

}  // namespace

extern const ChannelType kafka_channel{&info, make};

}  // namespace sluice

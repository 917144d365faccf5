// Records of Kafka topics, read as a member of a consumer group.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/base/java_pattern.h"
#include "core/base/nearest_name.h"
#include "core/config/values.h"
#include "core/topics/client_keys.h"
#include "core/topics/reader.h"
#include "sources/source.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "kafka.bootstrap.servers",
     .type = KeyType::Text,
     .meaning =
         "Brokers to ask first, host:port with commas between them. Flume's zookeeperConnect "
         "named ZooKeepers, which are no brokers.",
     .required = true},
    {.name = "kafka.topics",
     .type = KeyType::Text,
     .meaning = "Topics to read, with commas between them.",
     .old_names = "topic"},
    {.name = "kafka.topics.regex",
     .type = KeyType::Pattern,
     .meaning = "Read all topics whose whole name this matches, also those that come later; wins "
                "over kafka.topics."},
    {.name = "kafka.consumer.group.id",
     .type = KeyType::Text,
     .default_value = "flume",
     .meaning = "The consumer group. Sources of one group share the partitions, in one agent or in "
                "many.",
     .old_names = "groupId"},
    {.name = "batchSize",
     .type = KeyType::Integer,
     .default_value = "1000",
     .meaning = "Most events of a batch.",
     .min = 1,
     .max = 1'000'000},
    {.name = "batchDurationMillis",
     .type = KeyType::Millis,
     .default_value = "1000",
     .meaning = "Most time that a batch is filled. When no record waits it is put at once, however "
                "small it is.",
     .min = 1},
    {.name = "useFlumeEventFormat",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Records are Flume events with headers, in Avro, as Flume's Kafka sink and channel "
                "write them."},
    {.name = "setTopicHeader",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "Give each event a header with its topic, unless it has one."},
    {.name = "topicHeader", .default_value = "topic", .meaning = "Name of that header."},
    {.name = "header.*",
     .meaning = "header.E = R gives each event the header E with the value of its record's header "
                "R, of several the last."},
    {.name = "headers",
     .type = KeyType::List,
     .default_value = "none",
     .meaning = "Which headers of a record become headers of its event: none, all, or their names. "
                "Not in Flume."},
    {.name = "kafka.consumer.*",
     .meaning = "Properties of Kafka's consumer, by Java's names or librdkafka's."},
    {.name = "zookeeperConnect",
     .type = KeyType::Ignored,
     .meaning =
         "Offsets are kept by the brokers: write kafka.bootstrap.servers. Offsets that an old "
         "Flume left in ZooKeeper are not read."},
    {.name = "migrateZookeeperOffsets",
     .type = KeyType::Ignored,
     .meaning = "Offsets in ZooKeeper are not read."},
    {.name = "kafka.group.id",
     .type = KeyType::Ignored,
     .meaning = "Flume never read it: write kafka.consumer.group.id."},
};

// A topic that is made only later is found that soon.
constexpr milliseconds topics_looked_at{30'000};

// What librdkafka fetches ahead, unless the file says otherwise. Where it has that much it looks
// again only after a second, so its limit of messages must not be what is reached first.
constexpr std::uint64_t fetched_ahead_bytes = 64 << 20;
constexpr std::string_view fetched_ahead_messages = "10000000";

constexpr std::string_view consumer_family = "kafka.consumer";

KafkaClientSettings client_settings(const Settings& settings) {
  return kafka_client_of(
      settings, KafkaRole::Consumer, consumer_family,
      {{"queued.min.messages", std::string(fetched_ahead_messages)},
       {"queued.max.messages.kbytes", std::to_string(fetched_ahead_bytes >> 10)},
       {"topic.metadata.refresh.interval.ms", std::to_string(topics_looked_at.count())}},
      {{"group.id", settings.text("kafka.consumer.group.id")}});
}

KafkaEvents::Options event_options(const Settings& settings) {
  KafkaEvents::Options options;
  options.flume_events = settings.boolean("useFlumeEventFormat");
  if (settings.boolean("setTopicHeader")) options.topic_header = settings.text("topicHeader");
  const std::vector<std::string> headers = settings.list("headers");
  const auto says = [&](std::string_view word) {
    return headers.size() == 1 && equal_ignoring_case(headers[0], word);
  };
  options.record_headers = says("all");
  options.picked = settings.below("header");
  if (options.record_headers || says("none")) return options;
  for (const std::string& name : headers) options.picked.emplace_back(name, name);
  return options;
}

std::vector<std::string> topic_names(const Settings& settings) {
  std::string text = settings.text("kafka.topics");
  std::replace(text.begin(), text.end(), ',', ' ');
  return parse_list(text);
}

std::vector<Finding> judge(const Settings& settings) {
  std::vector<Finding> findings =
      kafka_client_findings(settings, client_settings(settings), consumer_family);
  if (settings.has("kafka.topics.regex")) {
    const auto pattern = JavaPattern::make(settings.text("kafka.topics.regex"));
    if (!pattern.ok()) {
      findings.push_back({Severity::Error, "kafka.topics.regex", pattern.status().message()});
    }
  } else if (topic_names(settings).empty()) {
    findings.push_back({Severity::Error, "kafka.topics", "it names no topic to read",
                        "set kafka.topics or kafka.topics.regex"});
  }
  return findings;
}

constexpr ComponentInfo info{.alias = "kafka",
                             .class_name = "org.apache.flume.source.kafka.KafkaSource",
                             .meaning = "Reads Kafka topics as a member of a consumer group.",
                             .keys = keys,
                             .batch_size_key = "batchSize",
                             .judge = judge};

KafkaReader::Options reader_options(const Settings& settings, const SourceContext& context) {
  KafkaReader::Options options;
  options.component = settings.component();
  options.client = client_settings(settings);
  options.group = settings.text("kafka.consumer.group.id");
  options.note_prefix = "kafka/" + settings.name() + "/";
  options.topics = topic_names(settings);
  if (settings.has("kafka.topics.regex")) {
    auto pattern = JavaPattern::make(settings.text("kafka.topics.regex"));
    SLUICE_ASSERT(pattern.ok(), "judge() let a bad pattern through");
    options.pattern = *std::move(pattern);
  }
  options.events = event_options(settings);
  options.batch_events_max = static_cast<std::uint32_t>(
      std::min<std::int64_t>(settings.integer("batchSize"), context.out.batch_events_max()));
  options.batch_time_max = settings.duration("batchDurationMillis");
  options.once = context.once;
  return options;
}

class KafkaSource final : public Source, private KafkaTarget {
 public:
  KafkaSource(const Settings& settings, const SourceContext& context)
      : out_(context.out),
        reader_(reader_options(settings, context),
                {*this, context.pool, context.window, context.clock,
                 context.counters.rejected_lines, context.counters.read_failures}) {}

  Status open() override { return reader_.open(); }
  Status run(std::stop_token stop) override { return reader_.run(std::move(stop)); }
  void close() override { reader_.close(); }

 private:
  // KafkaTarget
  bool keeps_notes() const override { return out_.keeps_notes(); }
  std::vector<std::string> notes(std::string_view key) const override { return out_.notes(key); }
  Status put_notes(Notes notes, const std::stop_token& stop) override {
    // Of several stores each must have it before any has an event that it is about.
    if (out_.wants_origins()) return out_.process_and_wait({}, stop, std::move(notes));
    return out_.process({}, stop, nullptr, std::move(notes));
  }
  Status put(Batch batch, const std::stop_token& stop, Done done, Notes notes,
             Deadline room_by) override {
    return out_.process(std::move(batch), stop, std::move(done), std::move(notes), room_by);
  }
  void tend(const std::stop_token& stop) override { out_.retry_refused(stop); }

  ChannelProcessor& out_;
  KafkaReader reader_;
};

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<KafkaSource>(settings, context);
}

/// librdkafka's records, which are copied once, and the slab that they are copied into.
std::uint64_t window_bytes(const Settings& settings) {
  const std::string kbytes = client_settings(settings).value("queued.max.messages.kbytes");
  const auto ahead = parse_bytes(kbytes + "Ki");
  return window_bytes_default + (ahead.ok() ? ahead.value() : fetched_ahead_bytes);
}

}  // namespace

extern const SourceType kafka_source{&info, make, window_bytes};

}  // namespace sluice

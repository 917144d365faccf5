// test: alone serial no-sanitizer timeout=240
// (rebalances on the mock have deadlines that a sanitizer beside another test may miss)
// The Kafka source on librdkafka's mock cluster: what it reads, what it tells the group, and when.

#include <algorithm>
#include <map>
#include <set>

#include "core/event/origin_text.h"
#include "sources/source.h"
#include "tests/catch.h"
#include "tests/support/avro_peer.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/kafka_mock.h"
#include "tests/support/pipeline.h"
#include "tests/support/source_rig.h"

namespace sluice {

extern const SourceType kafka_source;

namespace {

using testing::CapturedLog;
using testing::Pipeline;
using testing::TempDirectory;
using Values = std::map<std::string, std::string>;
using Lines = std::vector<std::string>;

Values reading(const KafkaMock& mock, Values more = {}) {
  more.insert({{"kafka.bootstrap.servers", mock.bootstrap()},
               {"kafka.topics", "t"},
               {"kafka.consumer.auto.offset.reset", "earliest"},
               {"kafka.consumer.session.timeout.ms", "4000"},
               {"kafka.consumer.heartbeat.interval.ms", "200"}});
  return more;
}

Lines numbers(std::uint64_t first, std::uint64_t count) {
  Lines lines;
  for (std::uint64_t i = 0; i < count; ++i) lines.push_back(std::to_string(first + i));
  return lines;
}

Lines sorted(Lines lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

/// Waits until the group was told so much.
bool is_told(KafkaMock& mock, std::int64_t offset, std::int32_t partition = 0) {
  return eventually([&] { return mock.committed("flume", "t", partition).offset == offset; });
}

TEST_CASE("kafka: a record is an event with Flume's headers, and its origin is its place") {
  KafkaMock mock;
  mock.create_topic("t", 2);
  mock.produce("t", 1,
               {{.value = "with all",
                 .key = "k1",
                 .headers = {{"a", "1"}, {"b", "2"}, {"a", "3"}},
                 .timestamp_ms = 1'700'000'000'123},
                {.value = "", .timestamp_ms = 1'700'000'000'124, .null_value = true}});
  Pipeline pipeline(kafka_source, reading(mock, {{"header.picked", "a"}}));
  REQUIRE(pipeline.start().ok());
  std::vector<std::pair<std::string, TestHeaders>> events;
  pipeline.take(2, [&](const Event& event) {
    TestHeaders headers = headers_of(event);
    std::sort(headers.begin(), headers.end());
    events.emplace_back(event.body, std::move(headers));
  });
  REQUIRE(events.size() == 2);
  CHECK(events[0].first == "with all");
  CHECK(events[0].second == TestHeaders{{"key", "k1"},
                                        {"offset", "0"},
                                        {"partition", "1"},
                                        {"picked", "3"},
                                        {"timestamp", "1700000000123"},
                                        {"topic", "t"}});
  CHECK(events[1].first.empty());
  CHECK(events[1].second ==
        TestHeaders{
            {"offset", "1"}, {"partition", "1"}, {"timestamp", "1700000000124"}, {"topic", "t"}});
  pipeline.stop();
  CHECK(pipeline.result.ok());
  CHECK(mock.committed("flume", "t", 1).offset == 2);
}

TEST_CASE("kafka: all headers of a record, no topic, and a topic under another name") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce("t", 0, {{.value = "x", .headers = {{"a", "1"}, {"timestamp", "7"}}}});
  {
    Pipeline pipeline(kafka_source,
                      reading(mock, {{"headers", "all"}, {"setTopicHeader", "false"}}));
    REQUIRE(pipeline.start().ok());
    TestHeaders headers;
    pipeline.take(1, [&](const Event& event) { headers = headers_of(event); });
    CHECK(headers ==
          TestHeaders{{"a", "1"}, {"timestamp", "7"}, {"partition", "0"}, {"offset", "0"}});
  }
  mock.produce("t", 0, {{.value = "y"}});
  Pipeline pipeline(kafka_source, reading(mock, {{"topicHeader", "offset"}}));
  REQUIRE(pipeline.start().ok());
  TestHeaders headers;
  pipeline.take(1, [&](const Event& event) { headers = headers_of(event); });
  // A header that is there is not set again.
  REQUIRE(headers.size() == 3);
  CHECK(headers[1] == std::pair<std::string, std::string>("offset", "t"));
}

TEST_CASE("kafka: in front of a memory channel the group hears of what sinks have taken, no more") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 100);
  {
    Pipeline pipeline(kafka_source, reading(mock, {{"batchSize", "10"}}));
    REQUIRE(pipeline.start().ok());
    CHECK(pipeline.read(40) == numbers(0, 40));
    CHECK(is_told(mock, 40));
    REQUIRE(eventually([&] { return pipeline.channel.size_events() == 60; }));
    pipeline.stop();
    CHECK(mock.committed("flume", "t", 0).offset == 40);
  }
  // The rest of the channel went with it, and comes again.
  Pipeline pipeline(kafka_source, reading(mock));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(60) == numbers(40, 60));
  CHECK(is_told(mock, 100));
}

TEST_CASE("kafka: a stop waits for sinks as long as they take something, and tells the group") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 100);
  Pipeline pipeline(kafka_source, reading(mock));
  REQUIRE(pipeline.start().ok());
  REQUIRE(eventually([&] { return pipeline.channel.size_events() == 100; }));
  pipeline.thread.request_stop();
  // By now it gives its partition back, and waits.
  const Deadline a_while = Deadline::in(milliseconds(700));
  REQUIRE(eventually([&] { return a_while.passed(); }));
  CHECK(pipeline.read(60) == numbers(0, 60));
  CHECK(pipeline.read(40) == numbers(60, 40));
  pipeline.stop();
  CHECK(mock.committed("flume", "t", 0).offset == 100);
}

TEST_CASE("kafka: what comes between two runs is read, though the first had nothing to read") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 10);
  Values values = reading(mock, {{"kafka.consumer.auto.offset.reset", "latest"}});
  {
    Pipeline pipeline(kafka_source, values);
    REQUIRE(pipeline.start().ok());
    CHECK(is_told(mock, 10));
  }
  mock.produce_numbers("t", 0, 10, 10);
  Pipeline pipeline(kafka_source, values);
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(10) == numbers(10, 10));
}

TEST_CASE("kafka: a full channel holds the source back, and the group keeps it") {
  const CapturedLog log;
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 3000);
  Pipeline::Options options;
  options.channel.capacity_events = 20;
  Pipeline pipeline(kafka_source,
                    reading(mock, {{"kafka.consumer.max.poll.interval.ms", "3000"},
                                   {"kafka.consumer.session.timeout.ms", "3000"},
                                   {"kafka.consumer.heartbeat.interval.ms", "500"}}),
                    std::move(options));
  REQUIRE(pipeline.start().ok());
  // How many the first batches have is the brokers' choice; the next one of 20 does not fit.
  REQUIRE(eventually([&] { return pipeline.channel.size_events() > 0; }));
  // Longer than a member may be silent.
  const Deadline end = Deadline::in(milliseconds(5000));
  REQUIRE(eventually([&] { return end.passed(); }));
  CHECK(pipeline.channel.size_events() <= 20);
  CHECK(pipeline.read(3000) == numbers(0, 3000));
  CHECK(is_told(mock, 3000));
  pipeline.stop();
  CHECK(log.text().find("are lost") == std::string::npos);
  CHECK(pipeline.counters.channel_failures.get() == 0);
}

TEST_CASE("kafka: Flume's events are decoded, and what is none costs only itself") {
  const CapturedLog log;
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce("t", 0,
               {{.value = avro_event({"one", {{"h", "v"}, {"topic", "mine"}}}), .key = "k"},
                {.value = "\xff\xff\xff no event"},
                {.value = avro_event({"two", {}})},
                {.value = ""}});
  Pipeline pipeline(kafka_source, reading(mock, {{"useFlumeEventFormat", "true"}}));
  REQUIRE(pipeline.start().ok());
  std::vector<TestHeaders> headers;
  Lines bodies;
  pipeline.take(2, [&](const Event& event) {
    bodies.emplace_back(event.body);
    headers.push_back(headers_of(event));
  });
  CHECK(bodies == Lines{"one", "two"});
  REQUIRE(headers.size() == 2);
  CHECK(std::count(headers[0].begin(), headers[0].end(),
                   std::pair<std::string, std::string>("topic", "mine")) == 1);
  CHECK(std::count(headers[0].begin(), headers[0].end(),
                   std::pair<std::string, std::string>("h", "v")) == 1);
  CHECK(std::count(headers[0].begin(), headers[0].end(),
                   std::pair<std::string, std::string>("key", "k")) == 1);
  // The last record is none either, and is not read again for ever.
  CHECK(is_told(mock, 4));
  CHECK(pipeline.counters.rejected_lines.get() == 2);
  CHECK(log.text().find("offset 1 of t-0 is no Flume event") != std::string::npos);
}

TEST_CASE("kafka: --once ends when all partitions are read, and the group was told") {
  KafkaMock mock;
  mock.create_topic("t", 3);
  for (int i = 0; i < 3; ++i) mock.produce_numbers("t", i, 100U * static_cast<unsigned>(i), 100);
  Pipeline::Options options;
  options.once = true;
  Pipeline pipeline(kafka_source, reading(mock), std::move(options));
  REQUIRE(pipeline.start().ok());
  CHECK(sorted(pipeline.read(300)) == sorted(numbers(0, 300)));
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.result.ok());
  for (int i = 0; i < 3; ++i) CHECK(mock.committed("flume", "t", i).offset == 100);
}

TEST_CASE("kafka: --once ends where the group has no partition for it") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 10);
  for (const char* strategy : {"range", "cooperative-sticky"}) {
    INFO(strategy);
    const Values values =
        reading(mock, {{"kafka.consumer.partition.assignment.strategy", strategy},
                       {"kafka.consumer.group.id", std::string("once-") + strategy}});
    // One stays, so of the two others one has nothing at least, whomever the group prefers.
    Pipeline stays(kafka_source, values);
    REQUIRE(stays.start().ok());
    REQUIRE(eventually([&] { return stays.channel.counters().put.events.get() == 10; }));
    Pipeline::Options once;
    once.once = true;
    Pipeline one(kafka_source, values, once);
    Pipeline two(kafka_source, values, once);
    REQUIRE(one.start().ok());
    REQUIRE(two.start().ok());
    // What is read is taken, or it would be waited for.
    REQUIRE(eventually(
        [&] {
          for (Pipeline* const each : {&stays, &one, &two}) each->read_rest();
          return one.finished.load() && two.finished.load();
        },
        milliseconds(60'000)));
    CHECK(one.result.ok());
    CHECK(two.result.ok());
    CHECK_FALSE(stays.finished.load());
  }
}

TEST_CASE("kafka: topics that a regular expression names, in Java's syntax") {
  KafkaMock mock;
  for (const char* topic : {"log-1", "log-22", "log-x", "other-log-1"}) mock.create_topic(topic, 1);
  mock.produce("log-1", 0, {{.value = "a"}});
  mock.produce("log-22", 0, {{.value = "b"}});
  mock.produce("log-x", 0, {{.value = "c"}});
  mock.produce("other-log-1", 0, {{.value = "d"}});
  Values values = reading(mock, {{"kafka.topics.regex", R"(log-\d+)"}});
  Pipeline::Options options;
  options.once = true;
  Pipeline pipeline(kafka_source, values, std::move(options));
  REQUIRE(pipeline.start().ok());
  CHECK(sorted(pipeline.read(2)) == Lines{"a", "b"});
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.read_rest().empty());
}

TEST_CASE("kafka: a broker that is down at the start is waited for") {
  const CapturedLog log;
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 10);
  mock.set_down(true);
  Pipeline pipeline(kafka_source, reading(mock));
  REQUIRE(pipeline.start().ok());
  REQUIRE(eventually([&] { return pipeline.counters.read_failures.get() > 0; }));
  mock.set_down(false);
  CHECK(pipeline.read(10) == numbers(0, 10));
}

TEST_CASE("kafka: a source without a topic, and one whose properties contradict, stay down") {
  KafkaMock mock;
  Values values = reading(mock);
  values.erase("kafka.topics");
  CHECK(Pipeline(kafka_source, values).start().code() == Code::Invalid);
  values = reading(mock, {{"kafka.consumer.session.timeout.ms", "soon"}});
  CHECK(Pipeline(kafka_source, values).start().code() == Code::Invalid);
}

// ---- durable channels

/// A source in front of a channel whose commits go through a committer that keeps notes.
std::unique_ptr<SourceRig> durable(const Settings& settings, LateCommitter& committer) {
  return std::make_unique<SourceRig>(kafka_source, settings, SourceRig::Options(), &committer);
}

Settings settings_of(const KafkaMock& mock, const std::string& name = "x1") {
  return test_settings(*kafka_source.info, "source " + name,
                       {{"kafka.bootstrap.servers", mock.bootstrap()},
                        {"kafka.topics", "t"},
                        {"kafka.consumer.auto.offset.reset", "earliest"},
                        {"kafka.consumer.session.timeout.ms", "4000"},
                        {"kafka.consumer.heartbeat.interval.ms", "200"}});
}

TEST_CASE("kafka: behind a durable channel the store knows more than the group, unless it is set") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 100);
  LateCommitter committer({});
  std::set<std::string> logs;
  committer.on_commit = [&](const Commit& commit) {
    for (const Reservation& room : commit.puts()) {
      for (const OriginRange& range : room.batch().provenance().covered()) {
        logs.insert(to_string(range.id));
      }
    }
  };
  const auto read = [&](std::uint64_t first, std::uint64_t count) {
    auto rig = durable(settings_of(mock), committer);
    REQUIRE(rig->open().ok());
    rig->start();
    CHECK(rig->take(count) == numbers(first, count));
    rig->stop();
    CHECK(rig->outcome().ok());
    CHECK(rig->balanced());
  };
  read(0, 100);
  const KafkaMock::Position told = mock.committed("flume", "t", 0);
  CHECK(told.offset == 100);
  CHECK(logs.size() == 1);
  CHECK(told.metadata == "sluice 1 " + *logs.begin());

  // As it is when the agent dies before it has told the group.
  mock.set_committed("flume", "t", 0, {30, told.metadata});
  mock.produce_numbers("t", 0, 100, 10);
  read(100, 10);
  CHECK(logs.size() == 1);

  // Somebody wants to read again.
  mock.set_committed("flume", "t", 0, {50, ""});
  read(50, 60);
  CHECK(logs.size() == 2);
}

/// A durable channel that several sources of a group write to, one after the other or at once.
struct Place {
  Place() { REQUIRE(channel.open().ok()); }
  const TempDirectory directory;
  SlabPool pool;
  SharedStore store{{.path = directory.path("store"), .free_bytes_min = 1 << 20}, {}};
  DurableChannel channel{stored_channel("c1"), store, pool};
};

/// One of them, with an account of its own of what it has put.
class Member {
 public:
  Member(Place& place, const Settings& settings)
      : window_("window", window_bytes_default),
        out_(options(place), counters_),
        source_(
            kafka_source.make(settings, {out_, counters_, place.pool, window_, Clock::system()})) {
    REQUIRE(source_->open().ok());
    thread_ = std::jthread([this](std::stop_token stop) {
      outcome_ = source_->run(stop);
      out_.finish(stop);
      source_->close();
    });
  }
  ~Member() { stop(); }
  void stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
    CHECK(outcome_.ok());
  }
  std::uint64_t made() const { return counters_.made.events.get(); }
  std::uint64_t put() const { return counters_.put.events.get(); }
  std::uint64_t doubles() const { return counters_.doubles.events.get(); }

 private:
  static ChannelProcessor::Options options(Place& place) {
    ChannelProcessor::Options options;
    options.required = {&place.channel};
    options.stores = {place.channel.committer()};
    return options;
  }
  SourceCounters counters_;
  MemoryAccount window_;
  ChannelProcessor out_;
  std::unique_ptr<Source> source_;
  Status outcome_;
  std::jthread thread_;
};

std::vector<std::uint64_t> counted(std::uint64_t count) {
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 0; i < count; ++i) all.push_back(i);
  return all;
}

TEST_CASE("kafka: what comes again by another source of the group is taken once") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 100);
  Place place;
  {
    Member one(place, settings_of(mock, "one"));
    CHECK(eventually([&] { return one.put() == 100; }));
  }
  const KafkaMock::Position told = mock.committed("flume", "t", 0);
  CHECK(told.offset == 100);
  mock.set_committed("flume", "t", 0, {30, told.metadata});
  mock.produce_numbers("t", 0, 100, 10);
  {
    Member two(place, settings_of(mock, "two"));
    CHECK(eventually([&] { return two.made() == 80; }));
    CHECK(two.doubles() == 70);
  }
  CHECK(drain(place.channel) == counted(110));
}

TEST_CASE("kafka: a position behind the end means a new topic, whose records are no repetition") {
  const CapturedLog log;
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 10);
  const OriginId old{7, 9};
  mock.set_committed("flume", "t", 0, {1000, "sluice 1 " + to_string(old)});
  LateCommitter committer({});
  std::set<std::string> logs;
  committer.on_commit = [&](const Commit& commit) {
    for (const Reservation& room : commit.puts()) {
      for (const OriginRange& range : room.batch().provenance().covered()) {
        logs.insert(to_string(range.id));
      }
    }
  };
  auto rig = durable(settings_of(mock), committer);
  REQUIRE(rig->open().ok());
  rig->start();
  CHECK(rig->take(10) == numbers(0, 10));
  CHECK(is_told(mock, 10));
  rig->stop();
  REQUIRE(logs.size() == 1);
  CHECK(*logs.begin() != to_string(old));
  CHECK(mock.committed("flume", "t", 0).metadata == "sluice 1 " + *logs.begin());
  CHECK(log.text().find("t-0 stands at offset 1000, but what comes is offset 0") !=
        std::string::npos);
}

// ---- several members

// The mock refuses positions while members come and go, which brokers take; so what is told then
// comes again here, and a durable channel has to drop it.
TEST_CASE(
    "kafka: members that come and go share the partitions, and a durable channel has all once") {
  for (const char* strategy : {"range", "cooperative-sticky"}) {
    INFO(strategy);
    KafkaMock mock;
    mock.create_topic("t", 4);
    Place place;
    std::uint64_t produced = 0;
    const auto produce = [&] {
      for (int i = 0; i < 4; ++i, produced += 50) mock.produce_numbers("t", i, produced, 50);
    };
    const auto settings = [&](const std::string& name) {
      return test_settings(*kafka_source.info, "source " + name,
                           {{"kafka.bootstrap.servers", mock.bootstrap()},
                            {"kafka.topics", "t"},
                            {"batchSize", "7"},
                            {"kafka.consumer.auto.offset.reset", "earliest"},
                            {"kafka.consumer.partition.assignment.strategy", strategy},
                            {"kafka.consumer.session.timeout.ms", "4000"},
                            {"kafka.consumer.heartbeat.interval.ms", "200"}});
    };
    Member one(place, settings("one"));
    produce();
    REQUIRE(eventually([&] { return one.put() == produced; }));
    Member two(place, settings("two"));
    // Until the group has made room for it there must be something left to read.
    Deadline next = Deadline::in(milliseconds(0));
    REQUIRE(eventually(
        [&] {
          if (next.passed()) {
            produce();
            next = Deadline::in(milliseconds(50));
          }
          return two.put() > 0;
        },
        milliseconds(30'000)));
    REQUIRE(eventually([&] { return one.put() + two.put() == produced; }, milliseconds(30'000)));
    one.stop();
    produce();
    REQUIRE(eventually([&] { return one.put() + two.put() == produced; }, milliseconds(30'000)));
    two.stop();
    std::vector<std::uint64_t> numbers = drain(place.channel);
    std::sort(numbers.begin(), numbers.end());
    CHECK(numbers == counted(produced));
  }
}

}  // namespace
}  // namespace sluice

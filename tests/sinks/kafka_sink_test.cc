// Events that become records: as the keys say, each of them, in order, through the death of
// brokers.
// test: no-tsan
// (librdkafka's threads are those of C11, of which TSan knows nothing)

#include <algorithm>
#include <map>
#include <set>

#include "sinks/catalog.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/kafka_receiver.h"
#include "tests/support/sink_rig.h"

namespace sluice {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

const SinkType& kafka() { return *find_type(sink_types(), "kafka"); }

Settings settings_for(const std::string& servers, const Values& more) {
  std::map<std::string, Settings::Value, std::less<>> values;
  values["kafka.bootstrap.servers"] = {servers, {}, 0};
  values["kafka.topic"] = {"t", {}, 0};
  // What outages take in tests.
  values["kafka.producer.reconnect.backoff.ms"] = {"10", {}, 0};
  values["kafka.producer.reconnect.backoff.max.ms"] = {"50", {}, 0};
  values["kafka.producer.retry.backoff.ms"] = {"10", {}, 0};
  for (const auto& [key, value] : more) values[key] = {value, {}, 0};
  return {"sink k1", "k1", *kafka().info, values};
}

std::unique_ptr<SinkRig> sink_to(const std::string& servers, const Values& more = {}) {
  return std::make_unique<SinkRig>(kafka(), settings_for(servers, more));
}

/// Hears of one delivery.
class OneDelivery final : public DeliveryListener {
 public:
  void delivered(std::uint32_t, Delivery delivery) override {
    const std::lock_guard lock(mutex_);
    delivery_ = std::move(delivery);
  }
  /// Waits for it.
  Delivery get() {
    REQUIRE(eventually([this] {
      const std::lock_guard lock(mutex_);
      return delivery_.has_value();
    }));
    const std::lock_guard lock(mutex_);
    return *delivery_;
  }
  bool has_ended() const {
    const std::lock_guard lock(mutex_);
    return delivery_.has_value();
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Delivery> delivery_;
};

Delivery deliver(Sink& sink, const Batch& batch) {
  OneDelivery one;
  sink.deliver(batch, {}, DeliveryDone(one, 0));
  return one.get();
}

/// A sink without a runner.
struct Bare {
  explicit Bare(const std::string& servers, const Values& more = {}) : rig(sink_to(servers, more)) {
    REQUIRE(rig->sink().open({}).ok());
  }
  ~Bare() { rig->sink().close(); }
  Delivery deliver(const Batch& batch) { return sluice::deliver(rig->sink(), batch); }
  std::unique_ptr<SinkRig> rig;
};

std::vector<Finding> findings(const Values& more) {
  return kafka().info->judge(settings_for("a:9092", more));
}

bool finds(const std::vector<Finding>& all, Severity severity, const std::string& key,
           const std::string& part) {
  return std::any_of(all.begin(), all.end(), [&](const Finding& each) {
    return each.severity == severity && each.key == key &&
           (each.message + " " + each.hint).find(part) != std::string::npos;
  });
}

std::string many_x(std::size_t bytes) { return std::string(bytes, 'x'); }

TEST_CASE("a body is a value and nothing else is sent unless it is asked for") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  Bare sink(receiver.servers());
  const Batch batch = batch_of(sink.rig->pool(), {"one", "", "three\nlines\r"}, {{"h", "v"}});
  CHECK(sink.deliver(batch).status.ok());
  REQUIRE(eventually([&] { return receiver.records("t").size() == 3; }));
  for (const ReceivedRecord& each : receiver.records("t")) {
    CHECK_FALSE(each.key.has_value());
    CHECK(each.headers.empty());
  }
  CHECK(receiver.lines("t") == "one\n\nthree\nlines\r\n");
}

TEST_CASE("headers of an event name its topic, its key, its partition and its time") {
  KafkaReceiver receiver;
  receiver.create("t", 3);
  receiver.create("other", 3);
  Bare sink(receiver.servers(),
            {{"partitionIdHeader", "p"}, {"defaultPartitionId", "2"}, {"timestampHeader", "at"}});
  SlabPool& pool = sink.rig->pool();
  CHECK(sink.deliver(batch_of(pool, {"a"}, {{"topic", "other"}, {"key", "k\"1"}, {"p", "1"}}))
            .status.ok());
  CHECK(sink.deliver(batch_of(pool, {"b"}, {{"at", "1600000000123"}, {"key", ""}})).status.ok());
  CHECK(sink.deliver(batch_of(pool, {"c"}, {{"at", "yesterday"}})).status.ok());
  CHECK(sink.deliver(batch_of(pool, {"d"})).status.ok());
  REQUIRE(eventually([&] { return receiver.records("other").size() == 1; }));
  CHECK(receiver.records("other")[0].key == "k\"1");
  CHECK(receiver.records("other")[0].partition == 1);
  REQUIRE(eventually([&] { return receiver.records("t").size() == 3; }));
  const auto& records = receiver.records("t");
  CHECK(records[0].timestamp_ms == 1'600'000'000'123);
  CHECK(records[0].key == "");
  CHECK(records[1].timestamp_ms > 1'600'000'000'123);
  for (const ReceivedRecord& each : records) CHECK(each.partition == 2);
}

TEST_CASE("a topic's name may hold headers, and the topic header goes before it") {
  KafkaReceiver receiver;
  for (const char* topic : {"x-a-b", "x--b", "own"}) receiver.create(topic, 1);
  Bare sink(receiver.servers(), {{"kafka.topic", "x-%{one}-%{two}"}, {"topicHeader", "to"}});
  SlabPool& pool = sink.rig->pool();
  CHECK(sink.deliver(batch_of(pool, {"1"}, {{"one", "a"}, {"two", "b"}})).status.ok());
  CHECK(sink.deliver(batch_of(pool, {"2"}, {{"two", "b"}})).status.ok());
  CHECK(sink.deliver(batch_of(pool, {"3"}, {{"to", "own"}, {"one", "a"}})).status.ok());
  CHECK(eventually([&] { return receiver.lines("x-a-b") == "1\n"; }));
  CHECK(eventually([&] { return receiver.lines("x--b") == "2\n"; }));
  CHECK(eventually([&] { return receiver.lines("own") == "3\n"; }));
}

TEST_CASE("a topic's name may hold the time of the event, which it then must have") {
  KafkaReceiver receiver;
  for (const char* topic : {"log-1600000000-7", "own"}) receiver.create(topic, 1);
  Bare sink(receiver.servers(), {{"kafka.topic", "log-%s-%{n}"}});
  SlabPool& pool = sink.rig->pool();
  const TestHeaders time{{"timestamp", "1600000000123"}, {"n", "7"}};
  CHECK(sink.deliver(batch_of(pool, {"1"}, time)).status.ok());
  CHECK(sink.deliver(batch_of(pool, {"2"}, {{"topic", "own"}})).rejected.empty());
  const Delivery without = sink.deliver(batch_of(pool, {"3"}, {{"n", "7"}}));
  CHECK(without.status.ok());
  CHECK(without.rejected == std::vector<std::uint32_t>{0});
  CHECK(without.rejected_because.find("header timestamp") != std::string::npos);
  CHECK(eventually([&] { return receiver.lines("log-1600000000-7") == "1\n"; }));
  CHECK(eventually([&] { return receiver.lines("own") == "2\n"; }));
}

TEST_CASE("the topic header says nothing where it may not") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  Bare sink(receiver.servers(), {{"allowTopicOverride", "false"}});
  CHECK(sink.deliver(batch_of(sink.rig->pool(), {"1"}, {{"topic", "other"}})).status.ok());
  CHECK(eventually([&] { return receiver.lines("t") == "1\n"; }));
}

TEST_CASE("headers that a whole batch shares count like those of its events") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  receiver.create("other", 1);
  Bare sink(receiver.servers());
  const Batch batch = batch_of(sink.rig->pool(), {"1", "2"});
  const auto with = [&](const TestHeaders& imposed, const TestHeaders& fallback) {
    return batch.with_shared_headers(HeaderBlock(encoded(imposed)), HeaderBlock(encoded(fallback)));
  };
  CHECK(sink.deliver(with({{"host", "h"}}, {})).status.ok());
  CHECK(sink.deliver(with({}, {{"key", "k"}})).status.ok());
  CHECK(sink.deliver(with({{"topic", "other"}}, {})).status.ok());
  REQUIRE(eventually([&] { return receiver.records("t").size() == 4; }));
  CHECK_FALSE(receiver.records("t")[1].key.has_value());
  CHECK(receiver.records("t")[2].key == "k");
  CHECK(eventually([&] { return receiver.lines("other") == "1\n2\n"; }));
}

TEST_CASE("all headers, some, or some under other names become headers of the record") {
  const TestHeaders headers{{"a", "1"}, {"b", "2"}, {"key", "k"}, {"topic", "t"}};
  const auto sent = [&](const Values& more) {
    KafkaReceiver receiver;
    receiver.create("t", 1);
    Bare sink(receiver.servers(), more);
    CHECK(sink.deliver(batch_of(sink.rig->pool(), {"x"}, headers)).status.ok());
    REQUIRE(eventually([&] { return receiver.records("t").size() == 1; }));
    CHECK(receiver.records("t")[0].key == "k");
    return receiver.records("t")[0].headers;
  };
  using Headers = std::vector<std::pair<std::string, std::string>>;
  CHECK(sent({{"headers", "all"}}) == Headers{{"a", "1"}, {"b", "2"}});
  CHECK(sent({{"headers", "b c key"}}) == Headers{{"b", "2"}, {"key", "k"}});
  CHECK(sent({{"header.a", "alpha"}, {"header.none", "n"}}) == Headers{{"alpha", "1"}});
  CHECK(sent({{"headers", "none"}}).empty());
}

TEST_CASE("with useFlumeEventFormat a value is Flume's Avro event, byte for byte") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  Bare sink(receiver.servers(), {{"useFlumeEventFormat", "true"}});
  SlabPool& pool = sink.rig->pool();
  CHECK(sink.deliver(batch_of(pool, {"body"}, {{"name", "value"}})).status.ok());
  CHECK(sink.deliver(batch_of(pool, {""})).status.ok());
  REQUIRE(eventually([&] { return receiver.records("t").size() == 2; }));
  CHECK(receiver.records("t")[0].value == std::string("\x02\x08name\x0Avalue\x00\x08"
                                                      "body",
                                                      18));
  CHECK(receiver.records("t")[1].value == std::string("\0\0", 2));
}

TEST_CASE("what no broker would ever take is rejected with its reason and the rest arrives") {
  KafkaReceiver receiver;
  receiver.create("t", 2);
  Bare sink(receiver.servers(),
            {{"kafka.producer.max.request.size", "2000"}, {"partitionIdHeader", "p"}});
  SlabPool& pool = sink.rig->pool();
  const Delivery large = sink.deliver(batch_of(pool, {"1", many_x(3000), "3", many_x(5000)}));
  CHECK(large.status.ok());
  CHECK(large.rejected == std::vector<std::uint32_t>{1, 3});
  CHECK(large.rejected_because.find("max.request.size") != std::string::npos);
  const auto rejected = [&](const TestHeaders& headers) {
    const Delivery delivery = sink.deliver(batch_of(pool, {"x"}, headers));
    INFO(delivery.status.message());
    CHECK(delivery.status.ok());
    CHECK(delivery.rejected == std::vector<std::uint32_t>{0});
    return delivery.rejected_because;
  };
  CHECK(rejected({{"topic", "no topic"}}).find("'no topic'") != std::string::npos);
  CHECK(rejected({{"topic", ""}}).find("no topic can be called") != std::string::npos);
  CHECK(rejected({{"p", "one"}}).find("'one'") != std::string::npos);
  CHECK(rejected({{"p", "-1"}}).find("'-1'") != std::string::npos);
  CHECK(rejected({{"key", many_x(3000)}}).find("max.request.size") != std::string::npos);
  CHECK(rejected({{"p", "7"}}).find("no such partition") != std::string::npos);
  CHECK(eventually([&] { return receiver.records("t").size() == 2; }));
}

TEST_CASE("a record that is too large goes to the dead letters and what follows it arrives") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  class Kept final : public DeadLetters {
   public:
    Status keep(const Rejection& rejection, Commit&) override {
      for (const DeadLetter& each : rejection.letters) sizes.push_back(each.event.body.size());
      because = rejection.reason;
      return {};
    }
    const std::string& name() const noexcept override { return name_; }
    std::vector<std::size_t> sizes;
    std::string because;

   private:
    const std::string name_ = "kept";
  } kept;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  MemoryChannel channel(roomy_channel(), pool);
  SinkCounters counters;
  const auto sink =
      kafka().make(settings_for(receiver.servers(), {{"kafka.producer.max.request.size", "2000"}}),
                   {counters, FileSystem::real(), Clock::system()});
  SinkRunner runner({.name = "sink k1", .dead_letters = &kept, .sink = "k1"}, channel, *sink,
                    counters);
  REQUIRE(put(channel, batch_of(pool, {"1", many_x(3000), "3"})));
  REQUIRE(put(channel, batch_of(pool, {"4"})));
  channel.close();
  CHECK(runner.run({}).ok());
  CHECK(kept.sizes == std::vector<std::size_t>{3000});
  CHECK(kept.because.find("larger") != std::string::npos);
  CHECK(counters.dead_lettered.events.get() == 1);
  CHECK(eventually([&] { return receiver.lines("t") == "1\n3\n4\n"; }));
}

TEST_CASE(
    "a set that a broker finds too large is sent again in smaller ones, and nothing is lost") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  receiver.refuse({RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  const auto rig = sink_to(receiver.servers());
  rig->put_numbers(0, 100);
  rig->start();
  REQUIRE(rig->delivered(100));
  rig->drain();
  CHECK(rig->counters().dead_lettered.events.get() == 0);
  CHECK(rig->counters().failures.get() >= 2);
  CHECK(eventually([&] { return receiver.lines("t") == number_lines(0, 100); }));
}

/// Delivers until it is no failure, as a runner does; says after how many.
std::pair<Delivery, int> deliver_until_ok(Bare& sink, const Batch& batch) {
  for (int failures = 0; failures < 9; ++failures) {
    Delivery delivery = sink.deliver(batch);
    if (delivery.status.ok()) return {delivery, failures};
    sink.rig->sink().start_over();
  }
  return {};
}

TEST_CASE("a record that a broker finds too large where it was alone is rejected") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  Bare sink(receiver.servers(), {{"kafka.producer.batch.size", "1000"}});
  REQUIRE(sink.deliver(batch_of(sink.rig->pool(), {"first"})).status.ok());
  receiver.refuse({RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  const Batch batch = batch_of(sink.rig->pool(), {many_x(2000), "small"});
  const auto [delivery, failures] = deliver_until_ok(sink, batch);
  CHECK(failures == 1);
  CHECK(delivery.rejected == std::vector<std::uint32_t>{0});
  CHECK(eventually([&] { return receiver.lines("t") == "first\nsmall\n"; }));
}

TEST_CASE("a record without a value that a broker finds too large is rejected in the end") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  Bare sink(receiver.servers(), {{"kafka.producer.batch.size", "20"}});
  SlabPool& pool = sink.rig->pool();
  REQUIRE(sink.deliver(batch_of(pool, {"first"})).status.ok());
  receiver.refuse(std::vector<rd_kafka_resp_err_t>(9, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE));
  const auto [delivery, failures] = deliver_until_ok(sink, batch_of(pool, {""}));
  CHECK(failures == 3);  // in sets of 20, 5 and 1 bytes; then it was alone
  CHECK(delivery.rejected == std::vector<std::uint32_t>{0});
}

TEST_CASE(
    "a set that a broker refuses for one of its records is sent one by one, that one rejected") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  Bare sink(receiver.servers());
  SlabPool& pool = sink.rig->pool();
  REQUIRE(sink.deliver(batch_of(pool, {"0"})).status.ok());
  receiver.refuse({RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_NO_ERROR,
                   RD_KAFKA_RESP_ERR_INVALID_RECORD});
  const auto [delivery, failures] = deliver_until_ok(sink, batch_of(pool, {"1", "2", "3"}));
  CHECK(failures == 1);
  CHECK(delivery.rejected == std::vector<std::uint32_t>{1});
  CHECK(delivery.rejected_because.find("refuses the record") != std::string::npos);
  // And from then on in sets again: one refusal fails more than one record.
  receiver.relent();
  REQUIRE(sink.deliver(batch_of(pool, {"4"})).status.ok());
  receiver.refuse({RD_KAFKA_RESP_ERR_INVALID_RECORD});
  const Delivery refused = sink.deliver(batch_of(pool, {"5", "6"}));
  CHECK(refused.status.code() == Code::Retry);
  CHECK(refused.arrived == 0);
  CHECK(eventually([&] { return receiver.lines("t") == "0\n1\n3\n4\n"; }));
}

TEST_CASE("errors that pass are passed over without a failure") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  receiver.refuse({RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT,
                   RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS});
  const auto rig = sink_to(receiver.servers());
  rig->put_numbers(0, 100);
  rig->start();
  REQUIRE(rig->delivered(100));
  rig->drain();
  CHECK(rig->counters().failures.get() == 0);
  CHECK(eventually([&] { return receiver.lines("t") == number_lines(0, 100); }));
}

TEST_CASE("an error that does not pass is said, the events stay, and it goes on when it can") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  receiver.refuse(
      std::vector<rd_kafka_resp_err_t>(3, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED));
  testing::CapturedLog log;
  const auto rig = sink_to(receiver.servers());
  rig->put_numbers(0, 100);
  rig->start();
  REQUIRE(rig->delivered(100));
  rig->drain();
  CHECK(rig->counters().failures.get() >= 3);
  CHECK(rig->counters().dead_lettered.events.get() == 0);
  CHECK(log.text().find("topic 't': this user may not use the topic") != std::string::npos);
  CHECK(eventually([&] { return receiver.lines("t") == number_lines(0, 100); }));
}

TEST_CASE("a topic that is not there is said, and written to when it is") {
  KafkaReceiver receiver;
  receiver.topic_error("t", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  testing::CapturedLog log;
  const auto rig =
      sink_to(receiver.servers(), {{"kafka.producer.topic.metadata.propagation.max.ms", "50"},
                                   {"kafka.producer.topic.metadata.refresh.interval.ms", "50"}});
  rig->put_numbers(0, 20);
  rig->start();
  REQUIRE(log.wait_for_text("topic 't': there is no such topic"));
  CHECK(rig->counters().delivered.events.get() == 0);
  receiver.topic_error("t", RD_KAFKA_RESP_ERR_NO_ERROR);
  REQUIRE(rig->delivered(20));
  rig->drain();
  CHECK(rig->counters().dead_lettered.events.get() == 0);
}

TEST_CASE("a client that cannot go on is made anew, and what was not acknowledged is sent again") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  // librdkafka calls it fatal: this client will never send.
  receiver.refuse_identity({RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED});
  testing::CapturedLog log;
  const auto rig = sink_to(receiver.servers());
  rig->put_numbers(0, 100);
  rig->start();
  REQUIRE(rig->delivered(100));
  rig->drain();
  CHECK(log.has("IdempotentWrite"));
  CHECK(rig->counters().connections_created.get() >= 2);
  CHECK(rig->counters().connections_closed.get() == rig->counters().connections_created.get());
  CHECK(eventually([&] { return receiver.lines("t") == number_lines(0, 100); }));
}

TEST_CASE("a broker that lost count of a producer costs nothing but another try") {
  for (const rd_kafka_resp_err_t error :
       {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
        RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH}) {
    INFO(rd_kafka_err2name(error));
    KafkaReceiver receiver;
    receiver.create("t", 1);
    const auto rig = sink_to(receiver.servers(), {{"flumeBatchSize", "10"}});
    rig->start();
    rig->put_numbers(0, 10);
    REQUIRE(rig->delivered(10));
    receiver.refuse({error});
    rig->put_numbers(10, 500);
    REQUIRE(rig->delivered(510));
    rig->drain();
    CHECK(rig->counters().dead_lettered.events.get() == 0);
    CHECK(eventually([&] { return receiver.lines("t") == number_lines(0, 510); }));
  }
}

TEST_CASE("brokers that are down at the start are waited for and said") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  receiver.down(true);
  testing::CapturedLog log;
  const auto rig = sink_to(receiver.servers());
  rig->put_numbers(0, 50);
  rig->start();
  REQUIRE(eventually([&] { return log.text().find("no broker answers") != std::string::npos; }));
  CHECK(rig->counters().failures.get() == 0);
  CHECK(rig->counters().delivered.events.get() == 0);
  receiver.down(false);
  REQUIRE(rig->delivered(50));
  REQUIRE(eventually([&] { return receiver.lines("t") == number_lines(0, 50); }));
  CHECK(log.text().find("brokers acknowledge records again") != std::string::npos);
  rig->drain();
}

TEST_CASE("an outage longer than delivery.timeout.ms doubles nothing that was not sent") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  const auto rig = sink_to(receiver.servers(), {{"kafka.producer.delivery.timeout.ms", "200"},
                                                {"flumeBatchSize", "10"}});
  rig->put_numbers(0, 20);
  rig->start();
  REQUIRE(rig->delivered(20));
  receiver.down(true);
  rig->put_numbers(20, 400);
  REQUIRE(eventually([&] { return rig->counters().failures.get() > 2; }));
  CHECK_FALSE(rig->healthy());
  receiver.down(false);
  REQUIRE(rig->delivered(420));
  REQUIRE(eventually([&] { return receiver.lines("t") == number_lines(0, 420); }));
  CHECK(eventually([&] { return rig->healthy(); }));
  rig->drain();
}

TEST_CASE("after a failure nothing overtakes: batches behind it come after it") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  // A broker refuses requests behind one that failed; this one knows no sequences.
  const auto rig =
      sink_to(receiver.servers(), {{"flumeBatchSize", "10"},
                                   {"kafka.producer.linger.ms", "0"},
                                   {"kafka.producer.max.in.flight.requests.per.connection", "1"}});
  rig->start();
  for (std::uint64_t round = 0; round < 5; ++round) {
    receiver.refuse({RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
    rig->put_numbers(round * 500, 500);
    REQUIRE(rig->delivered((round + 1) * 500));
    receiver.relent();
  }
  rig->drain();
  REQUIRE(eventually([&] { return receiver.records("t").size() >= 2500; }));
  // Something may come twice, but then everything behind it does.
  std::uint64_t next = 0;
  for (const ReceivedRecord& each : receiver.records("t")) {
    const std::uint64_t number = std::stoull(each.value);
    CHECK(number <= next);
    next = number + 1;
  }
  CHECK(next == 2500);
}

TEST_CASE("a stop is bounded while brokers are down, and what was not acknowledged stays") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  receiver.down(true);
  const auto rig = sink_to(receiver.servers());
  rig->put_numbers(0, 500);
  rig->start();
  REQUIRE(eventually([&] { return rig->counters().attempts.get() == 500; }));
  const auto begin = Clock::system().steady();
  rig->stop();
  CHECK(Clock::system().steady() - begin < milliseconds(4000));
  CHECK(rig->outcome().ok());
  CHECK(rig->channel().size_events() == 500);
  CHECK(rig->counters().delivered.events.get() == 0);
}

TEST_CASE("a stop takes what brokers acknowledge in time") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  const auto rig = sink_to(receiver.servers());
  rig->put_numbers(0, 10);
  rig->start();
  // The time there is at the end is for one answer, not for the five of a new connection.
  REQUIRE(rig->delivered(10));
  receiver.answer_after_ms(300);
  rig->put_numbers(10, 100);
  REQUIRE(eventually([&] { return rig->counters().attempts.get() == 110; }));
  rig->stop();
  CHECK(rig->counters().delivered.events.get() == 110);
  CHECK(rig->channel().size_events() == 0);
}

TEST_CASE("a client's queue that is too small is waited for, in order") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  const auto rig = sink_to(
      receiver.servers(),
      {{"kafka.producer.queue.buffering.max.messages", "7"}, {"kafka.producer.linger.ms", "0"}});
  rig->put_numbers(0, 300);
  rig->start();
  REQUIRE(rig->delivered(300));
  rig->drain();
  CHECK(rig->counters().failures.get() == 0);
  CHECK(eventually([&] { return receiver.lines("t") == number_lines(0, 300); }));
}

TEST_CASE("a stop ends a wait for room in the client's queue") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  receiver.down(true);
  const auto rig =
      sink_to(receiver.servers(), {{"kafka.producer.queue.buffering.max.messages", "7"}});
  rig->put_numbers(0, 300);
  rig->start();
  REQUIRE(eventually([&] { return rig->counters().attempts.get() > 0; }));
  const auto begin = Clock::system().steady();
  rig->stop();
  CHECK(Clock::system().steady() - begin < milliseconds(4000));
  CHECK(rig->channel().size_events() == 300);
}

TEST_CASE("several batches wait for their acknowledgements at once") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  const auto rig = sink_to(receiver.servers(), {{"maxBatchesInFlight", "4"}});
  CHECK(rig->sink().in_flight_max() == 4);
  Sink& sink = rig->sink();
  REQUIRE(sink.open({}).ok());
  REQUIRE(deliver(sink, numbered(rig->pool(), 0, 1)).status.ok());
  receiver.answer_after_ms(200);
  OneDelivery ends[4];
  const auto begin = Clock::system().steady();
  for (std::uint32_t i = 0; i < 4; ++i) {
    sink.deliver(numbered(rig->pool(), 1 + i, 1), {}, DeliveryDone(ends[i], i));
  }
  for (OneDelivery& each : ends) CHECK(each.get().status.ok());
  CHECK(Clock::system().steady() - begin < milliseconds(790));
  sink.close();
  CHECK(eventually([&] { return receiver.lines("t") == number_lines(0, 5); }));
}

TEST_CASE("a batch is pinned until its last report and let go then") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  Bare sink(receiver.servers());
  REQUIRE(sink.deliver(numbered(sink.rig->pool(), 0, 1)).status.ok());
  const std::size_t before = sink.rig->pool().live_slabs();
  receiver.answer_after_ms(200);
  OneDelivery one;
  sink.rig->sink().deliver(numbered(sink.rig->pool(), 1, 10), {}, DeliveryDone(one, 0));
  CHECK(sink.rig->pool().live_slabs() == before + 1);
  CHECK_FALSE(one.has_ended());
  CHECK(one.get().status.ok());
  CHECK(eventually([&] { return sink.rig->pool().live_slabs() == before; }));
}

TEST_CASE("check finds what does not fit without a broker") {
  CHECK(findings({}).empty());
  CHECK(finds(findings({{"kafka.producer.compression.type", "zip"}}), Severity::Error,
              "kafka.producer.compression.type", "zip"));
  CHECK(finds(findings({{"kafka.producer.compresion.type", "gzip"}}), Severity::Warning,
              "kafka.producer.compresion.type", "did you mean 'compression.type'"));
  CHECK(finds(findings({{"kafka.producer.type", "sync"}}), Severity::Note, "kafka.producer.type",
              "no meaning"));
  CHECK(finds(findings({{"kafka.producer.acks", "0"}}), Severity::Warning, "kafka.producer.acks",
              "whether a broker has them"));
  CHECK(finds(findings({{"kafka.topic", "a b"}}), Severity::Error, "kafka.topic", "no topic"));
  CHECK(findings({{"kafka.topic", "a-%Y%m%d"}}).empty());
  CHECK(finds(findings({{"kafka.topic", "a-%D"}}), Severity::Error, "kafka.topic", "no topic"));
  CHECK(finds(findings({{"kafka.topic", "a-%q"}}), Severity::Warning, "kafka.topic", "%q"));
  CHECK(finds(findings({{"kafka.topic", "a-%{h}"}, {"allowTopicOverride", "false"}}),
              Severity::Error, "kafka.topic", "allowTopicOverride"));
  CHECK(findings({{"kafka.topic", "a-%{h}"}}).empty());
  for (const char* bad : {",", "a:b", "a:0", ":9092", "a:99999"}) {
    INFO(bad);
    CHECK(finds(kafka().info->judge(settings_for(bad, {})), Severity::Error,
                "kafka.bootstrap.servers", ""));
  }
  for (const char* good : {"a", "a:1,b:2", "a:1, b:2", "[::1]:9092", "PLAINTEXT://a:9092"}) {
    INFO(good);
    CHECK(kafka().info->judge(settings_for(good, {})).empty());
  }
}

}  // namespace
}  // namespace sluice

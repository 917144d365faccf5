// What librdkafka's mock cluster can show of Kafka's transactions; it neither aborts nor fences, so
// the rest is shown with the real one (tests/interop/kafka/exactly_once_test.py).
// test: no-tsan
// (librdkafka's threads are those of C11, of which TSan knows nothing)

#include "sinks/kafka_output.h"

#include <thread>

#include "sinks/catalog.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/kafka_receiver.h"
#include "tests/support/settings.h"

namespace sluice {
namespace {

const std::string store(32, '7');

/// An output to the topic "t" of a mock cluster.
struct Rig {
  explicit Rig(const std::string& servers, std::vector<KafkaProperty> more = {})
      : records({.component = "sink k1", .topic = KafkaTopicName::make("t", false).value()}) {
    more.emplace_back("bootstrap.servers", servers);
    output = std::make_unique<KafkaOutput>(
        KafkaOutput::Options{
            .producer = {.log = &log,
                         .settings = kafka_client_settings(KafkaRole::Producer, more),
                         .batches_max = 8},
            .id_prefix = "sluice-k1",
            .position_topic = "t"},
        records, counters);
  }

  SlabPool pool{64 * 1024, keep_no_free_slabs};
  KafkaClientLog log{"sink k1"};
  KafkaRecords records;
  SinkCounters counters;
  std::unique_ptr<KafkaOutput> output;
  std::vector<TransactionalOutput::Refusal> refused;
};

TEST_CASE("kafka output: transactions with records and without, and an opening after them") {
  KafkaReceiver receiver;
  receiver.create("t", 2);
  {
    Rig rig(receiver.servers());
    const auto first = rig.output->open(store, {});
    REQUIRE(first.status().message() == "");
    CHECK_FALSE(first.value().has_value());
    const Batch one = numbered(rig.pool, 0, 10);
    const Batch two = numbered(rig.pool, 10, 10);
    REQUIRE(rig.output->write(one).ok());
    REQUIRE(rig.output->write(two).ok());
    REQUIRE(rig.output->flush(rig.refused).ok());
    REQUIRE(rig.output->commit("a position", {}).ok());
    REQUIRE(rig.output->flush(rig.refused).ok());
    // More than a broker takes for one offset.
    REQUIRE(rig.output->commit(std::string(20'000, 'p'), {}).ok());
    CHECK(rig.refused.empty());
    CHECK(rig.counters.connections_created.get() == 1);
    rig.output->close();
    CHECK(rig.counters.connections_closed.get() == 1);
  }
  CHECK(eventually([&] { return receiver.records("t").size() == 20; }));
  Rig again(receiver.servers());
  CHECK(again.output->open(store, {}).ok());
}

TEST_CASE("kafka output: what is too large is told, and the transaction goes on without it") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  Rig rig(receiver.servers(), {{"max.request.size", "1000"}});
  REQUIRE(rig.output->open(store, {}).ok());
  const Batch small = numbered(rig.pool, 0, 3);
  const Batch large = numbered(rig.pool, 3, 2, 2000);
  REQUIRE(rig.output->write(small).ok());
  REQUIRE(rig.output->write(large).ok());
  REQUIRE(rig.output->flush(rig.refused).ok());
  REQUIRE(rig.refused.size() == 2);
  CHECK(rig.refused[1].write == 1);
  CHECK(rig.refused[1].event == 1);
  CHECK(rig.refused[1].why.find("it is larger than") != std::string::npos);
  CHECK(rig.output->commit("p", {}).ok());
  CHECK(eventually([&] { return receiver.records("t").size() == 3; }));
}

TEST_CASE("kafka output: a record that a broker refuses is found, and its transaction is lost") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  Rig rig(receiver.servers());
  REQUIRE(rig.output->open(store, {}).ok());
  const Batch batch = numbered(rig.pool, 0, 4);
  // Of a set nobody knows which one it is.
  receiver.refuse({RD_KAFKA_RESP_ERR_INVALID_RECORD});
  REQUIRE(rig.output->write(batch).ok());
  const Status lost = rig.output->flush(rig.refused);
  CHECK(lost.code() == Code::Retry);
  CHECK(rig.refused.empty());
  rig.output->close();
  REQUIRE(rig.output->open(store, {}).ok());
  CHECK(rig.output->wants_reopening());
  receiver.refuse({RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_INVALID_RECORD});
  REQUIRE(rig.output->write(batch).ok());
  const Status found = rig.output->flush(rig.refused);
  CHECK(found.code() == Code::Retry);
  CHECK(found.message().find("begun anew without what was refused") != std::string::npos);
  REQUIRE(rig.refused.size() == 1);
  CHECK(rig.refused[0].event == 1);
  rig.output->close();
  REQUIRE(rig.output->open(store, {}).ok());
  CHECK_FALSE(rig.output->wants_reopening());
}

TEST_CASE("kafka output: brokers that are not there are waited for until the agent stops") {
  KafkaReceiver receiver;
  receiver.create("t", 1);
  receiver.down(true);
  Rig rig(receiver.servers());
  std::stop_source stop;
  std::jthread later([&] {
    eventually([] { return false; }, milliseconds(300));
    stop.request_stop();
  });
  const auto begin = Clock::system().steady();
  CHECK(rig.output->open(store, stop.get_token()).code() == Code::Closed);
  CHECK(Clock::system().steady() - begin < milliseconds(4'000));
}

}  // namespace
}  // namespace sluice

// test: alone serial no-sanitizer timeout=240
// (groups of the mock have deadlines that a sanitizer beside another test may miss)
// The channel that is a topic, on librdkafka's mock cluster. What the conformance tests say of
// capacity has no meaning here; what they say of order, rollback, receipts and ends is below. (The
// mock takes no positions during a rebalance, so what two members do together is shown by
// tests/interop/kafka.)

#include "channels/topic_channel.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "channels/catalog.h"
#include "channels/channel_type.h"
#include "channels/commit.h"
#include "core/metrics/counters.h"
#include "tests/catch.h"
#include "tests/support/avro_peer.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/eventually.h"
#include "tests/support/kafka_mock.h"
#include "tests/support/receipt_book.h"
#include "tests/support/settings.h"

namespace sluice {

extern const ChannelType kafka_channel;

namespace {

using testing::CapturedLog;
using Values = std::map<std::string, std::string>;
using Lines = std::vector<std::string>;

/// Dead letters in memory.
class Buried final : public DeadLetters {
 public:
  Status keep(const Rejection& rejection, Commit& /*taking*/) override {
    if (full) return Retry("it is full");
    for (const DeadLetter& each : rejection.letters) bodies.emplace_back(each.event.body);
    reason = rejection.reason;
    return {};
  }
  const std::string& name() const noexcept override { return name_; }

  std::atomic<bool> full{false};
  Lines bodies;
  std::string reason;

 private:
  const std::string name_ = "the grave";
};

struct Rig {
  explicit Rig(const KafkaMock& mock, Values more = {}, std::uint64_t budget_bytes = 64 << 20) {
    more.insert({{"kafka.bootstrap.servers", mock.bootstrap()},
                 {"kafka.topic", "t"},
                 {"kafka.consumer.session.timeout.ms", "4000"},
                 {"kafka.consumer.heartbeat.interval.ms", "200"}});
    const Settings settings = test_settings(*kafka_channel.info, "channel c1", more);
    channel = kafka_channel.make(
        settings, {pool, budget_bytes, stores, Clock::system(), abandon.get_token(), &buried});
    REQUIRE(channel->open().message() == "");
  }
  ~Rig() {
    channel->close();
    abandon.request_stop();
    CHECK(channel->abandon() == 0);
    for (const MemoryAccount* account : channel->accounts()) {
      CHECK(account->used_bytes() == 0);
    }
    const ChannelCounters& books = channel->counters();
    CHECK(books.put.events.get() == books.sent.events.get() + books.dead_lettered.events.get());
    CHECK(books.fetched.events.get() ==
          books.committed.events.get() + books.given_back.events.get());
    CHECK(books.fetched.bytes.get() == books.committed.bytes.get() + books.given_back.bytes.get());
    CHECK(books.stored.events.get() == 0);
    CHECK(books.in_flight.events.get() == 0);
    channel.reset();
    CHECK(pool.live_slabs() == 0);
  }

  Commit commit_of(Batch batch) {
    auto room = channel->reserve(batch, Deadline::in(milliseconds(5000)), {});
    REQUIRE(room.ok());
    Commit commit(channel->committer());
    commit.put(*std::move(room));
    return commit;
  }
  void put(const Lines& bodies, const TestHeaders& headers = {}) {
    REQUIRE(commit_of(batch_of(pool, bodies, headers)).wait().message() == "");
  }
  Taken take(std::uint32_t events_max) {
    const TakeLimit limit{.events_max = events_max, .wait_max = milliseconds(15'000)};
    return channel->take(limit, {});
  }
  void finish(Taken taken) {
    Commit commit;
    commit.take(std::move(taken));
    REQUIRE(std::move(commit).wait().ok());
  }
  Lines read(std::size_t events) {
    Lines lines;
    while (lines.size() < events) {
      Taken taken = take(static_cast<std::uint32_t>(events - lines.size()));
      if (taken.empty()) break;
      for (const std::string& body : bodies_of(taken.batch())) lines.push_back(body);
      finish(std::move(taken));
    }
    return lines;
  }

  SlabPool pool{64 * 1024, keep_no_free_slabs};
  testing::TempDirectory directory;
  Stores stores{directory.path("none")};
  std::stop_source abandon;
  Buried buried;
  std::unique_ptr<Channel> channel;
};

Lines numbers(std::uint64_t first, std::uint64_t count) {
  Lines lines;
  for (std::uint64_t i = 0; i < count; ++i) lines.push_back(std::to_string(first + i));
  return lines;
}

bool is_told(KafkaMock& mock, std::int64_t offset) {
  return eventually([&] { return mock.committed("flume", "t", 0).offset == offset; });
}

TEST_CASE("kafka channel: what is put comes out, in order, with its headers and nothing else") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  Rig rig(mock);
  rig.put({"one", "", "three"}, {{"h", "v"}, {"key", "k"}, {"topic", "other"}});
  rig.put(numbers(0, 100));
  Taken taken = rig.take(3);
  REQUIRE(bodies_of(taken.batch()) == Lines{"one", "", "three"});
  TestHeaders headers = headers_of(taken.batch()[1]);
  std::sort(headers.begin(), headers.end());
  CHECK(headers == TestHeaders{{"h", "v"}, {"key", "k"}, {"topic", "other"}});
  rig.finish(std::move(taken));
  CHECK(rig.read(100) == numbers(0, 100));
  CHECK(is_told(mock, 103));
}

TEST_CASE("kafka channel: bodies alone, and the key with them") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  Rig rig(mock, {{"parseAsFlumeEvent", "false"}});
  rig.put({"x"}, {{"h", "v"}, {"key", "k"}});
  mock.produce("t", 0, {{.value = "from elsewhere"}});
  Taken taken = rig.take(2);
  if (taken.batch().size() == 1) {
    CHECK(headers_of(taken.batch()[0]) == TestHeaders{{"key", "k"}});
    rig.finish(std::move(taken));
    CHECK(rig.read(1) == Lines{"from elsewhere"});
    return;
  }
  CHECK(bodies_of(taken.batch()) == Lines{"x", "from elsewhere"});
  CHECK(headers_of(taken.batch()[0]) == TestHeaders{{"key", "k"}});
  CHECK(headers_of(taken.batch()[1]).empty());
  rig.finish(std::move(taken));
}

TEST_CASE("kafka channel: the partition of an event is its header's, then the configuration's") {
  KafkaMock mock;
  mock.create_topic("t", 3);
  Rig rig(mock, {{"partitionIdHeader", "p"}, {"defaultPartitionId", "2"}});
  rig.put({"a"}, {{"p", "1"}});
  rig.put({"b", "c"});
  CHECK(rig.read(3).size() == 3);
  CHECK(eventually([&] { return mock.committed("flume", "t", 1).offset == 1; }));
  CHECK(eventually([&] { return mock.committed("flume", "t", 2).offset == 2; }));
  // What names no partition can never be put: it is put aside, and what is beside it arrives.
  rig.put({"d"}, {{"p", "north"}});
  CHECK(rig.buried.bodies == Lines{"d"});
  CHECK(rig.buried.reason.find("north") != std::string::npos);
  CHECK(rig.channel->counters().dead_lettered.events.get() == 1);
}

TEST_CASE("kafka channel: a commit is complete when brokers have it, and so is its receipt") {
  const CapturedLog log;
  KafkaMock mock;
  mock.create_topic("t", 1);
  Rig rig(mock);
  rig.put(numbers(0, 10));
  mock.set_down(true);
  const auto book = std::make_shared<ReceiptBook>();
  std::atomic<int> complete{0};
  for (std::uint64_t i = 0; i < 5; ++i) {
    const Batch batch =
        numbered(rig.pool, 10 + 10 * i, 10).with_receipt(Receipt::make(book, i, 10));
    rig.commit_of(batch).submit([&](const Status& status) { complete += status.ok() ? 1 : 100; });
  }
  const Deadline a_while = Deadline::in(milliseconds(500));
  REQUIRE(eventually([&] { return a_while.passed(); }));
  CHECK(complete == 0);
  CHECK(book->settled_receipts() == 0);
  mock.set_down(false);
  REQUIRE(eventually([&] { return complete == 5; }, milliseconds(30'000)));
  for (std::uint64_t i = 0; i < 5; ++i) CHECK(book->delivered(i));
  CHECK(rig.read(60) == numbers(0, 60));
}

TEST_CASE("kafka channel: what failed is sent again in order, and nothing of it twice") {
  const CapturedLog log;
  KafkaMock mock;
  mock.create_topic("t", 1);
  Rig rig(mock);
  rig.put(numbers(0, 10));
  std::vector<rd_kafka_resp_err_t> errors(2, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  rd_kafka_mock_push_request_errors_array(mock.cluster(), 0, errors.size(), errors.data());
  std::atomic<int> complete{0};
  for (std::uint64_t i = 0; i < 20; ++i) {
    rig.commit_of(numbered(rig.pool, 10 + 10 * i, 10)).submit([&](const Status& status) {
      complete += status.ok() ? 1 : 100;
    });
  }
  REQUIRE(eventually([&] { return complete == 20; }, milliseconds(30'000)));
  CHECK(rig.read(210) == numbers(0, 210));
  CHECK(rig.channel->counters().failures.get() > 0);
  CHECK(rig.channel->health().ok());
  CHECK(log.text().find("channel c1: ") != std::string::npos);
}

TEST_CASE("kafka channel: what is too large for a broker is put aside, the rest arrives") {
  const CapturedLog log;
  KafkaMock mock;
  mock.create_topic("t", 1);
  Rig rig(mock, {{"kafka.producer.max.request.size", "2000"}});
  rig.buried.full = true;
  std::atomic<bool> complete{false};
  rig.commit_of(batch_of(rig.pool, {"a", std::string(5000, 'x'), "b"}))
      .submit([&](const Status& status) { complete = status.ok(); });
  // It waits for a place for dead letters, and says so.
  REQUIRE(eventually([&] { return !rig.channel->health().ok(); }));
  CHECK(rig.channel->health().message().find("it is full") != std::string::npos);
  CHECK_FALSE(complete);
  rig.buried.full = false;
  REQUIRE(eventually([&] { return complete.load(); }));
  CHECK(rig.buried.bodies == Lines{std::string(5000, 'x')});
  rig.put({"c"});
  CHECK(rig.read(3) == Lines{"a", "b", "c"});
  CHECK(rig.channel->health().ok());
}

TEST_CASE("kafka channel: while brokers are away puts find no room, and the agent can give up") {
  const CapturedLog log;
  KafkaMock mock;
  mock.create_topic("t", 1);
  Rig rig(mock, {}, 1 << 20);
  mock.set_down(true);
  const auto book = std::make_shared<ReceiptBook>();
  std::atomic<int> refused{0};
  std::uint64_t put = 0;
  Status full;
  for (; put < 1000; ++put) {
    const Batch batch =
        numbered(rig.pool, put, 1, 50'000).with_receipt(Receipt::make(book, put, 1));
    auto room = rig.channel->reserve(batch, Deadline::in(milliseconds(200)), {});
    full = room.status();
    if (!full.ok()) break;
    Commit commit(rig.channel->committer());
    commit.put(*std::move(room));
    std::move(commit).submit([&](const Status& status) { refused += status.ok() ? 1000 : 1; });
  }
  CHECK(full.code() == Code::Retry);
  CHECK(full.message().find("brokers do not acknowledge") != std::string::npos);
  CHECK(put > 2);
  CHECK(put < 40);
  rig.abandon.request_stop();
  REQUIRE(eventually([&] { return refused == static_cast<int>(put); }));
  for (std::uint64_t i = 0; i < put; ++i) CHECK(book->not_delivered(i));
}

TEST_CASE("kafka channel: the group hears of what sinks have committed, no more") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  {
    Rig rig(mock);
    rig.put(numbers(0, 30));
    Taken first = rig.take(10);
    Taken second = rig.take(10);
    REQUIRE(bodies_of(second.batch()) == numbers(10, 10));
    // What comes later counts only when what was before it has arrived.
    rig.finish(std::move(second));
    first = {};
    Taken again = rig.take(10);
    REQUIRE(bodies_of(again.batch()) == numbers(0, 10));
    Taken front = again.split_front(5);
    rig.finish(std::move(front));
  }
  // Of the batch that arrived in part, and in the middle, what comes before the rest is told.
  CHECK(mock.committed("flume", "t", 0).offset == 5);
  Rig rig(mock);
  const auto rest =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, mock.committed("flume", "t", 0).offset));
  CHECK(rig.read(30 - rest) == numbers(rest, 30 - rest));
  CHECK(is_told(mock, 30));
}

TEST_CASE("kafka channel: what comes back is taken first, oldest first") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  Rig rig(mock);
  rig.put(numbers(0, 40));
  Taken first = rig.take(10);
  Taken second = rig.take(10);
  second = {};
  first = {};
  CHECK(rig.read(40) == numbers(0, 40));
}

TEST_CASE(
    "kafka channel: a long reader reads on beyond what is fetched ahead, and commits at once") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce_numbers("t", 0, 0, 300);
  Rig rig(mock, {{"fetchedAhead", "50"}, {"parseAsFlumeEvent", "false"}});
  Taken batch;
  Lines read;
  while (read.size() < 300) {
    Taken taken = rig.take(20);
    REQUIRE_FALSE(taken.empty());
    for (const std::string& body : bodies_of(taken.batch())) read.push_back(body);
    taken.let_go();
    batch.append(std::move(taken));
  }
  CHECK(read == numbers(0, 300));
  CHECK(rig.channel->account().used_bytes() == 0);
  CHECK(mock.committed("flume", "t", 0).offset <= 0);
  rig.finish(std::move(batch));
  CHECK(is_told(mock, 300));
}

TEST_CASE("kafka channel: what was let go and is rolled back is read again from the topic") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  Rig rig(mock);
  rig.put(numbers(0, 10));
  CHECK(rig.read(10) == numbers(0, 10));
  REQUIRE(is_told(mock, 10));
  rig.put(numbers(10, 30));
  Taken batch;
  for (int i = 0; i < 2; ++i) {
    Taken taken = rig.take(10);
    REQUIRE(taken.batch().size() == 10);
    taken.let_go();
    batch.append(std::move(taken));
  }
  batch = {};
  CHECK(rig.read(30) == numbers(10, 30));
  CHECK(is_told(mock, 40));
  CHECK(rig.channel->health().ok());
}

TEST_CASE("kafka channel: once it is closed it is drained when all of the topic is out") {
  KafkaMock mock;
  mock.create_topic("t", 2);
  Rig rig(mock);
  rig.put(numbers(0, 500));
  CHECK(rig.read(1).size() == 1);
  rig.put(numbers(500, 500));
  rig.channel->close();
  CHECK(rig.channel->reserve(numbered(rig.pool, 0, 1), Deadline::never(), {}).status().code() ==
        Code::Closed);
  CHECK_FALSE(rig.channel->drained());
  CHECK(rig.read(999).size() == 999);
  CHECK(eventually([&] { return rig.channel->drained(); }));
  CHECK(rig.take(1).empty());
}

TEST_CASE("kafka channel: without a sink nothing is read, without a source all of it is") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  {
    Rig rig(mock);
    rig.put(numbers(0, 20));
    CHECK(rig.channel->size_events() == 0);
  }
  CHECK(mock.committed("flume", "t", 0).offset < 0);
  Rig rig(mock);
  CHECK(rig.read(20) == numbers(0, 20));
  CHECK(is_told(mock, 20));
}

TEST_CASE("kafka channel: with cooperative assignment no batch holds two partitions") {
  KafkaMock mock;
  mock.create_topic("t", 2);
  for (std::uint64_t i = 0; i < 20; ++i) {
    mock.produce_numbers("t", static_cast<std::int32_t>(i % 2), 10 * i, 10);
  }
  Rig rig(mock, {{"parseAsFlumeEvent", "false"},
                 {"kafka.consumer.partition.assignment.strategy", "cooperative-sticky"}});
  std::uint64_t events = 0;
  while (events < 200) {
    Taken taken = rig.take(1000);
    REQUIRE_FALSE(taken.empty());
    events += taken.batch().size();
    for (const Taken::Piece& piece : taken.pieces()) {
      CHECK(piece.batch.provenance().covered().size() == 1);
    }
    rig.finish(std::move(taken));
  }
  CHECK(events == 200);
}

TEST_CASE("kafka channel: a record that is no event costs only itself") {
  const CapturedLog log;
  KafkaMock mock;
  mock.create_topic("t", 1);
  mock.produce("t", 0, {{.value = "\xff\xff no event"}, {.value = avro_event({"one", {}})}});
  Rig rig(mock);
  CHECK(rig.read(1) == Lines{"one"});
  CHECK(is_told(mock, 2));
  CHECK(rig.channel->counters().undecodable.get() == 1);
  CHECK(log.text().find("channel c1: the record at offset 0 of t-0 is no Flume event") !=
        std::string::npos);
}

TEST_CASE("kafka channel: what is fetched ahead is bounded, and sinks that rest keep their place") {
  KafkaMock mock;
  mock.create_topic("t", 1);
  Rig rig(mock, {{"fetchedAhead", "50"},
                 {"parseAsFlumeEvent", "false"},
                 {"kafka.consumer.max.poll.interval.ms", "4000"}});
  mock.produce_numbers("t", 0, 0, 2000);
  CHECK(rig.read(10) == numbers(0, 10));
  const Deadline end = Deadline::in(milliseconds(5500));
  REQUIRE(eventually([&] { return end.passed(); }));
  CHECK(rig.channel->size_events() <= 50);
  CHECK(rig.read(1990) == numbers(10, 1990));
}

}  // namespace
}  // namespace sluice

// test: no-tsan
// (librdkafka's threads are those of C11, of which TSan knows nothing)

#include "core/topics/events.h"

#include "tests/catch.h"
#include "tests/support/avro_peer.h"
#include "tests/support/batches.h"

namespace sluice {
namespace {

constexpr OriginId first_log{1, 1};
constexpr OriginId second_log{2, 2};

/// Events of records that no broker has sent.
struct Bench final : KafkaPartitionOwner {
  explicit Bench(KafkaEvents::Options options = {})
      : events(std::move(options), pool, window, clock) {
    const KafkaProperty properties[] = {{"bootstrap.servers", "127.0.0.1:1"}, {"group.id", "g"}};
    auto made = KafkaConsumer::make(
        {"source r1", kafka_client_settings(KafkaRole::Consumer, properties), false}, *this);
    REQUIRE(made.ok());
    consumer = *std::move(made);
    first.log = first_log;
    second.log = second_log;
    second.number = 1;
  }
  Status assigned(std::vector<Assigned>& /*partitions*/) override { return {}; }
  void revoked(std::span<const std::uint32_t> /*lanes*/, bool /*lost*/) override {}

  KafkaEvents::Added add(KafkaLane& lane, std::int64_t offset, std::string_view value) {
    KafkaFetched record;
    record.lane = lane.number;
    record.offset = offset;
    record.value = value;
    return events.add(record, *consumer, lane);
  }

  ManualClock clock;
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  MemoryAccount window{"window", 1 << 20};
  std::unique_ptr<KafkaConsumer> consumer;
  KafkaEvents events;
  KafkaLane first{.number = 0, .partition = {"t", 0}, .log = {}, .next = 10, .note_key = "a"};
  KafkaLane second{.number = 1, .partition = {"t", 1}, .log = {}, .next = 0, .note_key = "b"};
};

std::vector<std::string> origins_of(const KafkaBatch& batch) {
  const Provenance origins = batch.provenance();
  std::vector<std::string> all;
  for (std::uint32_t i = 0; i < origins.size(); ++i) {
    all.push_back(std::to_string(origins.origin(i).id.low) + ":" +
                  std::to_string(origins.origin(i).sequence));
  }
  return all;
}

TEST_CASE("an event's origin is its record's offset, and gaps of a log are answered for") {
  Bench b;
  b.add(b.first, 10, "a");
  b.add(b.first, 11, "b");
  b.add(b.second, 5, "c");
  b.add(b.first, 14, "d");
  b.add(b.first, 15, "e");
  const KafkaBatch batch = b.events.seal();
  CHECK(bodies_of(batch.events) == std::vector<std::string>{"a", "b", "c", "d", "e"});
  CHECK(origins_of(batch) == std::vector<std::string>{"1:10", "1:11", "2:5", "1:14", "1:15"});
  CHECK(batch.marks() == std::vector<KafkaMark>{{0, 16}, {1, 6}});
  CHECK(batch.provenance().covered() ==
        std::vector<OriginRange>{{first_log, 10, 12}, {second_log, 0, 6}, {first_log, 12, 16}});
  CHECK(Provenance::decode(batch.provenance().encode()).ok());
  CHECK(b.events.empty());

  // The next one begins where this one ended.
  b.add(b.first, 20, "f");
  CHECK(b.events.seal().provenance().covered() == std::vector<OriginRange>{{first_log, 16, 21}});
}

TEST_CASE("a record that is no event moves the place on, whatever stands around it") {
  Bench b({.flume_events = true});
  const std::string good = avro_event({"good", {}});
  CHECK(b.add(b.first, 10, "bad") == KafkaEvents::Added::Nothing);
  CHECK_FALSE(b.events.problem().empty());
  CHECK(b.add(b.first, 11, good) == KafkaEvents::Added::Event);
  CHECK(b.add(b.first, 12, "") == KafkaEvents::Added::Nothing);
  CHECK(b.add(b.first, 13, good) == KafkaEvents::Added::Event);
  CHECK(b.add(b.second, 0, "bad") == KafkaEvents::Added::Nothing);
  KafkaBatch batch = b.events.seal();
  const std::uint32_t nobody[] = {7};
  batch.drop(nobody);
  CHECK(origins_of(batch) == std::vector<std::string>{"1:11", "1:13"});
  CHECK(batch.marks() == std::vector<KafkaMark>{{0, 14}, {1, 1}});
  CHECK(Provenance::decode(batch.provenance().encode()).ok());
}

TEST_CASE("what came of partitions that are gone is left out of a batch") {
  Bench b;
  b.add(b.first, 10, "a");
  b.add(b.second, 0, "b");
  b.add(b.second, 1, "c");
  b.add(b.first, 11, "d");
  KafkaBatch batch = b.events.seal();
  const std::uint32_t nobody[] = {7};
  batch.drop(nobody);
  CHECK(batch.events.size() == 4);
  const std::uint32_t gone[] = {1};
  batch.drop(gone);
  CHECK(bodies_of(batch.events) == std::vector<std::string>{"a", "d"});
  CHECK(origins_of(batch) == std::vector<std::string>{"1:10", "1:11"});
  CHECK(batch.marks() == std::vector<KafkaMark>{{0, 12}});
  const std::uint32_t also[] = {0};
  batch.drop(also);
  CHECK(batch.empty());
  CHECK(batch.events.empty());
}

TEST_CASE("a record that is larger than a slab, and one that does not fit into it any more") {
  Bench b;
  const std::string large(200'000, 'x');
  CHECK(b.add(b.first, 10, "small") == KafkaEvents::Added::Event);
  CHECK(b.add(b.first, 11, large) == KafkaEvents::Added::Full);
  CHECK(b.events.seal().marks() == std::vector<KafkaMark>{{0, 11}});
  CHECK(b.add(b.first, 11, large) == KafkaEvents::Added::Event);
  CHECK(bodies_of(b.events.seal().events) == std::vector<std::string>{large});
  CHECK(b.add(b.first, 12, "small") == KafkaEvents::Added::Event);
  b.events.reset();
  CHECK(b.window.used_bytes() == 0);
}

TEST_CASE("a record without a time has that of its arrival") {
  Bench b;
  b.clock.set_wall_ms(1234);
  b.add(b.first, 10, "a");
  const KafkaBatch batch = b.events.seal();
  std::string_view value;
  REQUIRE(batch.events.headers(0).find("timestamp", value));
  CHECK(value == "1234");
}

}  // namespace
}  // namespace sluice

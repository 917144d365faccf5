#include "core/topics/deliveries.h"

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "tests/catch.h"

namespace sluice {
namespace {

using Marks = std::vector<KafkaMark>;

TEST_CASE("a lane moves on over batches that have arrived, in the order in which they were read") {
  KafkaDeliveries deliveries;
  const auto a = deliveries.expect({{1, 10}, {2, 5}});
  const auto b = deliveries.expect({{2, 9}});
  const auto c = deliveries.expect({{1, 20}});
  deliveries.settled(b, true);
  deliveries.settled(c, true);
  CHECK(deliveries.take_advanced().empty());
  deliveries.settled(a, true);
  CHECK(deliveries.take_advanced() == Marks{{1, 20}, {2, 9}});
  CHECK(deliveries.take_advanced().empty());
  CHECK(deliveries.settled_batches() == 3);
}

TEST_CASE("a batch that is stuck holds its own lanes and no others") {
  KafkaDeliveries deliveries;
  const std::uint32_t first[] = {1};
  const std::uint32_t second[] = {2};
  deliveries.expect({{1, 10}});
  const auto b = deliveries.expect({{2, 5}});
  deliveries.settled(b, true);
  CHECK(deliveries.take_advanced() == Marks{{2, 5}});
  CHECK(deliveries.wait_idle(second, Deadline::in(milliseconds(0))));
  CHECK_FALSE(deliveries.wait_idle(first, Deadline::in(milliseconds(0))));
}

TEST_CASE("what did not arrive holds its lane for good, and is not waited for") {
  KafkaDeliveries deliveries;
  const std::uint32_t lanes[] = {1};
  const auto a = deliveries.expect({{1, 10}});
  const auto b = deliveries.expect({{1, 20}});
  deliveries.settled(a, false);
  deliveries.settled(b, true);
  CHECK(deliveries.take_advanced().empty());
  CHECK(deliveries.wait_idle(lanes, Deadline::in(milliseconds(0))));
}

TEST_CASE("what was withdrawn or forgotten says nothing, however late it settles") {
  KafkaDeliveries deliveries;
  const std::uint32_t lanes[] = {1};
  const auto a = deliveries.expect({{1, 10}, {2, 5}});
  const auto b = deliveries.expect({{1, 20}});
  deliveries.withdraw(b);
  deliveries.settled(b, false);
  deliveries.forget(lanes);
  deliveries.settled(a, true);
  CHECK(deliveries.take_advanced() == Marks{{2, 5}});
  CHECK(deliveries.wait_idle(lanes, Deadline::in(milliseconds(0))));
}

TEST_CASE("whatever the order in which batches settle, all lanes end where they should") {
  std::mt19937_64 random(Catch::rngSeed());
  for (int round = 0; round < 50; ++round) {
    KafkaDeliveries deliveries;
    std::map<std::uint32_t, std::int64_t> ends;
    std::map<std::uint32_t, std::int64_t> seen;
    std::vector<std::uint64_t> tokens;
    for (int i = 0; i < 40; ++i) {
      Marks marks;
      for (std::uint32_t lane = 0; lane < 4; ++lane) {
        if (random() % 2 == 0) marks.push_back({lane, ends[lane] += 1 + random() % 9});
      }
      tokens.push_back(deliveries.expect(std::move(marks)));
    }
    std::shuffle(tokens.begin(), tokens.end(), random);
    for (const std::uint64_t token : tokens) {
      deliveries.settled(token, true);
      for (const KafkaMark& mark : deliveries.take_advanced()) {
        CHECK(mark.offset > seen[mark.lane]);
        seen[mark.lane] = mark.offset;
      }
    }
    std::erase_if(ends, [](const auto& lane) { return lane.second == 0; });
    CHECK(seen == ends);
  }
}

}  // namespace
}  // namespace sluice

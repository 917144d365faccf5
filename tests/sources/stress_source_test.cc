#include "tests/catch.h"
#include "tests/support/pipeline.h"

namespace sluice {

extern const SourceType stress_source;

namespace {

using testing::Pipeline;

TEST_CASE("stress: 500 bytes of 0x7F unless size says otherwise") {
  Pipeline defaults(stress_source, {{"maxTotalEvents", "3"}});
  REQUIRE(defaults.start().ok());
  REQUIRE(defaults.wait_finished());
  CHECK(defaults.read_rest() == std::vector<std::string>(3, std::string(500, '\x7F')));
  Pipeline small(stress_source, {{"maxTotalEvents", "2"}, {"size", "7"}});
  REQUIRE(small.start().ok());
  REQUIRE(small.wait_finished());
  CHECK(small.read_rest() == std::vector<std::string>(2, std::string(7, '\x7F')));
}

TEST_CASE("stress: a body larger than a slab passes") {
  Pipeline pipeline(stress_source, {{"maxTotalEvents", "1"}, {"size", "1000000"}});
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.read_rest().at(0).size() == 1'000'000);
}

TEST_CASE("stress: maxSuccessfulEvents counts what the channels took") {
  Pipeline pipeline(stress_source, {{"maxSuccessfulEvents", "1234"}, {"size", "10"}});
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.read_rest().size() == 1234);
}

TEST_CASE("stress: maxTotalEvents counts what they refused too") {
  Pipeline pipeline(
      stress_source, {{"maxTotalEvents", "5000"}, {"maxSuccessfulEvents", "4000"}, {"size", "10"}},
      {.channel = {{.name = "c1", .capacity_events = 100, .keep_alive = milliseconds(0)}},
       .on_full = OnFull::Reject});
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  const std::uint64_t put = pipeline.counters.put.events.get();
  CHECK(put == 100);
  CHECK(put + pipeline.counters.rejected_lines.get() == 5000);
}

TEST_CASE("stress: maxEventsPerSecond holds") {
  Pipeline pipeline(stress_source, {{"maxEventsPerSecond", "2000"}, {"maxTotalEvents", "600"}});
  const auto before = std::chrono::steady_clock::now();
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  const auto taken = std::chrono::steady_clock::now() - before;
  CHECK(taken >= std::chrono::milliseconds(290));
  CHECK(pipeline.read_rest().size() == 600);
}

TEST_CASE("stress: a stop ends it") {
  Pipeline pipeline(stress_source, {});
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.read(10'000).size() == 10'000);
  pipeline.stop();
  CHECK(pipeline.result.ok());
}

}  // namespace
}  // namespace sluice

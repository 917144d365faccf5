#include "tests/catch.h"
#include "tests/support/pipeline.h"

namespace sluice {

extern const SourceType seq_source;

namespace {

using testing::Pipeline;

TEST_CASE("seq: bodies count from 0 and totalEvents ends it") {
  Pipeline pipeline(seq_source, {{"totalEvents", "2500"}});
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.result.ok());
  const auto bodies = pipeline.read_rest();
  REQUIRE(bodies.size() == 2500);
  for (std::size_t i = 0; i < bodies.size(); ++i) REQUIRE(bodies[i] == std::to_string(i));
}

TEST_CASE("seq: totalEvents = 0 makes nothing") {
  Pipeline pipeline(seq_source, {{"totalEvents", "0"}});
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.read_rest().empty());
}

TEST_CASE("seq: without totalEvents it goes on until the stop, at the channel's pace") {
  Pipeline pipeline(seq_source, {}, {.channel = {{.name = "c1", .capacity_events = 10}}});
  REQUIRE(pipeline.start().ok());
  const auto bodies = pipeline.read(5000);
  REQUIRE(bodies.size() == 5000);
  CHECK(bodies.back() == "4999");
  CHECK_FALSE(pipeline.finished);
  pipeline.stop();
  CHECK(pipeline.result.ok());
}

}  // namespace
}  // namespace sluice

// The sink that throws away.

#include "sinks/catalog.h"
#include "tests/catch.h"
#include "tests/support/sink_rig.h"

namespace sluice {
namespace {

TEST_CASE("the null sink takes everything and counts it") {
  const SinkType* const type = find_type(sink_types(), "null");
  SinkRig rig(*type, test_settings(*type->info, "sink k1", {{"batchSize", "10"}}));
  rig.start();
  rig.put_numbers(0, 1000);
  rig.drain();
  CHECK(rig.outcome().ok());
  CHECK(rig.counters().delivered.events.get() == 1000);
  CHECK(rig.channel().counters().committed.events.get() == 1000);
  CHECK(rig.channel().account().used_bytes() == 0);
}

}  // namespace
}  // namespace sluice

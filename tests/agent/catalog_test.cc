// The tables of the components that are built, judged as a file of Flume's would be.

#include <optional>
#include <string>

#include "agent/agent.h"
#include "core/config/tree.h"
#include "tests/catch.h"

namespace sluice {
namespace {

/// netcat -> memory -> a sink with these lines.
Plan plan_of(const std::string& sink, const std::string& source = {}) {
  SubstitutionSources sources;
  sources.environment = [](const std::string&) { return std::optional<std::string>(); };
  std::vector<SourceText> texts;
  texts.emplace_back(
      "a1.conf",
      "a1.sources = r1\na1.channels = c1\na1.sinks = k1\na1.channels.c1.type = memory\n"
      "a1.sources.r1.type = netcat\na1.sources.r1.bind = ::\na1.sources.r1.port = 0\n"
      "a1.sources.r1.channels = c1\na1.sinks.k1.channel = c1\n" +
          sink + source);
  return make_plan(load_texts(std::move(texts), sources).tree, "a1", built_catalog());
}

TEST_CASE("values that Flume forgives cost no component") {
  for (const char* bytes : {"0", "-1", "many"}) {
    const Plan plan =
        plan_of("a1.sinks.k1.type = logger\na1.sinks.k1.maxBytesToLog = " + std::string(bytes),
                "\na1.sources.r1.ack-every-event = no\n");
    REQUIRE(plan.verdict == Verdict::Runs);
    CHECK(plan.sinks.at(0).settings.integer("maxBytesToLog") == 16);
    CHECK_FALSE(plan.sources.at(0).settings.boolean("ack-every-event"));
    CHECK(plan.diagnostics.size() == 2);
  }
}

TEST_CASE("Flume's avro serializers of file_roll are not built yet, rather than unknown") {
  for (const char* name :
       {"avro_event", "org.apache.flume.serialization.FlumeEventAvroEventSerializer$Builder",
        "org.apache.flume.sink.hdfs.AvroEventSerializer$Builder"}) {
    const Plan plan = plan_of(
        "a1.sinks.k1.type = file_roll\na1.sinks.k1.sink.directory = /tmp\n"
        "a1.sinks.k1.sink.serializer = " +
        std::string(name) + "\n");
    REQUIRE(plan.left_out.size() == 1);
    CHECK(plan.left_out[0].not_built);
  }
}

}  // namespace
}  // namespace sluice

// The tables of the components that are built, judged as a file of Flume's would be.

#include <optional>
#include <string>
#include <tuple>

#include "agent/agent.h"
#include "core/config/tree.h"
#include "tests/catch.h"

namespace sluice {
namespace {

/// netcat -> a channel (memory unless the lines say its type) -> a sink, with these lines.
Plan plan_of(const std::string& sink, const std::string& source = {}) {
  const bool memory = source.find("a1.channels.c1.type") == std::string::npos;
  SubstitutionSources sources;
  sources.environment = [](const std::string&) { return std::optional<std::string>(); };
  std::vector<SourceText> texts;
  texts.emplace_back(
      "a1.conf",
      "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n"
      "a1.sources.r1.type = netcat\na1.sources.r1.bind = ::\na1.sources.r1.port = 0\n"
      "a1.sources.r1.channels = c1\na1.sinks.k1.channel = c1\n" +
          sink + source + (memory ? "\na1.channels.c1.type = memory\n" : ""));
  return make_plan(load_texts(std::move(texts), sources).tree, "a1", built_catalog());
}

/// What check warns of.
std::string words_of(const Plan& plan) {
  std::string words;
  for (const Diagnostic& each : plan.diagnostics) {
    if (each.severity > Severity::Note) words += each.message + "\n";
  }
  return words;
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

TEST_CASE("a file channel's capacities that are none fall back, and it keeps a mebibyte free") {
  const std::string type = GENERATE("file", "SPILLABLEMEMORY");
  CAPTURE(type);
  for (const char* const bad : {"-5", "0", "many"}) {
    CAPTURE(bad);
    const Plan plan =
        plan_of("a1.sinks.k1.type = null\n",
                "a1.channels.c1.type = " + type + "\na1.channels.c1.capacity = " + bad +
                    "\na1.channels.c1.transactionCapacity = " + bad + "\n");
    REQUIRE(plan.verdict == Verdict::Runs);
    const Settings& settings = plan.channels.at(0).settings;
    CHECK(settings.integer("capacity") == 1'000'000);
    CHECK(settings.integer("transactionCapacity") == 10'000);
    CHECK(words_of(plan).find("capacity of channel c1") != std::string::npos);
    CHECK(words_of(plan).find("; the default is used, as Flume does") != std::string::npos);
  }
  for (const auto& [space, bytes, words] :
       {std::tuple("1000", 1000U, "minimumRequiredSpace of channel c1: it is raised to 1 MiB"),
        std::tuple("1048576", 1U << 20U, ""),
        std::tuple("-1", 524'288'000U, "minimumRequiredSpace of channel c1: '-1' is not a size")}) {
    CAPTURE(space);
    const Plan plan = plan_of("a1.sinks.k1.type = null\n",
                              "a1.channels.c1.type = " + type +
                                  "\na1.channels.c1.minimumRequiredSpace = " + space + "\n");
    REQUIRE(plan.verdict == Verdict::Runs);
    CHECK(plan.channels.at(0).settings.bytes("minimumRequiredSpace") == bytes);
    CHECK(words_of(plan).find(words) == 0);
    CHECK(words_of(plan).empty() == std::string(words).empty());
  }
}

TEST_CASE("a spillable channel's own capacities that are none fall back") {
  const Plan plan = plan_of("a1.sinks.k1.type = null\n",
                            "a1.channels.c1.type = SPILLABLEMEMORY\n"
                            "a1.channels.c1.memoryCapacity = -1\n"
                            "a1.channels.c1.overflowCapacity = many\n");
  REQUIRE(plan.verdict == Verdict::Runs);
  CHECK(plan.channels.at(0).settings.integer("memoryCapacity") == 10'000);
  CHECK(plan.channels.at(0).settings.integer("overflowCapacity") == 100'000'000);
}

TEST_CASE("spooldir's old name of the longest line still counts") {
  const std::string spooldir =
      "\na1.sources = s1\na1.sources.s1.type = spooldir\na1.sources.s1.spoolDir = /tmp\n"
      "a1.sources.s1.channels = c1\na1.sources.s1.bufferMaxLineLength = 77\n";
  const Plan plan = plan_of("a1.sinks.k1.type = null\n", spooldir);
  CHECK(plan.sources.at(0).settings.bytes("deserializer.maxLineLength") == 77);
  CHECK(words_of(plan).find("'bufferMaxLineLength' is the old name of") != std::string::npos);
  const Plan both = plan_of("a1.sinks.k1.type = null\n",
                            spooldir + "a1.sources.s1.deserializer.maxLineLength = 99\n");
  CHECK(both.sources.at(0).settings.bytes("deserializer.maxLineLength") == 99);
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

TEST_CASE("a channel that is a topic may have one end here and the other elsewhere") {
  const auto words_about = [](const std::string& listed) {
    SubstitutionSources sources;
    sources.environment = [](const std::string&) { return std::optional<std::string>(); };
    std::vector<SourceText> texts;
    texts.emplace_back("a1.conf", listed +
                                      "a1.channels = c1\na1.channels.c1.type = "
                                      "org.apache.flume.channel.kafka.KafkaChannel\n"
                                      "a1.channels.c1.kafka.bootstrap.servers = localhost:9092\n");
    const Plan plan = make_plan(load_texts(std::move(texts), sources).tree, "a1", built_catalog());
    CHECK(plan.verdict == Verdict::Runs);
    return words_of(plan);
  };
  CHECK(words_about("a1.sources = r1\na1.sources.r1.type = seq\na1.sources.r1.channels = c1\n") ==
        "");
  CHECK(words_about("a1.sinks = k1\na1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n") == "");
}

TEST_CASE("a sink that delivers exactly once needs a channel on disk for itself") {
  const std::string kafka =
      "a1.sinks.k1.type = kafka\na1.sinks.k1.kafka.bootstrap.servers = localhost:9092\n"
      "a1.sinks.k1.delivery = exactly-once\n";
  const auto because = [](const Plan& plan) {
    return plan.left_out.empty() ? std::string() : plan.left_out.at(0).because;
  };
  CHECK(because(plan_of(kafka)).find("needs a channel on disk, and c1 is not") !=
        std::string::npos);
  const std::string on_disk = "a1.channels.c1.type = rocksdb\n";
  const Plan good = plan_of(kafka, on_disk);
  CHECK(good.left_out.empty());
  CHECK(good.sinks.size() == 1);
  const Plan shared = plan_of(
      kafka, on_disk + "a1.sinks = k1 k2\na1.sinks.k2.type = null\na1.sinks.k2.channel = c1\n");
  CHECK(because(shared).find("needs channel c1 for itself") != std::string::npos);
  REQUIRE(shared.sinks.size() == 1);
  CHECK(shared.sinks[0].settings.name() == "k2");
  for (const char* wrong : {"a1.sinks.k1.kafka.topic = %{host}\n", "a1.sinks.k1.requiredAcks = 1\n",
                            "a1.sinks.k1.positionTopic = a b\n"}) {
    CHECK(plan_of(kafka + wrong, on_disk).sinks.empty());
  }
  CHECK(
      plan_of(kafka + "a1.sinks.k1.kafka.topic = %{host}\na1.sinks.k1.positionTopic = p\n", on_disk)
          .left_out.empty());
}

}  // namespace
}  // namespace sluice

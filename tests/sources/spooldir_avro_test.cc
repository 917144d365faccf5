#include <filesystem>

#include "tests/catch.h"
#include "tests/support/avro_files.h"
#include "tests/support/captured_log.h"
#include "tests/support/compressed.h"
#include "tests/support/pipeline.h"
#include "tests/support/source_rig.h"
#include "tests/support/spool.h"

namespace sluice {

extern const SourceType spooldir_source;

namespace {

namespace fs = std::filesystem;
using testing::avro_block;
using testing::avro_file;
using testing::avro_header;
using testing::avro_text;
using testing::CapturedLog;
using testing::Pipeline;
using testing::Spool;
using Lines = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

const std::string text_schema = R"("string")";

Values avro_settings(const Spool& spool, Values more = {}) {
  more.insert({{"deserializer", "AVRO"}});
  return spool.settings(std::move(more));
}

TEST_CASE("spooldir avro: each record is an event, with the hash of its schema") {
  const Spool spool;
  spool.put("a", testing::java_tree_file("snappy"), 60);
  spool.put("b", avro_file(text_schema, "null", {{avro_text("one")}}));
  Pipeline pipeline(spooldir_source, avro_settings(spool, {{"basenameHeader", "true"}}));
  REQUIRE(pipeline.start().ok());
  Lines bodies;
  std::vector<TestHeaders> headers;
  pipeline.take(6, [&](const Event& event) {
    bodies.emplace_back(event.body);
    headers.push_back(headers_of(event));
  });
  Lines expected = testing::java_tree_bodies();
  expected.push_back(avro_text("one"));
  CHECK(bodies == expected);
  CHECK(headers.front() ==
        TestHeaders{{"basename", "a"}, {"flume.avro.schema.hash", testing::java_tree_hash}});
  // -8142146995180207161, low byte first.
  CHECK(headers.back() ==
        TestHeaders{{"basename", "b"}, {"flume.avro.schema.hash", "c70345637248018f"}});
  CHECK(spool.wait_for_file("b.COMPLETED"));
}

TEST_CASE("spooldir avro: Flume's class name, the literal schema, compressed files") {
  const Spool spool;
  spool.put("a.gz", testing::gzip(testing::java_tree_file("deflate")));
  Pipeline pipeline(
      spooldir_source,
      avro_settings(
          spool, {{"deserializer", "org.apache.flume.serialization.AvroEventDeserializer$Builder"},
                  {"deserializer.schemaType", "LITERAL"}}));
  REQUIRE(pipeline.start().ok());
  TestHeaders headers;
  Lines bodies;
  pipeline.take(5, [&](const Event& event) {
    bodies.emplace_back(event.body);
    headers = headers_of(event);
  });
  CHECK(bodies == testing::java_tree_bodies());
  CHECK(headers == TestHeaders{{"flume.avro.schema.literal", testing::java_tree_literal}});
}

TEST_CASE("spooldir avro: records larger than a slab, and many small ones, end where they end") {
  const Spool spool;
  std::vector<Lines> blocks;
  Lines all;
  for (int i = 0; i < 40; ++i) {
    blocks.emplace_back();
    for (int k = 0; k < 2000; ++k) {
      blocks.back().push_back(avro_text(std::string(static_cast<std::size_t>(k % 40), '\n')));
    }
    if (i % 10 == 0) blocks.back().push_back(avro_text(std::string(2'000'000, 'x')));
    all.insert(all.end(), blocks.back().begin(), blocks.back().end());
  }
  spool.put("a", avro_file(text_schema, "zstandard", blocks));
  Pipeline pipeline(spooldir_source, avro_settings(spool));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(all.size()) == all);
  CHECK(spool.wait_for_file("a.COMPLETED"));
}

TEST_CASE("spooldir avro: the byte behind a file's last record outlives the next file") {
  const Spool spool;
  // Long enough that a channel keeps them where they were read.
  const std::string record = avro_text(std::string(150'000, 'x'));
  spool.put("a", avro_file(text_schema, "null", {{record, record}}), 60);
  spool.put("b", avro_file(text_schema, "null", {{avro_text("end")}}));
  Pipeline pipeline(spooldir_source, avro_settings(spool));
  REQUIRE(pipeline.start().ok());
  REQUIRE(testing::wait_for([&] { return pipeline.channel.counters().stored.events.get() == 3; }));
  std::string behind;
  pipeline.take(3, [&](const Event& event) { behind += event.body.data()[event.body.size()]; });
  CHECK(behind.substr(1) == "\n\n");
}

TEST_CASE("spooldir avro: a damaged block costs itself, the file is set aside, the rest goes on") {
  const CapturedLog log;
  const Spool spool;
  std::string damaged = avro_block("snappy", {avro_text("lost")});
  damaged[3] = static_cast<char>(damaged[3] ^ 1);
  spool.put("bad",
            avro_header(text_schema, "snappy") + avro_block("snappy", {avro_text("one")}) +
                damaged + avro_block("snappy", {avro_text("two"), avro_text("three")}),
            60);
  spool.put("text", "no Avro\n", 50);
  spool.put("good", avro_file(text_schema, "null", {{avro_text("end")}}));
  {
    Pipeline pipeline(spooldir_source, avro_settings(spool));
    REQUIRE(pipeline.start().ok());
    CHECK(pipeline.read(4) ==
          Lines{avro_text("one"), avro_text("two"), avro_text("three"), avro_text("end")});
    CHECK(spool.wait_for_file("good.COMPLETED"));
    CHECK(pipeline.counters.read_failures.get() == 2);
  }
  CHECK(log.has("bad is set aside until the next start: damaged blocks of it were left out: 1"));
  CHECK(log.has("text is set aside until the next start: it does not begin like an Avro"));
  CHECK(fs::exists(spool.path("bad")));
  CHECK(fs::exists(spool.path("text")));
  // The next start repeats nothing of it.
  spool.put("more", avro_file(text_schema, "null", {{avro_text("end")}}));
  Pipeline again(spooldir_source, avro_settings(spool));
  REQUIRE(again.start().ok());
  CHECK(again.read(1) == Lines{avro_text("end")});
}

TEST_CASE("spooldir avro: after a larger bound was set the file goes on at the long block") {
  const CapturedLog log;
  const Spool spool;
  const std::string large = avro_text(std::string(5000, 'x'));
  spool.put("a", avro_file(text_schema, "deflate", {{avro_text("one")}, {large}, {large}}));
  {
    Pipeline pipeline(spooldir_source,
                      avro_settings(spool, {{"deserializer.maxBlockLength", "1000"}}));
    REQUIRE(pipeline.start().ok());
    CHECK(pipeline.read(1) == Lines{avro_text("one")});
    CHECK(log.wait_for_text("is longer than 1000 bytes (deserializer.maxBlockLength)"));
  }
  Pipeline again(spooldir_source, avro_settings(spool));
  REQUIRE(again.start().ok());
  CHECK(again.read(2) == Lines{large, large});
  CHECK(spool.wait_for_file("a.COMPLETED"));
}

TEST_CASE("spooldir avro: behind a store each record is there exactly once, over restarts") {
  const Spool spool;
  LateCommitter store({.seed = Catch::rngSeed() + 7, .refusals = 0.1});
  Lines written;
  for (int file = 0; file < 4; ++file) {
    std::vector<Lines> blocks;
    for (int i = 0; i < 30; ++i) {
      blocks.emplace_back();
      for (int k = 0; k < 50 + i; ++k) {
        blocks.back().push_back(avro_text(std::to_string(file * 10'000 + i * 100 + k)));
      }
      written.insert(written.end(), blocks.back().begin(), blocks.back().end());
    }
    const char* const codec = file % 2 == 0 ? "null" : "snappy";
    spool.put("f" + std::to_string(file), avro_file(text_schema, codec, blocks), 60 - file);
  }
  const auto settings =
      test_settings(*spooldir_source.info, "source r1",
                    {{"spoolDir", spool.path("")}, {"pollDelay", "10"}, {"deserializer", "avro"}});
  Lines arrived;
  for (int starts = 0; arrived.size() < written.size() && starts < 200; ++starts) {
    SourceRig::Options options;
    options.channel.capacity_events = 70;
    SourceRig rig(spooldir_source, settings, std::move(options), &store);
    REQUIRE(rig.open().ok());
    rig.start();
    const std::size_t some = std::min<std::size_t>(333, written.size() - arrived.size());
    for (auto& body : rig.take(some)) arrived.push_back(std::move(body));
    rig.stop();
    for (auto& body : rig.take(rig.channel().size_events())) arrived.push_back(std::move(body));
  }
  CHECK(arrived == written);
}

TEST_CASE("spooldir avro: records are no lines, so lines are not joined") {
  const Spool spool;
  Pipeline pipeline(spooldir_source, avro_settings(spool, {{"multiline.startPattern", "^S"}}));
  CHECK(pipeline.start().code() == Code::Invalid);
}

}  // namespace
}  // namespace sluice

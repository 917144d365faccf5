// Avro container files of the hdfs sink: what is in them, which events share one, and that each
// event is in one of them once.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/wire/hadoop_codec.h"
#include "sinks/avro_schemas.h"
#include "sinks/avro_spool.h"
#include "sinks/spool_records.h"
#include "tests/catch.h"
#include "tests/support/avro_containers.h"
#include "tests/support/avro_files.h"
#include "tests/support/hdfs_model.h"
#include "tests/support/seeds.h"

namespace sluice {
namespace {

using namespace testing;

const std::string name = "/out/FlumeData.1700000000001";
const std::string datum_serializer = "org.apache.flume.sink.hdfs.AvroEventSerializer$Builder";

std::string put(FakeFileSystem& files, const std::string& path, std::string text) {
  auto file = files.create(path, true);
  REQUIRE(file.ok());
  REQUIRE((*file)->truncate(0).ok());
  const iovec piece{text.data(), text.size()};
  REQUIRE((*file)->append({&piece, 1}).ok());
  return path;
}

/// What stands behind the map of a record of avro_event, without its length.
std::string body_of(std::string_view datum) {
  std::int64_t entries = 0;
  REQUIRE(take_avro_long(datum, entries) == AvroSchema::Extent::Whole);
  const auto take_text = [&datum] {
    std::int64_t bytes = 0;
    REQUIRE(take_avro_long(datum, bytes) == AvroSchema::Extent::Whole);
    const std::string text(datum.substr(0, static_cast<std::size_t>(bytes)));
    datum.remove_prefix(text.size());
    return text;
  };
  for (std::int64_t i = 0; i < 2 * entries; ++i) take_text();
  if (entries > 0) REQUIRE(take_avro_long(datum, entries) == AvroSchema::Extent::Whole);
  REQUIRE(entries == 0);
  return take_text();
}

std::vector<std::string> bodies_of(const std::string& content) {
  std::vector<std::string> bodies;
  for (const std::string& datum : read_avro_file(content).datums) bodies.push_back(body_of(datum));
  return bodies;
}

std::vector<std::string> texts_of(const std::string& content) {
  std::vector<std::string> texts;
  for (const std::string& datum : read_avro_file(content).datums) {
    std::string_view rest = datum;
    std::int64_t bytes = 0;
    REQUIRE(take_avro_long(rest, bytes) == AvroSchema::Extent::Whole);
    texts.emplace_back(rest);
  }
  return texts;
}

const std::string event_schema =
    R"({"type":"record","name":"Event","fields":[{"name":"headers","type":{"type":"map",)"
    R"("values":"string"}},{"name":"body","type":"bytes"}]})";

/// As it would be with the sync marker of the tests.
std::string with_known_sync(std::string content) {
  const std::string sync = read_avro_file(content).sync;
  for (auto at = content.find(sync); at != content.npos; at = content.find(sync, at)) {
    content.replace(at, sync.size(), avro_sync);
  }
  return content;
}

TEST_CASE("avro_event writes headers and body of each event, byte for byte") {
  for (const char* serializer :
       {"avro_event", "AVRO_EVENT",
        "org.apache.flume.serialization.FlumeEventAvroEventSerializer$Builder"}) {
    Driven it({{"serializer", serializer}});
    REQUIRE(it.deliver({"ab", ""}, {{"k", "v"}}).status.ok());
    CHECK(it.file(name + ".tmp").empty());  // it shows its name, its events are in the spool
    REQUIRE(it.deliver({"c"}).status.ok());
    it.sink().close();
    CHECK(it.names() == std::vector<std::string>{name});
    CHECK(with_known_sync(it.file(name)) ==
          avro_file(event_schema, "null",
                    {{unhex("02026b0276000461") + "b", unhex("02026b02760000"), unhex("000263")}}));
  }
}

TEST_CASE("each Avro file has a sync marker of its own") {
  Driven it({{"serializer", "avro_event"}, {"hdfs.rollCount", "1"}});
  REQUIRE(it.deliver({"a", "b", "c", "d"}).status.ok());
  it.sink().close();
  std::set<std::string> markers;
  for (const auto& [path, content] : it.files.files()) markers.insert(read_avro_file(content).sync);
  CHECK(markers.size() == 4);
}

TEST_CASE("the blocks of an Avro file do not depend on the batches, and have every codec") {
  for (const char* codec : {"null", "deflate", "snappy", "zstandard"}) {
    Driven it({{"serializer", "avro_event"},
               {"serializer.syncIntervalBytes", "120"},
               {"serializer.compressionCodec", codec}});
    std::vector<std::string> sent;
    for (int i = 0; i < 25; ++i) {
      sent.push_back("event number " + std::to_string(1000 + i));  // 19 bytes as a record
      REQUIRE(it.deliver({sent.back()}).status.ok());
    }
    it.sink().close();
    const AvroContent content = read_avro_file(it.file(name));
    CHECK(content.codec == codec);
    CHECK(content.blocks == std::vector<std::uint64_t>{7, 7, 7, 4});
    CHECK(bodies_of(it.file(name)) == sent);
  }
}

TEST_CASE("an Avro file may be a stream of a codec") {
  Driven it({{"serializer", "avro_event"},
             {"serializer.syncIntervalBytes", "64"},
             {"hdfs.fileType", "CompressedStream"},
             {"hdfs.codeC", "gzip"}});
  std::vector<std::string> sent;
  for (int i = 0; i < 100; ++i) {
    sent.push_back("event number " + std::to_string(i));
    REQUIRE(it.deliver({sent.back()}).status.ok());
  }
  it.sink().close();
  std::string out;
  CHECK(HadoopDecompressor::make(HadoopCodec::Gzip)
            ->decompress(it.file(name + ".gz"), 1 << 24, out)
            .ok());
  CHECK(bodies_of(out) == sent);
}

TEST_CASE("a spool of Avro records longer than what is read at once") {
  Driven it({{"serializer", "avro_event"}});
  std::vector<std::string> sent;
  for (int i = 0; i < 9; ++i) {
    sent.push_back(std::string(300'000, 'x') + std::to_string(i));
    REQUIRE(it.deliver({sent.back()}).status.ok());
  }
  it.sink().close();
  CHECK((bodies_of(it.file(name)) == sent));
  CHECK(read_avro_file(it.file(name)).blocks == std::vector<std::uint64_t>{7, 2});
}

TEST_CASE("bodies that are Avro records are written as they are, under the schema they name") {
  Driven it({{"serializer", datum_serializer}});
  const TestHeaders with_url{{"flume.avro.schema.url", "file:///schemas/text"},
                             {"flume.avro.schema.literal", "not looked at"}};
  put(it.files, "/schemas/text", " \"string\"\n");
  REQUIRE(it.deliver({avro_text("one"), avro_text("")}, with_url).rejected.empty());
  REQUIRE(it.deliver({avro_text("two")}, {{"flume.avro.schema.literal", R"( "string" )"}})
              .rejected.empty());
  it.sink().close();
  CHECK(with_known_sync(it.file(name)) ==
        avro_file(R"("string")", "null", {{avro_text("one"), avro_text(""), avro_text("two")}}));
}

TEST_CASE("records of each schema have files of their own, in whatever order they come") {
  Driven it({{"serializer", datum_serializer}, {"hdfs.rollCount", "10"}});
  const TestHeaders texts{{"flume.avro.schema.literal", R"("string")"}};
  const TestHeaders numbers{{"flume.avro.schema.literal", R"("long")"}};
  for (int i = 0; i < 20; ++i) {
    REQUIRE(it.deliver({avro_text("x" + std::to_string(i))}, texts).rejected.empty());
    REQUIRE(it.deliver({avro_long(i)}, numbers).rejected.empty());
  }
  // In one batch as well.
  BatchBuilder builder(it.pool, EventHeaders::Own);
  builder.renew(8192);
  REQUIRE(builder.append(avro_long(20), encoded(numbers)));
  REQUIRE(builder.append(avro_text("x20"), encoded(texts)));
  REQUIRE(builder.append(avro_long(21), encoded(numbers)));
  REQUIRE(it.deliver(builder.seal()).rejected.empty());
  it.sink().close();
  std::map<std::string, std::vector<std::string>> read;
  std::map<std::string, int> files;
  for (const auto& [path, content] : it.files.files()) {
    const AvroContent file = read_avro_file(content);
    CHECK(file.datums.size() <= 10);
    ++files[file.schema];
    auto& all = read[file.schema];
    all.insert(all.end(), file.datums.begin(), file.datums.end());
  }
  REQUIRE(read.size() == 2);
  CHECK(files[R"("string")"] == 3);
  CHECK(files[R"("long")"] == 3);
  for (int i = 0; i < 21; ++i) {
    CHECK(read[R"("string")"][static_cast<std::size_t>(i)] == avro_text("x" + std::to_string(i)));
  }
  for (int i = 0; i < 22; ++i) {
    CHECK(read[R"("long")"][static_cast<std::size_t>(i)] == avro_long(i));
  }
}

TEST_CASE("an event that would make an Avro file unreadable is refused, and no other") {
  Driven it({{"serializer", datum_serializer}});
  const auto refused = [&](const std::string& body, const TestHeaders& headers) {
    const Delivery delivery = it.deliver({body}, headers);
    CHECK(delivery.status.ok());
    return delivery.rejected.empty() ? "" : delivery.rejected_because;
  };
  const auto contains = [](const std::string& text, const char* part) {
    return text.find(part) != text.npos;
  };
  const TestHeaders texts{{"flume.avro.schema.literal", R"("string")"}};
  CHECK(contains(refused(avro_text("a"), {}), "it has no Avro schema"));
  CHECK(contains(refused(avro_text("a"), {{"flume.avro.schema.literal", "{"}}), "cannot be used"));
  CHECK(contains(refused("", {{"flume.avro.schema.literal", R"("null")"}}), "no bytes"));
  CHECK(contains(refused(avro_text("a"), {{"flume.avro.schema.url", "http://x/y"}}),
                 "http://x/y cannot be used: schemas are read from files, and not yet from http:"));
  CHECK(contains(refused(avro_text("a"), {{"flume.avro.schema.url", "hdfs://nn/y"}}),
                 "not yet from hdfs:"));
  CHECK(contains(refused(avro_text("a"), {{"flume.avro.schema.url", "/none"}}),
                 "/none cannot be used: there is no such file"));
  CHECK(contains(refused("text", texts), "no record of its Avro schema"));
  CHECK(contains(refused(avro_text("a") + "b", texts), "no record of its Avro schema"));
  // Of a batch whose events share their headers only some may be wrong.
  const Delivery some =
      it.deliver({avro_text("a"), "wrong", avro_text("b"), "", avro_text("c")}, texts);
  CHECK(some.rejected == std::vector<std::uint32_t>{1, 3});
  it.sink().close();
  CHECK(it.names() == std::vector<std::string>{name});
  CHECK(texts_of(it.file(name)) == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("a schema that is configured is waited for, and one that changes is read again") {
  FakeFileSystem files;
  ManualClock clock;
  SinkCounters counters;
  const Settings settings =
      hdfs_settings({{"serializer", datum_serializer}, {"serializer.schemaURL", "file:/schema"}});
  const auto sink = find_type(sink_types(), "hdfs")->make(settings, {counters, files, clock});
  const Status without = sink->open({});
  CHECK(without.code() == Code::Retry);
  CHECK(without.message().find("serializer.schemaURL") != std::string::npos);
  put(files, "/schema", R"("string")");
  CHECK(sink->open({}).ok());

  AvroSchemas schemas("/schema", files, clock);
  REQUIRE(schemas.open().ok());
  const auto kind = [&](const std::string& body, const TestHeaders& headers) {
    const std::string block = encoded(headers);
    const std::string* const found = schemas.kind_of(HeaderView("", block, ""), body);
    return found == nullptr ? "none" : *found;
  };
  const TestHeaders with_url{{"flume.avro.schema.url", "/other"}};
  CHECK(kind(avro_text("a"), {}) == R"("string")");
  CHECK(kind(avro_text("a"), with_url) == "none");
  put(files, "/other", R"("bytes")");
  CHECK(kind(avro_text("a"), with_url) == "none");  // not for every event
  clock.advance(milliseconds(1000));
  CHECK(kind(avro_text("a"), with_url) == R"("bytes")");
  put(files, "/other", R"({"type":"fixed","name":"F","size":3})");
  put(files, "/schema", R"({"type":"fixed","name":"F","size":3})");
  CHECK(kind("abc", with_url) == "none");
  clock.advance(milliseconds(1000));
  CHECK(kind("abc", with_url) == R"({"type":"fixed","name":"F","size":3})");
  CHECK(kind("abc", {}) == R"({"type":"fixed","name":"F","size":3})");
  put(files, "/schema", R"("bytes")");
  CHECK(kind("\x04yz", {}) == R"({"type":"fixed","name":"F","size":3})");
  clock.advance(milliseconds(60'000));
  CHECK(kind("\x04yz", {}) == R"("bytes")");
  put(files, "/schema", "");
  clock.advance(milliseconds(60'000));
  CHECK(kind("\x04yz", {}) == R"("bytes")");
}

TEST_CASE("every event is in an Avro file once, whatever dies and is refused in between") {
  const auto settings = [](const std::string& serializer, const char* type, const char* codec) {
    return hdfs_settings({{"hdfs.path", "/out/%{n}"},
                          {"hdfs.rollCount", "7"},
                          {"hdfs.rollInterval", "2"},
                          {"hdfs.fileType", type},
                          {"hdfs.codeC", codec},
                          {"serializer", serializer},
                          {"serializer.syncIntervalBytes", "32"}});
  };
  for (std::uint64_t seed = 1; seed <= seeds(150); ++seed) {
    INFO("seed " << seed);
    {
      Model model(settings("avro_event", "DataStream", "none"), seed);
      live_and_die(model);
      check_once(model, [](const std::string& content) { return bodies_of(content); });
    }
    {
      Model model(settings("avro_event", "CompressedStream", "snappy"), seed);
      live_and_die(model);
      check_once(model, [](const std::string& content) {
        std::string out;
        CHECK(
            HadoopDecompressor::make(HadoopCodec::Snappy)->decompress(content, 1 << 24, out).ok());
        return bodies_of(out);
      });
    }
    {
      Model model(settings(datum_serializer, "DataStream", "none"), seed);
      model.event_of = [](std::uint64_t number) {
        const char* const schema = number % 2 == 0 ? R"("string")" : R"("bytes")";
        return std::pair(avro_text(std::to_string(number)),
                         TestHeaders{{"flume.avro.schema.literal", schema}});
      };
      live_and_die(model);
      check_once(model, [](const std::string& content) {
        const auto texts = texts_of(content);
        const bool even = read_avro_file(content).schema == R"("string")";
        for (const std::string& each : texts) CHECK((std::stoull(each) % 2 == 0) == even);
        return texts;
      });
    }
  }
}

TEST_CASE("what makes an Avro file is a text, and one of another release is not touched") {
  CHECK(avro_recipe({.codec = "deflate", .block_bytes = 2'048'000}) == "avro deflate 2048000");
  const std::string around =
      avro_recipe({.codec = "null", .block_bytes = 32, .around = HadoopCodec::Gzip});
  CHECK(around == "avro null 32 gzip");
  CHECK(FileMaker::make(around).ok());
  for (const char* recipe : {"avro", "avro null", "avro null x", "avro lzma 32",
                             "avro null 32 brotli", "avro null 32x"}) {
    INFO(recipe);
    CHECK(FileMaker::make(recipe).code() == Code::Invalid);
  }
}

std::vector<std::string> judged(Values values) {
  const Settings settings = hdfs_settings(values);
  std::vector<std::string> said;
  for (const Finding& each : settings.info().judge(settings)) {
    if (each.severity >= Severity::Warning) said.push_back(each.key + ": " + each.message);
  }
  return said;
}

TEST_CASE("check knows what an Avro file cannot be") {
  using Said = std::vector<std::string>;
  CHECK(judged({{"serializer", "avro_event"}}) == Said{});
  CHECK(judged({{"serializer", "avro_event"}, {"serializer.compressionCodec", "lzma"}}) ==
        Said{"serializer.compressionCodec: there is no codec 'lzma' for Avro files; null, "
             "deflate, snappy and zstandard are there"});
  CHECK(judged({{"serializer", "TEXT"}, {"serializer.compressionCodec", "lzma"}}) == Said{});
  CHECK(judged({{"serializer", datum_serializer}, {"serializer.schemaURL", "http://x/y"}}) ==
        Said{"serializer.schemaURL: schemas are read from files, and not yet from http:"});
  CHECK(judged({{"serializer", datum_serializer}, {"serializer.schemaURL", "file:///x"}}) ==
        Said{});
  CHECK(judged({{"serializer", "avro_event"}, {"hdfs.fileType", "SequenceFile"}}) ==
        Said{"serializer: a SequenceFile has none, so it is not used, as in Flume"});
}

}  // namespace
}  // namespace sluice

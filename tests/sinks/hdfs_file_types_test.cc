// SequenceFiles and compressed files of the hdfs sink: what is in them, and that a spool stands for
// what cannot be cut.

#include "core/wire/hadoop_codec.h"
#include "core/wire/sequence_file.h"
#include "sinks/spool_records.h"
#include "tests/catch.h"
#include "tests/support/hdfs_model.h"
#include "tests/support/seeds.h"

namespace sluice {
namespace {

using namespace testing;

struct Read {
  SequenceFileReader::Header header;
  std::vector<std::pair<std::int64_t, std::string>> records;
};

Read read_sequence(const std::string& content) {
  Read read;
  SequenceFileReader reader;
  std::string_view window = content;
  for (;;) {
    auto record = reader.next(window);
    INFO(record.status().message());
    REQUIRE(record.ok());
    const std::optional<SequenceFileReader::Record> found = record.value();
    if (!found) break;
    read.records.emplace_back(found->key, found->value);
  }
  CHECK(reader.finish(window).ok());
  REQUIRE(reader.header() != nullptr);
  read.header = *reader.header();
  return read;
}

std::string decompressed(HadoopCodec codec, const std::string& content) {
  std::string out;
  const Status status = HadoopDecompressor::make(codec)->decompress(content, 1 << 24, out);
  INFO(status.message());
  CHECK(status.ok());
  return out;
}

std::vector<std::string> values_of(const std::string& content) {
  std::vector<std::string> values;
  for (const auto& [key, value] : read_sequence(content).records) values.push_back(value);
  return values;
}

const std::string name = "/out/FlumeData.1700000000001";

TEST_CASE("without a file type it is a SequenceFile, with the time of the event as key") {
  for (const char* format : {"Writable", "Text"}) {
    Driven it({{"hdfs.fileType", "SequenceFile"}, {"hdfs.writeFormat", format}});
    REQUIRE(it.deliver({"a", ""}, {{"timestamp", "77"}}).status.ok());
    REQUIRE(it.deliver({"b"}, {{"timestamp", "soon"}}).status.ok());
    REQUIRE(it.deliver({"c"}).status.ok());
    it.sink().close();
    const Read read = read_sequence(it.file(name));
    CHECK(read.header.compression == SequenceCompression::None);
    CHECK((read.header.value == SequenceValue::Text) == (std::string(format) == "Text"));
    const std::int64_t now = it.clock.wall_ms();
    CHECK(read.records == std::vector<std::pair<std::int64_t, std::string>>{
                              {77, "a"}, {77, ""}, {now, "b"}, {now, "c"}});
  }
}

TEST_CASE("with a codec a SequenceFile is compressed by blocks") {
  Driven it({{"hdfs.fileType", "SequenceFile"},
             {"hdfs.codeC", "org.apache.hadoop.io.compress.GzipCodec"},
             {"hdfs.writeFormat", "Text"}});
  for (int i = 0; i < 30; ++i) REQUIRE(it.deliver({"event"}, {{"timestamp", "5"}}).status.ok());
  CHECK(it.file(name + ".gz.tmp").empty());  // it shows its name, its events are in the spool
  it.sink().close();
  const Read read = read_sequence(it.file(name + ".gz"));
  CHECK(read.header.compression == SequenceCompression::Block);
  CHECK(read.header.codec == HadoopCodec::Gzip);
  CHECK(read.header.value == SequenceValue::Text);
  CHECK(read.records.size() == 30);
  CHECK(it.names().size() == 1);
}

TEST_CASE("with RECORD each value of a SequenceFile is compressed by itself") {
  for (const HadoopCodec codec : {HadoopCodec::Gzip, HadoopCodec::Deflate, HadoopCodec::Bzip2,
                                  HadoopCodec::Snappy, HadoopCodec::Lz4, HadoopCodec::Zstandard}) {
    const HadoopCodecInfo& info = hadoop_codec_info(codec);
    INFO(info.name);
    Driven it({{"hdfs.fileType", "SequenceFile"},
               {"hdfs.codeC", std::string(info.name)},
               {"hdfs.compressionType", "RECORD"}});
    for (int i = 0; i < 5; ++i) {
      REQUIRE(it.deliver({std::to_string(i)}, {{"timestamp", "5"}}).status.ok());
    }
    it.sink().close();
    const std::string content = it.file(name + std::string(info.extension));
    const Read read = read_sequence(content);
    CHECK(read.header.compression == SequenceCompression::Record);
    CHECK(read.header.codec == codec);
    CHECK(values_of(content) == std::vector<std::string>{"0", "1", "2", "3", "4"});
  }
}

TEST_CASE("a compressed stream is one stream of what the serializer makes") {
  for (const HadoopCodec codec : {HadoopCodec::Gzip, HadoopCodec::Deflate, HadoopCodec::Bzip2,
                                  HadoopCodec::Snappy, HadoopCodec::Lz4, HadoopCodec::Zstandard}) {
    const HadoopCodecInfo& info = hadoop_codec_info(codec);
    INFO(info.name);
    Driven it({{"hdfs.fileType", "CompressedStream"}, {"hdfs.codeC", std::string(info.name)}});
    std::string lines;
    for (int i = 0; i < 50; ++i) {
      REQUIRE(it.deliver({std::to_string(i)}).status.ok());
      lines += std::to_string(i) + "\n";
    }
    it.sink().close();
    CHECK(it.names() == std::vector<std::string>{name + std::string(info.extension)});
    CHECK(decompressed(codec, it.files.content()) == lines);
  }
  Driven named(
      {{"hdfs.fileType", "CompressedStream"}, {"hdfs.codeC", "gzip"}, {"hdfs.fileSuffix", ".log"}});
  REQUIRE(named.deliver({"a"}).status.ok());
  named.sink().close();
  CHECK(named.names() == std::vector<std::string>{name + ".log"});
}

TEST_CASE("a spool longer than what is read at once") {
  Driven it({{"hdfs.fileType", "SequenceFile"}, {"hdfs.codeC", "lz4"}});
  const std::string body(300'000, 'x');
  for (int i = 0; i < 9; ++i) {
    REQUIRE(it.deliver({body + std::to_string(i)}).status.ok());
  }
  it.sink().close();
  const auto values = values_of(it.files.content());
  REQUIRE(values.size() == 9);
  for (std::size_t i = 0; i < 9; ++i) CHECK(values[i] == body + std::to_string(i));
}

TEST_CASE("a file that cannot be made for want of room is made later") {
  Driven it({{"hdfs.fileType", "CompressedStream"},
             {"hdfs.codeC", "gzip"},
             {"hdfs.rollInterval", "1"},
             {"hdfs.retryInterval", "60"}});
  REQUIRE(it.deliver({"a", "b"}).status.ok());
  it.clock.advance(milliseconds(1000));
  it.files.bytes_left(7);
  it.sink().tend();
  it.files.bytes_left(UINT64_MAX / 2);
  CHECK(it.names().size() == 2);
  it.clock.advance(milliseconds(60'000));
  it.sink().tend();
  CHECK(it.names() == std::vector<std::string>{name + ".gz"});
  CHECK(decompressed(HadoopCodec::Gzip, it.files.content()) == "a\nb\n");
}

TEST_CASE("every event is in a file of any type once, whatever dies and is refused in between") {
  const auto settings = [](const char* type, const char* codec) {
    return hdfs_settings({{"hdfs.path", "/out/%{n}"},
                          {"hdfs.rollCount", "7"},
                          {"hdfs.rollInterval", "2"},
                          {"hdfs.fileType", type},
                          {"hdfs.codeC", codec}});
  };
  for (std::uint64_t seed = 1; seed <= seeds(150); ++seed) {
    INFO("seed " << seed);
    {
      Model model(settings("SequenceFile", "none"), seed);
      live_and_die(model);
      check_once(model, values_of);
    }
    {
      Model model(settings("SequenceFile", "snappy"), seed);
      live_and_die(model);
      check_once(model, values_of);
    }
    {
      Model model(settings("CompressedStream", "lz4"), seed);
      live_and_die(model);
      check_once(model, [](const std::string& content) {
        return lines_of(decompressed(HadoopCodec::Lz4, content));
      });
    }
  }
}

TEST_CASE("a spool of another release is not touched") {
  CHECK(FileMaker::make("parquet zstd").code() == Code::Invalid);
  CHECK(FileMaker::make("sequence gzip").code() == Code::Invalid);
  CHECK(FileMaker::make("stream brotli").code() == Code::Invalid);
  CHECK(FileMaker::make(stream_recipe(HadoopCodec::Bzip2)).ok());
  CHECK(FileMaker::make(sequence_recipe(HadoopCodec::Zstandard, SequenceValue::Writable)).ok());
  CHECK(FileMaker::make(
            sequence_recipe(HadoopCodec::Gzip, SequenceValue::Text, SequenceCompression::Record))
            .ok());
}

}  // namespace
}  // namespace sluice

#include "core/wire/sequence_file.h"

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/catch.h"
#include "tests/support/sequence_files.h"

namespace sluice {
namespace {

using testing::known_sync;
using testing::read_sequence;
using testing::sequence_file;
using testing::SequenceRecords;
using Options = SequenceFileWriter::Options;

constexpr std::array all_codecs{HadoopCodec::Gzip,   HadoopCodec::Deflate, HadoopCodec::Bzip2,
                                HadoopCodec::Snappy, HadoopCodec::Lz4,     HadoopCodec::Zstandard};
constexpr std::array both_values{SequenceValue::Text, SequenceValue::Writable};

Options options_of(SequenceValue value, SequenceCompression compression = SequenceCompression::None,
                   HadoopCodec codec = HadoopCodec::Deflate) {
  return {.value = value, .compression = compression, .codec = codec, .level = {}};
}

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return bytes;
}

const std::string sync_hex = "a0a1a2a3 a4a5a6a7 a8a9aaab acadaeaf";
const std::string long_class = "\x21org.apache.hadoop.io.LongWritable";
const std::string text_class = "\x19org.apache.hadoop.io.Text";
const std::string bytes_class = "\x22org.apache.hadoop.io.BytesWritable";

constexpr std::int64_t known_key = 1'700'000'000'000;
std::string known_line(int number) {
  const std::string digit = std::to_string(number);
  return "Nov 20 23:47:29 host app[" + digit + "]: log line number " + digit + " h\xc3\xa9llo";
}

SequenceRecords some_records(std::size_t count) {
  std::mt19937_64 random(3);
  SequenceRecords records;
  for (std::size_t i = 0; i < count; ++i) {
    std::string value(random() % 200, 'x');
    for (char& c : value) c = static_cast<char>('a' + random() % 8);
    if (i % 50 == 7) value = std::string(3000 + i, '\0');
    records.emplace_back(static_cast<std::int64_t>(random()) >> (i % 64), value);
  }
  return records;
}

TEST_CASE("sequence file: uncompressed Text is what Hadoop was seen to read") {
  const std::string file =
      sequence_file(options_of(SequenceValue::Text), {{known_key, known_line(0)}});
  const std::string expected = "SEQ\x06" + long_class + text_class +
                               std::string("\0\0\0\0\0\0", 6) + bytes_of(sync_hex) +
                               bytes_of("0000003e 00000008 0000018bcfe56800 35") + known_line(0);
  CHECK(file == expected);
}

TEST_CASE("sequence file: uncompressed BytesWritable has a length of four bytes") {
  const std::string file =
      sequence_file(options_of(SequenceValue::Writable), {{-1, "abc"}, {0, ""}});
  const std::string expected = "SEQ\x06" + long_class + bytes_class +
                               std::string("\0\0\0\0\0\0", 6) + bytes_of(sync_hex) +
                               bytes_of("0000000f 00000008 ffffffffffffffff 00000003 616263") +
                               bytes_of("0000000c 00000008 0000000000000000 00000000");
  CHECK(file == expected);
}

TEST_CASE("sequence file: a block is what Hadoop was seen to read") {
  const std::string file =
      sequence_file(options_of(SequenceValue::Text, SequenceCompression::Block),
                    {{known_key, known_line(0)}, {known_key + 1, known_line(1)}});
  const std::string expected =
      "SEQ\x06" + long_class + text_class +
      "\x01\x01\x2aorg.apache.hadoop.io.compress.DefaultCodec" + std::string("\0\0\0\0", 4) +
      bytes_of(sync_hex) + bytes_of("ffffffff" + sync_hex + "02") +
      bytes_of("0a 789ce3e00000001a0011") +
      bytes_of("14 789c636060ec3eff348381014233020028410552") +
      bytes_of("0a 789c3333030000a4006d") +
      bytes_of(
          "47 789c33f5cb2f533032503032b63231b732b254c8c82f2e51482c28883688b552c8c94f57c8c9cc4b"
          "55c82bcd4d4a2d523050c838bc322727df14a72e432cba0ca1ba000ced22f3");
  CHECK(file == expected);
}

TEST_CASE("sequence file: of a record the value is compressed, with its length, and not the key") {
  const std::string file =
      sequence_file(options_of(SequenceValue::Text, SequenceCompression::Record),
                    {{known_key, known_line(0)}, {known_key, "6"}});
  const std::string header = "SEQ\x06" + long_class + text_class + std::string("\x01\0", 2) +
                             "\x2aorg.apache.hadoop.io.compress.DefaultCodec" +
                             std::string("\0\0\0\0", 4) + bytes_of(sync_hex);
  const std::string first =
      bytes_of("00000046 00000008 0000018bcfe56800") +
      bytes_of(
          "789c33f5cb2f533032503032b63231b732b254c8c82f2e51482c28883688b552c8c94f57c8c9cc4b"
          "55c82bcd4d4a2d523050c838bc3227271f00ae971179");
  REQUIRE(file.starts_with(header + first));
  // Behind it a stream of its own.
  CHECK(file.substr(header.size() + first.size(), 18) ==
        bytes_of("00000012 00000008 0000018bcfe56800 789c"));
}

TEST_CASE("sequence file: every codec, compression and value is read again") {
  const SequenceRecords records = some_records(1000);
  for (const SequenceValue value : both_values) {
    const auto check = [&](const Options& options) {
      INFO(hadoop_codec_info(options.codec).name << static_cast<int>(options.compression));
      const std::string file = sequence_file(options, records);
      for (const std::size_t step : {std::size_t{1}, std::size_t{5000}, file.size()}) {
        const auto read = read_sequence(file, step);
        CHECK(read.end.message().empty());
        CHECK((read.records == records));
        CHECK(read.whole_bytes == file.size());
      }
    };
    check(options_of(value));
    for (const HadoopCodec codec : all_codecs) {
      check(options_of(value, SequenceCompression::Record, codec));
      check(options_of(value, SequenceCompression::Block, codec));
    }
  }
}

TEST_CASE("sequence file: the reader tells what the header says") {
  for (const HadoopCodec codec : all_codecs) {
    const std::string file =
        sequence_file(options_of(SequenceValue::Text, SequenceCompression::Block, codec), {});
    SequenceFileReader reader;
    CHECK(reader.header() == nullptr);
    std::string_view window = file;
    auto record = reader.next(window);
    REQUIRE(record.ok());
    CHECK_FALSE(record->has_value());
    REQUIRE(reader.header() != nullptr);
    CHECK(reader.header()->codec == codec);
    CHECK(reader.header()->compression == SequenceCompression::Block);
    CHECK(reader.header()->value == SequenceValue::Text);
    CHECK(reader.header()->sync == known_sync());
    CHECK(reader.finish(window).ok());
    CHECK(reader.whole_bytes() == file.size());
  }
}

TEST_CASE("sequence file: a sync marker stands before the record from which on one is due") {
  for (const SequenceCompression compression :
       {SequenceCompression::None, SequenceCompression::Record}) {
    auto writer = SequenceFileWriter::make(
        options_of(SequenceValue::Writable, compression, HadoopCodec::Snappy));
    REQUIRE(writer.ok());
    std::string file;
    (*writer)->begin(known_sync(), file);
    const std::string marker = bytes_of("ffffffff" + sync_hex);
    std::size_t last_sync = 0;
    int markers = 0;
    for (const auto& [key, value] : some_records(5000)) {
      const std::size_t before = file.size();
      REQUIRE((*writer)->append(key, value, file).ok());
      const bool due = before >= last_sync + 102'400;
      REQUIRE(file.substr(before).starts_with(marker) == due);
      if (!due) continue;
      last_sync = before + marker.size();
      ++markers;
    }
    CHECK(markers >= 3);
    CHECK((*writer)->file_bytes() == file.size());
    CHECK(read_sequence(file).records.size() == 5000);
  }
}

TEST_CASE("sequence file: a sync marker is due at 102,400 bytes, and not a byte before") {
  for (const std::size_t short_by : {0U, 1U}) {
    auto writer = SequenceFileWriter::make(options_of(SequenceValue::Writable));
    REQUIRE(writer.ok());
    std::string file;
    (*writer)->begin(known_sync(), file);
    // Lengths, key and length of the value are 20 bytes.
    const std::string value(102'400 - file.size() - 20 - short_by, 'v');
    REQUIRE((*writer)->append(1, value, file).ok());
    REQUIRE(file.size() == 102'400 - short_by);
    REQUIRE((*writer)->append(2, "", file).ok());
    CHECK(file.size() == 102'400 - short_by + (short_by == 0 ? 20 : 0) + 20);
  }
}

TEST_CASE("sequence file: a block is written when its keys and values are 1,000,000 bytes") {
  auto writer =
      SequenceFileWriter::make(options_of(SequenceValue::Writable, SequenceCompression::Block));
  REQUIRE(writer.ok());
  std::string file;
  (*writer)->begin(known_sync(), file);
  const std::size_t header_bytes = file.size();
  // With key and length each record has a hundred bytes.
  const std::string value(88, 'v');
  for (int block = 0; block < 2; ++block) {
    const std::size_t before = file.size();
    for (int i = 0; i < 9'999; ++i) REQUIRE((*writer)->append(i, value, file).ok());
    CHECK(file.size() == before);
    CHECK((*writer)->held_bytes() == 999'900);
    REQUIRE((*writer)->append(0, value, file).ok());
    CHECK((*writer)->held_bytes() == 0);
    CHECK(file.size() > before);
    CHECK(file.substr(before, 23) == bytes_of("ffffffff" + sync_hex + "8e2710"));
    CHECK((*writer)->file_bytes() == file.size());
  }
  const std::size_t before = file.size();
  (*writer)->finish(file);
  CHECK(file.size() == before);
  CHECK(header_bytes < before);
  CHECK(read_sequence(file).records.size() == 20'000);
}

TEST_CASE("sequence file: a flush brings out what was appended, and a marker, and else nothing") {
  for (const SequenceCompression compression :
       {SequenceCompression::None, SequenceCompression::Record, SequenceCompression::Block}) {
    INFO(static_cast<int>(compression));
    auto writer = SequenceFileWriter::make(
        options_of(SequenceValue::Text, compression, HadoopCodec::Zstandard));
    REQUIRE(writer.ok());
    std::string file;
    (*writer)->begin(known_sync(), file);
    const std::size_t header_bytes = file.size();
    (*writer)->flush(file);
    CHECK(file.size() == header_bytes);
    for (int i = 0; i < 3; ++i) {
      REQUIRE((*writer)->append(i, "value", file).ok());
      (*writer)->flush(file);
      CHECK(read_sequence(file).records.size() == static_cast<std::size_t>(i + 1));
      const std::size_t size = file.size();
      (*writer)->flush(file);
      CHECK(file.size() == size);
    }
    const std::string marker = bytes_of("ffffffff" + sync_hex);
    std::size_t markers = 0;
    for (std::size_t at = file.find(marker); at != std::string::npos;
         at = file.find(marker, at + 1)) {
      ++markers;
    }
    CHECK(markers == 3);
    REQUIRE((*writer)->append(3, "last", file).ok());
    (*writer)->finish(file);
    const auto read = read_sequence(file);
    CHECK(read.end.ok());
    CHECK((read.records == SequenceRecords{{0, "value"}, {1, "value"}, {2, "value"}, {3, "last"}}));
    CHECK((*writer)->file_bytes() == file.size());
  }
}

TEST_CASE("sequence file: a writer makes one file after the other, and forgets what was given up") {
  const SequenceRecords records = some_records(300);
  for (const SequenceCompression compression :
       {SequenceCompression::None, SequenceCompression::Record, SequenceCompression::Block}) {
    const Options options = options_of(SequenceValue::Text, compression, HadoopCodec::Gzip);
    const std::string expected = sequence_file(options, records);
    auto writer = SequenceFileWriter::make(options);
    REQUIRE(writer.ok());
    for (int i = 0; i < 3; ++i) {
      std::string file;
      (*writer)->begin(known_sync(), file);
      for (int j = 0; j < 5000; ++j) REQUIRE((*writer)->append(j, "given up", file).ok());
      file.clear();
      (*writer)->begin(known_sync(), file);
      for (const auto& [key, value] : records) REQUIRE((*writer)->append(key, value, file).ok());
      (*writer)->finish(file);
      CHECK((file == expected));
      CHECK((*writer)->file_bytes() == file.size());
    }
  }
}

TEST_CASE("sequence file: its bytes are the same when the caller takes them away as they come") {
  const SequenceRecords records = some_records(2000);
  for (const SequenceCompression compression :
       {SequenceCompression::None, SequenceCompression::Record, SequenceCompression::Block}) {
    const Options options = options_of(SequenceValue::Writable, compression, HadoopCodec::Lz4);
    auto writer = SequenceFileWriter::make(options);
    REQUIRE(writer.ok());
    std::string out = "of others";
    std::string file;
    const auto take = [&] {
      REQUIRE(out.starts_with("of others"));
      file += out.substr(9);
      out.resize(9);
    };
    (*writer)->begin(known_sync(), out);
    for (const auto& [key, value] : records) {
      take();
      REQUIRE((*writer)->append(key, value, out).ok());
    }
    (*writer)->finish(out);
    take();
    CHECK((file == sequence_file(options, records)));
  }
}

TEST_CASE("sequence file: a value that no reader could hold is refused, and the file goes on") {
  const char byte = 'x';
  // Of the value nothing but its length is looked at.
  const std::string_view value(&byte, SequenceFileWriter::value_bytes_max + 1);
  for (const SequenceCompression compression :
       {SequenceCompression::None, SequenceCompression::Record, SequenceCompression::Block}) {
    auto writer = SequenceFileWriter::make(options_of(SequenceValue::Text, compression));
    REQUIRE(writer.ok());
    std::string file;
    (*writer)->begin(known_sync(), file);
    const std::size_t size = file.size();
    CHECK((*writer)->append(1, value, file).code() == Code::Reject);
    CHECK(file.size() == size);
    CHECK((*writer)->held_bytes() == 0);
    CHECK((*writer)->append(2, "fits", file).ok());
    (*writer)->finish(file);
    CHECK((read_sequence(file).records == SequenceRecords{{2, "fits"}}));
  }
}

TEST_CASE("sequence file: a level that the codec has not is refused before any file") {
  Options options = options_of(SequenceValue::Text, SequenceCompression::Block, HadoopCodec::Bzip2);
  options.level = 10;
  CHECK(SequenceFileWriter::make(options).code() == Code::Invalid);
  options.level = 1;
  const std::string file = sequence_file(options, some_records(10));
  CHECK(file.find("BZh1") != std::string::npos);
  CHECK(file.find("BZh9") == std::string::npos);
}

}  // namespace
}  // namespace sluice

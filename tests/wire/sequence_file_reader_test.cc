// What SequenceFileReader says of files that are torn, damaged, foreign or hostile.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

#include "core/wire/hadoop_vint.h"
#include "core/wire/sequence_file.h"
#include "tests/catch.h"
#include "tests/support/sequence_files.h"

namespace sluice {
namespace {

using testing::read_sequence;
using testing::sequence_file;
using testing::SequenceRecords;
using Options = SequenceFileWriter::Options;

constexpr std::array all_compressions{SequenceCompression::None, SequenceCompression::Record,
                                      SequenceCompression::Block};
const SequenceSync sync = testing::known_sync();
const std::string sync_bytes(sync.begin(), sync.end());
const std::string marker = "\xff\xff\xff\xff" + sync_bytes;

Options options_of(SequenceCompression compression, HadoopCodec codec = HadoopCodec::Deflate,
                   SequenceValue value = SequenceValue::Text) {
  return {.value = value, .compression = compression, .codec = codec, .level = {}};
}

std::string text(std::string_view bytes) {
  std::string out;
  append_hadoop_vint(static_cast<std::int64_t>(bytes.size()), out);
  return out + std::string(bytes);
}
std::string number(std::uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}
std::string header(std::string_view key = "org.apache.hadoop.io.LongWritable",
                   std::string_view value = "org.apache.hadoop.io.Text",
                   const std::string& behind = std::string("\0\0\0\0\0\0", 6)) {
  return "SEQ\x06" + text(key) + text(value) + behind + sync_bytes;
}
std::string zlib(std::string_view content) {
  std::string out;
  (*HadoopCompressor::make(HadoopCodec::Deflate))->compress(content, out);
  return out;
}
std::string record(const std::string& value) {
  return number(static_cast<std::uint32_t>(8 + value.size())) + number(8) + std::string(8, '\1') +
         value;
}

/// A file, and how many records are whole in which of its first bytes.
struct Grown {
  std::string file;
  std::vector<std::size_t> ends;        ///< Of each piece that is whole or is not there.
  std::vector<std::size_t> records_in;  ///< As many as ends: records up to there.
};
Grown grown_file(const Options& options) {
  Grown grown;
  auto writer = SequenceFileWriter::make(options);
  REQUIRE(writer.ok());
  (*writer)->begin(testing::known_sync(), grown.file);
  const auto piece_ends = [&](std::size_t records) {
    grown.ends.push_back(grown.file.size());
    grown.records_in.push_back(records);
  };
  piece_ends(0);
  const bool block = options.compression == SequenceCompression::Block;
  for (std::size_t i = 1; i <= 6; ++i) {
    REQUIRE(
        (*writer)
            ->append(static_cast<std::int64_t>(i), "value " + std::to_string(i * 77), grown.file)
            .ok());
    if (!block) piece_ends(i);
    if (i % 3 != 0) continue;
    (*writer)->flush(grown.file);
    piece_ends(i);
  }
  (*writer)->finish(grown.file);
  return grown;
}

TEST_CASE("sequence file reader: a file torn at any byte gives its whole records, and says so") {
  for (const SequenceCompression compression : all_compressions) {
    for (const HadoopCodec codec : {HadoopCodec::Gzip, HadoopCodec::Snappy}) {
      const Grown grown = grown_file(options_of(compression, codec));
      for (std::size_t size = 0; size <= grown.file.size(); ++size) {
        INFO(static_cast<int>(compression) << ", " << size << " of " << grown.file.size());
        const auto above = std::upper_bound(grown.ends.begin(), grown.ends.end(), size);
        const std::size_t step = size % 3 == 0 ? std::string::npos : 1 + size % 7;
        const auto read = read_sequence(std::string_view(grown.file).substr(0, size), step);
        if (above == grown.ends.begin()) {
          CHECK(read.records.empty());
          CHECK(read.end.code() == Code::Reject);
          CHECK(read.end.message() == "the SequenceFile is torn: its " + std::to_string(size) +
                                          " bytes end within its header");
          CHECK(read.whole_bytes == 0);
          continue;
        }
        const auto at = static_cast<std::size_t>(above - grown.ends.begin()) - 1;
        const std::size_t whole = grown.ends[at];
        CHECK(read.records.size() == grown.records_in[at]);
        CHECK(read.whole_bytes == whole);
        if (size == whole) {
          CHECK(read.end.ok());
          continue;
        }
        CHECK(read.end.code() == Code::Reject);
        CHECK(read.end.message() ==
              "the SequenceFile is torn: behind byte " + std::to_string(whole) + " and " +
                  std::to_string(grown.records_in[at]) + " whole records there are " +
                  std::to_string(size - whole) + " bytes of another one");
      }
    }
  }
}

TEST_CASE("sequence file reader: files that Hadoop 3.5.0 has written are read") {
  SequenceRecords expected;
  for (std::int64_t i = 0; i < 4; ++i) {
    expected.emplace_back(1'700'000'000'000 + i,
                          i == 2 ? "" : "a line of a log, number " + std::to_string(i));
  }
  const char* const source = std::getenv("SLUICE_SOURCE");
  const auto folder = std::filesystem::path(source != nullptr ? source : ".") / "fuzz/corpus";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "sequence_file")) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("hadoop-")) continue;
    INFO(name);
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string file{std::istreambuf_iterator<char>(stream), {}};
    for (const std::size_t step : {std::size_t{1}, file.size()}) {
      const auto read = read_sequence(file, step);
      CHECK(read.end.ok());
      CHECK((read.records == expected));
    }
    ++files;
  }
  CHECK(files == 11);
}

TEST_CASE("sequence file reader: zeros behind the last record are no record") {
  for (const SequenceCompression compression : all_compressions) {
    const Grown grown = grown_file(options_of(compression));
    const auto read = read_sequence(grown.file + std::string(4096, '\0'));
    CHECK(read.records.size() == 6);
    CHECK(read.end.code() == Code::Invalid);
    CHECK_THAT(read.end.message(),
               Catch::Contains("(behind byte " + std::to_string(grown.file.size()) +
                               "; the 6 records before are whole)"));
    CHECK(read.whole_bytes == grown.file.size());
  }
}

TEST_CASE("sequence file reader: no damage crashes, and what stands before it is read") {
  std::mt19937 random(1);
  for (const SequenceCompression compression : all_compressions) {
    for (const HadoopCodec codec :
         {HadoopCodec::Gzip, HadoopCodec::Deflate, HadoopCodec::Bzip2, HadoopCodec::Snappy,
          HadoopCodec::Lz4, HadoopCodec::Zstandard}) {
      const Grown grown = grown_file(options_of(compression, codec, SequenceValue::Writable));
      const auto good = read_sequence(grown.file).records;
      for (int i = 0; i < 500; ++i) {
        std::string file = grown.file;
        std::size_t first = file.size();
        for (std::size_t flips = 1 + random() % 3; flips > 0; --flips) {
          const std::size_t at = random() % file.size();
          file[at] ^= static_cast<char>(1 + random() % 255);
          first = std::min(first, at);
        }
        const auto read = read_sequence(file, 1 + random() % file.size(), 1 << 20);
        const auto above = std::upper_bound(grown.ends.begin(), grown.ends.end(), first);
        if (above == grown.ends.begin()) continue;
        const std::size_t before =
            grown.records_in[static_cast<std::size_t>(above - grown.ends.begin()) - 1];
        REQUIRE(read.records.size() >= before);
        CHECK(std::equal(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(before),
                         read.records.begin()));
      }
    }
  }
}

TEST_CASE("sequence file reader: what is no SequenceFile of ours is said") {
  const auto message = [](const std::string& file) {
    const auto read = read_sequence(file);
    CHECK(read.end.code() == Code::Invalid);
    CHECK(read.records.empty());
    return read.end.message();
  };
  CHECK(message("text\n") == "it does not begin like a SequenceFile");
  CHECK(message("SEX") == "it does not begin like a SequenceFile");
  CHECK(message("SEQ\x05") == "it is a SequenceFile of version 5; 6 is read");
  CHECK(message(header("org.apache.hadoop.io.Text")) ==
        "the keys of the SequenceFile are 'org.apache.hadoop.io.Text'; "
        "org.apache.hadoop.io.LongWritable is read");
  CHECK(message(header("org.apache.hadoop.io.LongWritable", "some.Other")) ==
        "the values of the SequenceFile are 'some.Other'; org.apache.hadoop.io.Text and "
        "BytesWritable are read");
  const std::string long_class = "org.apache.hadoop.io.LongWritable";
  const std::string text_class = "org.apache.hadoop.io.Text";
  const std::string none(4, '\0');
  CHECK(message(header(long_class, text_class,
                       "\1\1" + text("com.hadoop.compression.lzo.LzoCodec") + none)) ==
        "the SequenceFile has the unknown codec 'com.hadoop.compression.lzo.LzoCodec'");
  // Blocks that are not compressed; a count of metadata, and a name, below zero.
  CHECK_THAT(message(header(long_class, text_class, std::string("\0\1", 2) + none)),
             Catch::Contains("its header makes no sense"));
  CHECK_THAT(message(header(long_class, text_class, std::string("\0\0", 2) + number(0x80000000))),
             Catch::Contains("its header makes no sense"));
  CHECK_THAT(message("SEQ\x06\xff"), Catch::Contains("its header makes no sense"));
  CHECK_THAT(message("SEQ\x06\x8c\x7f\xff\xff\xff"), Catch::Contains("its header makes no sense"));
  // Metadata without end.
  CHECK_THAT(message("SEQ\x06" + text(long_class) + text(text_class) + std::string("\0\0", 2) +
                     number(0x7fffffff) + std::string(1 << 20, '\0')),
             Catch::Contains("longer than 1 MiB"));
}

TEST_CASE("sequence file reader: metadata is passed over") {
  const std::string file = header("org.apache.hadoop.io.LongWritable", "org.apache.hadoop.io.Text",
                                  std::string("\0\0", 2) + number(2) + text("owner") +
                                      text("flume") + text("") + text(std::string(1000, 'm'))) +
                           record(text("value"));
  for (const std::size_t step : {std::size_t{1}, file.size()}) {
    const auto read = read_sequence(file, step);
    CHECK(read.end.ok());
    CHECK((read.records == SequenceRecords{{0x0101010101010101, "value"}}));
  }
}

TEST_CASE("sequence file reader: a second header, as Flume's append leaves it, is damage") {
  const std::string one = sequence_file(options_of(SequenceCompression::None), {{1, "first"}});
  const auto read = read_sequence(one + one);
  CHECK((read.records == SequenceRecords{{1, "first"}}));
  CHECK(read.end.code() == Code::Invalid);
  CHECK(read.whole_bytes == one.size());
}

TEST_CASE("sequence file reader: records whose lengths contradict each other are refused") {
  const auto message = [](const std::string& behind, std::size_t bytes_max = 1000) {
    const auto read = read_sequence(header() + record(text("good")) + behind, 1, bytes_max);
    CHECK(read.records.size() == 1);
    CHECK(read.end.code() == Code::Invalid);
    CHECK(read.whole_bytes == header().size() + record(text("good")).size());
    return read.end.message();
  };
  CHECK_THAT(message(number(0) + number(0)), Catch::Contains("lengths that no LongWritable has"));
  CHECK_THAT(message(number(20) + number(7)), Catch::Contains("lengths that no LongWritable has"));
  CHECK_THAT(message(number(7) + number(8)), Catch::Contains("lengths that no LongWritable has"));
  CHECK_THAT(message(number(0xfffffffe) + number(8)),
             Catch::Contains("lengths that no LongWritable has"));
  CHECK_THAT(message(number(1001) + number(8)), Catch::Contains("1001 bytes is beyond the bound"));
  CHECK_THAT(message(number(0x7fffffff) + number(8)), Catch::Contains("beyond the bound"));
  CHECK_THAT(message(record("")), Catch::Contains("the length of a value"));
  CHECK_THAT(message(record("\x02x")), Catch::Contains("the length of a value"));
  CHECK_THAT(message(record(std::string("\0x", 2))), Catch::Contains("the length of a value"));
  CHECK_THAT(message(record("\xff")), Catch::Contains("the length of a value"));
  std::string other = marker;
  other.back() = 'x';
  CHECK_THAT(message(other), Catch::Contains("a sync marker is not the file's"));
}

TEST_CASE("sequence file reader: blocks whose lengths contradict each other are refused") {
  const std::string begin =
      header("org.apache.hadoop.io.LongWritable", "org.apache.hadoop.io.Text",
             "\1\1" + text("org.apache.hadoop.io.compress.DefaultCodec") + number(0));
  const std::string lengths = text(zlib("\x08\x08"));
  const std::string keys = text(zlib(std::string(16, '\0')));
  const std::string value_lengths = text(zlib("\x02\x02"));
  const std::string values = text(zlib("\x01y\x01z"));
  const auto read = [&](const std::string& block, std::size_t bytes_max = 1000) {
    return read_sequence(begin + block, 1, bytes_max);
  };
  const std::string good = marker + "\2" + lengths + keys + value_lengths + values;
  CHECK((read(good).records == SequenceRecords{{0, "y"}, {0, "z"}}));
  CHECK(read(good).end.ok());

  const auto message = [&](const std::string& block, std::size_t bytes_max = 1000) {
    const auto got = read(good + block, bytes_max);
    CHECK(got.records.size() >= 2);
    CHECK(got.end.code() == Code::Invalid);
    CHECK(got.whole_bytes == begin.size() + good.size());
    return got.end.message();
  };
  CHECK_THAT(message(number(60) + number(8)), Catch::Contains("the file's sync marker"));
  CHECK_THAT(message(marker.substr(0, 19) + "x\2"), Catch::Contains("the file's sync marker"));
  CHECK_THAT(message(marker + std::string(1, '\0')), Catch::Contains("count of a block's records"));
  CHECK_THAT(message(marker + "\xff"), Catch::Contains("count of a block's records"));
  CHECK_THAT(message(marker + "\2\xff"), Catch::Contains("negative or beyond the bound"));
  CHECK_THAT(message(marker + "\2\x8e\x03\xe9"), Catch::Contains("negative or beyond the bound"));
  // Each group is within the bound, all of them are not.
  CHECK(read(good, good.size()).end.ok());
  CHECK_THAT(read(good, good.size() / 2).end.message(), Catch::Contains("beyond the bound"));
  CHECK_THAT(message(marker + "\2" + text(zlib(std::string(2000, '\x08'))) + keys + value_lengths +
                     values),
             Catch::Contains("hold more than 1000"));
  CHECK_THAT(message(marker + "\3" + lengths + keys + value_lengths + values),
             Catch::Contains("not as many as it says"));
  CHECK_THAT(message(marker + "\1" + lengths + keys + value_lengths + values),
             Catch::Contains("holds more than its records"));
  CHECK_THAT(message(marker + "\2" + text(zlib("\x08\x07")) + keys + value_lengths + values),
             Catch::Contains("not as many as it says"));
  CHECK_THAT(message(marker + "\2" + lengths + text(zlib("12345678")) + value_lengths + values),
             Catch::Contains("not as many as it says"));
  CHECK_THAT(message(marker + "\2" + lengths + keys + text(zlib("\x02\x03")) + values),
             Catch::Contains("not as long as it says"));
  CHECK_THAT(message(marker + "\2" + lengths + keys + text(zlib("\x02\xff")) + values),
             Catch::Contains("not as long as it says"));
  CHECK_THAT(message(marker + "\2" + lengths + keys + text(zlib("\x01\x03")) + values),
             Catch::Contains("the length of a value"));
  CHECK_THAT(message(marker + "\2" + lengths + keys + value_lengths + text("rubbish")),
             Catch::Contains("a block of the SequenceFile"));
}

}  // namespace
}  // namespace sluice

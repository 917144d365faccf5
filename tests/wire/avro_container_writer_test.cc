#include "core/wire/avro_container_writer.h"

#include <random>
#include <vector>

#include "core/wire/avro_schema.h"
#include "tests/catch.h"
#include "tests/support/avro_files.h"

namespace sluice {
namespace {

using testing::avro_block;
using testing::avro_file;
using testing::avro_long;

AvroContainerWriter::Options options_of(const std::string& codec, std::size_t block_bytes) {
  AvroContainerWriter::Options options{.codec = codec, .block_bytes = block_bytes};
  std::copy(testing::avro_sync.begin(), testing::avro_sync.end(), options.sync.begin());
  return options;
}

std::string written(const std::string& codec, std::size_t block_bytes,
                    const std::vector<std::string>& datums) {
  auto writer = AvroContainerWriter::make(options_of(codec, block_bytes));
  REQUIRE(writer.ok());
  std::string out;
  (*writer)->begin(R"("string")", out);
  for (const std::string& datum : datums) (*writer)->append(datum, out);
  (*writer)->finish(out);
  return out;
}

TEST_CASE("avro container writer: numbers are written as they are read") {
  for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{63},
                                   std::int64_t{64}, std::int64_t{-65}, INT64_MAX, INT64_MIN}) {
    std::string out;
    append_avro_long(value, out);
    CHECK(out == avro_long(value));
    std::string_view rest = out;
    std::int64_t read = 0;
    CHECK(take_avro_long(rest, read) == AvroSchema::Extent::Whole);
    CHECK(read == value);
    CHECK(rest.empty());
  }
}

TEST_CASE("avro container writer: a small file, byte for byte") {
  CHECK(written("null", 100,
                {"\x02"
                 "a",
                 "\x04"
                 "bc"}) ==
        testing::unhex("4f626a0104166176726f2e736368656d611022737472696e6722146176726f2e636f646563"
                       "086e756c6c00") +
            testing::avro_sync + testing::unhex("040a0261046263") + testing::avro_sync);
}

TEST_CASE("avro container writer: a block ends with the datum that fills it, and none is empty") {
  const std::string four(4, 'x');
  CHECK(written("null", 12, {four, four, four, four, four, four, four}) ==
        avro_file(R"("string")", "null", {{four, four, four}, {four, four, four}, {four}}));
  CHECK(written("null", 12, {four, four, four}) ==
        avro_file(R"("string")", "null", {{four, four, four}}));
  const std::string more(50, 'y');
  CHECK(written("null", 12, {four, more, four}) ==
        avro_file(R"("string")", "null", {{four, more}, {four}}));
  CHECK(written("null", 12, {}) == avro_file(R"("string")", "null", {}));
}

TEST_CASE("avro container writer: what each codec writes is what the codec of that name reads") {
  std::mt19937_64 random(1);
  std::string noise(300'000, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += std::to_string(i);
  for (const std::string name : {"null", "deflate", "snappy", "zstandard"}) {
    INFO(name);
    auto writer = AvroCompressor::make(name);
    auto reader = AvroCodec::make(name);
    REQUIRE(writer.ok());
    REQUIRE(reader.ok());
    // Twice each: nothing of a block is left for the next.
    for (const std::string* data : {&noise, &text, &noise, &text}) {
      std::string compressed = "before ";
      (*writer)->compress(*data, compressed);
      REQUIRE(compressed.substr(0, 7) == "before ");
      std::string out;
      REQUIRE(
          (*reader)->decompress(std::string_view(compressed).substr(7), data->size(), out).ok());
      CHECK((out == *data));
      CHECK((name == "null" || data == &noise || compressed.size() < text.size()));
    }
    std::string nothing;
    (*writer)->compress("", nothing);
    std::string out;
    CHECK((*reader)->decompress(nothing, 0, out).ok());
  }
  CHECK(AvroCompressor::make("lzma").code() == Code::Invalid);
  CHECK(AvroContainerWriter::make(options_of("Snappy", 100)).status().message() ==
        "there is no codec 'Snappy' for Avro files; null, deflate, snappy and zstandard are there");
}

}  // namespace
}  // namespace sluice

// No heap allocation an event once everything has its size.
// test: alone no-sanitizer
//
// malloc() and its kin are replaced in this program and count while a test watches.

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>

#include "core/wire/sequence_file.h"
#include "tests/catch.h"

extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* old, std::size_t bytes);
}

namespace {
std::atomic<bool> watching{false};
std::atomic<std::uint64_t> allocations{0};
std::atomic<std::size_t> bytes_largest{0};

void count_one(std::size_t bytes) noexcept {
  if (!watching) return;
  ++allocations;
  if (bytes > bytes_largest) bytes_largest = bytes;
}
}  // namespace

extern "C" void* malloc(std::size_t bytes) {
  count_one(bytes);
  return __libc_malloc(bytes);
}
extern "C" void* calloc(std::size_t count, std::size_t bytes) {
  count_one(count * bytes);
  return __libc_calloc(count, bytes);
}
extern "C" void* realloc(void* old, std::size_t bytes) {
  count_one(bytes);
  return __libc_realloc(old, bytes);
}

namespace sluice {
namespace {

/// Of so many events in the second of two files, which are alike.
std::uint64_t allocations_of(const SequenceFileWriter::Options& options, int events) {
  auto writer = SequenceFileWriter::make(options);
  REQUIRE(writer.ok());
  std::string out;
  for (const bool second : {false, true}) {
    out.clear();
    allocations = 0;
    watching = second;
    (*writer)->begin(SequenceSync{}, out);
    bool good = true;
    for (int i = 0; i < events; ++i) {
      const std::string_view line = "a line of a log that is longer than a short string is";
      good = (*writer)->append(i, line.substr(static_cast<std::size_t>(i % 10)), out).ok() && good;
    }
    (*writer)->finish(out);
    watching = false;
    REQUIRE(good);
  }
  return allocations;
}

TEST_CASE("sequence file: events allocate nothing once the buffers have their size") {
  constexpr std::array codecs{HadoopCodec::Gzip, HadoopCodec::Deflate, HadoopCodec::Bzip2,
                              HadoopCodec::Lz4, HadoopCodec::Zstandard};
  for (const HadoopCodec codec : codecs) {
    INFO(hadoop_codec_info(codec).name);
    for (const auto compression : {SequenceCompression::None, SequenceCompression::Record}) {
      CHECK(allocations_of({SequenceValue::Text, compression, codec, {}}, 1000) == 0);
    }
    CHECK(allocations_of({SequenceValue::Text, SequenceCompression::Block, codec, {}}, 20'000) ==
          0);
  }
}

TEST_CASE("sequence file: snappy's library allocates for each stream, and nobody else does") {
  const auto of = [](SequenceCompression compression, int events) {
    return allocations_of({SequenceValue::Text, compression, HadoopCodec::Snappy, {}}, events);
  };
  CHECK(of(SequenceCompression::None, 1000) == 0);
  // A few blocks of a few streams.
  CHECK(of(SequenceCompression::Block, 20'000) < 100);
  const std::uint64_t of_records = of(SequenceCompression::Record, 1000);
  CHECK(of_records > 0);  // So what is watched is counted.
  CHECK(of_records <= 3000);
}

TEST_CASE("hadoop codec: a length that lies costs no memory") {
  const auto largest = [](HadoopCodec codec, const std::string& bytes) {
    const auto reader = HadoopDecompressor::make(codec);
    std::string out;
    bytes_largest = 0;
    watching = true;
    const Status status = reader->decompress(bytes, 1 << 30, out);
    watching = false;
    CHECK(status.code() == Code::Invalid);
    return bytes_largest.load();
  };
  constexpr std::size_t little = 16 * 1024;
  // A block and a chunk that are not there; a block of 15 MiB with a chunk of five bytes, which
  // with snappy says the same of itself.
  const std::string absent("\x7f\xff\xff\xff\x01\0\0\0", 8);
  const std::string five_bytes("\0\xf0\0\0\0\0\0\x05\x80\x80\xc0\x07x", 13);
  for (const HadoopCodec codec : {HadoopCodec::Snappy, HadoopCodec::Lz4}) {
    INFO(hadoop_codec_info(codec).name);
    CHECK(largest(codec, absent) < little);
    CHECK(largest(codec, five_bytes) < little);
  }
}

}  // namespace
}  // namespace sluice

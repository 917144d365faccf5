// A batch as bytes: all of it comes back, and nothing that was damaged does.

#include "core/event/frame.h"

#include <random>

#include "tests/catch.h"
#include "tests/support/batches.h"

namespace sluice {
namespace {

constexpr OriginId id{7, 9};

std::string bytes_of(const Frame& frame) {
  std::string all;
  for (const std::string_view piece : frame.pieces()) all.append(piece);
  return all;
}

void check_same(const Batch& got, const Batch& wanted) {
  REQUIRE(got.size() == wanted.size());
  CHECK(bodies_of(got) == bodies_of(wanted));
  CHECK(got.body_bytes() == wanted.body_bytes());
  for (std::uint32_t i = 0; i < got.size(); ++i) CHECK(headers_of(got[i]) == headers_of(wanted[i]));
}

Batch random_batch(std::mt19937_64& random, SlabPool& pool) {
  std::vector<std::string> bodies(random() % 20 + 1);
  for (std::string& body : bodies) {
    body.resize(random() % 200);
    for (char& c : body) c = static_cast<char>(random() % 8 == 0 ? '\n' : 'a' + random() % 3);
  }
  Batch batch = batch_of(pool, bodies);
  if (random() % 2 == 0) {
    BatchBuilder builder(pool, EventHeaders::Own);
    builder.reserve(64 * 1024);
    for (const std::string& body : bodies) {
      std::string headers;
      if (random() % 3 != 0) append_header(headers, "k", std::to_string(random() % 100));
      REQUIRE(builder.append(body, headers));
    }
    batch = builder.seal();
  }
  if (random() % 2 == 0) {
    batch = batch.with_shared_headers(HeaderBlock().with("host", "h1"),
                                      HeaderBlock().with("k", "fallback"));
  }
  return batch;
}

TEST_CASE("a frame gives back the batch, whatever it holds and however it is compressed") {
  const std::uint64_t seed = Catch::rngSeed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SlabPool pool(256 * 1024, 4);
  FrameDecoder decoder(pool);
  for (int round = 0; round < 300; ++round) {
    const Batch batch = random_batch(random, pool);
    const auto compression = static_cast<FrameCompression>(random() % 3);
    const std::string bytes = bytes_of(encode_frame(batch, id, compression));
    const auto got = decoder.decode(bytes, 1000);
    REQUIRE(got.ok());
    check_same(got.value(), batch);
    if (!batch.own_headers()) CHECK(got.value().lines());
    CHECK(got.value().provenance().origin(0) == Origin{id, 1000});
    CHECK(peek_frame(bytes).value().events == batch.size());
    CHECK(peek_frame(bytes).value().body_bytes == batch.body_bytes());
  }
}

TEST_CASE("origins that a batch brought along stay with it") {
  SlabPool pool(64 * 1024, 4);
  const OriginId other{1, 2};
  const Batch batch =
      numbered(pool, 0, 10).with_provenance(Provenance::dense(other, 500, 10)).select({1, 4, 9});
  FrameDecoder decoder(pool);
  const auto got = decoder.decode(bytes_of(encode_frame(batch, id)), 77);
  REQUIRE(got.ok());
  CHECK(got.value().provenance().origin(1) == Origin{other, 504});
  CHECK(got.value().provenance().covered() == batch.provenance().covered());
}

TEST_CASE("a batch without events keeps what it answers for") {
  SlabPool pool(64 * 1024, 4);
  const Batch batch =
      numbered(pool, 0, 10).with_provenance(Provenance::dense({1, 2}, 500, 10)).select({});
  FrameDecoder decoder(pool);
  const auto got = decoder.decode(bytes_of(encode_frame(batch, id)), 77);
  REQUIRE(got.ok());
  CHECK(got.value().empty());
  CHECK(got.value().provenance().covered() == std::vector<OriginRange>{{{1, 2}, 500, 510}});
}

TEST_CASE("no flipped bit and no cut passes for a batch") {
  SlabPool pool(64 * 1024, 4);
  FrameDecoder decoder(pool);
  std::mt19937_64 random(Catch::rngSeed());
  for (const auto compression :
       {FrameCompression::None, FrameCompression::Lz4, FrameCompression::Zstd}) {
    const Batch batch = random_batch(random, pool);
    const std::string whole = bytes_of(encode_frame(batch, id, compression));
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      std::string flipped = whole;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      REQUIRE(decoder.decode(flipped, 0).code() == Code::Reject);
    }
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
      REQUIRE(decoder.decode(whole.substr(0, bytes), 0).code() == Code::Reject);
    }
    REQUIRE(decoder.decode(whole + "x", 0).code() == Code::Reject);
  }
}

TEST_CASE("a frame of a newer release is refused by its version") {
  SlabPool pool(64 * 1024, 4);
  FrameDecoder decoder(pool);
  std::string bytes = bytes_of(encode_frame(numbered(pool, 0, 3), id));
  bytes[0] = 2;
  const auto got = decoder.decode(bytes, 0);
  CHECK(got.code() == Code::Reject);
  CHECK(got.status().message().find("version 2") != std::string::npos);
}

// What a release has written, the next one reads: change the version before this test.
TEST_CASE("the bytes of version 1 are what they were") {
  SlabPool pool(64 * 1024, 4);
  const std::string bytes = bytes_of(encode_frame(batch_of(pool, {"a", "bc"}), id));
  std::string hex;
  for (const char c : bytes) {
    constexpr char digits[] = "0123456789abcdef";
    hex += digits[static_cast<unsigned char>(c) >> 4];
    hex += digits[c & 15];
  }
  CHECK(hex.substr(0, 16) == "0100000002000000");
  CHECK(hex.substr(32) ==
        "0300000000000000"
        "07000000000000000900000000000000"
        "00000000000000000000000000000000"
        "0500000000000000"
        "0100000002000000"
        "610a62630a");
  FrameDecoder decoder(pool);
  REQUIRE(decoder.decode(bytes, 0).ok());
}

}  // namespace
}  // namespace sluice

// One zlib stream a direction, byte for byte, and what hostile bytes make of it.

#include "core/net/deflate_stream.h"

#include <zlib.h>

#include <cstring>

#include "tests/catch.h"

namespace sluice {
namespace {

/// What would be the socket: hands out `arrives` in pieces and keeps what is written.
struct Wire {
  std::string arrives = {};
  std::size_t piece_bytes = SIZE_MAX;
  bool ended = false;  ///< Behind what arrives.
  std::string written = {};
  int finishes = 0;
  std::size_t taken_bytes = 0;  ///< Of what arrives.

  std::size_t left_bytes() const noexcept { return arrives.size() - taken_bytes; }
};

class WireEnd final : public ByteStream {
 public:
  explicit WireEnd(Wire& wire) : wire_(wire) {}
  Result<bool> open() override { return true; }
  Result<std::size_t> read_some(std::span<char> into) override {
    const std::size_t bytes = std::min({into.size(), wire_.piece_bytes, wire_.left_bytes()});
    if (bytes == 0 && wire_.ended) return Closed("the peer has finished");
    wire_.arrives.copy(into.data(), bytes, wire_.taken_bytes);
    wire_.taken_bytes += bytes;
    return bytes;
  }
  bool holds_input() const noexcept override { return false; }
  Status write(std::string_view bytes) override {
    wire_.written += bytes;
    return {};
  }
  Status flush() override { return {}; }
  Status finish() override {
    ++wire_.finishes;
    return {};
  }

 private:
  Wire& wire_;
};

DeflateStream stream_over(Wire& wire, int level = 6,
                          DeflateStream::Memory memory = DeflateStream::Memory::Full) {
  return {std::make_unique<WireEnd>(wire), level, memory};
}

std::string hex(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char each : bytes) {
    text += digits[static_cast<unsigned char>(each) >> 4];
    text += digits[static_cast<unsigned char>(each) & 15];
  }
  return text;
}

std::string compressed(const std::string& text) {
  std::string out(::compressBound(text.size()), '\0');
  uLongf size = out.size();
  REQUIRE(::compress(reinterpret_cast<Bytef*>(out.data()), &size,
                     reinterpret_cast<const Bytef*>(text.data()), text.size()) == Z_OK);
  out.resize(size);
  return out;
}

TEST_CASE("a stream begins, is flushed and ends as Flume's does") {
  Wire wire;
  DeflateStream stream = stream_over(wire);
  REQUIRE(stream.flush().ok());
  CHECK(wire.written.empty());  // nothing to say
  REQUIRE(stream.write("hello").ok());
  REQUIRE(stream.flush().ok());
  CHECK(hex(wire.written).substr(0, 4) == "789c");
  CHECK(wire.written.ends_with(std::string("\0\0\xff\xff", 4)));
  const std::size_t flushed_bytes = wire.written.size();
  REQUIRE(stream.flush().ok());
  CHECK(wire.written.size() == flushed_bytes);  // nothing new, no empty block
  REQUIRE(stream.finish().ok());
  REQUIRE(stream.finish().ok());
  CHECK(hex(wire.written.substr(flushed_bytes)) == "0300062c0215");  // the end, Adler of "hello"
  CHECK(wire.finishes == 2);
}

TEST_CASE("the level is the one that was asked for") {
  const std::string text(100'000, 'x');
  const auto header_at = [&](int level) {
    Wire wire;
    DeflateStream stream = stream_over(wire, level);
    REQUIRE(stream.write(text).ok());
    REQUIRE(stream.flush().ok());
    return std::pair(hex(wire.written).substr(0, 4), wire.written.size());
  };
  CHECK(header_at(0).first == "7801");
  CHECK(header_at(0).second > text.size());
  CHECK(header_at(1).first == "7801");
  CHECK(header_at(1).second < 2'000);
  CHECK(header_at(9).first == "78da");
}

TEST_CASE("what is written comes back, in any pieces and with either memory") {
  std::string text;
  for (int i = 0; text.size() < 700'000; ++i) text += std::to_string(i * 7919) + " ";
  for (const auto memory : {DeflateStream::Memory::Full, DeflateStream::Memory::Small}) {
    for (const std::size_t piece_bytes : {std::size_t{1}, std::size_t{777}, SIZE_MAX}) {
      Wire out;
      DeflateStream writer = stream_over(out, 6, memory);
      for (std::size_t at = 0; at < text.size(); at += 100'000) {
        REQUIRE(writer.write(std::string_view(text).substr(at, 100'000)).ok());
        REQUIRE(writer.flush().ok());
      }
      REQUIRE(writer.finish().ok());
      Wire in{.arrives = out.written, .piece_bytes = piece_bytes, .ended = true};
      DeflateStream reader = stream_over(in);
      std::string received;
      char buffer[5000];
      auto got = reader.read_some(buffer);
      for (; got.ok(); got = reader.read_some(buffer)) {
        REQUIRE(*got > 0);
        received.append(buffer, *got);
      }
      CHECK(got.code() == Code::Closed);
      CHECK(reader.read_some(buffer).code() == Code::Closed);
      CHECK((received == text));
    }
  }
}

TEST_CASE("a flush is enough to read all that was written") {
  Wire out;
  DeflateStream writer = stream_over(out);
  Wire in;
  DeflateStream reader = stream_over(in);
  char buffer[100];
  for (const std::string text : {"one", "two", "three"}) {
    REQUIRE(writer.write(text).ok());
    REQUIRE(writer.flush().ok());
    in.arrives += std::exchange(out.written, {});
    auto got = reader.read_some(buffer);
    REQUIRE(got.ok());
    CHECK(std::string(buffer, *got) == text);
    got = reader.read_some(buffer);
    REQUIRE(got.ok());
    CHECK(*got == 0);
    CHECK_FALSE(reader.holds_input());
  }
}

TEST_CASE("a bomb is inflated into the caller's span only") {
  const std::string bomb = compressed(std::string(64 << 20, '\0'));
  REQUIRE(bomb.size() < 100'000);
  Wire wire{.arrives = bomb, .ended = true};
  DeflateStream stream = stream_over(wire);
  char buffer[100];
  std::memset(buffer, 'x', sizeof buffer);
  auto got = stream.read_some({buffer, 50});
  REQUIRE(got.ok());
  CHECK(*got == 50);
  CHECK(buffer[50] == 'x');
  CHECK(stream.holds_input());
  CHECK(wire.taken_bytes == 8 * 1024);  // one piece of it was read
}

/// All that a reader gets with spans of this size, before anything more arrives.
std::string readable(const std::string& arrived, std::size_t span_bytes) {
  Wire wire{.arrives = arrived};
  DeflateStream stream = stream_over(wire);
  std::string buffer(span_bytes, '\0');
  std::string all;
  for (;;) {
    auto got = stream.read_some(buffer);
    if (!got.ok() || *got == 0) return all;
    all.append(buffer, 0, *got);
    const bool more = stream.holds_input();
    auto rest = stream.read_some(buffer);
    if (!rest.ok() || *rest == 0) return all;
    CHECK(more);  // otherwise nobody would have asked for the rest
    all.append(buffer, 0, *rest);
  }
}

TEST_CASE("a short span leaves nothing behind, wherever the input ends") {
  // A few bits stand for many bytes here, so zlib holds bytes when all of its input is used up.
  const std::string whole = compressed(std::string(1'000, 'a') + "b" + std::string(600, 'a'));
  for (std::size_t bytes = 1; bytes < whole.size(); ++bytes) {
    const std::string arrived = whole.substr(0, bytes);
    CHECK(readable(arrived, 10).size() == readable(arrived, 10'000).size());
  }
  CHECK(readable(whole, 10).size() == 1'601);
}

TEST_CASE("an end before the end of the stream is a cut, and before its beginning none") {
  char buffer[100];
  const std::string whole = compressed("hello");
  Wire cut{.arrives = whole.substr(0, whole.size() - 3), .ended = true};
  DeflateStream stream = stream_over(cut);
  auto got = stream.read_some(buffer);
  REQUIRE(got.ok());
  CHECK(std::string(buffer, *got) == "hello");
  got = stream.read_some(buffer);
  CHECK(got.code() == Code::Retry);
  CHECK(got.status().message().find("has no end") != std::string::npos);
  CHECK(stream.read_some(buffer).code() == Code::Retry);

  Wire silent{.ended = true};
  CHECK(stream_over(silent).read_some(buffer).code() == Code::Closed);
}

TEST_CASE("what is not compressed is said, and what to do") {
  char buffer[100];
  for (const std::string text : {"GET / HTTP/1.1\r\n", "hello world"}) {
    Wire wire{.arrives = text};
    DeflateStream stream = stream_over(wire);
    const auto got = stream.read_some(buffer);
    CHECK(got.code() == Code::Retry);
    CHECK(got.status().message().find("compression-type") != std::string::npos);
  }
  std::string broken = compressed(std::string(1000, 'a') + "tail");
  broken[broken.size() - 1] ^= 1;  // its checksum
  Wire wire{.arrives = broken};
  char large[2000];
  CHECK(stream_over(wire).read_some(large).code() == Code::Retry);
}

TEST_CASE("a stream in which there is nothing ends after a megabyte") {
  const std::string empty_block("\0\0\0\xff\xff", 5);
  Wire wire{.arrives = "\x78\x9c"};
  for (int i = 0; i < 300'000; ++i) wire.arrives += empty_block;
  DeflateStream stream = stream_over(wire);
  char buffer[100];
  CHECK(stream.read_some(buffer).code() == Code::Retry);
  CHECK(wire.left_bytes() > 400'000);
}

}  // namespace
}  // namespace sluice

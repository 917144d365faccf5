#include "core/wire/hex_dump.h"

#include "tests/catch.h"

namespace sluice {
namespace {

std::string dump(std::string_view bytes) {
  std::string out;
  append_hex_dump(out, bytes);
  return out;
}

TEST_CASE("A short body is padded to sixteen cells before its text") {
  CHECK(dump("hello") == " 68 65 6C 6C 6F " + std::string(33, ' ') + "hello");
}

TEST_CASE("A full row has no padding") {
  CHECK(dump("0123456789abcdef") ==
        " 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 0123456789abcdef");
}

TEST_CASE("Rows after the first begin on their own line with their offset") {
  CHECK(dump("0123456789abcdefXY") ==
        " 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 0123456789abcdef\n00000010 58 59 " +
            std::string(42, ' ') + "XY");
  const std::string long_dump = dump(std::string(0x120, 'a'));
  CHECK(long_dump.find("\n00000110 61 ") != std::string::npos);
  CHECK(long_dump.back() == 'a');
}

TEST_CASE("Bytes outside 32..126 are shown as dots") {
  const std::string bytes{'\0', '\x1F', ' ', '~', '\x7F', '\xFF', '\r'};
  CHECK(dump(bytes) == " 00 1F 20 7E 7F FF 0D " + std::string(27, ' ') + ".. ~...");
}

TEST_CASE("No bytes are shown as nothing") { CHECK(dump("").empty()); }

}  // namespace
}  // namespace sluice

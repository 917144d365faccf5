// Lengths as Java counts them.

#include "core/wire/utf8.h"

#include <string>

#include "tests/catch.h"

namespace sluice {
namespace {

struct Case {
  std::string_view text;
  std::size_t units;
};

TEST_CASE("valid text has Java's length") {
  const Case cases[] = {
      {"", 0},
      {"hello", 5},
      {"\x7F", 1},
      {"\xC2\x80", 1},                  // U+0080, the first of two bytes
      {"\xC3\xA9t\xC3\xA9", 3},         // été
      {"\xDF\xBF", 1},                  // U+07FF, the last of two bytes
      {"\xE0\xA0\x80", 1},              // U+0800, the first of three
      {"\xE4\xBD\xA0\xE5\xA5\xBD", 2},  // two Chinese characters
      {"\xED\x9F\xBF", 1},              // U+D7FF, in front of the surrogates
      {"\xEE\x80\x80", 1},              // U+E000, behind them
      {"\xEF\xBF\xBF", 1},              // U+FFFF
      {"\xF0\x90\x80\x80", 2},          // U+10000, the first of four: a pair in Java
      {"\xF0\x9F\x98\x80", 2},          // an emoji
      {"\xF4\x8F\xBF\xBF", 2},          // U+10FFFF
      {"a\xF0\x9F\x98\x80z", 4},
  };
  for (const Case& each : cases) {
    INFO(each.text);
    CHECK(utf16_length(each.text) == each.units);
  }
  CHECK(utf16_length(std::string_view("\0\0", 2)) == 2);
}

TEST_CASE("a byte that is not valid counts as one") {
  const Case cases[] = {
      {"\x80", 1},              // a continuation without a lead
      {"\xC3", 1},              // cut off
      {"\xC3x", 2},             // the lead alone, then a letter
      {"\xC0\x80", 2},          // overlong
      {"\xC1\xBF", 2},          // overlong
      {"\xE0\x9F\xBF", 3},      // overlong
      {"\xED\xA0\x80", 3},      // a surrogate
      {"\xF0\x8F\xBF\xBF", 4},  // overlong
      {"\xF4\x90\x80\x80", 4},  // beyond U+10FFFF
      {"\xF5\x80\x80\x80", 4},  // no such lead
      {"\xFF\xFE", 2},
      {"\xF0\x9F\x98", 3},          // cut off
      {"\xE4\xBD\xE5\xA5\xBD", 3},  // cut off in front of a good one
      {"\xC4\xE3\xBA\xC3", 4},      // GBK
  };
  for (const Case& each : cases) CHECK(utf16_length(each.text) == each.units);
}

}  // namespace
}  // namespace sluice

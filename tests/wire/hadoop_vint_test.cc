#include "core/wire/hadoop_vint.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/catch.h"

namespace sluice {
namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    constexpr const char* digits = "0123456789abcdef";
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[c & 15];
  }
  return text;
}

std::string encoded(std::int64_t value) {
  std::string bytes;
  append_hadoop_vint(value, bytes);
  return bytes;
}

TEST_CASE("hadoop vint: the bytes are those of WritableUtils") {
  const std::vector<std::pair<std::int64_t, std::string>> known = {
      {0, "00"},
      {1, "01"},
      {127, "7f"},
      {-1, "ff"},
      {-112, "90"},
      {-113, "8770"},
      {128, "8f80"},
      {255, "8fff"},
      {256, "8e0100"},
      {300, "8e012c"},
      {65535, "8effff"},
      {65536, "8d010000"},
      {-256, "87ff"},
      {-257, "860100"},
      {std::numeric_limits<std::int32_t>::max(), "8c7fffffff"},
      {1'700'000'000'000, "8a018bcfe56800"},
      {std::numeric_limits<std::int64_t>::max(), "887fffffffffffffff"},
      {std::numeric_limits<std::int64_t>::min(), "807fffffffffffffff"},
  };
  for (const auto& [value, bytes] : known) {
    INFO(value);
    CHECK(hex(encoded(value)) == bytes);
  }
}

TEST_CASE("hadoop vint: what is written is taken again, and what stands behind it stays") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto value = static_cast<std::int64_t>(random()) >> (random() % 64);
    const std::string bytes = encoded(value) + "rest";
    std::string_view left = bytes;
    std::int64_t got = 0;
    REQUIRE(take_hadoop_vint(left, got));
    REQUIRE(got == value);
    REQUIRE(left == "rest");
  }
}

TEST_CASE("hadoop vint: of a number that is cut off nothing is taken") {
  for (const std::int64_t value : {std::int64_t{128}, std::int64_t{-70'000}, INT64_MAX}) {
    const std::string bytes = encoded(value);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      std::string_view left = std::string_view(bytes).substr(0, size);
      std::int64_t got = 5;
      CHECK_FALSE(take_hadoop_vint(left, got));
      CHECK(left.size() == size);
      CHECK(got == 5);
    }
  }
}

}  // namespace
}  // namespace sluice

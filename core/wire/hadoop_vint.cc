#include "core/wire/hadoop_vint.h"

namespace sluice {
namespace {

// A first byte from -112 on is the number itself. Below that it says how many bytes follow, high
// ones first: -113 to -120 one to eight of them, -121 to -128 the same of the one's complement.
constexpr int smallest_of_a_byte = -112;
constexpr int largest_of_a_byte = 127;
constexpr int complement_of = -120;

}  // namespace

std::size_t write_hadoop_vint(std::int64_t value, char* to) noexcept {
  if (value >= smallest_of_a_byte && value <= largest_of_a_byte) {
    *to = static_cast<char>(value);
    return 1;
  }
  const bool negative = value < 0;
  const auto magnitude = static_cast<std::uint64_t>(negative ? ~value : value);
  const int bytes = (64 - __builtin_clzll(magnitude) + 7) / 8;  // It is 112 at least.
  *to = static_cast<char>((negative ? complement_of : smallest_of_a_byte) - bytes);
  for (int i = 0; i < bytes; ++i) {
    to[1 + i] = static_cast<char>(magnitude >> (8 * (bytes - 1 - i)) & 0xff);
  }
  return 1 + static_cast<std::size_t>(bytes);
}

void append_hadoop_vint(std::int64_t value, std::string& out) {
  char bytes[hadoop_vint_bytes_max];
  out.append(bytes, write_hadoop_vint(value, bytes));
}

bool take_hadoop_vint(std::string_view& bytes, std::int64_t& value) noexcept {
  if (bytes.empty()) return false;
  const int first = static_cast<signed char>(bytes.front());
  if (first >= smallest_of_a_byte) {
    value = first;
    bytes.remove_prefix(1);
    return true;
  }
  const bool negative = first < complement_of;
  const auto following =
      static_cast<std::size_t>((negative ? complement_of : smallest_of_a_byte) - first);
  if (bytes.size() <= following) return false;
  std::uint64_t magnitude = 0;
  for (std::size_t i = 1; i <= following; ++i) {
    magnitude = magnitude << 8 | static_cast<unsigned char>(bytes[i]);
  }
  value = static_cast<std::int64_t>(negative ? ~magnitude : magnitude);
  bytes.remove_prefix(1 + following);
  return true;
}

}  // namespace sluice

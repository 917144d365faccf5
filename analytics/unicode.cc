#include "analytics/unicode.h"

#include <algorithm>
#include <cstddef>

namespace sluice::analytics {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

constexpr Range word_ranges[] = {
#include "analytics/word_ranges.inc"
};

constexpr Character invalid{UINT32_MAX, 1};

constexpr std::uint32_t byte_at(std::string_view text, std::size_t i) noexcept {
  return static_cast<unsigned char>(text[i]);
}

bool continues(std::string_view text, std::size_t i) noexcept {
  return i < text.size() && (byte_at(text, i) & 0xC0U) == 0x80U;
}

}  // namespace

Character first_character(std::string_view text) noexcept {
  const std::uint32_t lead = byte_at(text, 0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xC2 || lead > 0xF4 || !continues(text, 1)) return invalid;
  const std::uint32_t second = byte_at(text, 1) & 0x3FU;
  if (lead < 0xE0) return {(lead & 0x1FU) << 6 | second, 2};
  if (!continues(text, 2)) return invalid;
  const std::uint32_t third = byte_at(text, 2) & 0x3FU;
  if (lead < 0xF0) {
    const std::uint32_t code = (lead & 0x0FU) << 12 | second << 6 | third;
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    return code < 0x800 || surrogate ? invalid : Character{code, 3};
  }
  if (!continues(text, 3)) return invalid;
  const std::uint32_t code =
      (lead & 0x07U) << 18 | second << 12 | third << 6 | (byte_at(text, 3) & 0x3FU);
  return code < 0x10000 || code > 0x10FFFF ? invalid : Character{code, 4};
}

bool is_word_character(std::uint32_t code) noexcept {
  if (code < 0x80) {
    return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') || code == '_' ||
           (code >= 'a' && code <= 'z');
  }
  if (code >= 0x4E00 && code <= 0x9FFF) return true;  // most of what is Chinese
  const Range* const end = std::end(word_ranges);
  const Range* const found =
      std::lower_bound(std::begin(word_ranges), end, code,
                       [](const Range& range, std::uint32_t value) { return range.last < value; });
  return found != end && found->first <= code;
}

bool is_space_character(std::uint32_t code) noexcept {
  if (code < 0x80)
    return code == ' ' || (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x1F);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

}  // namespace sluice::analytics

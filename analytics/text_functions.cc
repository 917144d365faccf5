#include "analytics/text_functions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "core/base/letter_case.h"
#include "core/config/source_text.h"

namespace sluice::analytics {
namespace {

constexpr std::string_view white_space = " \t\r\n\v\f";

/// The code points first..last and, `distance` further on, their lower case.
struct Letters {
  std::uint32_t first;
  std::uint32_t last;
  std::uint32_t distance;
};
// All of two bytes in both cases, so that a text keeps its length.
constexpr std::array letters{
    Letters{0xC0, 0xD6, 32},   Letters{0xD8, 0xDE, 32},    // Latin-1 around the multiplication sign
    Letters{0x386, 0x386, 38}, Letters{0x388, 0x38A, 37},  // Greek with accents
    Letters{0x38C, 0x38C, 64}, Letters{0x38E, 0x38F, 63},
    Letters{0x391, 0x3A1, 32}, Letters{0x3A3, 0x3AB, 32},  // Greek
    Letters{0x400, 0x40F, 80}, Letters{0x410, 0x42F, 32},  // Cyrillic
};
constexpr std::uint32_t final_sigma = 0x3C2;
constexpr std::uint32_t capital_sigma = 0x3A3;

std::uint32_t lower_code(std::uint32_t code) noexcept {
  for (const Letters& each : letters) {
    if (code >= each.first && code <= each.last) return code + each.distance;
  }
  return code;
}

std::uint32_t upper_code(std::uint32_t code) noexcept {
  if (code == final_sigma) return capital_sigma;
  for (const Letters& each : letters) {
    if (code >= each.first + each.distance && code <= each.last + each.distance) {
      return code - each.distance;
    }
  }
  return code;
}

char upper_ascii(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool is_ascii(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// REQUIRES: the text is UTF-8 of `bytes` bytes at `at`.
template <typename OfAscii, typename OfCode>
void change_case(char* at, std::size_t bytes, OfAscii of_ascii, OfCode of_code) noexcept {
  for (std::size_t i = 0; i < bytes; ++i) {
    const auto lead = static_cast<unsigned char>(at[i]);
    if (lead < 0x80) {
      at[i] = of_ascii(at[i]);
    } else if (lead >= 0xC0 && lead < 0xE0) {
      const auto next = static_cast<unsigned char>(at[i + 1]);
      const std::uint32_t code = of_code((lead & 0x1Fu) << 6 | (next & 0x3Fu));
      at[i] = static_cast<char>(0xC0 | code >> 6);
      at[i + 1] = static_cast<char>(0x80 | (code & 0x3F));
      ++i;
    }
  }
}

template <typename OfAscii, typename OfCode>
std::string_view in_case(TextArena& arena, std::string_view text, OfAscii of_ascii,
                         OfCode of_code) {
  const bool same = std::all_of(text.begin(), text.end(), [&](char c) {
    return static_cast<unsigned char>(c) < 0x80 && of_ascii(c) == c;
  });
  if (same || (!is_ascii(text) && !is_utf8(text))) return text;
  char* const made = arena.room(text.size());
  std::memcpy(made, text.data(), text.size());
  change_case(made, text.size(), of_ascii, of_code);
  return {made, text.size()};
}

/// Bytes of the character at the start. REQUIRES: not empty.
std::size_t character_bytes(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0xC2) return 1;
  const std::size_t bytes = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 1;
  if (bytes > text.size()) return 1;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 1;
  }
  return bytes;
}

/// Bytes of the first `characters` characters, or of all there are.
std::size_t bytes_of(std::string_view text, std::int64_t characters) noexcept {
  std::size_t at = 0;
  for (; characters > 0 && at < text.size(); --characters) at += character_bytes(text.substr(at));
  return at;
}

std::string_view without_plus(std::string_view text) noexcept {
  text = trimmed(text);
  const bool plus = text.size() > 1 && text[0] == '+' && text[1] != '-';
  return plus ? text.substr(1) : text;
}

template <typename T>
std::optional<T> parse(std::string_view text) noexcept {
  text = without_plus(text);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string_view lower_text(TextArena& arena, std::string_view text) {
  return in_case(
      arena, text, [](char c) { return lower_case(c); }, lower_code);
}

std::string_view upper_text(TextArena& arena, std::string_view text) {
  return in_case(arena, text, upper_ascii, upper_code);
}

std::int64_t length_of(std::string_view text) noexcept {
  std::int64_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(character_bytes(text));
  return count;
}

std::string_view part_of(std::string_view text, std::int64_t from, std::int64_t count) noexcept {
  if (count <= 0) return {};
  if (from > 0) --from;
  if (from < 0) {
    from += length_of(text);
    // Positions in front of the text are counted but hold nothing.
    if (from < 0) count += from;
  }
  text.remove_prefix(bytes_of(text, from));
  return text.substr(0, bytes_of(text, count));
}

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(white_space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

std::optional<std::string_view> split_part(std::string_view text, std::string_view separator,
                                           std::int64_t n) noexcept {
  if (separator.empty() || n < 1) return std::nullopt;
  for (; n > 1; --n) {
    const std::size_t at = text.find(separator);
    if (at == std::string_view::npos) return std::nullopt;
    text.remove_prefix(at + separator.size());
  }
  return text.substr(0, text.find(separator));
}

std::optional<std::int64_t> path_integer(std::string_view path, std::string_view prefix) noexcept {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  for (std::size_t at = path.find(prefix); at != std::string_view::npos;
       at = path.find(prefix, at + 1)) {
    const std::string_view rest = path.substr(at + prefix.size());
    if (rest.empty() || !digit(rest.front())) continue;
    std::int64_t value = 0;
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (parsed.ec != std::errc()) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

bool is_like(std::string_view text, std::string_view pattern) noexcept {
  std::size_t t = 0;
  std::size_t p = 0;
  // Only the last % needs another try: an earlier one has found the nearest place for what follows.
  std::size_t after_percent = std::string_view::npos;
  std::size_t retry_at = 0;
  while (t < text.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      after_percent = ++p;
      retry_at = t;
      continue;
    }
    if (p < pattern.size() && t < text.size()) {
      const bool escaped = pattern[p] == '\\' && p + 1 < pattern.size();
      if (!escaped && pattern[p] == '_') {
        t += character_bytes(text.substr(t));
        ++p;
        continue;
      }
      if (text[t] == pattern[p + (escaped ? 1 : 0)]) {
        ++t;
        p += escaped ? 2 : 1;
        continue;
      }
    }
    if (after_percent == std::string_view::npos || retry_at >= text.size()) return false;
    retry_at += character_bytes(text.substr(retry_at));
    t = retry_at;
    p = after_percent;
  }
  return true;
}

std::optional<std::int64_t> parse_integer(std::string_view text) noexcept {
  return parse<std::int64_t>(text);
}

std::optional<double> parse_double(std::string_view text) noexcept { return parse<double>(text); }

std::string_view write_integer(TextArena& arena, std::int64_t value) {
  std::array<char, 24> digits{};
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return arena.keep({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

std::string_view write_double(TextArena& arena, double value) {
  std::array<char, 40> digits{};
  char* end = std::to_chars(digits.data(), digits.data() + digits.size() - 2, value).ptr;
  const std::string_view made(digits.data(), static_cast<std::size_t>(end - digits.data()));
  // "2" would be an int; "inf" and "nan" have an n.
  if (made.find_first_of(".en") == std::string_view::npos) {
    *end++ = '.';
    *end++ = '0';
  }
  return arena.keep({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

}  // namespace sluice::analytics

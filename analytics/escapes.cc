#include "analytics/escapes.h"

#include <cstdint>
#include <cstring>

#include "analytics/scan.h"

namespace sluice::analytics {
namespace {

constexpr std::uint32_t no_number = ~std::uint32_t{0};

/// `digits` hexadecimal ones at the front of the text, or no_number.
std::uint32_t hex(std::string_view text, std::size_t digits) noexcept {
  if (text.size() < digits) return no_number;
  std::uint32_t number = 0;
  for (const char c : text.substr(0, digits)) {
    std::uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    } else {
      return no_number;
    }
    number = number << 4 | digit;
  }
  return number;
}

char* put_utf8(std::uint32_t character, char* out) noexcept {
  const auto tail = [&](unsigned shift) {
    return static_cast<char>(0x80 | (character >> shift & 0x3F));
  };
  if (character < 0x80) {
    *out++ = static_cast<char>(character);
    return out;
  }
  if (character < 0x800) {
    *out++ = static_cast<char>(0xC0 | character >> 6);
  } else if (character < 0x10000) {
    *out++ = static_cast<char>(0xE0 | character >> 12);
    *out++ = tail(6);
  } else {
    *out++ = static_cast<char>(0xF0 | character >> 18);
    *out++ = tail(12);
    *out++ = tail(6);
  }
  *out++ = tail(0);
  return out;
}

/// \uHHHH at the front of `text`, or two of them that are one character. Returns how many bytes
/// of `text` it took; none: it is no character.
std::size_t put_character(std::string_view text, char*& out) noexcept {
  const std::uint32_t first = hex(text.substr(2), 4);
  if (first == no_number || (first >= 0xDC00 && first < 0xE000)) return 0;
  if (first < 0xD800 || first >= 0xE000) {
    out = put_utf8(first, out);
    return 6;
  }
  const std::uint32_t second =
      text.substr(6).starts_with("\\u") ? hex(text.substr(8), 4) : no_number;
  if (second < 0xDC00 || second >= 0xE000) return 0;
  out = put_utf8(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), out);
  return 12;
}

/// What the escape at the front of `text` means, to `out`. Returns how many bytes of `text` it
/// took; none: it means nothing.
std::size_t put_meaning(std::string_view text, Escapes escapes, char*& out) noexcept {
  if (text.size() < 2) return 0;
  const char kind = text[1];
  if (kind == '"' || kind == '\\' || kind == '\'') {
    *out++ = kind;
    return 2;
  }
  if (escapes == Escapes::Quote) return 0;
  constexpr std::string_view kinds = "bfnrtv";
  if (const std::size_t place = kinds.find(kind); place != std::string_view::npos) {
    *out++ = "\b\f\n\r\t\v"[place];
    return 2;
  }
  if (kind == 'x') {
    const std::uint32_t byte = hex(text.substr(2), 2);
    if (byte == no_number) return 0;
    *out++ = static_cast<char>(byte);
    return 4;
  }
  return kind == 'u' && escapes == Escapes::Logfmt ? put_character(text, out) : 0;
}

}  // namespace

std::string_view without_escapes(std::string_view text, Escapes escapes, TextArena& arena) {
  // No meaning is longer than what is written for it.
  char* const begin = arena.room(text.size());
  char* out = begin;
  while (!text.empty()) {
    const char* const end = text.data() + text.size();
    const std::size_t plain =
        static_cast<std::size_t>(find_byte(text.data(), end, '\\') - text.data());
    std::memcpy(out, text.data(), plain);
    out += plain;
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::size_t taken = put_meaning(text, escapes, out);
    if (taken == 0) *out++ = '\\';
    text.remove_prefix(taken == 0 ? 1 : taken);
  }
  return {begin, static_cast<std::size_t>(out - begin)};
}

}  // namespace sluice::analytics

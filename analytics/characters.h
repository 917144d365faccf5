// The characters of a UTF-8 text, and what those who print them need to know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::analytics {

/// A character, or bytes that are none: those then stand for one U+FFFD together.
struct Character {
  std::uint32_t code = 0xFFFD;  ///< Its code point.
  std::uint8_t bytes = 1;       ///< 1..4
  bool valid = false;           ///< False: the bytes are not well-formed UTF-8.
};

/// What begins at this byte. Of an ill-formed sequence as many bytes as could have begun a
/// character, as Unicode recommends. REQUIRES: at < text.size().
Character character_at(std::string_view text, std::size_t at) noexcept;

/// Python's str.isprintable() of one character, by Unicode 14 (Python 3.11).
bool is_printable(std::uint32_t code) noexcept;

/// True for a character that takes two columns of a console, as Spark counts them.
bool is_full_width(std::uint32_t code) noexcept;

}  // namespace sluice::analytics

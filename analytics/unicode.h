// Characters beyond ASCII, as far as words are concerned.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::analytics {

struct Character {
  std::uint32_t code = 0;  ///< 0xFFFFFFFF where the bytes are no UTF-8.
  std::uint32_t bytes = 1;
  bool valid() const noexcept { return code != UINT32_MAX; }
};

/// The first character of the text; a byte that is not part of valid UTF-8 is one by itself.
/// REQUIRES: not empty.
Character first_character(std::string_view text) noexcept;

/// A letter, mark, digit or connecting punctuation (Unicode's L, M, N, Pc).
bool is_word_character(std::uint32_t code) noexcept;
/// What Unicode calls White_Space, and the four separators of ASCII that Python adds.
bool is_space_character(std::uint32_t code) noexcept;

}  // namespace sluice::analytics

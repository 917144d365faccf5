// Texts that were written with backslashes, as they were before.
#pragma once

#include <string_view>

#include "analytics/rows.h"

namespace sluice::analytics {

/// What a backslash may stand before. With anything else behind it, it is a backslash.
enum class Escapes : unsigned char {
  Quote,   ///< A quote of either kind and a backslash.
  Log,     ///< Those, b f n r t v and xHH, a byte: Apache and nginx.
  Logfmt,  ///< Those of Log and uHHHH, a character in UTF-16 with its surrogates.
};

/// The text without its escapes, in `arena`.
std::string_view without_escapes(std::string_view text, Escapes escapes, TextArena& arena);

}  // namespace sluice::analytics

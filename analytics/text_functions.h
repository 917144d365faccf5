// What expressions do with texts. No function here throws or fails; views are of their arguments or
// of the arena.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "analytics/rows.h"

namespace sluice::analytics {

/// ASCII, Latin-1, Greek and Cyrillic letters of UTF-8 text in the other case, each by itself:
/// "ß", and "ÿ", whose upper case lies elsewhere, stay. Text that is not UTF-8 stays as it is: a
/// byte that looks like a letter may be half a character of GBK.
std::string_view lower_text(TextArena& arena, std::string_view text);
std::string_view upper_text(TextArena& arena, std::string_view text);

/// Characters; a byte that is not part of UTF-8 counts as one.
std::int64_t length_of(std::string_view text) noexcept;
/// Up to `count` characters from the `from`th (1: the first; 0 too; -1: the last).
std::string_view part_of(std::string_view text, std::int64_t from, std::int64_t count) noexcept;
/// Without ASCII white space at both ends.
std::string_view trimmed(std::string_view text) noexcept;
/// The nth part, from 1, of a text split at each `separator`.
std::optional<std::string_view> split_part(std::string_view text, std::string_view separator,
                                           std::int64_t n) noexcept;
/// The number behind the first `prefix` that digits follow; nothing if it is above 2^63 - 1.
std::optional<std::int64_t> path_integer(std::string_view path, std::string_view prefix) noexcept;

/// SQL's: % is any text, _ one character, \ takes the meaning from what follows it. Time: at most
/// the product of both lengths.
bool is_like(std::string_view text, std::string_view pattern) noexcept;

/// The number that the whole text is, white space around it aside.
std::optional<std::int64_t> parse_integer(std::string_view text) noexcept;
std::optional<double> parse_double(std::string_view text) noexcept;
/// As decimal digits.
std::string_view write_integer(TextArena& arena, std::int64_t value);
/// The shortest that reads back as the same double, with a point or an exponent: 2.0, 1e+100.
std::string_view write_double(TextArena& arena, double value);

}  // namespace sluice::analytics

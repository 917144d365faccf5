// What the letters of Flume's escapes say of a moment: %Y, %m, %d, %H, ...
#pragma once

#include <cstdint>
#include <string>

#include "core/base/time_zone.h"

namespace sluice {

/// Seconds for which the day and the hour stay the same: no zone has ever moved by less, since
/// there are zones.
constexpr std::int64_t time_step_max = 900;

/// How long the text of a letter stays the same, in seconds; 0: it is no part of a time. (`t` is
/// none: it stands for the text of a header.)
std::int64_t time_step_of(char letter) noexcept;

/// Appends what stands in the place of a letter, in English, as Flume writes it. `time` is the
/// moment `seconds`, since 1970 UTC, in some zone. REQUIRES: time_step_of(letter) > 0.
void append_time(char letter, const CivilTime& time, std::int64_t seconds, std::string& out);

}  // namespace sluice

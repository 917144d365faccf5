// Where a replay begins, as a person says it.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "core/base/status.h"

namespace sluice {

/// A sequence, or a moment.
struct FromSequence {
  std::uint64_t sequence = 0;
};
struct FromTime {
  std::int64_t wall_ms = 0;
};
using ReplayFrom = std::variant<FromSequence, FromTime>;

/// "1200" (a sequence), "2026-11-21", "2026-11-21T10:30Z", "2026-11-21T10:30:05.250Z" (UTC, also
/// without the Z), "-1h" (so long before `now_ms`), "@1763721005250" (milliseconds since 1970).
/// Errors: Invalid, with a sentence that quotes the text.
Result<ReplayFrom> parse_replay_from(std::string_view text, std::int64_t now_ms);

}  // namespace sluice

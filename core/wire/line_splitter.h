// Finds the lines in a run of bytes: the hottest loop of the agent.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/event/batch.h"

namespace sluice {

/// What a call of split_lines() found.
struct LineScan {
  std::size_t events = 0;
  std::uint64_t body_bytes = 0;
  std::size_t line_begin = 0;  ///< Where the unfinished line begins; `end` when there is none.
  std::size_t longest = 0;     ///< Bytes of the longest body found.
};

/// Where to look. Offsets count from `base`; [begin, end) must be written.
struct LineInput {
  const char* base = nullptr;
  std::size_t begin = 0;      ///< Where the first line begins.
  std::size_t scan_from = 0;  ///< [begin, scan_from) is known to hold no line feed.
  std::size_t end = 0;        ///< 64 bytes from here on must be readable.
};

/// Writes one entry for each line that ends in the input, downwards from `top`: entry i to
/// top[-1-i].
///
/// Only '\n' ends a line; it is not part of the body, '\r' is. Stops after `entries_max` lines,
/// with line_begin at the first line that was not taken. Pure; uses AVX2 where the machine has it.
LineScan split_lines(const LineInput& input, IndexEntry* top, std::size_t entries_max) noexcept;

/// The portable form, for tests that compare the two.
LineScan split_lines_portable(const LineInput& input, IndexEntry* top,
                              std::size_t entries_max) noexcept;

}  // namespace sluice

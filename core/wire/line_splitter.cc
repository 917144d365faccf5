#include "core/wire/line_splitter.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sluice {
namespace {

/// Adds lines to a scan; kept in registers by the loops below.
struct Collector {
  std::size_t begin;
  IndexEntry* next;
  IndexEntry* const last;
  std::size_t longest = 0;

  bool full() const noexcept { return next == last; }
  void line_ends_at(std::size_t at) noexcept {
    const std::size_t bytes = at - begin;
    *--next = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(bytes)};
    longest = std::max(longest, bytes);
    begin = at + 1;
  }
};

LineScan result_of(const Collector& lines, const LineInput& input, const IndexEntry* top) noexcept {
  LineScan scan;
  scan.events = static_cast<std::size_t>(top - lines.next);
  scan.line_begin = lines.begin;
  scan.longest = lines.longest;
  scan.body_bytes = lines.begin - input.begin - scan.events;
  return scan;
}

#if defined(__x86_64__)
__attribute__((target("avx2,bmi,bmi2"))) LineScan split_lines_avx2(
    const LineInput& input, IndexEntry* top, std::size_t entries_max) noexcept {
  Collector lines{input.begin, top, top - entries_max};
  const __m256i line_feeds = _mm256_set1_epi8('\n');
  for (std::size_t at = input.scan_from; at < input.end && !lines.full(); at += 64) {
    const auto* const block = reinterpret_cast<const __m256i*>(input.base + at);
    const auto low = static_cast<std::uint32_t>(
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256(block), line_feeds)));
    const auto high = static_cast<std::uint32_t>(
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256(block + 1), line_feeds)));
    std::uint64_t mask = std::uint64_t{high} << 32 | low;
    // The last block may reach beyond the end; what lies there is not ours to look at.
    if (input.end - at < 64) mask &= (std::uint64_t{1} << (input.end - at)) - 1;
    while (mask != 0 && !lines.full()) {
      lines.line_ends_at(at + static_cast<std::size_t>(__builtin_ctzll(mask)));
      mask &= mask - 1;
    }
  }
  return result_of(lines, input, top);
}

bool has_avx2() noexcept {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}
#endif

}  // namespace

LineScan split_lines_portable(const LineInput& input, IndexEntry* top,
                              std::size_t entries_max) noexcept {
  Collector lines{input.begin, top, top - entries_max};
  std::size_t at = input.scan_from;
  while (at < input.end && !lines.full()) {
    const void* const found = std::memchr(input.base + at, '\n', input.end - at);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const char*>(found) - input.base);
    lines.line_ends_at(at++);
  }
  return result_of(lines, input, top);
}

LineScan split_lines(const LineInput& input, IndexEntry* top, std::size_t entries_max) noexcept {
#if defined(__x86_64__)
  static const bool avx2 = has_avx2();
  if (avx2) return split_lines_avx2(input, top, entries_max);
#endif
  return split_lines_portable(input, top, entries_max);
}

}  // namespace sluice

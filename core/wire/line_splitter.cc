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
#define SLUICE_AVX2 __attribute__((target("avx2,bmi,bmi2"), always_inline)) inline

SLUICE_AVX2 __m256i line_feeds_at(const char* block) noexcept {
  return _mm256_cmpeq_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(block)),
                           _mm256_set1_epi8('\n'));
}

/// One bit for each of 64 bytes.
SLUICE_AVX2 std::uint64_t bits_of(__m256i low, __m256i high) noexcept {
  const auto first = static_cast<std::uint32_t>(_mm256_movemask_epi8(low));
  const auto second = static_cast<std::uint32_t>(_mm256_movemask_epi8(high));
  return std::uint64_t{second} << 32 | first;
}

SLUICE_AVX2 void collect(Collector& lines, std::size_t at, std::uint64_t bits) noexcept {
  while (bits != 0 && !lines.full()) {
    lines.line_ends_at(at + static_cast<std::size_t>(__builtin_ctzll(bits)));
    bits &= bits - 1;
  }
}

__attribute__((target("avx2,bmi,bmi2"))) LineScan split_lines_avx2(
    const LineInput& input, IndexEntry* top, std::size_t entries_max) noexcept {
  Collector lines{input.begin, top, top - entries_max};
  std::size_t at = input.scan_from;
  // Four loads and one branch where there is no line feed, which is most of a long line.
  constexpr std::size_t stride = 128;
  for (; at + stride <= input.end && !lines.full(); at += stride) {
    const char* const block = input.base + at;
    const __m256i a = line_feeds_at(block);
    const __m256i b = line_feeds_at(block + 32);
    const __m256i c = line_feeds_at(block + 64);
    const __m256i d = line_feeds_at(block + 96);
    const __m256i any = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
    if (_mm256_testz_si256(any, any) != 0) continue;
    collect(lines, at, bits_of(a, b));
    collect(lines, at + 64, bits_of(c, d));
  }
  for (; at < input.end && !lines.full(); at += 64) {
    const char* const block = input.base + at;
    std::uint64_t bits = bits_of(line_feeds_at(block), line_feeds_at(block + 32));
    // The last block may reach beyond the end; what lies there is not ours to look at.
    if (input.end - at < 64) bits &= (std::uint64_t{1} << (input.end - at)) - 1;
    collect(lines, at, bits);
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

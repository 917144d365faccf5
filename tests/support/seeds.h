// How many histories a model lives through.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice {

/// `count`, and a fifth of it where every access is watched: a build with ThreadSanitizer takes
/// twenty times as long, and looks for races, which the first histories show.
constexpr std::uint64_t seeds(std::uint64_t count) {
#if defined(__SANITIZE_THREAD__)
  return std::max<std::uint64_t>(count / 5, 1);
#else
  return count;
#endif
}

}  // namespace sluice

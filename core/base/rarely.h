// Keeps a log readable when the same thing goes wrong again and again.
#pragma once

#include <cstdint>

namespace sluice {

/// True for the 1st, 2nd, 4th, 8th, ... time.
constexpr bool worth_saying(std::uint64_t nth_time) noexcept {
  return (nth_time & (nth_time - 1)) == 0;
}

}  // namespace sluice

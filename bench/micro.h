// Times a loop and prints one line: what, ns an event, events a second.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>

namespace sluice::bench {

/// Keeps the compiler from throwing a result away.
template <typename T>
inline void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

/// Runs `round`, which handles `events` events, for about 150 ms five times; the best counts.
template <typename Round>
void measure(const char* what, std::uint64_t events, Round round) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds time_a_run{150};
  round();  // warm
  double best_ns = 1e18;
  for (int run = 0; run < 5; ++run) {
    std::uint64_t rounds = 0;
    const auto begin = Clock::now();
    auto end = begin;
    while (end - begin < time_a_run) {
      round();
      ++rounds;
      end = Clock::now();
    }
    const double ns = std::chrono::duration<double, std::nano>(end - begin).count();
    best_ns = std::min(best_ns, ns / static_cast<double>(rounds * events));
  }
  std::printf("%-44s %9.2f ns/event %12.0f events/s\n", what, best_ns, 1e9 / best_ns);
}

}  // namespace sluice::bench

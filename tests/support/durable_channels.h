// Durable channels without a configuration file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "channels/commit.h"
#include "channels/durable_channel.h"
#include "tests/support/batches.h"

namespace sluice {

/// Large, unless the test says otherwise.
inline DurableChannel::Options stored_channel(std::string name,
                                              std::uint64_t budget_bytes = 64 << 20) {
  DurableChannel::Options options;
  options.name = std::move(name);
  options.capacity_events = 1'000'000;
  options.budget_bytes = budget_bytes;
  return options;
}

/// Takes all that waits; the numbers, in order. A commit that is refused, because the store has
/// just seen what happened to its disk, comes back and is taken again.
inline std::vector<std::uint64_t> drain(Channel& channel) {
  std::vector<std::uint64_t> numbers;
  const Deadline deadline = Deadline::in(milliseconds(20'000));
  while (channel.size_events() > 0 && !deadline.passed()) {
    Taken events = channel.take({.events_max = 1000, .wait_max = milliseconds(100)}, {});
    if (events.empty()) continue;
    const std::vector<std::uint64_t> these = numbers_of(events.batch());
    Commit out(channel.committer());
    out.take(std::move(events));
    if (std::move(out).wait().ok()) numbers.insert(numbers.end(), these.begin(), these.end());
  }
  return numbers;
}

}  // namespace sluice

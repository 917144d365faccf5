// Durable channels without a configuration file.
#pragma once

#include <string>
#include <utility>

#include "channels/durable_channel.h"

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

}  // namespace sluice

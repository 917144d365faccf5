// The contract of channels/channel.h, for every channel there is.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "channels/channel.h"
#include "core/event/slab.h"

namespace sluice {

/// Bounds that a test asks for; a channel type translates them into its own options.
struct ChannelBounds {
  std::uint64_t capacity_events = 1'000'000;
  std::uint64_t body_bytes_max = UINT64_MAX;
  std::uint64_t budget_bytes = 64 << 20;
};

struct ChannelUnderTest {
  std::string type;
  std::function<std::unique_ptr<Channel>(const ChannelBounds&, SlabPool&)> make;
  bool durable = false;    ///< What is inside outlives the channel, and needs no memory.
  bool from_disk = false;  ///< What is taken was read from disk: never the bytes that were put.
};

/// One entry a channel type; a type in the catalogue that is missing here fails a test.
const std::vector<ChannelUnderTest>& channels_under_test();

}  // namespace sluice

#include "channels/memory_channel.h"
#include "tests/conformance/channel_suite.h"

namespace sluice {

const std::vector<ChannelUnderTest>& channels_under_test() {
  static const std::vector<ChannelUnderTest> channels{
      {"memory",
       [](const ChannelBounds& bounds, SlabPool& pool) -> std::unique_ptr<Channel> {
         MemoryChannel::Options options;
         options.name = "c1";
         options.capacity_events = bounds.capacity_events;
         options.body_bytes_max = bounds.body_bytes_max;
         options.budget_bytes = bounds.budget_bytes;
         options.pace_bytes = 0;
         return std::make_unique<MemoryChannel>(std::move(options), pool);
       }},
  };
  return channels;
}

}  // namespace sluice

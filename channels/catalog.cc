#include "channels/catalog.h"

namespace sluice {

extern const ChannelType memory_channel;

std::span<const ChannelType* const> channel_types() noexcept {
  static const ChannelType* const types[] = {
      &memory_channel,
  };
  return types;
}

}  // namespace sluice

#include "channels/catalog.h"

namespace sluice {

extern const ChannelType file_channel;
extern const ChannelType memory_channel;
extern const ChannelType rocksdb_channel;
extern const ChannelType spillable_channel;

std::span<const ChannelType* const> channel_types() noexcept {
  static const ChannelType* const types[] = {
      &file_channel,
      &memory_channel,
      &rocksdb_channel,
      &spillable_channel,
  };
  return types;
}

}  // namespace sluice

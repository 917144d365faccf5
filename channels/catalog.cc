#include "channels/catalog.h"

namespace sluice {

extern const ChannelType file_channel;
extern const ChannelType kafka_channel;
extern const ChannelType memory_channel;
extern const ChannelType rocksdb_channel;
extern const ChannelType spillablememory_channel;

std::span<const ChannelType* const> channel_types() noexcept {
  static const ChannelType* const types[] = {
      &file_channel, &kafka_channel, &memory_channel, &rocksdb_channel, &spillablememory_channel,
  };
  return types;
}

}  // namespace sluice

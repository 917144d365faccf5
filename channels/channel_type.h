// A type of channel: its tables and how to make one.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "channels/channel.h"
#include "channels/dead_letters.h"
#include "channels/shared_store.h"
#include "core/config/settings.h"
#include "core/event/slab.h"

namespace sluice {

/// What a channel is given. Everything outlives it.
struct ChannelContext {
  SlabPool& pool;
  std::uint64_t memory_share_bytes;  ///< Of the agent's memory limit, when the file names none.
  Stores& stores;
  const Clock& clock = Clock::system();
  std::stop_token abandon = {};         ///< The agent gives up what is still under way.
  DeadLetters* dead_letters = nullptr;  ///< For what a channel outside the agent never takes.
};

struct ChannelType {
  const ComponentInfo* info;
  std::unique_ptr<Channel> (*make)(const Settings& settings, ChannelContext context);
  /// Where the store of such a channel lies: "" for the agent's. Null: it keeps nothing on disk.
  std::string (*store_directory)(const Settings& settings) = nullptr;
};

}  // namespace sluice

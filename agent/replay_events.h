// A replay: through the agent that works on the store of the target, or without one.
#pragma once

#include <cstdint>
#include <string>

#include "channels/channel_reader.h"
#include "core/base/status.h"

namespace sluice {

/// From where to where.
struct ReplayWay {
  std::string channel;      ///< That delivered the events.
  std::uint64_t first = 0;  ///< Sequence to begin at.
  std::string store;        ///< Directory of the store of the channel that gets them,
  std::string target;       ///< and its name.
};

struct Replayed {
  Status status;             ///< Closed when it was stopped.
  std::uint64_t events = 0;  ///< In the target, on disk.
  std::uint64_t next = 0;    ///< Where another replay goes on.
};

/// Puts what `events` shows (Looked::Kept) into the target, as new events. SIGINT and SIGTERM end
/// it between two batches.
///
/// An agent that works on the store gets them through its ReplayDoor, and waits while the target is
/// full. Without one the store is opened for that time, and the target takes them whatever its
/// capacity.
///
/// Errors, in the outcome: Retry (no room; it cannot be read; the agent has gone), Invalid (the
/// agent has no such channel), and those of Store::open().
Replayed replay_events(const ReplayWay& way, ChannelReader& events, SlabPool& pool,
                       const ChannelReader::OnDamage& on_damage);

}  // namespace sluice

// Channels without a configuration file, and short ways to use them.
#pragma once

#include <memory>

#include "channels/memory_channel.h"

namespace sluice {

/// Large, without pacing, unless the test says otherwise.
inline MemoryChannel::Options roomy_channel(std::string name = "c1") {
  MemoryChannel::Options options;
  options.name = std::move(name);
  options.capacity_events = 1'000'000;
  options.pace_bytes = 0;
  return options;
}

inline Deadline soon() { return Deadline::in(milliseconds(20)); }
inline Deadline patiently() { return Deadline::in(milliseconds(10'000)); }

/// Puts a batch; false when there is no room now.
inline bool put(Channel& channel, const Batch& batch) {
  auto room = channel.reserve(batch, Deadline::in(milliseconds(0)), {});
  if (!room.ok()) return false;
  Commit commit(channel.committer());
  commit.put(*std::move(room));
  return std::move(commit).wait().ok();
}

inline Taken take_now(Channel& channel, std::uint32_t events_max = 1000) {
  return channel.take({.events_max = events_max, .wait_max = milliseconds(0)}, {});
}

inline void commit(Taken taken) {
  Commit commit(taken.channel() == nullptr ? nullptr : taken.channel()->committer());
  commit.take(std::move(taken));
  if (!std::move(commit).wait().ok()) std::abort();
}

}  // namespace sluice

// Where replays come in while the agent runs; see agent/replay_call.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "channels/channel.h"
#include "core/base/status.h"
#include "core/event/slab.h"
#include "core/net/local_socket.h"

namespace sluice {

/// Takes events of other processes for the channels of one store, on a thread of its own. One
/// caller after another is heard; each waits while its channel is full.
class ReplayDoor {
 public:
  /// A channel on disk that is open, or null. Called on the door's thread.
  using Find = std::function<Channel*(std::string_view name)>;

  /// REQUIRES: the store of the directory is open here. The channels and the pool outlive the door.
  /// Errors: Retry.
  static Result<std::unique_ptr<ReplayDoor>> open(const std::string& store, Find find,
                                                  SlabPool& pool);
  /// The batch under way is put or not put as a whole; whoever called is told.
  ~ReplayDoor();

 private:
  ReplayDoor(LocalListener listener, Find find, SlabPool& pool);
  void run();
  void hear(LocalStream& stream);
  Status hear_all(LocalStream& stream, std::uint64_t& events);
  Result<Channel*> greet(LocalStream& stream);
  Result<std::string> read(LocalStream& stream, std::size_t bytes);
  Status answer(LocalStream& stream, const Status& status);

  const LocalListener listener_;
  const Find find_;
  SlabPool& pool_;
  const StopSignal stop_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sluice

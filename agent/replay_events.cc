#include "agent/replay_events.h"

#include <csignal>
#include <limits>

#include "agent/replay_call.h"
#include "channels/durable_channel.h"
#include "channels/replay.h"
#include "core/base/log.h"

namespace sluice {
namespace {

volatile std::sig_atomic_t stopped = 0;

/// SIGINT and SIGTERM are noted, not obeyed at once.
class StopSignals {
 public:
  StopSignals() : interrupt_(std::signal(SIGINT, note)), terminate_(std::signal(SIGTERM, note)) {}
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals() {
    std::signal(SIGINT, interrupt_);
    std::signal(SIGTERM, terminate_);
  }

 private:
  using Handler = void (*)(int);
  static void note(int /*signal*/) { stopped = 1; }
  const Handler interrupt_;
  const Handler terminate_;
};

bool go_on() { return stopped == 0; }

DurableChannel::Options target_options(const std::string& name) {
  DurableChannel::Options options;
  options.name = name;
  // Its agent takes in no more until its sinks have come below the capacity.
  options.capacity_events = std::numeric_limits<std::int64_t>::max();
  options.budget_bytes = 0;
  options.retention.as_found = true;
  return options;
}

Replayed replay_into(ReplayTarget& target, const ReplayWay& way, ChannelReader& events,
                     SlabPool& pool, const ChannelReader::OnDamage& on_damage) {
  Replayed result;
  Replay replay(way.channel, target, pool, Clock::system());
  const auto add = [&](std::uint64_t sequence, const Event& event, const Origin& origin) {
    result.status = replay.add(sequence, event, origin, go_on);
    return result.status.ok();
  };
  const Status read = events.for_each_event(way.first, UINT64_MAX, add, on_damage);
  if (result.status.ok()) result.status = replay.finish(go_on);
  if (result.status.ok()) result.status = read;
  result.events = replay.events();
  result.next = result.events > 0 ? replay.put_below() : way.first;
  return result;
}

}  // namespace

Replayed replay_events(const ReplayWay& way, ChannelReader& events, SlabPool& pool,
                       const ChannelReader::OnDamage& on_damage) {
  const StopSignals signals;
  log::Options quiet;
  quiet.level = log::Level::Warn;
  static_cast<void>(log::configure(quiet));
  auto called = ReplayCall::open(way.store, way.channel, way.target, go_on);
  if (called.ok()) return replay_into(**called, way, events, pool, on_damage);
  if (called.code() != Code::Closed || !go_on()) return {called.status(), 0, way.first};
  SharedStore store({.path = way.store}, {});
  DurableChannel channel(target_options(way.target), store, pool);
  if (Status status = channel.open(); !status.ok()) return {std::move(status), 0, way.first};
  ReplayChannel target(channel);
  Replayed result = replay_into(target, way, events, pool, on_damage);
  channel.close();
  return result;
}

}  // namespace sluice

#include "agent/replay_offline.h"

#include <csignal>
#include <limits>

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

DurableChannel::Options target_options(const std::string& name) {
  DurableChannel::Options options;
  options.name = name;
  // Its agent takes in no more until its sinks have come below the capacity.
  options.capacity_events = std::numeric_limits<std::int64_t>::max();
  options.budget_bytes = 0;
  options.retention.as_found = true;
  return options;
}

}  // namespace

Replayed replay_offline(const ReplayWay& way, ChannelReader& events, SlabPool& pool,
                        const ChannelReader::OnDamage& on_damage) {
  const StopSignals signals;
  log::Options quiet;
  quiet.level = log::Level::Warn;
  static_cast<void>(log::configure(quiet));
  Replayed result;
  result.next = way.first;
  SharedStore store({.path = way.store}, {});
  DurableChannel target(target_options(way.target), store, pool);
  result.status = target.open();
  if (!result.status.ok()) return result;
  Replay replay(way.channel, target, pool, Clock::system());
  const auto go_on = [] { return stopped == 0; };
  const auto add = [&](std::uint64_t sequence, const Event& event, const Origin& origin) {
    result.status = replay.add(sequence, event, origin, go_on);
    return result.status.ok();
  };
  const Status read = events.for_each_event(way.first, UINT64_MAX, add, on_damage);
  if (result.status.ok()) result.status = replay.finish(go_on);
  if (result.status.ok()) result.status = read;
  result.events = replay.events();
  if (result.events > 0) result.next = replay.put_below();
  target.close();
  return result;
}

}  // namespace sluice

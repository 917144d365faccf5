// Where events leave the agent.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "channels/commit.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/config/settings.h"
#include "core/metrics/counters.h"
#include "sinks/long_reader.h"

namespace sluice {

/// What became of one batch.
struct Delivery {
  /// Ok: all of it arrived, but for `rejected`. Retry: offer the rest again. Fatal: stop the agent.
  Status status;
  /// With an error: so many events at the front arrived all the same.
  std::uint32_t arrived = 0;
  /// With an error: no answer came, so those behind them may have arrived too.
  bool may_have_arrived = false;
  /// Events (ascending, with Ok) that can never be delivered, and why.
  std::vector<std::uint32_t> rejected = {};
  std::string rejected_because = {};
  /// Become true in the same commit as the take.
  Notes notes = {};
  /// Called, if it is set, when the commit of the take has ended; with an error the events come
  /// again. On the committer's thread, or the runner's: it may only post.
  std::function<void(const Status&)> committed = nullptr;
};

/// Who hears of deliveries. Implemented by SinkRunner.
class DeliveryListener {
 public:
  virtual ~DeliveryListener() = default;
  virtual void delivered(std::uint32_t slot, Delivery delivery) = 0;
};

/// Ends one deliver(); called exactly once, from any thread, maybe before deliver() returns.
class DeliveryDone {
 public:
  DeliveryDone(DeliveryListener& listener, std::uint32_t slot) noexcept
      : listener_(&listener), slot_(slot) {}
  void operator()(Delivery delivery) const { listener_->delivered(slot_, std::move(delivery)); }

 private:
  DeliveryListener* listener_;
  std::uint32_t slot_;
};

/// What a sink is given. Everything outlives it.
struct SinkContext {
  SinkCounters& counters;
  FileSystem& files;
  const Clock& clock;
  /// Of the sink's channel; null where that keeps nothing on disk.
  Committer* committer = nullptr;
  /// Where a sink may keep what it needs after a restart, in a folder of its kind. It need not be
  /// there yet. Empty: nowhere.
  std::string state_directory = {};
};

/// Delivers batches. One thread (its runner's) calls everything; the runner owns the transaction.
class Sink {
 public:
  virtual ~Sink() = default;

  /// Makes ready. Errors: Retry (no connection, no directory: the runner tries again), Invalid.
  /// `stop` ends long waits.
  virtual Status open(const std::stop_token& stop) = 0;

  /// Of what got its origin in the sink's channel, nothing below this one is offered again. Called
  /// before deliver(), where the channel is on disk.
  virtual void settled_below(const Origin& /*below*/) {}

  /// Delivers the whole batch and calls `done`, now or later. The batch lives until then.
  virtual void deliver(const Batch& batch, std::stop_token stop, DeliveryDone done) = 0;

  /// Called between deliveries and at least about once a second: time to roll a file.
  virtual void tend() {}

  /// Nothing is offered before an outstanding delivery has ended: a sink that gathers deliveries
  /// ends them now.
  virtual void hurry() {}

  /// After a failure, when every outstanding delivery has ended: what is offered next begins with
  /// what failed.
  virtual void start_over() {}

  /// Flushes and lets go. Nothing is outstanding when it is called.
  virtual void close() = 0;

  virtual TakeLimit take_limit() const = 0;
  /// How many deliveries may be outstanding at once.
  virtual std::uint32_t in_flight_max() const { return 1; }
  /// How long a sink group offers what may have arrived here to no other sink. Its receiver knows
  /// the double, another one does not.
  virtual milliseconds retry_same_for() const { return milliseconds(0); }
};

/// A type of sink: its tables and how to make one.
struct SinkType {
  const ComponentInfo* info;
  /// Null: it makes a reader instead.
  std::unique_ptr<Sink> (*make)(const Settings& settings, SinkContext context);
  /// A sink that takes and commits by itself; it cannot be in a group.
  std::unique_ptr<LongReader> (*make_reader)(const Settings& settings,
                                             const LongReaderContext& context) = nullptr;
};

/// Sinks that write byte streams have no unit that a batch size would cut; they take at least so
/// much.
constexpr std::uint64_t stream_bytes_at_least = 256 * 1024;

}  // namespace sluice

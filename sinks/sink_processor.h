// Which sink of a group gets the next batch: Flume's arithmetic and nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/clock.h"

namespace sluice {

/// Knows the members of a group by their numbers, 0 and up. Has no sinks, no clock and no thread of
/// its own. One thread.
class SinkProcessor {
 public:
  virtual ~SinkProcessor() = default;

  /// The members for the next batch, in the order in which they are tried. Empty: all of them are
  /// out. Asking changes nothing. Valid until the next call.
  virtual std::span<const std::uint32_t> order(SteadyTime now) = 0;

  /// A batch was offered to a member of the last order().
  virtual void dealt() {}
  virtual void succeeded(std::uint32_t /*member*/) {}
  /// It was offered something, or opened, and failed.
  virtual void failed(std::uint32_t /*member*/, SteadyTime /*now*/) {}

  /// True: several members may have batches in flight at once. False: a member gets its first batch
  /// when those of the one before have ended, so that nothing is overtaken.
  virtual bool spreads() const noexcept = 0;

  /// What Flume says when there is nobody left to try.
  virtual std::string_view all_failed() const noexcept = 0;
};

/// The penalty after so many failures in a row: 2 s, 4 s, 8 s ... up to `most`.
milliseconds sink_penalty(std::uint32_t failures, milliseconds most) noexcept;

/// For a sink in no group: it is always the next.
std::unique_ptr<SinkProcessor> make_single_processor();

/// Members in the order of their priorities, the highest first. All batches go to the first one
/// that works. One that fails is out for its penalty, `penalty_max` at most; then it is tried
/// first, and a success makes it a working one again, without failures.
std::unique_ptr<SinkProcessor> make_failover_processor(std::uint32_t members,
                                                       milliseconds penalty_max);

struct LoadBalance {
  bool random = false;   ///< Else in turn.
  bool backoff = false;  ///< One that fails is out for a while; else it is tried in its turn.
  milliseconds out_max{30'000};
  std::uint64_t seed = 0;  ///< Of `random`.
};

/// Each batch goes to another member. With `backoff` one that fails is out for its penalty; its
/// failures add up, to 16 at most, unless it held for an hour longer than it was out last.
std::unique_ptr<SinkProcessor> make_load_balance_processor(std::uint32_t members,
                                                           LoadBalance options);

}  // namespace sluice

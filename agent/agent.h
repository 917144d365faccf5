// A running agent: channels, sinks and sources, started, supervised and stopped in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/replay_door.h"
#include "agent/units.h"
#include "channels/channel.h"
#include "channels/shared_store.h"
#include "core/config/topology.h"
#include "core/metrics/registry.h"
#include "sinks/dead_letter_file.h"
#include "sinks/view_board.h"

namespace sluice {

/// Every component type that is built, with the tables that describe them.
Catalog built_catalog();

/// Runs a Plan. start(), wait() and stop() are called by one thread; the rest is thread-safe.
class Agent {
 public:
  struct Options {
    /// Budget of the memory channels whose byteCapacity is not set, together.
    std::uint64_t memory_limit_bytes = 64 << 20;
    /// Where durable channels keep their store, unless they have a directory of their own.
    /// The dead-letter file lies there too.
    std::string state_directory = ".";
    /// Bound of the dead-letter file.
    std::uint64_t dead_letter_bytes_max = 64 << 20;
    /// How long stop() lets sinks empty their channels.
    milliseconds drain_max{5000};
    /// --once: sources that follow something end when they have caught up.
    bool once = false;
    /// Sinks that forget the state they have kept.
    std::set<std::string, std::less<>> reset_state = {};
    FileSystem* files = &FileSystem::real();
    const Clock* clock = &Clock::system();
    /// Types of sinks beside the built ones, for tests.
    std::span<const SinkType* const> more_sinks = {};
  };

  /// Makes every component of the plan. REQUIRES: the plan was made with built_catalog(), and what
  /// the options have beside it.
  Agent(const Plan& plan, Options options);
  ~Agent();

  /// Channels, then sinks, then sources. Returns once every component has tried to start; those
  /// that could not are tried again, and what hangs on a channel starts when that is open. Errors:
  /// Fatal, or why no channel can be opened (for --once: why one cannot).
  Status start();

  /// Waits for whichever comes first: the deadline, wake() or another change since the last call
  /// (all false), the end of all sources (when `until_finished`), or a fatal error.
  bool wait(Deadline deadline, bool until_finished);
  /// Wakes wait(), or the next one.
  void wake();

  /// Sources stop reading and put what they hold, sinks empty the channels, all within drain_max
  /// (or without a bound: for finite inputs). What is left in memory then is counted as lost, said,
  /// and returned.
  std::uint64_t stop(bool without_bound = false);
  /// Gives a stop() without a bound its drain_max, from now on. From any thread.
  void bound_stop();
  /// Ends a stop() at once. From any thread.
  void hurry();

  /// The fatal error that ended the agent, if one did.
  Status fatal() const;

  const MetricsRegistry& metrics() const noexcept { return metrics_; }
  /// What outputs of type view show. Lives as long as the agent.
  ViewBoard& views() noexcept { return views_; }
  /// Sum of the limits of all memory accounts; the largest number when one of them has no limit.
  std::uint64_t memory_limit_bytes() const noexcept;
  /// "sum up to 80 MiB", or "are unlimited (channel c1 has byteCapacity = 0)".
  std::string memory_limit_text() const;

  struct ComponentState {
    std::string component;  ///< "source r1"
    UnitState state;
    /// It does its work, or stands by: the sinks of a group are ready while one of them is.
    bool ready;
  };
  /// A group is followed by its sinks.
  std::vector<ComponentState> states() const;

 private:
  void add_channels(const Plan& plan);
  void add_sinks(const Plan& plan);
  void tell_unknown_resets(const Plan& plan) const;
  void add_sink_unit(std::string component, std::string name,
                     const std::vector<const SinkPlan*>& planned,
                     std::unique_ptr<SinkProcessor> processor);
  void wire_channels(const SourcePlan& planned, ChannelProcessor::Options& processor) const;
  void add_sources(const Plan& plan);
  ChannelUnit* find_channel(std::string_view name) const noexcept;
  Status open_channels();
  void start_what_can();
  void open_replay_doors();
  UnitEvents unit_events();
  void stop_sinks_of_durable_channels();
  std::vector<ChannelUnit*> drain_channels();
  bool awaits_dead_letters(const ChannelUnit& unit) const noexcept;
  std::uint64_t report_lost();

  const Options options_;
  SlabPool pool_;
  Stores stores_;
  MetricsRegistry metrics_;
  ViewBoard views_;
  ResultGauges gauges_;
  std::stop_source abandon_;  ///< Set when what sources hold cannot be waited for any more.
  DeadLetterFile dead_letter_file_;
  std::vector<std::unique_ptr<ChannelUnit>> channels_;
  std::vector<std::unique_ptr<SinkUnit>> sinks_;
  std::vector<std::unique_ptr<SourceUnit>> sources_;
  /// Of the stores that are open; null where none could be opened.
  std::map<const SharedStore*, std::unique_ptr<ReplayDoor>> replay_doors_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t changes_ = 0;    // guarded by mutex_
  std::uint64_t seen_ = 0;       // of changes_, by the last wait(); guarded by mutex_
  bool bounded_ = false;         // guarded by mutex_
  bool hurry_ = false;           // guarded by mutex_
  std::optional<Status> fatal_;  // guarded by mutex_
};

}  // namespace sluice

// One component with all that belongs to it: counters, account, thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "channels/channel.h"
#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/metrics/microbatch_counters.h"
#include "core/metrics/result_gauges.h"
#include "sinks/dead_letter_channel.h"
#include "sinks/sink_runner.h"
#include "sinks/view_board.h"
#include "sources/source.h"

namespace sluice {

/// Where a component is in its life.
enum class UnitState : unsigned char {
  New,
  Running,
  Retrying,  ///< It cannot run just now (a taken port, a missing directory) and tries again.
  Finished,  ///< A finite source is at its end; a sink's channel is drained.
  Failed,    ///< It stays down until the file is changed.
};

std::string_view to_string(UnitState state) noexcept;

/// Told about what a unit cannot settle itself. Called on the unit's thread.
struct UnitEvents {
  std::function<void()> changed;             ///< Some state is another.
  std::function<void(const Status&)> fatal;  ///< A promise of our own is broken.
};

/// A channel, opened again and again until it is. try_open() and close() by one thread, the rest
/// thread-safe. The clock outlives it.
class ChannelUnit {
 public:
  ChannelUnit(std::unique_ptr<Channel> channel, const Clock& clock);

  /// Opens it, unless it is open, failed for good, or was tried a moment ago. What goes wrong is
  /// said, and returned at the first attempt.
  Status try_open();

  Channel& channel() noexcept { return *channel_; }
  const Channel& channel() const noexcept { return *channel_; }
  bool is_open() const noexcept {
    return state_.load(std::memory_order_acquire) == UnitState::Running;
  }
  /// Retrying while it is not open, or while its store is being repaired.
  UnitState state() const;

 private:
  const std::unique_ptr<Channel> channel_;
  const Clock& clock_;
  Backoff backoff_;
  SteadyTime next_attempt_{};
  std::uint64_t failures_ = 0;
  std::atomic<UnitState> state_{UnitState::New};
};

using ChannelUnits = std::vector<const ChannelUnit*>;

/// A source on its own thread, restarted with bounded backoff when it breaks. The backoff begins
/// anew after a run that lasted longer than its bound. The clock outlives it.
class SourceUnit {
 public:
  struct Parts {
    Settings settings;
    const SourceType* type;
    ChannelProcessor::Options processor;
    ChannelUnits channels;  ///< Of the processor.
    bool once = false;
    FileSystem* files = &FileSystem::real();
  };
  SourceUnit(Parts parts, SlabPool& pool, const Clock& clock, UnitEvents events);
  ~SourceUnit();

  /// REQUIRES: not started yet, all its channels are open.
  void start();
  bool started() const noexcept { return thread_.joinable(); }
  void request_stop() noexcept { thread_.request_stop(); }
  void join();

  const ChannelUnits& channels() const noexcept { return channels_; }
  const Settings& settings() const noexcept { return settings_; }
  const SourceCounters& counters() const noexcept { return counters_; }
  const MemoryAccount& account() const noexcept { return window_; }
  UnitState state() const noexcept { return state_.load(std::memory_order_acquire); }

 private:
  void supervise(std::stop_token stop);
  Status run_once(const std::stop_token& stop);
  void enter(UnitState state);

  const Settings settings_;
  const ChannelUnits channels_;
  const UnitEvents events_;
  const Clock& clock_;
  SteadyTime::duration ran_for_{};  // of its thread
  SourceCounters counters_;
  MemoryAccount window_;
  ChannelProcessor processor_;
  std::unique_ptr<Source> source_;
  std::atomic<UnitState> state_{UnitState::New};
  std::jthread thread_;
};

/// A sink, or the sinks of a group, and their runner on a thread of their own.
class SinkUnit {
 public:
  struct Member {
    Settings settings;
    const SinkType* type;
    /// Null: dead letters go where the runner's options say.
    ChannelUnit* dead_letter_channel = nullptr;
    std::vector<ChannelUnit*> result_channels = {};  ///< That a long reader writes to.
  };
  struct Parts {
    std::vector<Member> members;
    std::unique_ptr<SinkProcessor> processor;
    ChannelUnit* channel;
    SinkRunner::Options runner;
    std::string state_directory = {};
    bool reset_state = false;  ///< Of a long reader.
    /// Where a long reader shows what it comes to. REQUIRES: neither is null if there is one.
    ViewBoard* views = nullptr;
    ResultGauges* gauges = nullptr;
  };
  SinkUnit(Parts parts, SlabPool& pool, FileSystem& files, const Clock& clock, UnitEvents events);
  ~SinkUnit();

  /// REQUIRES: not started yet, its channels are open.
  void start();
  bool started() const noexcept { return thread_.joinable(); }
  void request_stop() noexcept { thread_.request_stop(); }
  void join();

  /// "sink k1", "sink group g1"
  const std::string& component() const noexcept { return name_; }
  const ChannelUnits& channels() const noexcept { return channels_; }
  /// Running while one of its sinks is well.
  UnitState state() const noexcept;
  /// It has run to its end, or will not run at all.
  bool ended() const noexcept;

  std::size_t size() const noexcept { return members_.size(); }
  const Settings& settings(std::size_t member) const noexcept { return members_[member]->settings; }
  const SinkCounters& counters(std::size_t member) const noexcept {
    return members_[member]->counters;
  }
  /// Null: it computes nothing.
  const MicrobatchCounters* microbatch(std::size_t member) const noexcept {
    return members_[member]->reader ? &members_[member]->microbatch : nullptr;
  }
  UnitState state(std::size_t member) const noexcept;

 private:
  struct Made {
    explicit Made(Settings its) : settings(std::move(its)) {}
    const Settings settings;
    SinkCounters counters;
    MicrobatchCounters microbatch;
    std::unique_ptr<DeadLetters> dead_letters;  ///< None: those of the runner's options.
    std::unique_ptr<Sink> sink;
    std::unique_ptr<LongReader> reader;  ///< Instead of a sink; then it is alone.
  };
  using AllMade = std::vector<std::unique_ptr<Made>>;
  static AllMade make(Parts& parts, SlabPool& pool, FileSystem& files, const Clock& clock);
  static std::vector<SinkRunner::Member> runner_members(const AllMade& members,
                                                        DeadLetters* otherwise);

  Status run(std::stop_token stop);
  bool healthy() const noexcept;
  void enter(UnitState state);

  const std::string name_;
  const std::string thread_name_;
  /// The one it reads, then those it writes to: of its dead letters, of its results.
  const ChannelUnits channels_;
  const UnitEvents events_;
  Channel& channel_;  ///< The one it reads.
  const AllMade members_;
  std::unique_ptr<SinkRunner> runner_;  ///< Null: a reader runs by itself.
  std::atomic<UnitState> state_{UnitState::New};
  std::jthread thread_;
};

}  // namespace sluice

// One source or sink with all that belongs to it: counters, account, thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/status.h"
#include "sinks/sink_runner.h"
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

/// A source on its own thread, restarted with bounded backoff when it breaks. The backoff begins
/// anew after a run that lasted longer than its bound. The clock outlives it.
class SourceUnit {
 public:
  struct Parts {
    Settings settings;
    const SourceType* type;
    ChannelProcessor::Options processor;
    bool once = false;
    FileSystem* files = &FileSystem::real();
  };
  SourceUnit(Parts parts, SlabPool& pool, const Clock& clock, UnitEvents events);
  ~SourceUnit();

  void start();
  void request_stop() noexcept { thread_.request_stop(); }
  void join();

  const Settings& settings() const noexcept { return settings_; }
  const SourceCounters& counters() const noexcept { return counters_; }
  const MemoryAccount& account() const noexcept { return window_; }
  UnitState state() const noexcept { return state_.load(std::memory_order_acquire); }

 private:
  void supervise(std::stop_token stop);
  Status run_once(const std::stop_token& stop);
  void enter(UnitState state);

  const Settings settings_;
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

/// A sink and its runner on a thread of their own.
class SinkUnit {
 public:
  struct Parts {
    Settings settings;
    const SinkType* type;
    Channel* channel;
    SinkRunner::Options runner;
  };
  SinkUnit(Parts parts, FileSystem& files, const Clock& clock, UnitEvents events);
  ~SinkUnit();

  void start();
  void request_stop() noexcept { thread_.request_stop(); }
  void join();

  const Settings& settings() const noexcept { return settings_; }
  const Channel& channel() const noexcept { return *channel_; }
  const SinkCounters& counters() const noexcept { return counters_; }
  UnitState state() const noexcept;

 private:
  void enter(UnitState state);

  const Settings settings_;
  const UnitEvents events_;
  Channel* const channel_;
  SinkCounters counters_;
  std::unique_ptr<Sink> sink_;
  SinkRunner runner_;
  std::atomic<UnitState> state_{UnitState::New};
  std::jthread thread_;
};

}  // namespace sluice

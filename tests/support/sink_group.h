// A sink group with its runner on a thread of its own, behind a memory channel.
#pragma once

#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "sinks/sink_runner.h"
#include "tests/support/batches.h"
#include "tests/support/memory_channels.h"
#include "tests/support/moved_clock.h"

namespace sluice {

/// Members k1, k2, ... A pause takes longer than any test waits, unless `pause` is given: what goes
/// on at once does so without one.
class SinkGroupRig {
 public:
  explicit SinkGroupRig(milliseconds pause = std::chrono::hours(1)) : pause_(pause) {}
  ~SinkGroupRig() { stop(); }

  void add(Sink& sink, DeadLetters* dead_letters = nullptr) {
    const std::string name = "k" + std::to_string(members_.size() + 1);
    members_.push_back({"sink " + name, name, &sink, &counters_.emplace_back(), dead_letters});
  }
  void start(std::unique_ptr<SinkProcessor> processor) {
    runner_ = std::make_unique<SinkRunner>(SinkRunner::Options{.name = "sink group g1",
                                                               .sink = "g1",
                                                               .clock = &clock_,
                                                               .backoff_first = pause_,
                                                               .backoff_max = pause_},
                                           channel_, members_, std::move(processor));
    thread_ =
        std::jthread([this](std::stop_token stop) { outcome_ = runner_->run(std::move(stop)); });
  }
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  /// Lets the group empty the channel and end.
  void drain() {
    channel_.close();
    if (thread_.joinable()) thread_.join();
  }
  /// Batches of ten that are not taken together.
  void put_tens(std::uint64_t first, std::uint64_t batches) {
    for (std::uint64_t i = 0; i < batches; ++i) {
      if (!put(channel_, numbered(pool_, first + i * 10, 10, 7000))) std::abort();
    }
  }
  std::uint64_t delivered(std::size_t member) const {
    return counters_[member].delivered.events.get();
  }

  SlabPool& pool() noexcept { return pool_; }
  MemoryChannel& channel() noexcept { return channel_; }
  MovedClock& clock() noexcept { return clock_; }
  const SinkCounters& counters(std::size_t member) const { return counters_[member]; }
  const SinkRunner& runner() const noexcept { return *runner_; }
  const Status& outcome() const noexcept { return outcome_; }

 private:
  const milliseconds pause_;
  SlabPool pool_{64 * 1024, keep_no_free_slabs};
  MemoryChannel channel_{roomy_channel(), pool_};
  MovedClock clock_;
  std::deque<SinkCounters> counters_;
  std::vector<SinkRunner::Member> members_;
  std::unique_ptr<SinkRunner> runner_;
  Status outcome_;
  std::jthread thread_;
};

}  // namespace sluice

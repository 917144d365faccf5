// Carries events from a channel to a sink, and owns the transaction in between.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/backoff.h"
#include "sinks/attempts.h"
#include "sinks/dead_letters.h"
#include "sinks/sink.h"

namespace sluice {

/// Takes, delivers, commits. A delivery that ends is settled at once, also while the channel is
/// empty. It goes on delivering while commits are on their way to the disk; one that is refused
/// brings its events back, to be delivered again. A failure rolls back what did not arrive, oldest
/// first, and nothing new is offered until every outstanding delivery has ended; then it backs off
/// and goes on. What the sink rejects goes to the dead letters; where they have no room, the
/// rejected events alone are rolled back and offered again.
class SinkRunner final : private DeliveryListener {
 public:
  struct Options {
    std::string name;                     ///< "sink k1".
    Committer* committer = nullptr;       ///< None: the channel is in memory.
    DeadLetters* dead_letters = nullptr;  ///< None: rejected events are retried. Outlives this.
    std::string sink = {};                ///< "k1", for dead letters.
    milliseconds backoff_first{100};
    milliseconds backoff_max{5000};
    /// Commits of a store that are submitted and not complete: so many bytes of bodies, and so
    /// many.
    std::uint64_t committing_bytes_max = 32 << 20;
    std::uint64_t committing_max = 4096;
  };
  SinkRunner(Options options, Channel& channel, Sink& sink, SinkCounters& counters);
  ~SinkRunner() override;

  /// Runs on the sink's own thread until stop, or until the channel is drained.
  ///
  /// Errors: Invalid (the sink cannot run), Fatal. Everything that can pass is retried inside.
  Status run(std::stop_token stop);

  /// True while the sink is open and its last delivery succeeded.
  bool healthy() const noexcept { return healthy_.load(std::memory_order_relaxed); }

 private:
  struct Slot {
    Taken taken;
    bool busy = false;   ///< Offered, not settled.
    bool ended = false;  ///< done() was called; guarded by mutex_.
    Delivery delivery;   ///< Guarded by mutex_ until ended.
  };

  struct Flowing {
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
  };
  /// What leaves the channel with a commit.
  struct Left {
    Flowing delivered;
    Flowing rejected;
    bool put = false;  ///< The commit itself puts the rejected events into a channel.
  };

  void delivered(std::uint32_t slot, Delivery delivery) override;
  Status open(const std::stop_token& stop);
  void offer(Taken taken, const std::stop_token& stop);
  bool settle_ended();
  void settle(Slot& slot);
  void commit(Taken events, Delivery& delivery);
  Status keep_aside(const Taken& events, const Delivery& delivery, Commit& taking);
  void commit_but_rejected(Taken events, Delivery& delivery);
  void submit(Commit commit, Notes notes, const Left& left);
  void landed(Status status, const Left& left);
  void count_left(const Left& left) noexcept;
  void wait_for_commits(bool all);
  void wait_for_an_end();
  void back_off(const std::stop_token& stop);
  void report_failure(const Status& status);
  void report_dead_letters(std::uint64_t events, const std::string& because);
  void report_commit_failure();
  void count_take(const Taken& taken, const TakeLimit& limit);
  std::uint32_t busy_slots() const noexcept;

  const Options options_;
  Channel& channel_;
  Sink& sink_;
  SinkCounters& counters_;
  Backoff backoff_;
  Status failure_;  ///< Why nothing is offered just now.
  std::atomic<bool> healthy_{false};
  std::uint64_t failures_in_a_row_ = 0;
  Attempts attempts_;
  std::uint64_t rejections_ = 0;  ///< Batches of which something went to the dead letters.

  std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<Slot> slots_;
  std::atomic<bool> unsettled_{false};  ///< A delivery has ended since settle_ended() looked.
  std::uint64_t committing_ = 0;        // guarded by mutex_
  std::uint64_t committing_bytes_ = 0;  // guarded by mutex_
  Status commit_failure_;               // guarded by mutex_; not reported yet
  std::atomic<bool> commit_failed_{false};
};

}  // namespace sluice

// Carries events from a channel to a sink, and owns the transaction in between.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/backoff.h"
#include "sinks/sink.h"

namespace sluice {

/// Where events go that a sink can never deliver. Thread-safe.
class DeadLetters {
 public:
  virtual ~DeadLetters() = default;
  /// Ok: kept. Retry: no room; the sink offers the batch again later.
  virtual Status keep(const Batch& batch, const std::vector<std::uint32_t>& events,
                      const std::string& sink, const std::string& because) = 0;
};

/// Takes, delivers, commits. It goes on delivering while commits are on their way to the disk; one
/// that is refused brings its events back, to be delivered again. A failure rolls back what did not
/// arrive, oldest first, and nothing new is offered until every outstanding delivery has ended;
/// then it backs off and goes on.
class SinkRunner final : private DeliveryListener {
 public:
  struct Options {
    std::string name;                     ///< "sink k1".
    Committer* committer = nullptr;       ///< None: the channel is in memory.
    DeadLetters* dead_letters = nullptr;  ///< None: rejected events are retried.
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

  void delivered(std::uint32_t slot, Delivery delivery) override;
  Status open(const std::stop_token& stop);
  void offer(Taken taken, const std::stop_token& stop);
  bool settle_ended();
  void settle(Slot& slot);
  void commit(Taken events, Delivery& delivery);
  void commit_but_rejected(Taken events, const std::vector<std::uint32_t>& rejected);
  void submit(Taken events, Notes notes, std::uint64_t rejected, std::uint64_t rejected_bytes);
  void landed(Status status, const Flowing& delivered, const Flowing& rejected);
  void count_delivered(const Flowing& delivered, const Flowing& rejected) noexcept;
  void wait_for_commits(bool all);
  void wait_for_an_end();
  void back_off(const std::stop_token& stop);
  void report_failure(const Status& status);
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

  std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<Slot> slots_;
  std::uint64_t committing_ = 0;        // guarded by mutex_
  std::uint64_t committing_bytes_ = 0;  // guarded by mutex_
  Status commit_failure_;               // guarded by mutex_; not reported yet
  std::atomic<bool> commit_failed_{false};
};

}  // namespace sluice

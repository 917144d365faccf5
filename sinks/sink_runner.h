// Carries events from a channel to a sink, and owns the transaction in between.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "channels/dead_letters.h"
#include "core/base/backoff.h"
#include "sinks/attempts.h"
#include "sinks/dealer.h"
#include "sinks/sink.h"

namespace sluice {

/// Takes, delivers, commits. A delivery that ends is settled at once, also while the channel is
/// empty. It goes on delivering while commits are on their way to the disk; one that is refused
/// brings its events back, to be delivered again. A failure rolls back what did not arrive, oldest
/// first, and nothing new is offered until every outstanding delivery has ended; then it backs off
/// and goes on. What the sink rejects goes to the dead letters; where they have no room, the
/// rejected events alone are rolled back and offered again.
///
/// Several sinks may share it: a sink group, on one channel and one thread. A Dealer says who gets
/// the next batch; what one of them failed to deliver is offered to another at once, and there is a
/// pause when nobody is left to try. Each keeps its own counters, its own place for dead letters
/// and its name in what is said. One that cannot be opened counts as failed; one that never can is
/// left out.
class SinkRunner final : private DeliveryListener {
 public:
  struct Options {
    std::string name;                       ///< "sink k1", "sink group g1".
    Committer* committer = nullptr;         ///< None: the channel is in memory.
    DeadLetters* dead_letters = nullptr;    ///< None: rejected events are retried. Outlives this.
    std::string sink = {};                  ///< "k1", for dead letters.
    const Clock* clock = &Clock::system();  ///< Of penalties and patience.
    milliseconds backoff_first{100};
    milliseconds backoff_max{5000};
    /// Commits of a store that are submitted and not complete: so many bytes of bodies, and so
    /// many.
    std::uint64_t committing_bytes_max = 32 << 20;
    std::uint64_t committing_max = 4096;
  };
  /// One of the sinks. All of it outlives the runner.
  struct Member {
    std::string component;  ///< "sink k1"
    std::string sink;       ///< "k1", for dead letters.
    Sink* it = nullptr;
    SinkCounters* counters = nullptr;
    DeadLetters* dead_letters = nullptr;
  };
  SinkRunner(Options options, Channel& channel, std::vector<Member> members,
             std::unique_ptr<SinkProcessor> processor);
  /// A sink in no group, with the dead letters that the options name.
  SinkRunner(Options options, Channel& channel, Sink& sink, SinkCounters& counters);
  ~SinkRunner() override;

  /// Runs on the sink's own thread until stop, or until the channel is drained.
  ///
  /// Errors: Invalid (the sink cannot run), Fatal. Everything that can pass is retried inside.
  Status run(std::stop_token stop);

  /// True while one of the sinks is open and its last delivery succeeded.
  bool healthy() const noexcept;
  /// The same of one member.
  bool healthy(std::size_t member) const noexcept { return members_[member].healthy; }
  /// It never can be opened.
  bool left_out(std::size_t member) const noexcept { return members_[member].left_out; }

 private:
  /// A member while it runs.
  struct Running {
    Running(Member member, std::uint32_t n) : is(std::move(member)), number(n) {}
    const Member is;
    const std::uint32_t number;
    bool open = false;
    TakeLimit limit{};
    std::uint64_t failures_in_a_row = 0;  ///< Those that come together count once.
    bool failed_in_round = false;         ///< A delivery of it, since something was last offered.
    std::atomic<bool> healthy{false};
    std::atomic<bool> left_out{false};
  };

  struct Slot {
    Taken taken;
    Dealer::Deal deal;
    std::uint64_t number = 0;  ///< Rises with the deliveries.
    bool busy = false;         ///< Offered, not settled.
    bool ended = false;        ///< done() was called; guarded by mutex_.
    Delivery delivery;         ///< Guarded by mutex_ until ended.
  };

  struct Flowing {
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
  };
  /// What leaves the channel with a commit.
  struct Left {
    const Member* of = nullptr;
    Flowing delivered{};
    Flowing rejected{};
    bool put = false;  ///< The commit itself puts the rejected events into a channel.
    std::function<void(const Status&)> committed = nullptr;  ///< As in Delivery.
  };

  void delivered(std::uint32_t slot, Delivery delivery) override;
  bool can_run() const noexcept;
  bool open(Running& member, const std::stop_token& stop);
  void leave_out(Running& member, const Status& status);
  bool go_round(const std::stop_token& stop);
  bool take_for(Running& member, const std::stop_token& stop);
  void share_out(Running& member, Taken taken, const std::stop_token& stop);
  void offer(const Dealer::Share& share, Taken taken, const std::stop_token& stop);
  Slot* first_ended();
  bool settle_ended();
  void settle(Slot& slot);
  void commit(Running& member, Taken events, Delivery& delivery);
  Status keep_aside(const Member& member, const Taken& events, const Delivery& delivery,
                    Commit& taking);
  void commit_but_rejected(Running& member, Taken events, Delivery& delivery);
  void submit(Commit commit, Notes notes, const Left& left);
  void landed(Status status, const Left& left);
  static void count_left(const Left& left) noexcept;
  void wait_for_commits(bool all);
  void wait_for_an_end();
  void make_up_for_failures(const std::stop_token& stop);
  void back_off(const std::stop_token& stop);
  void recovered(Running& member);
  void report_failure(Running& member, const Status& status);
  void report_all_failed();
  void report_dead_letters(const Member& member, std::uint64_t events, const std::string& because);
  void report_commit_failure();
  void close_all();
  std::uint32_t busy_slots() const noexcept;

  const Options options_;
  Channel& channel_;
  std::deque<Running> members_;
  Dealer dealer_;
  Backoff backoff_;
  Status failure_;      ///< Why nothing is offered just now.
  bool pause_ = false;  ///< It is nobody's fault: another member would do no better.
  Status invalid_;      ///< Why the last one was left out.
  std::uint64_t rounds_failed_in_a_row_ = 0;
  Attempts attempts_;
  std::uint64_t rejections_ = 0;  ///< Batches of which something went to the dead letters.

  std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<Slot> slots_;
  std::uint64_t deliveries_ = 0;              ///< Ever begun.
  std::atomic<bool> unsettled_{false};        ///< A delivery has ended since settle_ended() looked.
  std::uint64_t committing_ = 0;              // guarded by mutex_
  std::uint64_t committing_bytes_ = 0;        // guarded by mutex_
  Status commit_failure_;                     // guarded by mutex_; not reported yet
  const Member* commit_failed_of_ = nullptr;  // guarded by mutex_
  std::atomic<bool> commit_failed_{false};
};

}  // namespace sluice

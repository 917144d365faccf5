// Many commits, one sync: what waits is written as one batch, and while that is synced the next one
// is written.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/metrics/counters.h"
#include "core/store/accepted_origins.h"
#include "core/store/account.h"
#include "core/store/store.h"

namespace sluice {

/// When a commit is complete; the strictest first.
enum class SyncMode : unsigned char {
  Always,    ///< Once it is synced: it survives a power cut.
  Interval,  ///< Once it is written: it survives a kill -9; syncs follow at an interval.
  Never,     ///< Once it is written; the system syncs when it likes.
};

/// Knows the frames that refused commits had removed. Implemented by channels; called by repairs,
/// on the committer's thread, while nothing is in flight.
class RefusedTakes {
 public:
  virtual ~RefusedTakes() = default;
  /// Adds those frames to the batch that the store lacks. Errors: as Store::read_frames().
  virtual Status rewrite(StoreBatch& batch) = 0;
  /// What was added is on disk.
  virtual void rewritten() noexcept = 0;
};

/// The account of one channel of a store. Changed by commits on the committer's thread.
class Ledger {
 public:
  /// `refused` and `kept`, a gauge of what the channel keeps of what it delivered, outlive the
  /// ledger. Null: nothing is ever taken; nothing is kept.
  Ledger(std::uint32_t channel, Account account, RefusedTakes* refused = nullptr,
         Flow* kept = nullptr)
      : channel_(channel),
        refused_(refused),
        kept_(kept),
        accepted_(channel),
        written_(account),
        durable_(std::move(account)) {
    count_kept(durable_);
  }

  std::uint32_t channel() const noexcept { return channel_; }
  /// What the commits that are written so far make of it. Committer's thread only.
  Account& written() noexcept { return written_; }
  /// Of what entered with an origin. A refused commit undoes what it accepted.
  AcceptedOrigins& accepted() noexcept { return accepted_; }
  /// What the completed commits make of it.
  Account durable() const {
    const std::lock_guard lock(mutex_);
    return durable_;
  }
  /// Of that, `low` alone: every sequence below it is out.
  std::uint64_t durable_low() const {
    const std::lock_guard lock(mutex_);
    return durable_.low;
  }

 private:
  friend class GroupCommit;
  void count_kept(const Account& account) const noexcept {
    if (kept_ == nullptr) return;
    kept_->events.set(account.kept_events());
    kept_->bytes.set(account.kept_bytes());
  }

  const std::uint32_t channel_;
  RefusedTakes* const refused_;
  Flow* const kept_;
  AcceptedOrigins accepted_;
  Account written_;
  mutable std::mutex mutex_;
  Account durable_;  // guarded by mutex_
};

/// Where a work puts its part of a group.
class WriteGroup {
 public:
  StoreBatch& batch() noexcept { return batch_; }
  /// The ledger's row is written at the end of the group. REQUIRES: outlives the group.
  void touch(Ledger& ledger);
  /// With this group the ledger says that nobody asks for frames below `below` any more.
  void abandon_frames(const Ledger& ledger, std::uint64_t below);
  void note(std::string key, std::string value);

 private:
  friend class GroupCommit;
  StoreBatch batch_;
  std::vector<Ledger*> ledgers_;
  std::vector<std::pair<std::string, std::string>> notes_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> abandoned_;  ///< Channel, and below what.
};

/// One commit on its way.
class Work {
 public:
  virtual ~Work() = default;
  /// Adds what it writes. Called once, in the order of submission, on the committer's thread.
  virtual void write(WriteGroup& group) = 0;
  /// The outcome, in the order of submission, on the syncer's thread. `written`: write() was
  /// called, so a refusal has something to undo.
  virtual void complete(const Status& status, bool written) = 0;
  /// False for what only gives room back, which goes on while the disk is full.
  virtual bool needs_room() const noexcept = 0;
  /// About how much it adds to the group.
  virtual std::uint64_t bytes() const noexcept = 0;
};

/// What a group committer counts. Thread-safe.
struct GroupCommitCounters {
  Counter works;
  Counter groups;
  Counter syncs;
  Counter bytes;
  Counter sync_us;
  Counter failures;
  Counter reopenings;
};

/// Writes works in groups and completes them in order.
///
/// What channels keep of what they delivered is dropped, the oldest first, before anything is
/// refused for lack of room. After a failure of the disk everything in flight is refused with
/// Retry, and so is what is submitted until the last of those complete() calls has returned; then
/// the store is reopened, what had been written but was refused is taken back (frames that are gone
/// are written again), and work goes on. Thread-safe.
class GroupCommit {
 public:
  struct Options {
    SyncMode sync = SyncMode::Always;
    milliseconds sync_interval{1000};
    std::uint64_t group_bytes_max = 4 << 20;
    milliseconds reopen_pause{500};  ///< Between attempts to open a store that broke.
  };
  using NoteMap = std::unordered_map<std::string, std::string>;
  /// The notes that a store holds. Errors: as Store::for_each_row().
  static Result<NoteMap> read_notes(const Store& store);

  /// `notes`: what read_notes() gave for this store.
  GroupCommit(Store& store, Options options, NoteMap notes);
  /// Completes what was submitted.
  ~GroupCommit();

  /// REQUIRES: not after the destructor began.
  void submit(std::unique_ptr<Work> work);
  /// Ledgers are repaired when the store is reopened. REQUIRES: outlives the committer or is
  /// removed.
  void add(Ledger& ledger);
  /// Waits for everything that was submitted.
  void remove(Ledger& ledger);

  /// The value that the completed commits gave this note.
  std::optional<std::string> note(std::string_view key) const;
  /// Those whose keys begin so, in no order.
  std::vector<std::pair<std::string, std::string>> notes(std::string_view prefix) const;
  /// Ok, or why commits are refused just now.
  Status health() const;
  const GroupCommitCounters& counters() const noexcept { return counters_; }

 private:
  struct Group {
    std::vector<std::unique_ptr<Work>> works;
    std::vector<std::pair<Ledger*, Account>> accounts;  ///< As they are behind this group.
    std::vector<std::pair<std::string, std::string>> notes;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> abandoned;
    Status status;  ///< Of the write.
    bool written = false;
  };
  using Works = std::vector<std::unique_ptr<Work>>;

  void write_loop(const std::stop_token& stop);
  void sync_loop();
  Works next_works(const std::stop_token& stop);
  void write(Works works);
  Status make_room(Status status, const Works& works);
  void refuse_for_lack_of_room(Works works, Status status);
  void hand_over(Group group);
  void refuse(Works works, const Status& status, bool all);
  void wait_for_syncer();
  void recover(const std::stop_token& stop);
  Status repair();
  Status take_back(StoreBatch& batch, Ledger& ledger);
  void finish(Group& group, const Status& status);
  Status sync_now();

  Store& store_;
  const Options options_;
  GroupCommitCounters counters_;
  WriteGroup group_;  ///< The writer's; used again and again.

  mutable std::mutex mutex_;
  std::condition_variable submitted_;
  std::condition_variable handed_over_;
  std::condition_variable synced_;
  std::deque<std::unique_ptr<Work>> queue_;  // guarded by mutex_
  std::deque<Group> written_;                // guarded by mutex_
  bool idle_ = false;                        // guarded by mutex_; the writer waits
  bool syncer_busy_ = false;                 // guarded by mutex_
  bool writer_done_ = false;                 // guarded by mutex_
  Status broken_;                            // guarded by mutex_; why the store is closed
  std::vector<Ledger*> ledgers_;             // guarded by mutex_
  NoteMap notes_;                            // guarded by mutex_; completed ones
  std::jthread syncer_;
  std::jthread writer_;
};

}  // namespace sluice

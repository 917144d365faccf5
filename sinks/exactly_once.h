// Deliveries that an output takes once each, whoever dies in between.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "channels/commit.h"
#include "core/base/clock.h"
#include "core/event/origin_ranges.h"
#include "sinks/sink.h"

namespace sluice {

/// A far end that takes events in transactions and keeps a position with each of them. One thread.
class TransactionalOutput {
 public:
  /// An event that the output will never take.
  struct Refusal {
    std::size_t write = 0;    ///< Which write() of the transaction it was in, from 0.
    std::uint32_t event = 0;  ///< Its place in that batch.
    std::string why;
  };

  virtual ~TransactionalOutput() = default;

  /// Connects for the channel's store of this name: 32 hexadecimal digits, drawn at the first start
  /// and kept in the store. Whoever wrote under this name before can write no more, and what it did
  /// not commit is gone. The position is that of the last transaction that was committed; none at
  /// the first start, or when the far end has forgotten it. Errors: Retry, Invalid.
  virtual Result<std::optional<std::string>> open(const std::string& store,
                                                  const std::stop_token& stop) = 0;
  /// Adds the events to the transaction, which begins with the first of them. The batch lives
  /// until the transaction has ended. Errors: as commit().
  virtual Status write(const Batch& batch) = 0;
  /// Waits until it is known of every event whether it is taken. `refused` tells which will never
  /// be; with an error too: it may have broken the transaction. The output bounds the wait, and
  /// that after the stop it was opened with even more. Errors: as commit().
  virtual Status flush(std::vector<Refusal>& refused) = 0;
  /// Ok: all that was written and not refused is there for good, and the position. Also without a
  /// write(). Errors: Retry (maybe it is, maybe nothing is: open() tells; or another one writes
  /// under this name now), Closed (stop). After an error only open() and close() may follow.
  virtual Status commit(std::string_view position, const std::stop_token& stop) = 0;
  /// After a commit: it would go on better when it is opened again.
  virtual bool wants_reopening() const noexcept { return false; }
  /// Lets go; what was not committed is gone. May be opened again.
  virtual void close() noexcept = 0;
};

/// Gathers deliveries into transactions of an output, and keeps in the position of each the origins
/// of all events that its channel may offer again: those of the transaction itself, and those of
/// earlier ones whose takes were not seen to be committed. What comes again, after whatever
/// failure, is known by that and not written twice. Origins are never used for two events, so a
/// store that was copied, restored or wiped drops nothing either.
///
/// REQUIRES: a channel on disk that nobody else takes from. One thread, the runner's.
class ExactlyOnce {
 public:
  struct Options {
    std::string component;    ///< As in log lines.
    std::string note_prefix;  ///< Of the notes in the channel's store.
    /// A transaction is committed when it holds so much, or is so old.
    std::uint64_t bytes_max = 4 << 20;
    milliseconds age_max{200};
    /// An idle output is told its position again, so that it does not forget it.
    milliseconds refresh{std::chrono::hours(1)};
    /// Origins of what came again are known until so much else has come.
    std::uint64_t remembered_bytes = 64 << 20;
  };
  ExactlyOnce(Options options, TransactionalOutput& output, Committer& committer,
              const Clock& clock);

  // As in Sink. A delivery ends with its transaction.
  Status open(const std::stop_token& stop);
  void deliver(const Batch& batch, const std::stop_token& stop, DeliveryDone done);
  void tend();
  void hurry();
  void close();

 private:
  struct Pending {
    explicit Pending(DeliveryDone ends) : done(ends) {}
    DeliveryDone done;
    Provenance row;
    OriginRanges origins;                ///< Of what is in the output with this transaction.
    std::vector<std::uint32_t> written;  ///< Empty: all of them, or none.
    std::vector<std::uint32_t> refused;
    std::string refused_because;
    void refuse(std::uint32_t event, std::string why);
  };
  /// What is known to be in the output, and may be offered again. Outlives this object: commits
  /// tell it of themselves.
  struct Known {
    std::mutex mutex;
    OriginRanges origins;
  };

  Status find_name();
  Status open_output(const std::stop_token& stop);
  Status recover(const std::optional<std::string>& position);
  Status add(const Batch& batch, Pending& pending);
  Status flush();
  void commit(const std::stop_token& stop);
  void fail(const Status& status);
  void finish();
  void remember(std::uint64_t bytes, bool came_again);
  std::string position(const OriginRanges& origins) const;
  std::string note(std::string_view key) const;

  const Options options_;
  TransactionalOutput& output_;
  Committer& committer_;
  const Clock& clock_;
  const std::string writer_;  ///< Tells this object from that of a copy of the store.
  const std::shared_ptr<Known> known_;
  std::string name_;
  bool open_ = false;
  bool opened_before_ = false;
  bool displaced_ = false;         ///< Another one writes under our name.
  std::uint64_t transaction_ = 0;  ///< The last one that was committed.
  OriginRanges recovered_;         ///< What the last position had when the output was opened.
  std::uint64_t bytes_since_recovered_ = 0;
  OriginRanges refused_;  ///< Broke a transaction; not to be written again.
  std::string refused_because_;
  std::vector<Pending> pending_;
  std::vector<std::size_t> writes_;  ///< Of the transaction: the pending delivery of each.
  std::uint64_t pending_bytes_ = 0;
  SteadyTime began_{};
  SteadyTime committed_at_{};
  std::stop_token stop_;  ///< Of the last delivery.
};

}  // namespace sluice

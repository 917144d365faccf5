// What the channels have in common: room, order, and who is woken when.
#pragma once

#include <condition_variable>
#include <mutex>

#include "channels/batch_keeper.h"
#include "channels/channel.h"
#include "channels/piece_queue.h"
#include "core/base/wait.h"

namespace sluice {

/// A channel whose takers are served from a queue of pieces under one lock, which is held for a few
/// instructions a batch. Where else events may lie, and what else bounds them, is its heirs' part.
class QueueChannel : public Channel {
 public:
  struct Options {
    std::string name;
    std::uint64_t capacity_events = 100;
    std::uint64_t transaction_capacity = 100;
    milliseconds keep_alive{3000};
    std::uint64_t body_bytes_max = UINT64_MAX;
    std::uint64_t budget_bytes = 64 << 20;  ///< Of slabs kept alive by what waits in memory.
  };

  Status open() override;
  void close() override;
  bool closed() const override;
  Result<Reservation> reserve(const Batch& batch, Deadline deadline, std::stop_token stop) override;
  Taken take(const TakeLimit& limit, std::stop_token stop) override;
  void wake_takers() noexcept override;
  bool drained() const override;
  std::uint64_t size_events() const noexcept override;
  std::uint64_t capacity_events() const noexcept override { return limits_.capacity_events; }
  std::uint64_t transaction_capacity() const noexcept override {
    return limits_.transaction_capacity;
  }
  milliseconds keep_alive() const noexcept override { return limits_.keep_alive; }
  const MemoryAccount& account() const noexcept override { return keeper_.account(); }

 protected:
  /// `beside_bytes`: what the memory account's limit has above the budget. The pool outlives this.
  QueueChannel(const Options& limits, std::uint64_t beside_bytes, SlabPool& pool);

  /// Room for the batch, and the batch as it is kept. Errors: as reserve().
  Result<Batch> claim(const Batch& batch, Deadline deadline, const std::stop_token& stop);
  /// What has room becomes visible to takers.
  void append(const Batch& batch) noexcept;

  // Channel
  void publish(Reservation& room) noexcept override;
  void cancel(Reservation& room) noexcept override;
  void finish(Taken& events) noexcept override;
  void put_back(Taken& events) noexcept override;
  void let_go(const Taken::Pieces& pieces, ReadAhead& ahead) noexcept override;
  void split(const Batch& piece) noexcept override;

  // All below: REQUIRES mutex_.

  /// Before room is claimed; may wait with the lock.
  virtual void pace(std::unique_lock<std::mutex>& lock, const Batch& batch,
                    const std::stop_token& stop);
  /// Beside the counts of events and bytes.
  virtual bool fits_beside(const Batch& batch) const noexcept;
  /// What is published goes to its place.
  virtual void enqueue(std::uint64_t first_sequence, const Batch& batch) noexcept = 0;
  /// True when take() need not wait.
  virtual bool can_take() const noexcept { return queue_has_next(); }
  /// Brings events into the queue, which has none to give; may wait, with the lock or without.
  virtual void fetch(std::unique_lock<std::mutex>& lock, const TakeLimit& limit,
                     const std::stop_token& stop);
  /// Behind a take; true when those who wait to put should look again.
  virtual bool eased() noexcept { return false; }
  /// These are out for good; their room is given back already.
  virtual void forget(const Taken& events) noexcept;
  /// These are being let go; false when their room must not be given back before the commit.
  virtual bool note_let_go(const Taken::Pieces& pieces, const Amount& amount) noexcept;
  /// What was let go is rolled back: it comes to its place, or is counted out with drop_ahead().
  virtual void come_back(const ReadAhead& ahead) noexcept = 0;

  /// True when the queue holds the oldest events there are.
  bool queue_has_next() const noexcept { return queue_.has_before(missing_from_); }
  /// What is left of the room of what was let go.
  void give_room(const ReadAhead& ahead) noexcept;
  /// It was let go, and never comes back: `as` counts it.
  void drop_ahead(const ReadAhead& ahead, Flow& as) noexcept;
  void give_room(const Batch& batch) noexcept;
  /// These have waited and are never taken: `as` counts them. Returns how many events they hold.
  std::uint64_t drop(const std::vector<Taken::Piece>& pieces, Flow& as) noexcept;
  /// Nothing is inside, in a taker's hands, let go and uncommitted, or on its way in.
  bool nothing_left() const noexcept { return used_events_ == 0 && ahead_.events == 0; }
  /// Closed, and nothing is left.
  bool spent() const noexcept { return closed_ && nothing_left(); }

  SlabPool& pool_;
  mutable std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable not_full_;
  // Guarded by mutex_:
  BatchKeeper keeper_;
  PieceQueue queue_{keeper_};
  std::uint64_t next_sequence_ = 0;          ///< Of the next event that becomes visible.
  std::uint64_t missing_from_ = UINT64_MAX;  ///< Of the oldest event that came back unread.
  std::uint64_t used_events_ = 0;            ///< Reserved, waiting, or taken and not let go.
  std::uint64_t used_bytes_ = 0;             ///< Of bodies, likewise.
  Amount ahead_;                             ///< Let go, uncommitted, and not counted in these.
  std::uint32_t takers_asleep_ = 0;
  std::uint32_t putters_asleep_ = 0;
  bool closed_ = false;

 private:
  bool fits(const Batch& batch) const noexcept;

  const Options limits_;
};

}  // namespace sluice

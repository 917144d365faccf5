// The meeting point of one agent: sources put batches in, sinks take batches out.
#pragma once

#include <atomic>
#include <boost/container/small_vector.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "channels/read_ahead.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/event/batch.h"
#include "core/event/memory_account.h"
#include "core/metrics/counters.h"

namespace sluice {

class Channel;
class Commit;
class Committer;
class StoredQueue;

/// Bounds on one take(). A single event larger than bytes_max is still returned alone.
struct TakeLimit {
  std::uint32_t events_max = 100;
  /// Byte streams have no unit that a count would cut: up to so many bytes of bodies are taken even
  /// where that is more than events_max events. 0: events_max alone decides.
  std::uint64_t bytes_at_least = 0;
  std::uint64_t bytes_max = 4 << 20;  ///< Of bodies, headers not counted.
  milliseconds wait_max{1000};        ///< How long an empty channel may block the caller.
  /// While this is true an empty channel does not block; who sets it calls wake_takers() then.
  const std::atomic<bool>* called_off = nullptr;
  /// An empty channel does not block once it is closed, also while takes are open that may come
  /// back: the caller has some of them.
  bool until_closed = false;
};

/// Room in a channel for one batch. Destroyed unused, it is given back. Movable.
class Reservation {
 public:
  /// What a channel on disk found of the batch when it was written.
  struct Found {
    Amount doubles;                     ///< Taken before, by their origins: not put again.
    std::vector<OriginRange> accepted;  ///< Taken now, until the commit is refused.
  };
  Reservation() noexcept = default;
  Reservation(Channel* channel, Batch batch) noexcept
      : channel_(channel), batch_(std::move(batch)) {}
  Reservation(Reservation&& other) noexcept
      : channel_(std::exchange(other.channel_, nullptr)),
        batch_(std::move(other.batch_)),
        found_(std::move(other.found_)) {}
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  Channel* channel() const noexcept { return channel_; }
  /// What will be put: the reserved batch, or a compact copy of it.
  const Batch& batch() const noexcept { return batch_; }
  const Found& found() const noexcept { return found_; }

  /// For channels: what is written of it, and why.
  void wrote(Batch batch, Found found) noexcept {
    batch_ = std::move(batch);
    found_ = std::move(found);
  }

 private:
  friend class Commit;
  Channel* channel_ = nullptr;
  Batch batch_;
  Found found_;
};

/// Events handed to one reader and not yet committed.
///
/// Destroying it uncommitted returns them to the head of the channel, oldest first, and tells the
/// next taker; that never blocks and never fails. One owner at a time; movable.
///
/// A reader that commits many takes at once, much later, lets go of each when it has read it, and
/// appends them to one another.
class Taken {
 public:
  /// A part of the channel's queue as it was put, with its place in the order.
  struct Piece {
    std::uint64_t sequence = 0;  ///< Of its first event.
    Batch batch;
    // The frame on disk that it is (a part of); for durable channels.
    std::uint64_t frame = 0;         ///< Sequence of the frame's first event.
    std::uint32_t frame_events = 0;  ///< In the whole frame.

    /// Events [first, first + events) of it.
    Piece part(std::uint32_t first, std::uint32_t events) const {
      return {sequence + first, batch.slice(first, events), frame, frame_events};
    }
  };

  using Pieces = boost::container::small_vector<Piece, 1>;

  Taken() noexcept = default;
  /// `copied`: what is charged when `batch` is a copy of several pieces.
  Taken(Channel* channel, Pieces pieces, Batch batch, MemoryCharge copied = {}) noexcept
      : channel_(channel),
        pieces_(std::move(pieces)),
        batch_(std::move(batch)),
        copied_(std::move(copied)) {}
  Taken(Taken&& other) noexcept
      : channel_(std::exchange(other.channel_, nullptr)),
        pieces_(std::move(other.pieces_)),
        batch_(std::move(other.batch_)),
        copied_(std::move(other.copied_)),
        ahead_(std::move(other.ahead_)) {}
  Taken& operator=(Taken&& other) noexcept;
  ~Taken();

  /// Views into the channel's slabs (see the lifetime rule in core/event/batch.h).
  /// Empty once they are let go.
  const Batch& batch() const noexcept { return batch_; }
  bool empty() const noexcept { return batch_.empty() && !ahead_; }
  Channel* channel() const noexcept { return channel_; }

  /// The reader has read them: they need no memory any more, nor room in the channel, where that
  /// can be given back (see Channel), and are uncommitted all the same. batch() and pieces() are
  /// empty from now on. Again, or of nothing: no-op.
  ///
  /// Destroyed uncommitted they come back as any others and are read once more, except from a
  /// channel in memory, which has them no more: they count as lost, and their receipts say "not
  /// delivered".
  void let_go() noexcept;
  /// Commits and rolls back `next` with this one, at the cost of one where the reader reads alone.
  /// REQUIRES: both were let go, of the same channel; or this one is of nothing.
  void append(Taken&& next) noexcept;
  /// What was let go; null before.
  const ReadAhead* ahead() const noexcept { return ahead_.get(); }

  /// Cuts the first `events` off, to be committed alone. REQUIRES: events <= batch().size(), not
  /// let go.
  Taken split_front(std::uint32_t events);

  /// For channels, which give pieces out and get them back.
  const Pieces& pieces() const noexcept { return pieces_; }
  /// For channels in which this is where events arrive.
  void settle_receipts() const noexcept;

 private:
  friend class Commit;
  Channel* channel_ = nullptr;
  Pieces pieces_;
  Batch batch_;
  MemoryCharge copied_;
  std::unique_ptr<ReadAhead> ahead_;
};

/// A bounded queue of events. Thread-safe: any number of sources and sinks may use it at once.
///
/// Its capacity bounds what waits to be read and what readers hold. What they let go has its room
/// back at once; on disk only as far as the channel may be read ahead of its commits, so that those
/// who put are held back beyond that.
///
/// Sources do not call it themselves (ChannelProcessor does), nor do sinks (SinkRunner does).
class Channel {
 public:
  explicit Channel(std::string name) : name_(std::move(name)) {}
  virtual ~Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  const std::string& name() const noexcept { return name_; }

  /// Makes the channel ready. Errors: Retry, Invalid.
  virtual Status open() = 0;
  /// No more puts; what is inside can still be taken. Wakes everybody who waits.
  virtual void close() = 0;
  virtual bool closed() const = 0;

  /// Claims room for the whole batch, or for nothing.
  ///
  /// Waits for room until `deadline` or stop. A batch larger than the channel is let in alone, once
  /// the channel is empty. Errors: Retry (the deadline passed), Closed (stop, or close() was
  /// called).
  virtual Result<Reservation> reserve(const Batch& batch, Deadline deadline,
                                      std::stop_token stop) = 0;

  /// The oldest events that nobody holds; shares their slabs, copies nothing but small neighbours.
  ///
  /// An empty result means that wait_max passed, or stop, that it was called off, or that the
  /// channel is drained(); a partial one is never held back for more.
  virtual Taken take(const TakeLimit& limit, std::stop_token stop) = 0;
  /// Lets those who wait in take() see that they are called off. Holds a lock for an instant.
  virtual void wake_takers() noexcept = 0;

  /// Throws away what a channel cannot keep beyond the process and counts it as lost; returns how
  /// many events that are. REQUIRES: closed, no takers.
  virtual std::uint64_t abandon() = 0;

  /// Closed, and nothing is left inside, in the hands of a taker, let go and uncommitted, or
  /// reserved and on its way in.
  virtual bool drained() const = 0;

  /// Committed, not yet out for good. What was let go counts, so it may be above the capacity.
  virtual std::uint64_t size_events() const noexcept = 0;
  virtual std::uint64_t capacity_events() const noexcept = 0;
  virtual std::uint64_t transaction_capacity() const noexcept = 0;

  /// How long a put waits for room before `onFull = reject` refuses it.
  virtual milliseconds keep_alive() const noexcept = 0;

  /// True when what is inside is there again after the next start.
  virtual bool keeps_beyond_process() const noexcept { return false; }
  /// Ok, or why nothing can be put or taken just now; it is seen to without help.
  virtual Status health() const { return {}; }
  /// Completes the commits in which events are put here; null for a channel in memory.
  virtual Committer* committer() noexcept { return nullptr; }
  /// How commits write what a channel keeps in a store; null for one that lies in none. Only where
  /// there is a store do commits take events out with it, and hold notes.
  virtual StoredQueue* stored() noexcept { return nullptr; }

  const ChannelCounters& counters() const noexcept { return counters_; }
  /// What this channel pays for.
  virtual const MemoryAccount& account() const noexcept = 0;
  /// That, and what else it has to pay for.
  virtual std::vector<const MemoryAccount*> accounts() const { return {&account()}; }

 protected:
  /// The books of events on their way out.
  void count_taken(const Taken::Pieces& pieces) noexcept;
  void count_finished(const Taken& events) noexcept;
  void count_put_back(const Taken::Pieces& pieces) noexcept;
  void count_put_back(const Amount& amount) noexcept;
  /// They were let go and come to nothing: `as` counts them.
  void count_gone(const ReadAhead& ahead, Flow& as) noexcept;

  ChannelCounters counters_;

 private:
  friend class Commit;
  friend class Reservation;
  friend class Taken;

  /// The reserved batch becomes visible to takers.
  virtual void publish(Reservation& room) noexcept = 0;
  /// The room is given back.
  virtual void cancel(Reservation& room) noexcept = 0;
  /// The events are out for good: capacity is free, receipts are settled.
  virtual void finish(Taken& events) noexcept = 0;
  /// The events go back to the head.
  virtual void put_back(Taken& events) noexcept = 0;
  /// The pieces, which `ahead` stands for, need no memory any more. Claims all of it (see
  /// ReadAhead) when their room cannot be given back.
  virtual void let_go(const Taken::Pieces& pieces, ReadAhead& ahead) noexcept = 0;
  /// A piece that was given out will be finished or put back in two parts.
  virtual void split(const Batch& piece) noexcept = 0;

  const std::string name_;
};

}  // namespace sluice

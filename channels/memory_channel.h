// The channel in memory: fast, bounded, and empty after a crash.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

#include "channels/batch_keeper.h"
#include "channels/channel.h"
#include "channels/piece_queue.h"
#include "core/base/wait.h"

namespace sluice {

/// A queue of batches under one lock, which is held for a few instructions a batch.
///
/// Bounds: `capacity_events` events (waiting or taken and uncommitted), `body_bytes_max` bytes of
/// bodies, and the memory budget: the slabs it keeps alive. A batch that would keep only a small
/// part of its slab alive is copied compact once the budget is a quarter full.
///
/// While its sinks keep draining, a channel holds its sources back briefly above `pace_bytes`, so
/// that the bytes in flight stay in the processor's caches; the moment they stop draining, it fills
/// to its capacity at full speed.
class MemoryChannel final : public Channel {
 public:
  struct Options {
    std::string name;
    std::uint64_t capacity_events = 100;
    std::uint64_t transaction_capacity = 100;
    milliseconds keep_alive{3000};
    std::uint64_t body_bytes_max = UINT64_MAX;
    std::uint64_t budget_bytes = 64 << 20;  ///< Of slabs kept alive.
    std::uint64_t pace_bytes = 3 << 20;     ///< 0: never hold back.
  };
  MemoryChannel(Options options, SlabPool& pool);
  ~MemoryChannel() override;

  Status open() override;
  void close() override;
  Result<Reservation> reserve(const Batch& batch, Deadline deadline, std::stop_token stop) override;
  Taken take(const TakeLimit& limit, std::stop_token stop) override;
  std::uint64_t abandon() override;
  bool drained() const override;
  std::uint64_t size_events() const noexcept override;
  std::uint64_t capacity_events() const noexcept override { return options_.capacity_events; }
  std::uint64_t transaction_capacity() const noexcept override {
    return options_.transaction_capacity;
  }
  milliseconds keep_alive() const noexcept override { return options_.keep_alive; }
  const MemoryAccount& account() const noexcept override { return keeper_.account(); }

 private:
  void publish(Reservation& room) noexcept override;
  void cancel(Reservation& room) noexcept override;
  void finish(Taken& events) noexcept override;
  void put_back(Taken& events) noexcept override;
  void split(const Batch& piece) noexcept override;

  // All below: REQUIRES mutex_.
  bool fits(const Batch& batch) const noexcept;
  bool over_pace(const Batch& batch) const noexcept;
  void hold_back(std::unique_lock<std::mutex>& lock, const Batch& batch,
                 const std::stop_token& stop);
  void give_room(const Batch& batch) noexcept;
  /// Closed, and nothing is inside, in a taker's hands or on its way in.
  bool spent() const noexcept { return closed_ && used_events_ == 0; }

  const Options options_;
  SlabPool& pool_;

  mutable std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable not_full_;
  // Guarded by mutex_:
  BatchKeeper keeper_;
  PieceQueue queue_{keeper_};
  std::uint64_t next_sequence_ = 0;
  std::uint64_t used_events_ = 0;  ///< Reserved, waiting, or taken.
  std::uint64_t used_bytes_ = 0;   ///< Of bodies, likewise.
  std::uint32_t takers_asleep_ = 0;
  std::uint32_t putters_asleep_ = 0;
  bool pacing_ = true;
  bool closed_ = false;
};

}  // namespace sluice

// The channel in memory: fast, bounded, and empty after a crash.
#pragma once

#include "channels/queue_channel.h"

namespace sluice {

/// A queue of batches.
///
/// Bounds: `capacity_events` events (waiting or taken and uncommitted), `body_bytes_max` bytes of
/// bodies, and `budget_bytes`: the slabs it keeps alive. A batch that would keep only a small
/// part of its slab alive is copied compact once the budget is a quarter full.
///
/// While its sinks keep draining, a channel holds its sources back briefly above `pace_bytes`, so
/// that the bytes in flight stay in the processor's caches; the moment they stop draining, it fills
/// to its capacity at full speed.
class MemoryChannel final : public QueueChannel {
 public:
  struct Options : QueueChannel::Options {
    std::uint64_t pace_bytes = 3 << 20;  ///< 0: never hold back.
  };
  MemoryChannel(Options options, SlabPool& pool);
  ~MemoryChannel() override;

  std::uint64_t abandon() override;

 private:
  void finish(Taken& events) noexcept override;
  void come_back(const ReadAhead& ahead) noexcept override { drop_ahead(ahead, counters_.lost); }

  void pace(std::unique_lock<std::mutex>& lock, const Batch& batch,
            const std::stop_token& stop) override;
  bool fits_beside(const Batch& batch) const noexcept override { return keeper_.fits(batch); }
  void enqueue(std::uint64_t first_sequence, const Batch& batch) noexcept override;
  bool eased() noexcept override;

  const std::uint64_t pace_bytes_;
  bool pacing_ = true;  // guarded by mutex_
};

}  // namespace sluice

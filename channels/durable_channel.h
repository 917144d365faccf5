// The channel on disk: what it acknowledged is there after a kill -9 and a power cut.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "channels/batch_keeper.h"
#include "channels/channel.h"
#include "channels/piece_queue.h"
#include "channels/shared_store.h"
#include "channels/stored_queue.h"
#include "core/base/wait.h"

namespace sluice {

/// A queue of frames in a store.
///
/// What enters becomes visible when its commit is complete, which is when it is on disk. A sink
/// that keeps up is served from memory; once the cache is full, what follows lies on disk only, and
/// is read from there, in order, when the cache is empty. Sequences number the events of a channel
/// for ever.
class DurableChannel final : public Channel, private StoredQueue {
 public:
  struct Options {
    std::string name;
    std::uint64_t capacity_events = 1'000'000;
    std::uint64_t transaction_capacity = 10'000;
    milliseconds keep_alive{3000};
    std::uint64_t body_bytes_max = UINT64_MAX;
    std::uint64_t cache_bytes = 64 << 20;  ///< Of slabs kept alive by what waits.
    FrameCompression compression = FrameCompression::None;
    /// Where Flume's own files may lie; events in them would be forgotten, so open() refuses.
    std::vector<std::string> flume_directories = {};
  };
  /// The store and the pool outlive the channel.
  DurableChannel(Options options, SharedStore& store, SlabPool& pool);
  ~DurableChannel() override;

  Status open() override;
  void close() override;
  Result<Reservation> reserve(const Batch& batch, Deadline deadline, std::stop_token stop) override;
  Taken take(const TakeLimit& limit, std::stop_token stop) override;
  /// Nothing: all of it is on disk.
  std::uint64_t abandon() override;
  bool drained() const override;
  bool keeps_beyond_process() const noexcept override { return true; }
  std::uint64_t size_events() const noexcept override;
  std::uint64_t capacity_events() const noexcept override { return options_.capacity_events; }
  std::uint64_t transaction_capacity() const noexcept override {
    return options_.transaction_capacity;
  }
  milliseconds keep_alive() const noexcept override { return options_.keep_alive; }
  const MemoryAccount& account() const noexcept override { return keeper_.account(); }
  Committer* committer() noexcept override { return &store_; }
  StoredQueue* stored() noexcept override { return this; }

 private:
  /// A frame of which some events are out.
  struct OpenFrame {
    std::uint32_t events = 0;
    std::uint32_t left = 0;        ///< Are not out, by the commits that are written.
    std::uint32_t unfinished = 0;  ///< Are not out, by the commits that are complete.
  };
  /// What lies on disk only, behind all that is in memory.
  struct OnDisk {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool empty() const noexcept { return begin == end; }
  };
  /// What one visit to the disk brought.
  struct Loaded {
    std::vector<Taken::Piece> pieces;
    std::vector<std::pair<std::uint64_t, OpenFrame>> open_frames;
    std::uint64_t end = 0;  ///< Everything before it is in `pieces`, or set aside.
    bool failed = false;    ///< The store could not be read just now.
  };
  class Quarantine;

  // Channel
  void publish(Reservation& room) noexcept override;
  void cancel(Reservation& room) noexcept override;
  void finish(Taken& events) noexcept override;
  void put_back(Taken& events) noexcept override;
  void split(const Batch& piece) noexcept override;

  // StoredQueue
  Frame encode(const Batch& batch) override;
  void write_put(WriteGroup& group, const Frame& frame, const Batch& batch) override;
  void write_take(WriteGroup& group, const Taken::Pieces& pieces) override;
  void undo_take(const Taken::Pieces& pieces) noexcept override;

  Status check_for_flume_files() const;
  Status restore();
  Loaded read_from_disk(std::uint64_t begin, std::uint64_t end);
  void add_loaded(std::uint64_t first, const Batch& frame, Loaded& loaded) const;
  void skip_damage(std::uint64_t begin, std::uint64_t end, const Status& why, Loaded& loaded);
  void keep_damaged(std::uint64_t first, std::string_view frame) const;
  void quarantine(std::uint64_t begin, std::uint64_t end, const Status& why);
  void quarantined(std::uint64_t events) noexcept;
  // Below: REQUIRES mutex_.
  bool load(std::unique_lock<std::mutex>& lock);
  void forget_quarantined_bytes() noexcept;
  bool take_from_frame(const Taken::Piece& piece);
  std::uint64_t head_frame(std::uint64_t low) const noexcept;
  bool fits(const Batch& batch) const noexcept;
  bool can_take() const noexcept { return !queue_.empty() || (!on_disk_.empty() && !loading_); }
  /// Closed, and nothing is inside, in a taker's hands or on its way in.
  bool spent() const noexcept { return closed_ && used_events_ == 0; }

  const Options options_;
  SharedStore& store_;
  SlabPool& pool_;
  std::unique_ptr<Ledger> ledger_;  ///< Set by open().
  Account recovered_;               ///< As it was found by open().
  FrameDecoder decoder_;            ///< Of the one that loads.

  mutable std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable not_full_;
  // Guarded by mutex_:
  BatchKeeper keeper_;
  PieceQueue queue_{keeper_};
  std::map<std::uint64_t, OpenFrame> open_frames_;  ///< Partly out; by their first sequence.
  OnDisk on_disk_;
  std::uint64_t next_sequence_ = 0;  ///< Of the next event that becomes visible.
  std::uint64_t used_events_ = 0;    ///< Reserved, waiting, or taken.
  std::uint64_t used_bytes_ = 0;     ///< Of bodies, likewise.
  std::uint32_t takers_asleep_ = 0;
  std::uint32_t putters_asleep_ = 0;
  bool loading_ = false;
  bool closed_ = false;
};

}  // namespace sluice

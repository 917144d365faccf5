// The channel on disk: what it acknowledged is there after a kill -9 and a power cut.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "channels/queue_channel.h"
#include "channels/shared_store.h"
#include "channels/stored_queue.h"
#include "core/store/retention.h"

namespace sluice {

/// A queue of frames in a store.
///
/// What enters becomes visible when its commit is complete, which is when it is on disk. A sink
/// that keeps up is served from memory; once the cache is full, what follows lies on disk only, and
/// is read from there, in order, when the cache is empty. Sequences number the events of a channel
/// for ever.
class DurableChannel final : public QueueChannel, private StoredQueue, private RefusedTakes {
 public:
  struct Options : QueueChannel::Options {
    FrameCompression compression = FrameCompression::None;
    /// Where Flume's own files may lie; events in them would be forgotten, so open() refuses.
    std::vector<std::string> flume_directories = {};
    RetentionLimits retention = {};
    /// Bytes of bodies that readers may let go of and not commit, before the room of what they let
    /// go stays claimed; 0: any.
    std::uint64_t read_ahead_bytes_max = 1 << 30;
    const Clock* clock = &Clock::system();
  };
  /// The store and the pool outlive the channel.
  DurableChannel(Options options, SharedStore& store, SlabPool& pool);
  ~DurableChannel() override;

  Status open() override;
  Taken take(const TakeLimit& limit, std::stop_token stop) override;
  /// Nothing: all of it is on disk.
  std::uint64_t abandon() override;
  bool keeps_beyond_process() const noexcept override { return true; }
  /// Of the store, and whether this channel can read it.
  Status health() const override;
  Committer* committer() noexcept override { return &store_; }
  StoredQueue* stored() noexcept override { return this; }

 private:
  /// A frame of which some events are out.
  struct OpenFrame {
    std::uint32_t events = 0;
    std::uint32_t left = 0;        ///< Are not out, by the commits that are written.
    std::uint32_t unfinished = 0;  ///< Are not out, by the commits that are complete.
    /// Some of them were let go, and only the disk has them: it is not removed by itself.
    bool only_copy = false;
  };
  /// What lies on disk only, behind all that is in memory.
  struct OnDisk {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool empty() const noexcept { return begin == end; }
  };
  /// What was let go and came back, behind what is its key.
  struct Unread {
    std::uint64_t end = 0;
    std::uint64_t frame = 0;  ///< Where its first frame begins.
  };
  /// What one visit to the disk brought.
  struct Loaded {
    // Nothing else is of interest.
    std::uint64_t wanted_begin = 0;
    std::uint64_t wanted_end = UINT64_MAX;
    std::vector<Taken::Piece> pieces;
    std::vector<std::pair<std::uint64_t, OpenFrame>> open_frames;
    std::uint64_t end = 0;  ///< Everything before it is in `pieces`, or set aside.
    Status failure;         ///< The store could not be read just now.
  };
  class Quarantine;
  class Expiry;

  // QueueChannel
  void publish(Reservation& room) noexcept override;
  void enqueue(std::uint64_t first_sequence, const Batch& batch) noexcept override;
  bool can_take() const noexcept override {
    return queue_has_next() || (!loading_ && !(on_disk_.empty() && unread_.empty()));
  }
  void fetch(std::unique_lock<std::mutex>& lock, const TakeLimit& limit,
             const std::stop_token& stop) override;
  void forget(const Taken& events) noexcept override;
  bool note_let_go(const Taken::Pieces& pieces, const Amount& amount) noexcept override;
  void come_back(const ReadAhead& ahead) noexcept override;

  // StoredQueue
  Frame encode(const Batch& batch) override;
  void write_put(WriteGroup& group, const Frame& frame, Reservation& room) override;
  void undo_put(const Reservation& room) noexcept override;
  void write_take(WriteGroup& group, const Taken& events) override;
  void undo_take(const Taken& events) noexcept override;
  Origin settled_below() const override { return {id_, ledger_->durable_low()}; }
  void sender_settled(const Origin& below) override;

  // RefusedTakes
  Status rewrite(StoreBatch& batch) override;
  void rewritten() noexcept override;
  Batch frame_of(std::uint64_t first, std::vector<Taken::Piece> refused);

  bool drop_doubles(WriteGroup& group, Reservation& room);
  Status check_for_flume_files() const;
  Status restore();
  void retain(WriteGroup& group);
  void expire_when_due();
  void read_from_disk(std::uint64_t begin, std::uint64_t end, Loaded& loaded);
  void add_loaded(std::uint64_t first, const Batch& frame, Loaded& loaded) const;
  void skip_damage(std::uint64_t begin, std::uint64_t end, const Status& why, Loaded& loaded);
  void keep_damaged(std::uint64_t first, std::string_view frame) const;
  void quarantine(std::uint64_t begin, std::uint64_t end, const Status& why);
  void quarantined(std::uint64_t events) noexcept;
  // Below: REQUIRES mutex_.
  bool load(std::unique_lock<std::mutex>& lock);
  bool load_again(std::unique_lock<std::mutex>& lock);
  bool end_of_load(Status failure);
  template <typename F>
  void for_each_open_frame(const ReadAhead::Run& run, F f);
  void abandon_out(WriteGroup& group, const Account& account);
  void forget_quarantined_bytes() noexcept;
  bool take_from_frame(const Taken::Piece& piece);
  std::uint64_t head_frame(std::uint64_t low) const noexcept;

  const Options options_;
  const Retention retention_;
  SharedStore& store_;
  std::unique_ptr<Ledger> ledger_;  ///< Set by open().
  OriginId id_;                     ///< Of what gets its origin here; set by open().
  Account recovered_;               ///< As it was found by open().
  FrameDecoder decoder_;            ///< Of the one that loads.
  /// Somebody looks, or looked less than a moment ago, whether something need not be kept any more.
  std::atomic<std::int64_t> expiry_looked_ms_{0};
  std::atomic<bool> expiring_{false};

  // Guarded by mutex_:
  std::map<std::uint64_t, OpenFrame> open_frames_;  ///< Partly out; by their first sequence.
  std::map<std::uint64_t, std::vector<Taken::Piece>> refused_takes_;  ///< By their frames.
  std::map<std::uint64_t, Unread> unread_;  ///< By their sequences; missing_from_ is the first.
  /// Frames before it may be on disk and out without having been removed, ...
  std::uint64_t unremoved_below_ = 0;
  std::uint64_t abandoned_below_ = 0;  ///< ... and those before this one are given up already.
  OnDisk on_disk_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> refused_quarantines_;  ///< To try again.
  bool loading_ = false;
  Status unreadable_;  ///< Of the last load.
  std::uint64_t read_failures_ = 0;
};

}  // namespace sluice

// The events of a durable channel, looked at and not taken.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "core/event/frame.h"
#include "core/store/store_reader.h"

namespace sluice {

/// Which events of a channel are looked at.
enum class Looked : unsigned char {
  Waiting,
  Kept,  ///< Delivered, and still there because of the channel's retention.
};

/// What waits in one channel of a store, or what it kept of what it delivered, in order.
///
/// Frames are read one after another, so the memory does not grow with the channel. What is damaged
/// is told and passed over, as the channel itself does. One thread.
class ChannelReader {
 public:
  /// The store and the pool outlive the reader.
  ChannelReader(const StoreReader& store, std::uint32_t number, Account account, SlabPool& pool,
                Looked looked = Looked::Waiting)
      : store_(store),
        number_(number),
        account_(std::move(account)),
        looked_(looked),
        decoder_(pool) {}

  const Account& account() const noexcept { return account_; }

  /// One frame; of its events [first, first + batch.size()) some may be out. Valid during the call.
  struct StoredFrame {
    std::uint64_t first = 0;
    std::uint64_t bytes = 0;  ///< As they lie on the disk.
    const Batch& batch;
  };
  /// Events [begin, end) that cannot be read.
  struct Damage {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t bytes = 0;  ///< Of the frame they were in; 0 when nobody can say.
    Status why;
  };
  using OnFrame = std::function<bool(const StoredFrame&)>;
  using OnDamage = std::function<bool(const Damage&)>;
  /// One event; valid during the call.
  using OnEvent = std::function<bool(std::uint64_t sequence, const Event&, const Origin&)>;

  /// Every frame with events of [from, below), until a call returns false. Errors: Retry (the disk
  /// cannot be read just now).
  Status for_each_frame(std::uint64_t from, std::uint64_t below, const OnFrame& on_frame,
                        const OnDamage& on_damage);
  /// Every event of [from, below), each once, until a call returns false. Errors: Retry.
  Status for_each_event(std::uint64_t from, std::uint64_t below, const OnEvent& on_event,
                        const OnDamage& on_damage);

  /// The first sequence of a frame that was put at `wall_ms` or later; the end when there is none.
  /// Frames know the second in which they were put, and those of channels without retention
  /// nothing: they count as older. Reads a few frames. Errors: Retry.
  Result<std::uint64_t> first_put_at(std::int64_t wall_ms) const;

 private:
  struct Visit;
  using OnRun = std::function<bool(std::uint64_t, std::uint64_t)>;
  void for_each_run(std::uint64_t begin, std::uint64_t end, const OnRun& f) const;
  std::uint64_t head() const noexcept;
  std::uint64_t end() const noexcept;
  Result<std::uint64_t> first_frame(std::uint64_t from) const;
  bool tell_missing(std::uint64_t begin, std::uint64_t end, std::uint64_t bytes, const Status& why,
                    const OnDamage& on_damage) const;

  const StoreReader& store_;
  const std::uint32_t number_;
  const Account account_;
  const Looked looked_;
  FrameDecoder decoder_;
};

}  // namespace sluice

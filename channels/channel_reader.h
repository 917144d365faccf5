// The events of a durable channel, looked at and not taken.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "core/event/frame.h"
#include "core/store/store_reader.h"

namespace sluice {

/// What waits in one channel of a store, in order.
///
/// Frames are read one after another, so the memory does not grow with the channel. What is damaged
/// is told and passed over, as the channel itself does. One thread.
class ChannelReader {
 public:
  /// The store and the pool outlive the reader.
  ChannelReader(const StoreReader& store, std::uint32_t number, Account account, SlabPool& pool)
      : store_(store), number_(number), account_(std::move(account)), decoder_(pool) {}

  const Account& account() const noexcept { return account_; }

  /// One frame; of its events [first, first + batch.size()) some may be out. Valid during the call.
  struct StoredFrame {
    std::uint64_t first = 0;
    std::uint64_t bytes = 0;  ///< As they lie on the disk.
    const Batch& batch;
  };
  /// Waiting events [begin, end) that cannot be read.
  struct Damage {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t bytes = 0;  ///< Of the frame they were in; 0 when nobody can say.
    Status why;
  };
  using OnFrame = std::function<bool(const StoredFrame&)>;
  using OnDamage = std::function<bool(const Damage&)>;
  /// One waiting event; valid during the call.
  using OnEvent = std::function<bool(std::uint64_t sequence, const Event&, const Origin&)>;

  /// Every frame with events of [from, below), until a call returns false. Errors: Retry (the disk
  /// cannot be read just now).
  Status for_each_frame(std::uint64_t from, std::uint64_t below, const OnFrame& on_frame,
                        const OnDamage& on_damage);
  /// Every waiting event of [from, below), each once, until a call returns false. Errors: Retry.
  Status for_each_event(std::uint64_t from, std::uint64_t below, const OnEvent& on_event,
                        const OnDamage& on_damage);

 private:
  struct Visit;
  Result<std::uint64_t> first_frame(std::uint64_t from) const;
  bool tell_missing(std::uint64_t begin, std::uint64_t end, std::uint64_t bytes, const Status& why,
                    const OnDamage& on_damage) const;

  const StoreReader& store_;
  const std::uint32_t number_;
  const Account account_;
  FrameDecoder decoder_;
};

}  // namespace sluice

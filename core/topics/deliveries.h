// Which of the records that were read have arrived, so that the group may be told.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "core/base/clock.h"
#include "core/event/receipt.h"

namespace sluice {

/// How far a batch goes in one lane: the offset of the next record.
struct KafkaMark {
  std::uint32_t lane = 0;
  std::int64_t offset = 0;
  bool operator==(const KafkaMark&) const = default;
};

/// Batches settle in any order; the position of each lane moves on only over batches that have
/// arrived, in the order in which they were read. A batch may hold records of several lanes.
/// Thread-safe.
class KafkaDeliveries final : public ReceiptListener {
 public:
  /// A batch goes on its way; the token names it. `marks`: one a lane.
  std::uint64_t expect(std::vector<KafkaMark> marks);
  /// It did not go after all. REQUIRES: it is the youngest of its lanes.
  void withdraw(std::uint64_t token);
  /// From any thread. What did not arrive holds its lanes for good: it is read again after the
  /// next start.
  void settled(std::uint64_t token, bool delivered) noexcept override;
  /// The lanes that have moved on since the last call, and how far.
  std::vector<KafkaMark> take_advanced();
  /// Nobody asks for their positions any more.
  void forget(std::span<const std::uint32_t> lanes);

  /// Waits until nothing of these lanes is under way; false when the deadline came first.
  bool wait_idle(std::span<const std::uint32_t> lanes, Deadline deadline);
  /// Batches that have settled, ever: whether something moves.
  std::uint64_t settled_batches() const;

 private:
  struct OnItsWay {
    std::vector<KafkaMark> marks;
    bool delivered = false;
    bool failed = false;
    std::size_t waited_for = 0;  ///< Lines that it stands in.
  };
  using Batches = std::map<std::uint64_t, OnItsWay>;

  // REQUIRE mutex_:
  bool idle(std::span<const std::uint32_t> lanes) const;
  void advance(std::uint32_t lane);
  void leave_line(std::uint64_t token);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t next_token_ = 1;                              // guarded by mutex_
  std::uint64_t settled_batches_ = 0;                         // guarded by mutex_
  Batches batches_;                                           // guarded by mutex_
  std::map<std::uint32_t, std::deque<std::uint64_t>> lines_;  // guarded by mutex_
  std::map<std::uint32_t, std::int64_t> advanced_;            // guarded by mutex_
};

}  // namespace sluice

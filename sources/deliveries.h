// Which of the positions that a source has read up to have arrived.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/event/receipt.h"
#include "sources/file_generation.h"

namespace sluice {

/// Batches of several generations settle in any order; the position of each moves on only over
/// batches that have arrived, in the order in which they were read. Thread-safe.
class Deliveries final : public ReceiptListener {
 public:
  /// A batch of this generation that ends at `mark` goes on its way; the token names it.
  std::uint64_t expect(std::uint64_t generation, const FileMark& mark);
  /// From any thread. What did not arrive holds the position of its generation for good: it is read
  /// again after the next start.
  void settled(std::uint64_t token, bool delivered) noexcept override;
  /// The generations that have moved on since the last call, and how far.
  std::vector<std::pair<std::uint64_t, FileMark>> take_advanced();
  /// True when nothing of it is under way.
  bool idle(std::uint64_t generation) const;
  /// Nobody asks for its position any more.
  void forget(std::uint64_t generation);

 private:
  struct Waiting {
    FileMark mark;
    bool delivered = false;
  };
  struct Line {
    std::uint32_t first = 0;  ///< Sequence of the front.
    std::deque<Waiting> waiting;
  };
  static constexpr int sequence_bits = 32;

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Line> lines_;         // guarded by mutex_
  std::map<std::uint64_t, FileMark> advanced_;  // guarded by mutex_
};

}  // namespace sluice

// The order of a channel: what waits, what came back, and how much one take gets.
#pragma once

#include <boost/circular_buffer.hpp>
#include <deque>
#include <utility>
#include <vector>

#include "channels/batch_keeper.h"
#include "channels/channel.h"

namespace sluice {

/// Pieces that wait, oldest first; those that were rolled back come before all others, in order.
/// Not thread-safe: used under its channel's lock.
class PieceQueue {
 public:
  /// `keeper` pays for what is inside and is told when a piece is given out in parts.
  explicit PieceQueue(BatchKeeper& keeper) noexcept : keeper_(keeper) {}

  bool empty() const noexcept { return queue_.empty() && returned_.empty(); }
  std::uint64_t bytes() const noexcept { return bytes_; }  ///< Of bodies that wait.

  /// REQUIRES: younger than everything inside.
  void push_back(Taken::Piece piece);
  void put_back(const Taken::Piece& piece);

  /// True when the oldest piece lies before sequence `below`.
  bool has_before(std::uint64_t below) const noexcept {
    return !empty() && front().sequence < below;
  }
  /// What one take gets of the pieces before sequence `below`: at most limit.events_max events, and
  /// small neighbours together. Never holds a part back, so it is empty only when there are none.
  Taken::Pieces collect(const TakeLimit& limit, std::uint64_t below);
  Taken::Piece pop_front(std::uint32_t events_max);
  /// Takes those out, in order, of which `goes(batch)` is true.
  template <typename Goes>
  std::vector<Taken::Piece> extract(const Goes& goes);
  std::vector<Taken::Piece> extract_all() {
    return extract([](const Batch&) { return true; });
  }

 private:
  const Taken::Piece& front() const noexcept {
    return returned_.empty() ? queue_.front() : returned_.front();
  }

  BatchKeeper& keeper_;
  boost::circular_buffer<Taken::Piece> queue_;  ///< Grows when it is full.
  std::deque<Taken::Piece> returned_;           ///< Older than anything in queue_.
  std::uint64_t bytes_ = 0;
};

template <typename Goes>
std::vector<Taken::Piece> PieceQueue::extract(const Goes& goes) {
  std::vector<Taken::Piece> gone;
  const auto sift = [&](auto& pieces) {
    for (std::size_t left = pieces.size(); left > 0; --left) {
      Taken::Piece piece = std::move(pieces.front());
      pieces.pop_front();
      if (goes(piece.batch)) {
        bytes_ -= piece.batch.body_bytes();
        gone.push_back(std::move(piece));
      } else {
        pieces.push_back(std::move(piece));
      }
    }
  };
  sift(returned_);
  sift(queue_);
  return gone;
}

/// The pieces as one batch. Several are copied together, which is charged to `account`.
Taken join_pieces(Channel& channel, Taken::Pieces pieces, SlabPool& pool, MemoryAccount& account);

}  // namespace sluice

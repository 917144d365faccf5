#include "channels/piece_queue.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

// Neighbours below this size are handed out as one: a system call each would cost more than a copy.
constexpr std::uint64_t gather_bytes_max = 64 * 1024;

/// How many of `wanted` events from the front hold at most `bytes_max`; one at least.
std::uint32_t events_within(const Batch& batch, std::uint64_t wanted, std::uint64_t bytes_max) {
  const auto most = static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, batch.size()));
  if (batch.body_bytes() <= bytes_max) return std::max(most, 1U);
  std::uint64_t bytes = 0;
  std::uint32_t events = 0;
  while (events < most && (bytes += batch.body(events).size()) <= bytes_max) ++events;
  return std::max(events, 1U);
}

}  // namespace

void PieceQueue::push_back(Taken::Piece piece) {
  constexpr std::size_t pieces_at_first = 64;
  bytes_ += piece.batch.body_bytes();
  if (queue_.full()) queue_.set_capacity(std::max(pieces_at_first, queue_.capacity() * 2));
  queue_.push_back(std::move(piece));
}

void PieceQueue::put_back(const Taken::Piece& piece) {
  bytes_ += piece.batch.body_bytes();
  const auto place = std::lower_bound(
      returned_.begin(), returned_.end(), piece.sequence,
      [](const Taken::Piece& other, std::uint64_t sequence) { return other.sequence < sequence; });
  returned_.insert(place, piece);
}

Taken::Piece PieceQueue::pop_front(std::uint32_t events_max) {
  const bool from_queue = returned_.empty();
  Taken::Piece& head = from_queue ? queue_.front() : returned_.front();
  const std::uint32_t size = head.batch.size();
  Taken::Piece piece;
  if (size <= events_max) {
    piece = std::move(head);
    if (from_queue) {
      queue_.pop_front();
    } else {
      returned_.pop_front();
    }
  } else {
    piece = head.part(0, events_max);
    keeper_.keep_again(head.batch);
    head = head.part(events_max, size - events_max);
  }
  bytes_ -= piece.batch.body_bytes();
  return piece;
}

Taken::Pieces PieceQueue::collect(const TakeLimit& limit, std::uint64_t below) {
  Taken::Pieces pieces;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  while (has_before(below)) {
    const Batch& head = front().batch;
    const std::uint64_t head_bytes = head.body_bytes();
    const bool more = !pieces.empty();
    if (more && (bytes + head_bytes > std::min(gather_bytes_max, limit.bytes_max) ||
                 (events >= limit.events_max && bytes >= limit.bytes_at_least))) {
      break;
    }
    std::uint64_t wanted = limit.events_max > events ? limit.events_max - events : 0;
    if (limit.bytes_at_least > 0) {  // a byte stream: no reason to cut it early
      const std::uint64_t mean_bytes = head_bytes / head.size() + 1;
      wanted = std::max(wanted, limit.bytes_at_least / mean_bytes);
      if (bytes + head_bytes <= 2 * limit.bytes_at_least) wanted = head.size();
    }
    pieces.push_back(pop_front(events_within(head, wanted, limit.bytes_max)));
    events += pieces.back().batch.size();
    bytes += pieces.back().batch.body_bytes();
    if (bytes >= gather_bytes_max) break;
  }
  return pieces;
}

Taken join_pieces(Channel& channel, Taken::Pieces pieces, SlabPool& pool, MemoryAccount& account) {
  if (pieces.empty()) return {};
  if (pieces.size() == 1) {
    Batch batch = pieces.front().batch;
    return Taken(&channel, std::move(pieces), std::move(batch));
  }
  boost::container::small_vector<Batch, 16> parts;
  for (const Taken::Piece& piece : pieces) parts.push_back(piece.batch);
  Batch whole = Batch::concat({parts.data(), parts.size()}, pool);
  MemoryCharge copied(account, whole.slab()->capacity());
  return Taken(&channel, std::move(pieces), std::move(whole), std::move(copied));
}

}  // namespace sluice

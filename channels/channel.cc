#include "channels/channel.h"

namespace sluice {
namespace {

void subtract(Flow& from, const Batch& batch) noexcept {
  from.events.sub(batch.size());
  from.bytes.sub(batch.body_bytes());
}

}  // namespace

void Channel::count_taken(const Taken::Pieces& pieces) noexcept {
  for (const Taken::Piece& piece : pieces) {
    subtract(counters_.stored, piece.batch);
    counters_.in_flight.add(piece.batch.size(), piece.batch.body_bytes());
  }
}

void Channel::count_finished(const Taken::Pieces& pieces) noexcept {
  for (const Taken::Piece& piece : pieces) {
    counters_.committed.add(piece.batch.size(), piece.batch.body_bytes());
    subtract(counters_.in_flight, piece.batch);
  }
}

void Channel::count_put_back(const Taken::Pieces& pieces) noexcept {
  for (const Taken::Piece& piece : pieces) {
    subtract(counters_.in_flight, piece.batch);
    counters_.stored.add(piece.batch.size(), piece.batch.body_bytes());
  }
}

}  // namespace sluice

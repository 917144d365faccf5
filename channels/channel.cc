#include "channels/channel.h"

namespace sluice {
namespace {

void subtract(Flow& from, const Amount& amount) noexcept {
  from.events.sub(amount.events);
  from.bytes.sub(amount.bytes);
}

Amount amount_of(const Taken::Piece& piece) noexcept {
  return {piece.batch.size(), piece.batch.body_bytes()};
}

}  // namespace

void Channel::count_taken(const Taken::Pieces& pieces) noexcept {
  for (const Taken::Piece& piece : pieces) {
    const Amount amount = amount_of(piece);
    subtract(counters_.stored, amount);
    counters_.in_flight.add(amount);
  }
}

void Channel::count_finished(const Taken& events) noexcept {
  const auto count = [this](const Amount& amount) {
    counters_.committed.add(amount);
    subtract(counters_.in_flight, amount);
  };
  for (const Taken::Piece& piece : events.pieces()) count(amount_of(piece));
  if (events.ahead() != nullptr) count(events.ahead()->amount());
}

void Channel::count_put_back(const Taken::Pieces& pieces) noexcept {
  for (const Taken::Piece& piece : pieces) count_put_back(amount_of(piece));
}

void Channel::count_put_back(const Amount& amount) noexcept {
  subtract(counters_.in_flight, amount);
  counters_.stored.add(amount);
}

void Channel::count_gone(const ReadAhead& ahead, Flow& as) noexcept {
  subtract(counters_.in_flight, ahead.amount());
  as.add(ahead.amount());
}

}  // namespace sluice

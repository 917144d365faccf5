#include "channels/queue_channel.h"

#include "core/base/assert.h"

namespace sluice {
namespace {

bool called_off(const TakeLimit& limit) noexcept {
  return limit.called_off != nullptr && limit.called_off->load();
}

}  // namespace

QueueChannel::QueueChannel(const Options& limits, std::uint64_t beside_bytes, SlabPool& pool)
    : Channel(limits.name),
      pool_(pool),
      keeper_(limits.name, limits.budget_bytes, beside_bytes, pool),
      limits_(limits) {
  SLUICE_ASSERT(limits_.capacity_events > 0, "a channel without capacity was accepted");
}

Status QueueChannel::open() {
  counters_.start_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  return {};
}

bool QueueChannel::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void QueueChannel::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    keeper_.rest();
  }
  counters_.stop_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  not_empty_.notify_all();
  not_full_.notify_all();
}

bool QueueChannel::drained() const {
  const std::lock_guard lock(mutex_);
  return spent();
}

std::uint64_t QueueChannel::size_events() const noexcept {
  return counters_.stored.events.get() + counters_.in_flight.events.get();
}

// ---- putting

void QueueChannel::pace(std::unique_lock<std::mutex>& /*lock*/, const Batch& /*batch*/,
                        const std::stop_token& /*stop*/) {}

bool QueueChannel::fits_beside(const Batch& /*batch*/) const noexcept { return true; }

bool QueueChannel::fits(const Batch& batch) const noexcept {
  if (used_events_ == 0) return true;  // whatever its size: nothing else could ever make room
  return used_events_ + batch.size() <= limits_.capacity_events &&
         used_bytes_ + batch.body_bytes() <= limits_.body_bytes_max && fits_beside(batch);
}

Result<Reservation> QueueChannel::reserve(const Batch& batch, Deadline deadline,
                                          std::stop_token stop) {
  counters_.put_attempts.add(batch.size());
  auto kept = claim(batch, deadline, stop);
  if (!kept.ok()) return kept.status();
  return Reservation(this, *std::move(kept));
}

Result<Batch> QueueChannel::claim(const Batch& batch, Deadline deadline,
                                  const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  pace(lock, batch, stop);
  if (!closed_ && !fits(batch)) {
    counters_.put_waits.add();
    ++putters_asleep_;
    wait_until(not_full_, lock, deadline, stop, [&] { return closed_ || fits(batch); });
    --putters_asleep_;
  }
  if (closed_) return Closed("channel " + name() + " is closed");
  if (!fits(batch)) {
    if (stop.stop_requested()) return Closed("the agent is stopping");
    return Retry("channel " + name() + " is full (" + std::to_string(used_events_) + " of " +
                 std::to_string(limits_.capacity_events) + " events); its sinks do not keep up");
  }
  used_events_ += batch.size();
  used_bytes_ += batch.body_bytes();
  return keeper_.keep(batch);
}

void QueueChannel::publish(Reservation& room) noexcept {
  counters_.put.add(room.batch().size(), room.batch().body_bytes());
  append(room.batch());
}

void QueueChannel::append(const Batch& batch) noexcept {
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    counters_.stored.add(batch.size(), batch.body_bytes());
    enqueue(next_sequence_, batch);
    next_sequence_ += batch.size();
    wake = takers_asleep_ > 0;
  }
  if (wake) not_empty_.notify_one();
}

void QueueChannel::give_room(const Batch& batch) noexcept {
  used_events_ -= batch.size();
  used_bytes_ -= batch.body_bytes();
  keeper_.let_go(batch);
}

void QueueChannel::give_room(const ReadAhead& ahead) noexcept {
  used_events_ -= ahead.claimed().events;
  used_bytes_ -= ahead.claimed().bytes;
  ahead_ = ahead_ - ahead.freed();
}

void QueueChannel::drop_ahead(const ReadAhead& ahead, Flow& as) noexcept {
  give_room(ahead);
  count_gone(ahead, as);
}

std::uint64_t QueueChannel::drop(const std::vector<Taken::Piece>& pieces, Flow& as) noexcept {
  std::uint64_t sum = 0;
  for (const Taken::Piece& piece : pieces) {
    const std::uint64_t events = piece.batch.size();
    const std::uint64_t bytes = piece.batch.body_bytes();
    counters_.stored.events.sub(events);
    counters_.stored.bytes.sub(bytes);
    as.add(events, bytes);
    give_room(piece.batch);
    sum += events;
  }
  return sum;
}

void QueueChannel::cancel(Reservation& room) noexcept {
  const std::lock_guard lock(mutex_);
  give_room(room.batch());
  if (putters_asleep_ > 0) not_full_.notify_all();
  if (spent()) not_empty_.notify_all();
}

// ---- taking

void QueueChannel::fetch(std::unique_lock<std::mutex>& /*lock*/, const TakeLimit& /*limit*/,
                         const std::stop_token& /*stop*/) {}

void QueueChannel::forget(const Taken& /*events*/) noexcept {}

bool QueueChannel::note_let_go(const Taken::Pieces& /*pieces*/, const Amount& /*amount*/) noexcept {
  return true;
}

Taken QueueChannel::take(const TakeLimit& limit, std::stop_token stop) {
  SLUICE_ASSERT(limit.events_max > 0, "a take of nothing");
  counters_.take_attempts.add();
  Taken::Pieces pieces;
  bool wake;
  bool wake_next;
  {
    std::unique_lock lock(mutex_);
    if (!can_take()) {
      ++takers_asleep_;
      wait_until(not_empty_, lock, Deadline::in(limit.wait_max), stop, [&] {
        return can_take() || spent() || called_off(limit) || (limit.until_closed && closed_);
      });
      --takers_asleep_;
    }
    if (!queue_has_next()) fetch(lock, limit, stop);
    pieces = queue_.collect(limit, missing_from_);
    count_taken(pieces);
    wake = eased() && putters_asleep_ > 0;
    wake_next = takers_asleep_ > 0 && can_take();  // one put woke one taker
  }
  if (wake) not_full_.notify_all();
  if (wake_next) not_empty_.notify_one();
  return join_pieces(*this, std::move(pieces), pool_, keeper_.account());
}

void QueueChannel::wake_takers() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (takers_asleep_ == 0) return;
  }
  not_empty_.notify_all();
}

void QueueChannel::finish(Taken& events) noexcept {
  count_finished(events);
  bool wake;
  bool last;
  {
    const std::lock_guard lock(mutex_);
    for (const Taken::Piece& piece : events.pieces()) give_room(piece.batch);
    if (events.ahead() != nullptr) give_room(*events.ahead());
    forget(events);
    if (used_events_ == 0) keeper_.rest();
    wake = putters_asleep_ > 0;
    last = spent();
  }
  if (wake) not_full_.notify_all();
  if (last) not_empty_.notify_all();
}

void QueueChannel::put_back(Taken& events) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (events.ahead() != nullptr) {
      come_back(*events.ahead());
    } else {
      count_put_back(events.pieces());
      for (const Taken::Piece& piece : events.pieces()) queue_.put_back(piece);
    }
  }
  not_empty_.notify_all();
}

void QueueChannel::let_go(const Taken::Pieces& pieces, ReadAhead& ahead) noexcept {
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    for (const Taken::Piece& piece : pieces) keeper_.let_go(piece.batch);
    if (note_let_go(pieces, ahead.amount())) {
      used_events_ -= ahead.amount().events;
      used_bytes_ -= ahead.amount().bytes;
      ahead_ += ahead.amount();
    } else {
      ahead.claim_all();
    }
    if (used_events_ == 0) keeper_.rest();
    // Memory counts, too: also where the room stays claimed.
    wake = putters_asleep_ > 0;
  }
  if (wake) not_full_.notify_all();
}

void QueueChannel::split(const Batch& piece) noexcept {
  const std::lock_guard lock(mutex_);
  keeper_.keep_again(piece);
}

}  // namespace sluice

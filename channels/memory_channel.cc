#include "channels/memory_channel.h"

#include <algorithm>
#include <utility>

#include "channels/channel_type.h"
#include "core/base/assert.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "capacity",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Events that the channel holds at most.",
     .min = 1,
     .bad_means_default = true},
    {.name = "transactionCapacity",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Largest batch that Flume would take in one transaction; judged by check, no limit "
                "here.",
     .min = 1,
     .bad_means_default = true},
    {.name = "keep-alive",
     .type = KeyType::Seconds,
     .default_value = "3",
     .meaning = "How long a source with onFull = reject waits for room.",
     .min = 0,
     .bad_means_default = true},
    {.name = "byteCapacity",
     .type = KeyType::Bytes,
     .meaning =
         "Bytes of bodies that the channel holds at most, less byteCapacityBufferPercentage; "
         "0 is no limit. Without it the channel has its share of the agent's memory limit.",
     .min = 0,
     .bad_means_default = true},
    {.name = "byteCapacityBufferPercentage",
     .type = KeyType::Integer,
     .default_value = "20",
     .meaning = "Part of byteCapacity that is kept free for headers.",
     .min = 0,
     .max = 99,
     .bad_means_default = true},
};

constexpr ComponentInfo info{
    .alias = "memory",
    .class_name = "org.apache.flume.channel.MemoryChannel",
    .meaning = "Keeps events in memory; they are gone when the agent is killed.",
    .keys = keys};

// Neighbours below this size are handed out as one: a system call each would cost more than a copy.
constexpr std::uint64_t gather_bytes_max = 64 * 1024;
// The slowest intake that pacing may cause: a batch is held back no longer than it takes at this.
constexpr std::uint64_t paced_bytes_per_ms = 20'000;

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

MemoryChannel::MemoryChannel(Options options, SlabPool& pool)
    : Channel(options.name),
      options_(std::move(options)),
      pool_(pool),
      // Beside the budget: one batch that is let in alone, gathered copies, slabs being compacted.
      account_("channel " + options_.name, options_.budget_bytes + 8 * pool.slab_bytes()),
      compactor_(pool, account_) {
  SLUICE_ASSERT(options_.capacity_events > 0, "a channel without capacity was accepted");
}

MemoryChannel::~MemoryChannel() { abandon(); }

std::uint64_t MemoryChannel::abandon() {
  const std::lock_guard lock(mutex_);
  std::uint64_t lost = 0;
  while (!nothing_waits()) {
    const Taken::Piece piece = pop_front(UINT32_MAX);
    const std::uint64_t events = piece.batch.size();
    const std::uint64_t bytes = piece.batch.body_bytes();
    counters_.in_flight.events.sub(events);
    counters_.in_flight.bytes.sub(bytes);
    counters_.lost.add(events, bytes);
    give_room(piece.batch);
    lost += events;
  }
  compactor_.reset();
  return lost;
}

Status MemoryChannel::open() {
  counters_.start_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  return {};
}

void MemoryChannel::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    compactor_.reset();
  }
  counters_.stop_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  not_empty_.notify_all();
  not_full_.notify_all();
}

bool MemoryChannel::drained() const {
  const std::lock_guard lock(mutex_);
  return spent();
}

std::uint64_t MemoryChannel::size_events() const noexcept {
  return counters_.stored.events.get() + counters_.in_flight.events.get();
}

// ---- putting

bool MemoryChannel::fits(const Batch& batch) const noexcept {
  if (used_events_ == 0) return true;  // whatever its size: nothing else could ever make room
  const Slab* const slab = batch.slab();
  const bool pays = slab != nullptr && slab->charged_to(account_);
  const std::uint64_t pinned = slab == nullptr || pays ? 0 : slab->capacity();
  return used_events_ + batch.size() <= options_.capacity_events &&
         used_bytes_ + batch.body_bytes() <= options_.body_bytes_max &&
         account_.used_bytes() + pinned <= options_.budget_bytes;
}

bool MemoryChannel::over_pace(const Batch& batch) const noexcept {
  return pacing_ && options_.pace_bytes != 0 && batch.body_bytes() >= paced_bytes_per_ms &&
         waiting_bytes_ > options_.pace_bytes;
}

void MemoryChannel::hold_back(std::unique_lock<std::mutex>& lock, const Batch& batch,
                              const std::stop_token& stop) {
  const auto patience = milliseconds(batch.body_bytes() / paced_bytes_per_ms);
  ++putters_asleep_;
  const bool drained = wait_until(not_full_, lock, Deadline::in(patience), stop, [&] {
    return waiting_bytes_ <= options_.pace_bytes / 2 || closed_;
  });
  --putters_asleep_;
  if (!drained) pacing_ = false;
}

Result<Reservation> MemoryChannel::reserve(const Batch& batch, Deadline deadline,
                                           std::stop_token stop) {
  counters_.put_attempts.add(batch.size());
  std::unique_lock lock(mutex_);
  if (over_pace(batch)) hold_back(lock, batch, stop);
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
                 std::to_string(options_.capacity_events) + " events); its sinks do not keep up");
  }
  return Reservation(this, claim(batch));
}

Batch MemoryChannel::claim(const Batch& batch) {
  used_events_ += batch.size();
  used_bytes_ += batch.body_bytes();
  Batch kept = batch;
  if (Slab* const slab = batch.slab()) {
    const bool small = batch.body_bytes() < slab->capacity() / 4;
    const bool tight = account_.used_bytes() > options_.budget_bytes / 4;
    if (small && tight && !slab->charged_to(account_)) kept = compactor_.copy(batch);
    if (!kept.slab()->charge(account_)) {
      kept = compactor_.copy(batch);
      SLUICE_ASSERT(kept.slab()->charge(account_), "a slab of our own has no other payers");
    }
  }
  account_.charge(Batch::overhead_bytes);
  return kept;
}

void MemoryChannel::give_room(const Batch& batch) noexcept {
  used_events_ -= batch.size();
  used_bytes_ -= batch.body_bytes();
  if (Slab* const slab = batch.slab()) slab->release(account_);
  account_.release(Batch::overhead_bytes);
}

/// Two parts are given back one by one, so each pays for the slab.
void MemoryChannel::pay_again(const Batch& batch) noexcept {
  SLUICE_ASSERT(batch.slab()->charge(account_), "the channel pays for this slab already");
  account_.charge(Batch::overhead_bytes);
}

void MemoryChannel::split(const Batch& piece) noexcept {
  const std::lock_guard lock(mutex_);
  pay_again(piece);
}

void MemoryChannel::publish(Reservation& room) noexcept {
  const std::uint64_t events = room.batch().size();
  const std::uint64_t bytes = room.batch().body_bytes();
  counters_.put.add(events, bytes);
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    counters_.stored.add(events, bytes);
    waiting_bytes_ += bytes;
    push_back({next_sequence_, room.batch()});
    next_sequence_ += events;
    wake = takers_asleep_ > 0;
  }
  if (wake) not_empty_.notify_one();
}

void MemoryChannel::cancel(Reservation& room) noexcept {
  const std::lock_guard lock(mutex_);
  give_room(room.batch());
  if (putters_asleep_ > 0) not_full_.notify_all();
  if (spent()) not_empty_.notify_all();
}

void MemoryChannel::push_back(Taken::Piece piece) {
  constexpr std::size_t pieces_at_first = 64;
  if (queue_.full()) queue_.set_capacity(std::max(pieces_at_first, queue_.capacity() * 2));
  queue_.push_back(std::move(piece));
}

// ---- taking

const Batch& MemoryChannel::front() const noexcept {
  return returned_.empty() ? queue_.front().batch : returned_.front().batch;
}

Taken::Piece MemoryChannel::pop_front(std::uint32_t events_max) {
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
    piece = {head.sequence, head.batch.slice(0, events_max)};
    pay_again(head.batch);
    head.sequence += events_max;
    head.batch = head.batch.slice(events_max, size - events_max);
  }
  const std::uint64_t bytes = piece.batch.body_bytes();
  waiting_bytes_ -= bytes;
  counters_.stored.events.sub(piece.batch.size());
  counters_.stored.bytes.sub(bytes);
  counters_.in_flight.add(piece.batch.size(), bytes);
  return piece;
}

Taken::Pieces MemoryChannel::collect(const TakeLimit& limit) {
  Taken::Pieces pieces;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  while (!nothing_waits()) {
    const Batch& head = front();
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
  if (!pacing_ && waiting_bytes_ < options_.pace_bytes / 4) pacing_ = true;
  return pieces;
}

Taken MemoryChannel::take(const TakeLimit& limit, std::stop_token stop) {
  SLUICE_ASSERT(limit.events_max > 0, "a take of nothing");
  counters_.take_attempts.add();
  Taken::Pieces pieces;
  bool wake;
  bool wake_next;
  {
    std::unique_lock lock(mutex_);
    if (nothing_waits()) {
      ++takers_asleep_;
      wait_until(not_empty_, lock, Deadline::in(limit.wait_max), stop,
                 [&] { return !nothing_waits() || spent(); });
      --takers_asleep_;
    }
    pieces = collect(limit);
    wake = putters_asleep_ > 0 && waiting_bytes_ <= options_.pace_bytes / 2;
    wake_next = takers_asleep_ > 0 && !nothing_waits();  // one put woke one taker
  }
  if (wake) not_full_.notify_all();
  if (wake_next) not_empty_.notify_one();
  if (pieces.empty()) return {};
  if (pieces.size() == 1) {
    Batch batch = pieces.front().batch;
    return Taken(this, std::move(pieces), std::move(batch));
  }
  boost::container::small_vector<Batch, 16> parts;
  for (const Taken::Piece& piece : pieces) parts.push_back(piece.batch);
  Batch whole = Batch::concat({parts.data(), parts.size()}, pool_);
  MemoryCharge copied(account_, whole.slab()->capacity());
  return Taken(this, std::move(pieces), std::move(whole), std::move(copied));
}

void MemoryChannel::finish(Taken& events) noexcept {
  for (const Taken::Piece& piece : events.pieces()) {
    const std::uint64_t bytes = piece.batch.body_bytes();
    counters_.committed.add(piece.batch.size(), bytes);
    counters_.in_flight.events.sub(piece.batch.size());
    counters_.in_flight.bytes.sub(bytes);
    piece.batch.receipt().settle(piece.batch.size());
  }
  bool wake;
  bool last;
  {
    const std::lock_guard lock(mutex_);
    for (const Taken::Piece& piece : events.pieces()) {
      give_room(piece.batch);
    }
    if (used_events_ == 0) compactor_.reset();
    wake = putters_asleep_ > 0;
    last = spent();
  }
  if (wake) not_full_.notify_all();
  if (last) not_empty_.notify_all();
}

void MemoryChannel::put_back(Taken& events) noexcept {
  {
    const std::lock_guard lock(mutex_);
    for (const Taken::Piece& piece : events.pieces()) {
      const std::uint64_t bytes = piece.batch.body_bytes();
      counters_.in_flight.events.sub(piece.batch.size());
      counters_.in_flight.bytes.sub(bytes);
      counters_.stored.add(piece.batch.size(), bytes);
      waiting_bytes_ += bytes;
      const auto place = std::lower_bound(returned_.begin(), returned_.end(), piece.sequence,
                                          [](const Taken::Piece& other, std::uint64_t sequence) {
                                            return other.sequence < sequence;
                                          });
      returned_.insert(place, piece);
    }
  }
  not_empty_.notify_all();
}

namespace {

std::unique_ptr<Channel> make(const Settings& settings, ChannelContext context) {
  MemoryChannel::Options options;
  options.name = settings.name();
  options.capacity_events = static_cast<std::uint64_t>(settings.integer("capacity"));
  options.transaction_capacity =
      static_cast<std::uint64_t>(settings.integer("transactionCapacity"));
  options.keep_alive = settings.duration("keep-alive");
  options.budget_bytes = context.memory_share_bytes;
  if (settings.has("byteCapacity")) {
    const std::uint64_t whole = settings.bytes("byteCapacity");
    const auto free_percent =
        static_cast<std::uint64_t>(settings.integer("byteCapacityBufferPercentage"));
    if (whole > 0) options.body_bytes_max = whole - whole / 100 * free_percent;
    // Slabs are pinned whole, so a small byteCapacity still needs a few of them.
    options.budget_bytes =
        whole == 0 ? UINT64_MAX / 2 : std::max<std::uint64_t>(whole, 4 * context.pool.slab_bytes());
  }
  return std::make_unique<MemoryChannel>(std::move(options), context.pool);
}

}  // namespace

extern const ChannelType memory_channel{&info, make};

}  // namespace sluice

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

// The slowest intake that pacing may cause: a batch is held back no longer than it takes at this.
constexpr std::uint64_t paced_bytes_per_ms = 20'000;

}  // namespace

MemoryChannel::MemoryChannel(Options options, SlabPool& pool)
    : Channel(options.name),
      options_(std::move(options)),
      pool_(pool),
      // Beside the budget: one batch that is let in alone, gathered copies, slabs being compacted.
      keeper_(options_.name, options_.budget_bytes, 8 * pool.slab_bytes(), pool) {
  SLUICE_ASSERT(options_.capacity_events > 0, "a channel without capacity was accepted");
}

MemoryChannel::~MemoryChannel() { abandon(); }

std::uint64_t MemoryChannel::abandon() {
  const std::lock_guard lock(mutex_);
  std::uint64_t lost = 0;
  while (!queue_.empty()) {
    const Taken::Piece piece = queue_.pop_front(UINT32_MAX);
    const std::uint64_t events = piece.batch.size();
    const std::uint64_t bytes = piece.batch.body_bytes();
    counters_.stored.events.sub(events);
    counters_.stored.bytes.sub(bytes);
    counters_.lost.add(events, bytes);
    give_room(piece.batch);
    lost += events;
  }
  keeper_.rest();
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
    keeper_.rest();
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
  return used_events_ + batch.size() <= options_.capacity_events &&
         used_bytes_ + batch.body_bytes() <= options_.body_bytes_max && keeper_.fits(batch);
}

bool MemoryChannel::over_pace(const Batch& batch) const noexcept {
  return pacing_ && options_.pace_bytes != 0 && batch.body_bytes() >= paced_bytes_per_ms &&
         queue_.bytes() > options_.pace_bytes;
}

void MemoryChannel::hold_back(std::unique_lock<std::mutex>& lock, const Batch& batch,
                              const std::stop_token& stop) {
  const auto patience = milliseconds(batch.body_bytes() / paced_bytes_per_ms);
  ++putters_asleep_;
  const bool drained = wait_until(not_full_, lock, Deadline::in(patience), stop, [&] {
    return queue_.bytes() <= options_.pace_bytes / 2 || closed_;
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
  used_events_ += batch.size();
  used_bytes_ += batch.body_bytes();
  return Reservation(this, keeper_.keep(batch));
}

void MemoryChannel::give_room(const Batch& batch) noexcept {
  used_events_ -= batch.size();
  used_bytes_ -= batch.body_bytes();
  keeper_.let_go(batch);
}

void MemoryChannel::split(const Batch& piece) noexcept {
  const std::lock_guard lock(mutex_);
  keeper_.keep_again(piece);
}

void MemoryChannel::publish(Reservation& room) noexcept {
  const std::uint64_t events = room.batch().size();
  const std::uint64_t bytes = room.batch().body_bytes();
  counters_.put.add(events, bytes);
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    counters_.stored.add(events, bytes);
    queue_.push_back({.sequence = next_sequence_, .batch = room.batch()});
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

// ---- taking

Taken MemoryChannel::take(const TakeLimit& limit, std::stop_token stop) {
  SLUICE_ASSERT(limit.events_max > 0, "a take of nothing");
  counters_.take_attempts.add();
  Taken::Pieces pieces;
  bool wake;
  bool wake_next;
  {
    std::unique_lock lock(mutex_);
    if (queue_.empty()) {
      ++takers_asleep_;
      wait_until(not_empty_, lock, Deadline::in(limit.wait_max), stop,
                 [&] { return !queue_.empty() || spent(); });
      --takers_asleep_;
    }
    pieces = queue_.collect(limit);
    count_taken(pieces);
    if (!pacing_ && queue_.bytes() < options_.pace_bytes / 4) pacing_ = true;
    wake = putters_asleep_ > 0 && queue_.bytes() <= options_.pace_bytes / 2;
    wake_next = takers_asleep_ > 0 && !queue_.empty();  // one put woke one taker
  }
  if (wake) not_full_.notify_all();
  if (wake_next) not_empty_.notify_one();
  return join_pieces(*this, std::move(pieces), pool_, keeper_.account());
}

void MemoryChannel::finish(Taken& events) noexcept {
  count_finished(events.pieces());
  for (const Taken::Piece& piece : events.pieces()) {
    piece.batch.receipt().settle(piece.batch.size());
  }
  bool wake;
  bool last;
  {
    const std::lock_guard lock(mutex_);
    for (const Taken::Piece& piece : events.pieces()) {
      give_room(piece.batch);
    }
    if (used_events_ == 0) keeper_.rest();
    wake = putters_asleep_ > 0;
    last = spent();
  }
  if (wake) not_full_.notify_all();
  if (last) not_empty_.notify_all();
}

void MemoryChannel::put_back(Taken& events) noexcept {
  {
    const std::lock_guard lock(mutex_);
    count_put_back(events.pieces());
    for (const Taken::Piece& piece : events.pieces()) queue_.put_back(piece);
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

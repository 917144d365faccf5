#include "channels/memory_channel.h"

#include <algorithm>
#include <utility>

#include "channels/channel_type.h"

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
    // Beside the budget: one batch that is let in alone, gathered copies, slabs being compacted.
    : QueueChannel(options, 8 * pool.slab_bytes(), pool), pace_bytes_(options.pace_bytes) {}

MemoryChannel::~MemoryChannel() { abandon(); }

std::uint64_t MemoryChannel::abandon() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t lost = drop(queue_.extract_all(), counters_.lost);
  keeper_.rest();
  return lost;
}

void MemoryChannel::pace(std::unique_lock<std::mutex>& lock, const Batch& batch,
                         const std::stop_token& stop) {
  const bool too_far_ahead = pacing_ && pace_bytes_ != 0 &&
                             batch.body_bytes() >= paced_bytes_per_ms &&
                             queue_.bytes() > pace_bytes_;
  if (!too_far_ahead) return;
  const auto patience = milliseconds(batch.body_bytes() / paced_bytes_per_ms);
  ++putters_asleep_;
  const bool drained = wait_until(not_full_, lock, Deadline::in(patience), stop,
                                  [&] { return queue_.bytes() <= pace_bytes_ / 2 || closed_; });
  --putters_asleep_;
  if (!drained) pacing_ = false;
}

void MemoryChannel::enqueue(std::uint64_t first_sequence, const Batch& batch) noexcept {
  queue_.push_back({.sequence = first_sequence, .batch = batch});
}

bool MemoryChannel::eased() noexcept {
  if (!pacing_ && queue_.bytes() < pace_bytes_ / 4) pacing_ = true;
  return queue_.bytes() <= pace_bytes_ / 2;
}

void MemoryChannel::finish(Taken& events) noexcept {
  // Out for good: only now has it arrived, as far as a source is concerned.
  events.settle_receipts();
  QueueChannel::finish(events);
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

#include "channels/topic_channel.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/base/backoff.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/base/thread.h"
#include "core/base/wait.h"

namespace sluice {
namespace {

constexpr milliseconds restart_first{250};
constexpr milliseconds restart_most{5000};

/// Half of the budget for what is fetched, half for what is sent.
QueueChannel::Options halved(const QueueChannel::Options& options) {
  QueueChannel::Options half = options;
  half.budget_bytes /= 2;
  half.body_bytes_max = std::min(half.body_bytes_max, half.budget_bytes);
  return half;
}

}  // namespace

TopicChannel::TopicChannel(Options options, SlabPool& pool)
    : QueueChannel(halved(options), 8 * pool.slab_bytes(), pool),
      clock_(*options.clock),
      window_("channel " + options.name + ", fetching",
              options.fetched_ahead_bytes + 4 * pool.slab_bytes()),
      sending_(options.name + ", sending", options.budget_bytes / 2, 8 * pool.slab_bytes(), pool),
      writer_(std::move(options.writer), *this, counters_),
      reader_(std::move(options.reader),
              {*this, pool, window_, clock_, counters_.undecodable, counters_.failures}) {}

TopicChannel::~TopicChannel() { abandon(); }

Status TopicChannel::open() {
  if (Status status = writer_.open(); !status.ok()) return status;
  return QueueChannel::open();
}

/// Takers find the channel open until its reader has come to the end of the topic.
void TopicChannel::close() {
  {
    const std::lock_guard lock(putting_);
    puts_are_over_ = true;
  }
  put_ended_.notify_all();
  reader_.end_when_read();
}

std::uint64_t TopicChannel::abandon() {
  if (read_thread_.joinable()) {
    read_thread_.request_stop();
    read_thread_.join();
  }
  writer_.finish();
  return 0;
}

Status TopicChannel::health() const {
  if (Status status = writer_.health(); !status.ok()) return status;
  const std::lock_guard lock(health_mutex_);
  return read_health_;
}

std::vector<const MemoryAccount*> TopicChannel::accounts() const {
  return {&account(), &sending_.account(), &window_};
}

// ---- putting

Result<Reservation> TopicChannel::reserve(const Batch& batch, Deadline deadline,
                                          std::stop_token stop) {
  counters_.put_attempts.add(batch.size());
  std::unique_lock lock(putting_);
  // One that is larger than all of the budget goes alone.
  const auto ready = [&] { return puts_are_over_ || puts_ == 0 || sending_.fits(batch); };
  if (!ready()) {
    counters_.put_waits.add();
    wait_until(put_ended_, lock, deadline, stop, ready);
  }
  if (puts_are_over_) return Closed("channel " + name() + " is closed");
  if (!ready()) {
    if (stop.stop_requested()) return Closed("the agent is stopping");
    const Status why = writer_.health();
    return Retry("channel " + name() + " has " + std::to_string(puts_) +
                 " batches on their way, and brokers do not acknowledge them" +
                 (why.ok() ? "" : ": " + why.message()));
  }
  ++puts_;
  return Reservation(this, sending_.keep(batch));
}

void TopicChannel::publish(Reservation& room) noexcept {
  const Batch& batch = room.batch();
  counters_.put.add(batch.size(), batch.body_bytes());
  // As far as its source is concerned it has arrived.
  batch.receipt().settle(batch.size());
  cancel(room);
}

void TopicChannel::cancel(Reservation& room) noexcept {
  {
    const std::lock_guard lock(putting_);
    sending_.let_go(room.batch());
    if (--puts_ == 0) sending_.rest();
  }
  put_ended_.notify_all();
}

// ---- taking

Taken TopicChannel::take(const TakeLimit& limit, std::stop_token stop) {
  std::call_once(reading_, [this] { start_reading(); });
  return QueueChannel::take(limit, std::move(stop));
}

void TopicChannel::enqueue(std::uint64_t first_sequence, const Batch& batch) noexcept {
  queue_.push_back({.sequence = first_sequence, .batch = batch});
}

void TopicChannel::finish(Taken& events) noexcept {
  events.settle_receipts();
  QueueChannel::finish(events);
}

void TopicChannel::put_back(Taken& events) noexcept {
  QueueChannel::put_back(events);
  if (events.ahead() == nullptr) return;
  std::stop_source round;
  {
    const std::lock_guard lock(mutex_);
    round = round_;
  }
  round.request_stop();
}

/// What waits was fetched later, and comes again behind it.
void TopicChannel::come_back(const ReadAhead& ahead) noexcept {
  drop_ahead(ahead, counters_.given_back);
  drop(queue_.extract_all(), counters_.given_back);
  reads_again_ = true;
}

// ---- reading

void TopicChannel::start_reading() {
  read_thread_ = std::jthread([this](const std::stop_token& stop) { read(stop); });
}

void TopicChannel::read(const std::stop_token& stop) {
  name_this_thread(name() + "-reader");
  Backoff backoff(restart_first, restart_most);
  std::uint64_t failures = 0;
  std::mutex mutex;
  std::condition_variable never;
  while (!stop.stop_requested()) {
    const Status status = read_once(stop);
    bool again;
    {
      const std::lock_guard lock(mutex_);
      again = reads_again_;
      // Where the group did not answer, or a sink has put something back since.
      if (!status.ok() || stop.stop_requested() || again) {
        drop(queue_.extract_all(), counters_.given_back);
      }
    }
    {
      const std::lock_guard lock(health_mutex_);
      read_health_ = status;
    }
    if (status.ok() && again) continue;
    if (status.ok()) break;
    counters_.failures.add();
    if (worth_saying(++failures)) {
      log::error("channel {}: {}; it is read again while the rest runs (failure {})", name(),
                 status.message(), failures);
    }
    std::unique_lock lock(mutex);
    wait_until(never, lock, Deadline::in(backoff.next()), stop, [] { return false; });
  }
  QueueChannel::close();
}

/// Until stop, the end, or something has to be read again.
Status TopicChannel::read_once(const std::stop_token& stop) {
  std::stop_source round;
  {
    const std::lock_guard lock(mutex_);
    round_ = round;
    reads_again_ = false;
  }
  const std::stop_callback end_with(stop, [&round] { round.request_stop(); });
  Status status = reader_.open();
  if (status.ok()) status = reader_.run(round.get_token());
  reader_.close();
  return status;
}

Status TopicChannel::put_notes(Notes /*notes*/, const std::stop_token& /*stop*/) {
  SLUICE_ASSERT(false, "a topic keeps no notes");
  return {};
}

Status TopicChannel::put(Batch batch, const std::stop_token& stop, Done done, Notes /*notes*/,
                         Deadline room_by) {
  SLUICE_ASSERT(!done, "a channel in memory answers by receipts");
  {
    const std::lock_guard lock(mutex_);
    if (reads_again_) return Retry("it is read again");
  }
  auto kept = claim(batch, room_by, stop);
  if (!kept.ok()) return kept.status();
  counters_.fetched.add(batch.size(), batch.body_bytes());
  append(*kept);
  return {};
}

std::vector<Origin> TopicChannel::recall(std::span<const OriginId> logs) {
  const auto is_of_them = [logs](const OriginRange& range) {
    return std::find(logs.begin(), logs.end(), range.id) != logs.end();
  };
  std::vector<Origin> first;
  {
    const std::lock_guard lock(mutex_);
    const auto goes = [&](const Batch& batch) {
      // One that holds events of other logs too stays, and is delivered here.
      const std::vector<OriginRange> covered = batch.provenance().covered();
      if (!std::all_of(covered.begin(), covered.end(), is_of_them)) return false;
      for (const OriginRange& range : covered) first.push_back({range.id, range.begin});
      return true;
    };
    // When their receipts go, the reader hears that they did not arrive.
    drop(queue_.extract(goes), counters_.given_back);
  }
  not_full_.notify_all();
  return first;
}

}  // namespace sluice

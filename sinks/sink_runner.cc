#include "sinks/sink_runner.h"

#include <algorithm>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/base/wait.h"

namespace sluice {

SinkRunner::SinkRunner(Options options, Channel& channel, Sink& sink, SinkCounters& counters)
    : options_(std::move(options)),
      channel_(channel),
      sink_(sink),
      counters_(counters),
      backoff_(options_.backoff_first, options_.backoff_max),
      slots_(std::max<std::uint32_t>(1, sink.in_flight_max())) {}

SinkRunner::~SinkRunner() {
  SLUICE_ASSERT(busy_slots() == 0, "a runner is destroyed while deliveries are outstanding");
}

Status SinkRunner::run(std::stop_token stop) {
  if (Status status = open(stop); !status.ok()) {
    return status.code() == Code::Closed ? Status() : status;
  }
  counters_.start_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  const TakeLimit limit = sink_.take_limit();
  while (!stop.stop_requested() && failure_.code() != Code::Fatal) {
    if (commit_failed_.exchange(false)) report_commit_failure();
    if (!failure_.ok()) {
      while (busy_slots() > 0) wait_for_an_end();
      if (failure_.code() == Code::Fatal) break;
      back_off(stop);
      continue;
    }
    if (busy_slots() == slots_.size()) {
      wait_for_an_end();
      continue;
    }
    Taken taken = channel_.take(limit, stop);
    if (taken.empty()) {
      counters_.batches_empty.add();
      if (busy_slots() > 0) settle_ended();
      if (busy_slots() == 0 && channel_.drained()) break;
    } else {
      count_take(taken, limit);
      offer(std::move(taken), stop);
    }
    sink_.tend();
  }
  while (busy_slots() > 0) wait_for_an_end();
  wait_for_commits(true);
  sink_.close();
  healthy_ = false;
  counters_.stop_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  return failure_.code() == Code::Fatal ? failure_ : Status();
}

Status SinkRunner::open(const std::stop_token& stop) {
  for (;;) {
    Status status = sink_.open(stop);
    if (status.ok()) {
      healthy_ = true;
      if (failures_in_a_row_ > 0) log::info("{}: ready again", options_.name);
      failures_in_a_row_ = 0;
      backoff_.reset();
      return {};
    }
    if (status.code() != Code::Retry) return status;
    report_failure(status);
    failure_ = {};
    back_off(stop);
    if (stop.stop_requested() || channel_.drained()) return Closed("stopped");
  }
}

void SinkRunner::count_take(const Taken& taken, const TakeLimit& limit) {
  counters_.attempts.add(taken.batch().size());
  (taken.batch().size() >= limit.events_max ? counters_.batches_complete
                                            : counters_.batches_underflow)
      .add();
}

void SinkRunner::offer(Taken taken, const std::stop_token& stop) {
  const auto free =
      std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return !s.busy; });
  free->taken = std::move(taken);
  free->busy = true;
  free->ended = false;
  const auto index = static_cast<std::uint32_t>(free - slots_.begin());
  sink_.deliver(free->taken.batch(), stop, DeliveryDone(*this, index));
  settle_ended();
}

void SinkRunner::delivered(std::uint32_t slot, Delivery delivery) {
  const std::lock_guard lock(mutex_);
  SLUICE_ASSERT(slots_[slot].busy && !slots_[slot].ended, "a delivery ends once");
  slots_[slot].delivery = std::move(delivery);
  slots_[slot].ended = true;
  ended_.notify_one();
}

/// Commits or rolls back every delivery that has ended; true when there was one.
bool SinkRunner::settle_ended() {
  bool any = false;
  for (Slot& slot : slots_) {
    if (!slot.busy) continue;
    {
      const std::lock_guard lock(mutex_);
      if (!slot.ended) continue;
    }
    settle(slot);
    slot.busy = false;
    any = true;
  }
  return any;
}

void SinkRunner::settle(Slot& slot) {
  Delivery delivery = std::move(slot.delivery);
  Taken taken = std::move(slot.taken);
  if (delivery.status.ok()) {
    commit(std::move(taken), delivery);
    return;
  }
  if (delivery.arrived > 0) {
    Status why = delivery.status;
    delivery.status = {};
    commit(taken.split_front(delivery.arrived), delivery);
    delivery.status = std::move(why);
  }
  report_failure(delivery.status);
  // `taken` goes back to the head of the channel here.
}

void SinkRunner::commit(Taken events, Delivery& delivery) {
  const std::uint64_t rejected = delivery.rejected.size();
  std::uint64_t rejected_bytes = 0;
  if (rejected > 0) {
    const Status kept = options_.dead_letters == nullptr
                            ? Retry("no place for dead letters")
                            : options_.dead_letters->keep(events.batch(), delivery.rejected,
                                                          options_.name, delivery.rejected_because);
    if (!kept.ok()) {
      commit_but_rejected(std::move(events), delivery.rejected);
      report_failure(kept.with_context("rejected events cannot be kept aside"));
      return;
    }
    for (const std::uint32_t i : delivery.rejected) rejected_bytes += events.batch().body(i).size();
  }
  submit(std::move(events), std::move(delivery.notes), rejected, rejected_bytes);
  if (failures_in_a_row_ > 0 && failure_.ok()) {
    log::info("{}: delivering again", options_.name);
    failures_in_a_row_ = 0;
    backoff_.reset();
    healthy_ = true;
  }
}

/// What lies between the rejected events was delivered; those alone go back.
void SinkRunner::commit_but_rejected(Taken events, const std::vector<std::uint32_t>& rejected) {
  std::vector<Taken> back;
  std::uint32_t gone = 0;
  for (const std::uint32_t i : rejected) {
    if (i > gone) submit(events.split_front(i - gone), {}, 0, 0);
    back.push_back(events.split_front(1));
    gone = i + 1;
  }
  if (!events.batch().empty()) submit(std::move(events), {}, 0, 0);
}

void SinkRunner::submit(Taken events, Notes notes, std::uint64_t rejected,
                        std::uint64_t rejected_bytes) {
  const std::uint64_t count = events.batch().size();
  const std::uint64_t bytes = events.batch().body_bytes();
  const Flowing left{rejected, rejected_bytes};
  const Flowing delivered{count - rejected, bytes - rejected_bytes};
  if (options_.committer == nullptr) {  // nothing to wait for, nothing that can fail
    Commit commit;
    commit.take(std::move(events));
    std::move(commit).complete({});
    return count_delivered(delivered, left);
  }
  {
    const std::lock_guard lock(mutex_);
    ++committing_;
    committing_bytes_ += bytes;
  }
  Commit commit(options_.committer);
  for (Note& note : notes) commit.note(std::move(note));
  commit.take(std::move(events));
  std::move(commit).submit(
      [this, delivered, left](Status status) { landed(std::move(status), delivered, left); });
  wait_for_commits(false);
}

void SinkRunner::count_delivered(const Flowing& delivered, const Flowing& rejected) noexcept {
  counters_.delivered.add(delivered.events, delivered.bytes);
  if (rejected.events > 0) counters_.dead_lettered.add(rejected.events, rejected.bytes);
}

/// On the committer's thread.
void SinkRunner::landed(Status status, const Flowing& delivered, const Flowing& rejected) {
  if (status.ok()) {
    count_delivered(delivered, rejected);
  } else {
    counters_.channel_failures.add();
  }
  const std::lock_guard lock(mutex_);
  if (!status.ok()) {
    commit_failure_ = std::move(status);
    commit_failed_ = true;
  }
  --committing_;
  committing_bytes_ -= delivered.bytes + rejected.bytes;
  ended_.notify_all();
}

void SinkRunner::wait_for_commits(bool all) {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [&] {
    return committing_ == 0 || (!all && committing_ < options_.committing_max &&
                                committing_bytes_ < options_.committing_bytes_max);
  });
}

void SinkRunner::report_commit_failure() {
  Status status;
  {
    const std::lock_guard lock(mutex_);
    status = commit_failure_;
  }
  report_failure(status.with_context("what was delivered could not be committed and comes again"));
}

void SinkRunner::wait_for_an_end() {
  {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] {
      return std::any_of(slots_.begin(), slots_.end(),
                         [](const Slot& s) { return s.busy && s.ended; });
    });
  }
  settle_ended();
}

void SinkRunner::back_off(const std::stop_token& stop) {
  failure_ = {};
  std::unique_lock lock(mutex_);
  wait_until(ended_, lock, Deadline::in(backoff_.next()), stop, [] { return false; });
}

/// The first failure in a row is an error; the following ones are said rarely.
void SinkRunner::report_failure(const Status& status) {
  if (failure_.code() != Code::Fatal) failure_ = status;
  healthy_ = false;
  counters_.failures.add();
  const std::uint64_t n = ++failures_in_a_row_;
  if (status.code() == Code::Closed) return;
  if (n == 1 || (n >= 8 && worth_saying(n))) {
    log::error(
        "{}: unable to deliver events: {}; they stay in channel {} and are tried again "
        "(failure {} in a row)",
        options_.name, status.message(), channel_.name(), n);
  }
}

std::uint32_t SinkRunner::busy_slots() const noexcept {
  return static_cast<std::uint32_t>(
      std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.busy; }));
}

}  // namespace sluice

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
  TakeLimit limit = sink_.take_limit();
  limit.called_off = &unsettled_;
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
    const bool settled = settle_ended();
    if (!failure_.ok()) continue;  // what was just taken goes back, behind what failed
    if (taken.empty()) {
      if (!settled) counters_.batches_empty.add();
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
  unsettled_ = true;
  ended_.notify_one();
  // With the lock: without it the runner may be gone. Alone, a delivery has nobody beside it who
  // would take.
  if (slots_.size() > 1) channel_.wake_takers();
}

/// Commits or rolls back every delivery that has ended; true when there was one.
bool SinkRunner::settle_ended() {
  if (!unsettled_) return false;
  unsettled_ = false;  // before looking: what ends meanwhile sets it again
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
  attempts_.failed(taken.pieces());
  report_failure(delivery.status);
  // `taken` goes back to the head of the channel here.
}

void SinkRunner::commit(Taken events, Delivery& delivery) {
  Commit commit(options_.committer);
  Left left;
  if (!delivery.rejected.empty()) {
    if (Status kept = keep_aside(events, delivery, commit); !kept.ok()) {
      commit_but_rejected(std::move(events), delivery);
      report_failure(kept.with_context("rejected events cannot be kept aside"));
      return;
    }
    left.rejected.events = delivery.rejected.size();
    for (const std::uint32_t i : delivery.rejected) {
      left.rejected.bytes += events.batch().body(i).size();
    }
    left.put = !commit.puts().empty();
  }
  left.delivered = {events.batch().size() - left.rejected.events,
                    events.batch().body_bytes() - left.rejected.bytes};
  commit.take(std::move(events));
  submit(std::move(commit), std::move(delivery.notes), left);
  if (left.rejected.events > 0) {
    // On a full disk takes go on and puts are refused, so what follows must not overtake this one.
    wait_for_commits(true);
    if (commit_failed_) return;
    report_dead_letters(left.rejected.events, delivery.rejected_because);
  }
  if (failures_in_a_row_ > 0 && failure_.ok()) {
    log::info("{}: delivering again", options_.name);
    failures_in_a_row_ = 0;
    backoff_.reset();
    healthy_ = true;
  }
}

/// Ok: the rejected events are kept, or will be by `taking`.
Status SinkRunner::keep_aside(const Taken& events, const Delivery& delivery, Commit& taking) {
  if (options_.dead_letters == nullptr) return Retry("no place for dead letters");
  Rejection rejection{options_.sink, channel_.name(), delivery.rejected_because, {}};
  rejection.letters.reserve(delivery.rejected.size());
  auto piece = events.pieces().begin();
  std::uint32_t first = 0;  // of the piece, in the batch
  for (const std::uint32_t i : delivery.rejected) {
    for (; i - first >= piece->batch.size(); ++piece) first += piece->batch.size();
    DeadLetter letter{events.batch()[i], piece->sequence + (i - first), 1, {}};
    letter.attempts = attempts_.of(letter.sequence);
    const Provenance& provenance = piece->batch.provenance();
    if (provenance.known()) letter.origin = provenance.origin(i - first);
    rejection.letters.push_back(letter);
  }
  Status status = options_.dead_letters->keep(rejection, taking);
  // Should `taking` be refused, they come again.
  if (status.ok()) attempts_.failed(events.pieces());
  return status;
}

/// What lies between the rejected events was delivered, in one commit; those alone go back.
void SinkRunner::commit_but_rejected(Taken events, Delivery& delivery) {
  Commit commit(options_.committer);
  Left left;
  const auto take = [&](Taken part) {
    left.delivered.events += part.batch().size();
    left.delivered.bytes += part.batch().body_bytes();
    commit.take(std::move(part));
  };
  std::vector<Taken> back;
  std::uint32_t gone = 0;
  for (const std::uint32_t i : delivery.rejected) {
    if (i > gone) take(events.split_front(i - gone));
    back.push_back(events.split_front(1));
    attempts_.failed(back.back().pieces());
    gone = i + 1;
  }
  if (!events.batch().empty()) take(std::move(events));
  if (!commit.takes().empty()) submit(std::move(commit), std::move(delivery.notes), left);
}

void SinkRunner::submit(Commit commit, Notes notes, const Left& left) {
  if (commit.committer() == nullptr) {  // nothing to wait for, nothing that can fail
    std::move(commit).complete({});
    return count_left(left);
  }
  {
    const std::lock_guard lock(mutex_);
    ++committing_;
    committing_bytes_ += left.delivered.bytes + left.rejected.bytes;
  }
  if (options_.committer != nullptr) {
    for (Note& note : notes) commit.note(std::move(note));
  }
  std::move(commit).submit([this, left](Status status) { landed(std::move(status), left); });
  wait_for_commits(false);
}

void SinkRunner::count_left(const Left& left) noexcept {
  counters_.delivered.add(left.delivered.events, left.delivered.bytes);
  if (left.rejected.events == 0) return;
  counters_.dead_lettered.add(left.rejected.events, left.rejected.bytes);
  if (left.put) counters_.dead_letters_put.add(left.rejected.events, left.rejected.bytes);
}

/// On the committer's thread.
void SinkRunner::landed(Status status, const Left& left) {
  if (status.ok()) {
    count_left(left);
  } else {
    counters_.channel_failures.add();
  }
  const std::lock_guard lock(mutex_);
  if (!status.ok()) {
    commit_failure_ = std::move(status);
    commit_failed_ = true;
  }
  --committing_;
  committing_bytes_ -= left.delivered.bytes + left.rejected.bytes;
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

/// A flood of them is said rarely; the counters know all.
void SinkRunner::report_dead_letters(std::uint64_t events, const std::string& because) {
  if (!worth_saying(++rejections_)) return;
  log::error("{}: {} events can never be delivered: {}; they are put into {} ({} so far)",
             options_.name, events, because, options_.dead_letters->name(),
             counters_.dead_lettered.events.get());
}

std::uint32_t SinkRunner::busy_slots() const noexcept {
  return static_cast<std::uint32_t>(
      std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.busy; }));
}

}  // namespace sluice

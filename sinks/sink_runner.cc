#include "sinks/sink_runner.h"

#include <algorithm>
#include <utility>

#include "channels/stored_queue.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/base/wait.h"

namespace sluice {
namespace {

std::vector<Dealer::Member> limits_of(const std::vector<SinkRunner::Member>& members) {
  std::vector<Dealer::Member> limits;
  for (const SinkRunner::Member& member : members) {
    limits.push_back(
        {std::max<std::uint32_t>(1, member.it->in_flight_max()), member.it->retry_same_for()});
  }
  return limits;
}

std::size_t slots_for(const std::vector<SinkRunner::Member>& members) {
  std::size_t slots = 0;
  for (const Dealer::Member& member : limits_of(members)) slots += member.in_flight_max;
  return slots;
}

SinkRunner::Member only_member(const SinkRunner::Options& options, Sink& sink,
                               SinkCounters& counters) {
  return {options.name, options.sink, &sink, &counters, options.dead_letters};
}

}  // namespace

SinkRunner::SinkRunner(Options options, Channel& channel, std::vector<Member> members,
                       std::unique_ptr<SinkProcessor> processor)
    : options_(std::move(options)),
      channel_(channel),
      dealer_(std::move(processor), limits_of(members), *options_.clock),
      backoff_(options_.backoff_first, options_.backoff_max),
      slots_(slots_for(members)) {
  for (Member& member : members) {
    members_.emplace_back(std::move(member), static_cast<std::uint32_t>(members_.size()));
  }
}

SinkRunner::SinkRunner(Options options, Channel& channel, Sink& sink, SinkCounters& counters)
    : SinkRunner(options, channel, {only_member(options, sink, counters)},
                 make_single_processor()) {}

SinkRunner::~SinkRunner() {
  SLUICE_ASSERT(busy_slots() == 0, "a runner is destroyed while deliveries are outstanding");
}

Status SinkRunner::run(std::stop_token stop) {
  // Every member is opened at the start, as in Flume; some may be unable to run at all.
  for (Running& member : members_) {
    if (!stop.stop_requested()) open(member, stop);
  }
  while (!stop.stop_requested() && failure_.code() != Code::Fatal) {
    if (!go_round(stop)) break;
  }
  while (busy_slots() > 0) wait_for_an_end();
  wait_for_commits(true);
  close_all();
  if (failure_.code() == Code::Fatal) return failure_;
  return can_run() ? Status() : invalid_;
}

/// False: there is nothing more to do.
bool SinkRunner::go_round(const std::stop_token& stop) {
  if (!can_run()) return false;
  if (commit_failed_.exchange(false)) report_commit_failure();
  if (!failure_.ok()) {
    while (busy_slots() > 0) wait_for_an_end();
    if (failure_.code() == Code::Fatal) return false;
    make_up_for_failures(stop);
    return !channel_.drained();
  }
  const auto next = dealer_.next();
  if (!next && busy_slots() > 0) {
    wait_for_an_end();
    return true;
  }
  if (!next) {
    make_up_for_failures(stop);
    return !channel_.drained();
  }
  Running& member = members_[*next];
  if (!open(member, stop)) return true;
  if (!take_for(member, stop)) return false;
  for (const Running& each : members_) {
    if (each.open) each.is.it->tend();
  }
  return true;
}

/// True when it is open.
bool SinkRunner::open(Running& member, const std::stop_token& stop) {
  if (member.open) return true;
  const Status status = member.is.it->open(stop);
  if (status.ok()) {
    member.open = true;
    member.limit = member.is.it->take_limit();
    member.limit.called_off = &unsettled_;
    member.is.counters->start_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
    if (member.failures_in_a_row > 0) log::info("{}: ready again", member.is.component);
    recovered(member);
    return true;
  }
  const bool may_come = status.code() == Code::Retry || status.code() == Code::Closed;
  if (may_come || status.code() == Code::Fatal) {
    dealer_.failed_to_open(member.number);
    report_failure(member, status);
  } else {
    leave_out(member, status);
  }
  return false;
}

void SinkRunner::leave_out(Running& member, const Status& status) {
  member.left_out = true;
  dealer_.leave_out(member.number);
  if (members_.size() > 1) {
    log::error("{}: cannot run: {}; {} goes on without it", member.is.component, status.message(),
               options_.name);
  }
  invalid_ = status;
}

bool SinkRunner::can_run() const noexcept {
  return std::any_of(members_.begin(), members_.end(),
                     [](const Running& member) { return !member.left_out; });
}

bool SinkRunner::healthy() const noexcept {
  return std::any_of(members_.begin(), members_.end(),
                     [](const Running& member) { return member.healthy.load(); });
}

/// False: the channel is drained, and nothing is outstanding.
bool SinkRunner::take_for(Running& member, const std::stop_token& stop) {
  Taken taken = channel_.take(member.limit, stop);
  const bool settled = settle_ended();
  if (!failure_.ok()) return true;  // what was just taken goes back, behind what failed
  if (!taken.empty()) {
    share_out(member, std::move(taken), stop);
    return true;
  }
  if (!settled) member.is.counters->batches_empty.add();
  return busy_slots() > 0 || !channel_.drained();
}

/// What may have arrived at one member before goes to it, without what lies behind.
void SinkRunner::share_out(Running& taker, Taken taken, const std::stop_token& stop) {
  const Dealer::Share share = dealer_.share(taken.pieces(), taker.number);
  if (share.events < taken.batch().size()) taken = taken.split_front(share.events);
  while (!dealer_.may_have(share.member)) {
    wait_for_an_end();
    if (!failure_.ok()) return;
  }
  offer(share, std::move(taken), stop);
}

void SinkRunner::offer(const Dealer::Share& share, Taken taken, const std::stop_token& stop) {
  Running& member = members_[share.member];
  SinkCounters& counters = *member.is.counters;
  counters.attempts.add(taken.batch().size());
  (taken.batch().size() >= member.limit.events_max ? counters.batches_complete
                                                   : counters.batches_underflow)
      .add();
  const auto free =
      std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return !s.busy; });
  free->taken = std::move(taken);
  free->deal = dealer_.deal(share);
  free->number = ++deliveries_;
  free->busy = true;
  free->ended = false;
  const auto index = static_cast<std::uint32_t>(free - slots_.begin());
  if (const StoredQueue* const stored = channel_.stored(); stored != nullptr) {
    member.is.it->settled_below(stored->settled_below());
  }
  member.is.it->deliver(free->taken.batch(), stop, DeliveryDone(*this, index));
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

/// The delivery that was begun first, of those that have ended; null when there is none.
SinkRunner::Slot* SinkRunner::first_ended() {
  Slot* first = nullptr;
  const std::lock_guard lock(mutex_);
  for (Slot& slot : slots_) {
    if (!slot.busy || !slot.ended) continue;
    if (first == nullptr || slot.number < first->number) first = &slot;
  }
  return first;
}

/// Commits or rolls back every delivery that has ended, in their order, for the notes of a later
/// one say more than those of an earlier one; true when there was one.
bool SinkRunner::settle_ended() {
  if (!unsettled_) return false;
  unsettled_ = false;  // before looking: what ends meanwhile sets it again
  bool any = false;
  while (Slot* const slot = first_ended()) {
    settle(*slot);
    slot->busy = false;
    any = true;
  }
  return any;
}

void SinkRunner::settle(Slot& slot) {
  Delivery delivery = std::move(slot.delivery);
  Taken taken = std::move(slot.taken);
  Running& member = members_[slot.deal.member];
  if (delivery.status.ok()) {
    dealer_.succeeded(slot.deal, taken.pieces());
    commit(member, std::move(taken), delivery);
    return;
  }
  if (delivery.arrived > 0) {
    Status why = delivery.status;
    delivery.status = {};
    commit(member, taken.split_front(delivery.arrived), delivery);
    delivery.status = std::move(why);
  }
  attempts_.failed(taken.pieces());
  dealer_.failed(slot.deal, taken.pieces(), delivery.may_have_arrived);
  // Those that fail together are one failure, and the first of them says why.
  if (member.failed_in_round && delivery.status.code() != Code::Fatal) {
    member.is.counters->failures.add();
  } else {
    member.failed_in_round = delivery.status.code() != Code::Closed;
    report_failure(member, delivery.status);
  }
  // `taken` goes back to the head of the channel here.
}

void SinkRunner::commit(Running& member, Taken events, Delivery& delivery) {
  Commit commit(options_.committer);
  Left left{.of = &member.is};
  left.committed = std::move(delivery.committed);
  if (!delivery.rejected.empty()) {
    if (Status kept = keep_aside(member.is, events, delivery, commit); !kept.ok()) {
      delivery.committed = std::move(left.committed);
      commit_but_rejected(member, std::move(events), delivery);
      pause_ = true;
      report_failure(member, kept.with_context("rejected events cannot be kept aside"));
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
    report_dead_letters(member.is, left.rejected.events, delivery.rejected_because);
  }
  if (!failure_.ok()) return;
  if (member.failures_in_a_row > 0) log::info("{}: delivering again", member.is.component);
  recovered(member);
}

/// Ok: the rejected events are kept, or will be by `taking`.
Status SinkRunner::keep_aside(const Member& member, const Taken& events, const Delivery& delivery,
                              Commit& taking) {
  if (member.dead_letters == nullptr) return Retry("no place for dead letters");
  Rejection rejection{member.sink, channel_.name(), delivery.rejected_because, {}};
  rejection.letters.reserve(delivery.rejected.size());
  auto piece = events.pieces().begin();
  std::uint32_t first = 0;  // of the piece, in the batch
  for (const std::uint32_t i : delivery.rejected) {
    for (; i - first >= piece->batch.size(); ++piece) first += piece->batch.size();
    DeadLetter letter{events.batch()[i], piece->sequence + (i - first), 1, {}};
    letter.attempts = attempts_.of(letter.sequence);
    const Provenance& provenance = piece->batch.provenance();
    if (provenance.known()) letter.origin = provenance.origin(i - first);
    // Beside others that have one it may have none yet.
    if (letter.origin && letter.origin->id.none()) letter.origin.reset();
    rejection.letters.push_back(letter);
  }
  Status status = member.dead_letters->keep(rejection, taking);
  // Should `taking` be refused, they come again.
  if (status.ok()) attempts_.failed(events.pieces());
  return status;
}

/// What lies between the rejected events was delivered, in one commit; those alone go back.
void SinkRunner::commit_but_rejected(Running& member, Taken events, Delivery& delivery) {
  Commit commit(options_.committer);
  Left left{.of = &member.is};
  left.committed = std::move(delivery.committed);
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
    count_left(left);
    if (left.committed) left.committed({});
    return;
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
  SinkCounters& counters = *left.of->counters;
  counters.delivered.add(left.delivered.events, left.delivered.bytes);
  if (left.rejected.events == 0) return;
  counters.dead_lettered.add(left.rejected.events, left.rejected.bytes);
  if (left.put) counters.dead_letters_put.add(left.rejected.events, left.rejected.bytes);
}

/// On the committer's thread.
void SinkRunner::landed(Status status, const Left& left) {
  if (status.ok()) {
    count_left(left);
  } else {
    left.of->counters->channel_failures.add();
  }
  // Before the runner may go on, and its sink be gone.
  if (left.committed) left.committed(status);
  const std::lock_guard lock(mutex_);
  if (!status.ok()) {
    commit_failure_ = std::move(status);
    commit_failed_of_ = left.of;
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
  const Member* of = nullptr;
  {
    const std::lock_guard lock(mutex_);
    status = commit_failure_;
    of = commit_failed_of_;
  }
  pause_ = true;
  const auto member = std::find_if(members_.begin(), members_.end(),
                                   [of](const Running& each) { return &each.is == of; });
  report_failure(*member,
                 status.with_context("what was delivered could not be committed and comes again"));
}

void SinkRunner::wait_for_an_end() {
  for (const Running& each : members_) {
    if (each.open) each.is.it->hurry();
  }
  {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] {
      return std::any_of(slots_.begin(), slots_.end(),
                         [](const Slot& s) { return s.busy && s.ended; });
    });
  }
  settle_ended();
}

/// All outstanding deliveries have ended, or there is nobody to offer to.
void SinkRunner::make_up_for_failures(const std::stop_token& stop) {
  failure_ = {};
  for (Running& member : members_) {
    member.failed_in_round = false;
    if (member.open) member.is.it->start_over();
  }
  const bool pause = std::exchange(pause_, false);
  if (dealer_.settle() == Dealer::Next::AtOnce && !pause) return;
  if (dealer_.exhausted() && members_.size() > 1) report_all_failed();
  back_off(stop);
  dealer_.new_round();
}

void SinkRunner::back_off(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  wait_until(ended_, lock, Deadline::in(backoff_.next()), stop, [] { return false; });
}

void SinkRunner::recovered(Running& member) {
  member.healthy = true;
  if (member.failures_in_a_row == 0 && rounds_failed_in_a_row_ == 0) return;
  member.failures_in_a_row = 0;
  rounds_failed_in_a_row_ = 0;
  backoff_.reset();
}

/// The first failure in a row is an error; the following ones are said rarely.
void SinkRunner::report_failure(Running& member, const Status& status) {
  if (failure_.code() != Code::Fatal) failure_ = status;
  member.healthy = false;
  member.is.counters->failures.add();
  const std::uint64_t n = ++member.failures_in_a_row;
  if (status.code() == Code::Closed) return;
  if (n == 1 || (n >= 8 && worth_saying(n))) {
    log::error(
        "{}: unable to deliver events: {}; they stay in channel {} and are tried again{} "
        "(failure {} in a row)",
        member.is.component, status.message(), channel_.name(),
        members_.size() > 1 ? " by " + options_.name : "", n);
  }
}

void SinkRunner::report_all_failed() {
  const std::uint64_t n = ++rounds_failed_in_a_row_;
  if (n > 1 && (n < 8 || !worth_saying(n))) return;
  log::error("{}: {}; its events stay in channel {} ({} times in a row)", options_.name,
             dealer_.all_failed(), channel_.name(), n);
}

/// A flood of them is said rarely; the counters know all.
void SinkRunner::report_dead_letters(const Member& member, std::uint64_t events,
                                     const std::string& because) {
  if (!worth_saying(++rejections_)) return;
  log::error("{}: {} events can never be delivered: {}; they are put into {} ({} so far)",
             member.component, events, because, member.dead_letters->name(),
             member.counters->dead_lettered.events.get());
}

void SinkRunner::close_all() {
  for (Running& member : members_) {
    if (!member.open) continue;
    member.is.it->close();
    member.open = false;
    member.healthy = false;
    member.is.counters->stop_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  }
}

std::uint32_t SinkRunner::busy_slots() const noexcept {
  return static_cast<std::uint32_t>(
      std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.busy; }));
}

}  // namespace sluice

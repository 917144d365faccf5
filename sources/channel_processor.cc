#include "sources/channel_processor.h"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <limits>
#include <optional>

#include "channels/stored_queue.h"
#include "core/base/assert.h"
#include "core/base/wait.h"

namespace sluice {
namespace {

// Between two submissions of a commit that is refused, when nothing else happens.
constexpr milliseconds refusal_pause{100};

/// The receipt hears of every event once for each required channel that gets it, and of the
/// `ended`, for which none answers.
void expect(const Receipt& receipt, std::uint64_t events, const Routed& routed,
            std::uint64_t ended) {
  std::uint64_t deliveries = ended;
  for (const Routed::Part& part : routed.required) deliveries += part.batch.size();
  if (deliveries > events) receipt.expect_more(deliveries - events);
}

}  // namespace

ChannelProcessor::ChannelProcessor(Options options, SourceCounters& counters)
    : options_(std::move(options)),
      selector_({std::move(options_.required), std::move(options_.optional)},
                std::move(options_.header), std::move(options_.mappings)),
      counters_(counters) {
  std::uint64_t events = std::numeric_limits<std::uint32_t>::max();
  for (const Channel* channel : selector_.required()) {
    events = std::min(events, channel->capacity_events());
  }
  batch_events_max_ = static_cast<std::uint32_t>(events);
}

ChannelProcessor::~ChannelProcessor() {
  std::stop_source now;
  now.request_stop();
  options_.abandon = {};
  finish(now.get_token());
}

void ChannelProcessor::finish(std::stop_token stop) {
  if (options_.abandon.stop_possible()) stop = options_.abandon;
  std::unique_lock lock(mutex_);
  for (;;) {
    landed_.wait(lock, [this] { return in_flight_commits_ == 0; });
    if (refused_.empty()) return;
    if (stop.stop_requested()) break;
    wait_until(landed_, lock, Deadline::in(refusal_pause), stop, [] { return false; });
    lock.unlock();
    retry_refused(stop);
    lock.lock();
  }
  std::vector<Pending> left;
  left.swap(refused_);
  lock.unlock();
  for (Pending& refused : left) {
    if (refused.done) refused.done(Closed("the agent is stopping"));
  }
}

void ChannelProcessor::sender_settled(const Origin& below) {
  for (Channel* const channel : selector_.required()) {
    if (StoredQueue* const stored = channel->stored()) stored->sender_settled(below);
  }
}

Batch ChannelProcessor::intercept(Batch batch) {
  for (const auto& interceptor : options_.interceptors) {
    if (batch.empty()) break;
    const std::uint32_t events = batch.size();
    batch = interceptor->intercept(std::move(batch));
    SLUICE_ASSERT(batch.size() <= events, "interceptors do not make events");
  }
  return batch;
}

/// Parts for several channels are not doubles of each other. An optional channel may miss events,
/// so what it has starts anew.
void ChannelProcessor::name_origins(Routed& routed) const {
  for (Routed::Part& part : routed.optional) part.batch = part.batch.with_provenance({});
  if (selector_.channels() == 1) return;
  for (Routed::Part& part : routed.required) {
    part.batch =
        part.batch.with_provenance(part.batch.provenance().for_channel(part.channel->name()));
  }
}

/// Room in every required channel for its part, and in the optional ones that have it.
///
/// Waits in one channel at a time and holds nothing meanwhile: two sources that want the same
/// channels in another order would wait for each other, and a dead sink would stop its neighbours.
Status ChannelProcessor::reserve_all(Pending& pending, Deadline room_by, std::stop_token stop,
                                     Commits& commits) {
  Routed& routed = pending.routed;
  if (options_.abandon.stop_possible()) stop = options_.abandon;
  // Where no store has a say, what lies in memory has a commit of its own: it must not hang on one
  // that may fail without consequences.
  if (required_stores() == 0) commits.emplace_back();
  for (Committer* const store : options_.stores) commits.emplace_back(store);
  if (!routed.required.empty()) {
    std::size_t wait_in = 0;
    const Channel& first = *routed.required.front().channel;
    Deadline deadline = room_by;
    if (pending.arrived_in_part) {
      deadline = Deadline::never();
    } else if (options_.on_full == OnFull::Reject) {
      deadline = Deadline::at(std::min(Deadline::in(first.keep_alive()).time(), room_by.time()));
    }
    for (;;) {
      const std::size_t waited_in = wait_in;
      Status status = try_reserve(routed, wait_in, deadline, stop, commits);
      if (status.ok()) break;
      if (wait_in == waited_in || deadline.passed()) return status;
    }
  }
  for (Routed::Part& part : routed.optional) {
    auto room = part.channel->reserve(part.batch, Deadline::in(milliseconds(0)), stop);
    part.refused = !room.ok();
    if (room.ok()) add_to(commits, *std::move(room));
  }
  const auto nothing_to_write = [&](const Commit& commit) {
    return commit.puts().empty() && (pending.notes.empty() || is_optional(commit.committer()));
  };
  commits.erase(std::remove_if(commits.begin(), commits.end(), nothing_to_write), commits.end());
  return {};
}

/// Whose commit a put into this channel is part of. What lies in memory becomes visible with the
/// last of the required parts; null, where there are none on disk.
Committer* ChannelProcessor::committer_of(Channel& channel) const noexcept {
  if (channel.committer() != nullptr || required_stores() == 0) return channel.committer();
  return options_.stores[required_stores() - 1];
}

void ChannelProcessor::add_to(Commits& commits, Reservation room) const {
  Committer* const committer = committer_of(*room.channel());
  const auto commit = std::find_if(commits.begin(), commits.end(), [&](const Commit& each) {
    return each.committer() == committer;
  });
  SLUICE_ASSERT(commit != commits.end(), "a channel in a store that the processor does not know");
  commit->put(std::move(room));
}

bool ChannelProcessor::is_optional(const Committer* store) const noexcept {
  const auto first = options_.stores.end() - static_cast<std::ptrdiff_t>(options_.optional_stores);
  return std::find(first, options_.stores.end(), store) != options_.stores.end();
}

/// Waits for room in the channel of one part and asks the others; the first that has none is the
/// next to wait in.
Status ChannelProcessor::try_reserve(const Routed& routed, std::size_t& wait_in, Deadline deadline,
                                     const std::stop_token& stop, Commits& commits) const {
  boost::container::small_vector<Reservation, 2> rooms;
  const auto reserve = [&](std::size_t i, Deadline until) {
    const Routed::Part& part = routed.required[i];
    auto room = part.channel->reserve(part.batch, until, stop);
    if (!room.ok()) return room.status();
    rooms.push_back(*std::move(room));
    return Status();
  };
  const std::size_t first = wait_in;
  if (Status status = reserve(first, deadline); !status.ok()) return status;
  for (std::size_t i = 0; i < routed.required.size(); ++i) {
    if (i == first) continue;
    if (Status status = reserve(i, Deadline::in(milliseconds(0))); !status.ok()) {
      wait_in = i;
      return status;
    }
  }
  for (Reservation& room : rooms) add_to(commits, std::move(room));
  return {};
}

Status ChannelProcessor::process(Batch batch, std::stop_token stop, Commit::Done done, Notes notes,
                                 Deadline room_by) {
  if (!options_.stores.empty()) {
    if (Status status = settle_refused(stop); !status.ok()) return status;
  }
  Pending pending;
  pending.receipt = batch.receipt();
  const Amount made{batch.size(), batch.body_bytes()};
  batch = intercept(std::move(batch));
  const Amount left{batch.size(), batch.body_bytes()};
  pending.number = batches_++;
  pending.routed = selector_.route(batch);
  pending.bytes = left.bytes;
  pending.notes = std::move(notes);
  pending.done = std::move(done);
  if (batch.provenance().known()) {
    name_origins(pending.routed);
    pending.doubles = std::make_shared<Amount>();
  }
  batch = {};
  Commits commits;
  if (Status status = reserve_all(pending, room_by, stop, commits); !status.ok()) {
    const bool patient = options_.on_full == OnFull::Wait && status.code() == Code::Retry;
    if (!patient) counters_.channel_failures.add();
    return status;
  }
  // From here on the batch is ours: what says "nothing was done" is behind us.
  const Routed& routed = pending.routed;
  pending.made = made;
  pending.filtered = made - left;
  pending.ended = pending.filtered.events + routed.no_say;
  expect(pending.receipt, made.events, routed, pending.ended);
  pending.copied = routed.amount() - (left - routed.unrouted);
  if (commits.empty()) {
    arrived_in_full(std::move(pending));
    return {};
  }
  submit(std::move(commits), std::move(pending));
  return {};
}

void ChannelProcessor::submit(Commits commits, Pending pending) {
  if (commits.front().committer() == nullptr) {
    std::move(commits.front()).complete({});
    commits.erase(commits.begin());
    arrive(pending, nullptr);
    if (commits.empty()) return arrived_in_full(std::move(pending));
  }
  for (Commit& commit : commits) commit.encode();
  const std::uint64_t bytes = pending.bytes;
  std::unique_lock lock(mutex_);
  landed_.wait(lock, [&] {
    const bool fits = in_flight_bytes_ + bytes <= options_.in_flight_bytes_max;
    return in_flight_commits_ == 0 || (fits && refused_.empty());
  });
  if (!refused_.empty()) {
    // Refused while this one waited: it queues up behind all of them, its room is given back.
    refuse(std::move(pending));
    return;
  }
  in_flight_bytes_ += bytes;
  ++in_flight_commits_;
  // Still under the lock: a refusal that lands behind this is one that refuses this commit too.
  send(std::move(commits), std::move(pending));
}

/// Submits the first of the commits; the others follow when it is complete. REQUIRES mutex_.
void ChannelProcessor::send(Commits commits, Pending pending) {
  Commit commit = std::move(commits.front());
  commits.erase(commits.begin());
  const Committer* const store = commit.committer();
  if (!is_optional(store)) {
    for (const Note& note : pending.notes) commit.note(note);
  }
  commit.tell_doubles(pending.doubles);
  // A function is copied, which commits are not.
  const auto later = commits.empty() ? nullptr : std::make_shared<Commits>(std::move(commits));
  std::move(commit).submit([this, store, later,
                            pending = std::move(pending)](Status status) mutable {
    written(std::move(status), store, later ? std::move(*later) : Commits(), std::move(pending));
  });
}

/// One of the commits of a batch is complete, or refused.
void ChannelProcessor::written(Status status, const Committer* store, Commits later,
                               Pending pending) {
  if (is_optional(store)) {
    // It has no say.
    for (Routed::Part& part : pending.routed.optional) {
      if (part.channel->committer() == store) part.refused = part.refused || !status.ok();
    }
    status = {};
  }
  if (status.ok() && !later.empty()) {
    arrive(pending, store);
    const std::lock_guard lock(mutex_);
    if (refused_.empty()) return send(std::move(later), std::move(pending));
    status = Retry("what was put before is refused");  // it queues up behind that
  }
  later.clear();  // gives its room back, before anybody may think that this is over
  landed(std::move(status), std::move(pending));
}

/// The parts that this commit held are where they should be.
void ChannelProcessor::arrive(Pending& pending, const Committer* committer) const {
  arrive_if(pending, [&](Channel& channel) { return committer_of(channel) == committer; });
}

void ChannelProcessor::arrived_in_full(Pending pending) {
  arrive_if(pending, [](Channel&) { return true; });
  note_arrival(pending);
  if (pending.done) pending.done({});
}

template <typename F>
void ChannelProcessor::arrive_if(Pending& pending, F is_there) {
  const auto arrived = [&](const Routed::Part& part) {
    if (!is_there(*part.channel)) return false;
    const Amount amount{part.batch.size(), part.batch.body_bytes()};
    (part.refused ? pending.refused : pending.put) += amount;
    return true;
  };
  const auto take_out = [&](auto& parts) {
    parts.erase(std::remove_if(parts.begin(), parts.end(), arrived), parts.end());
  };
  take_out(pending.routed.required);
  take_out(pending.routed.optional);
  pending.arrived_in_part = true;
}

/// All of it at once, so that a batch which is refused for good has no place in the books, and its
/// source is not told that any of it is over.
void ChannelProcessor::note_arrival(const Pending& pending) noexcept {
  pending.receipt.settle(pending.ended);
  counters_.made.add(pending.made);
  counters_.filtered.add(pending.filtered);
  counters_.unrouted.add(pending.routed.unrouted);
  counters_.copied.add(pending.copied);
  if (pending.put.events + pending.refused.events == 0) return;  // notes alone
  const Amount doubles = pending.doubles ? *pending.doubles : Amount();
  counters_.put.add(pending.put - doubles);
  counters_.doubles.add(doubles);
  counters_.refused.add(pending.refused);
  counters_.batches.add();
}

void ChannelProcessor::landed(Status status, Pending pending) {
  const std::uint64_t bytes = pending.bytes;
  const bool wait = options_.on_full == OnFull::Wait || pending.arrived_in_part;
  const bool again = status.code() == Code::Retry && wait;
  if (status.ok()) {
    arrive_if(pending, [](Channel&) { return true; });
    note_arrival(pending);
  } else {
    counters_.channel_failures.add();
  }
  if (!again && pending.done) pending.done(std::move(status));
  // Let go before anybody may think that this is over: the slab's pool ends with its owner.
  if (!again) pending = {};
  const std::lock_guard lock(mutex_);
  if (again) refuse(std::move(pending));
  in_flight_bytes_ -= bytes;
  --in_flight_commits_;
  landed_.notify_all();
}

/// In the order of the batches: one may be refused by its first store after another was by its
/// second. REQUIRES mutex_.
void ChannelProcessor::refuse(Pending pending) {
  const auto behind = std::find_if(refused_.begin(), refused_.end(), [&](const Pending& other) {
    return other.number > pending.number;
  });
  refused_.insert(behind, std::move(pending));
}

/// Nothing new is taken on while something refused waits: a full disk holds its sources back.
Status ChannelProcessor::settle_refused(std::stop_token stop) {
  {
    const std::lock_guard lock(mutex_);
    if (refused_.empty()) return {};
  }
  if (options_.abandon.stop_possible()) stop = options_.abandon;
  for (;;) {
    retry_refused(stop);
    std::unique_lock lock(mutex_);
    landed_.wait(lock, [this] { return in_flight_commits_ == 0; });
    if (refused_.empty()) return {};
    if (stop.stop_requested()) return Closed("the agent is stopping");
    wait_until(landed_, lock, Deadline::in(refusal_pause), stop, [] { return false; });
  }
}

void ChannelProcessor::retry_refused(const std::stop_token& stop) {
  std::vector<Pending> again;
  {
    std::unique_lock lock(mutex_);
    if (refused_.empty()) return;
    // Those submitted behind the refused one come back too; in order they can go only together.
    landed_.wait(lock, [this] { return in_flight_commits_ == 0; });
    again.swap(refused_);
  }
  Status failed;  // what lies behind a batch that is given up is given up with it
  for (Pending& refused : again) {
    Commits commits;
    if (failed.ok()) failed = reserve_all(refused, Deadline::never(), stop, commits);
    if (!failed.ok()) {
      if (refused.done) refused.done(failed);
      continue;
    }
    submit(std::move(commits), std::move(refused));
  }
}

std::vector<std::string> ChannelProcessor::notes(std::string_view key) const {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < required_stores(); ++i) {
    if (auto value = options_.stores[i]->note(key)) values.push_back(*std::move(value));
  }
  return values;
}

Status ChannelProcessor::process_and_wait(Batch batch, std::stop_token stop, Notes notes) {
  struct Outcome {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Status> status;
  } outcome;
  const auto done = [&outcome](Status status) {
    const std::lock_guard lock(outcome.mutex);
    outcome.status = std::move(status);
    outcome.ready.notify_one();
  };
  Status submitted = process(std::move(batch), stop, done, std::move(notes));
  if (!submitted.ok()) return submitted;
  std::unique_lock lock(outcome.mutex);
  while (!outcome.ready.wait_for(lock, refusal_pause, [&] { return outcome.status.has_value(); })) {
    lock.unlock();
    if (stop.stop_requested()) {
      finish(stop);
    } else {
      retry_refused(stop);
    }
    lock.lock();
  }
  return std::move(*outcome.status);
}

}  // namespace sluice

#include "sources/channel_processor.h"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <limits>
#include <optional>

#include "core/base/assert.h"
#include "core/base/wait.h"

namespace sluice {
namespace {

// Between two submissions of a commit that is refused, when nothing else happens.
constexpr milliseconds refusal_pause{100};

struct Flowing {
  std::uint64_t events;
  std::uint64_t bytes;
};

}  // namespace

ChannelProcessor::ChannelProcessor(Options options, SourceCounters& counters)
    : options_(std::move(options)), counters_(counters) {
  SLUICE_ASSERT(!options_.required.empty() || !options_.optional.empty(),
                "a source without channels was wired");
  std::uint64_t events = std::numeric_limits<std::uint32_t>::max();
  for (const Channel* channel : options_.required) {
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

Batch ChannelProcessor::intercept(Batch batch) {
  for (const auto& interceptor : options_.interceptors) {
    if (batch.empty()) break;
    const std::uint32_t events = batch.size();
    batch = interceptor->intercept(std::move(batch));
    SLUICE_ASSERT(batch.size() <= events, "interceptors do not make events");
  }
  return batch;
}

/// Room in every required channel, and in the optional ones that have it.
///
/// Waits in one channel at a time and holds nothing meanwhile: two sources that want the same
/// channels in another order would wait for each other, and a dead sink would stop its neighbours.
Status ChannelProcessor::reserve_all(const Batch& batch, std::stop_token stop, Commit& commit) {
  if (options_.abandon.stop_possible()) stop = options_.abandon;
  if (!options_.required.empty()) {
    Channel* wait_in = options_.required.front();
    const Deadline deadline =
        options_.on_full == OnFull::Wait ? Deadline::never() : Deadline::in(wait_in->keep_alive());
    for (;;) {
      const Channel* const waited_in = wait_in;
      Status status = try_reserve(batch, wait_in, deadline, stop, commit);
      if (status.ok()) break;
      if (wait_in == waited_in || deadline.passed()) return status;
    }
  }
  for (Channel* channel : options_.optional) {
    auto room = channel->reserve(batch.with_receipt({}), Deadline::in(milliseconds(0)), stop);
    if (room.ok()) commit.put(*std::move(room));
  }
  return {};
}

/// Waits for room in one channel and asks the others; the first that has none is the next to wait
/// in.
Status ChannelProcessor::try_reserve(const Batch& batch, Channel*& wait_in, Deadline deadline,
                                     const std::stop_token& stop, Commit& commit) {
  boost::container::small_vector<Reservation, 2> rooms;
  auto first = wait_in->reserve(batch, deadline, stop);
  if (!first.ok()) return first.status();
  rooms.push_back(*std::move(first));
  for (Channel* channel : options_.required) {
    if (channel == rooms.front().channel()) continue;
    auto room = channel->reserve(batch, Deadline::in(milliseconds(0)), stop);
    if (!room.ok()) {
      wait_in = channel;
      return room.status();
    }
    rooms.push_back(*std::move(room));
  }
  for (Reservation& room : rooms) commit.put(std::move(room));
  return {};
}

Status ChannelProcessor::process(Batch batch, std::stop_token stop, Commit::Done done,
                                 Notes notes) {
  if (options_.committer != nullptr) {
    if (Status status = settle_refused(stop); !status.ok()) return status;
  }
  const Flowing made{batch.size(), batch.body_bytes()};
  const Receipt receipt = batch.receipt();
  batch = intercept(std::move(batch));
  const Flowing filtered{made.events - batch.size(), made.bytes - batch.body_bytes()};
  Commit commit(options_.committer);
  if (!batch.empty()) {
    if (Status status = reserve_all(batch, stop, commit); !status.ok()) {
      counters_.channel_failures.add();
      return status;
    }
  }
  // From here on the batch is ours: what says "nothing was done" is behind us.
  if (!batch.empty() && options_.required.size() > 1) {
    receipt.expect_more(std::uint64_t{batch.size()} * (options_.required.size() - 1));
  }
  receipt.settle(filtered.events);
  if (options_.required.empty()) receipt.settle(batch.size());  // nobody answers for the rest
  counters_.made.add(made.events, made.bytes);
  counters_.filtered.add(filtered.events, filtered.bytes);
  if (batch.empty() && notes.empty()) {
    if (done) done({});
    return {};
  }
  const std::uint64_t copies = options_.required.size() + options_.optional.size() - 1;
  if (copies > 0) counters_.copied.add(batch.size() * copies, batch.body_bytes() * copies);
  submit(std::move(commit), {std::move(batch), std::move(notes), std::move(done)});
  return {};
}

void ChannelProcessor::submit(Commit commit, Pending pending) {
  if (options_.committer == nullptr) {
    count_put(pending.batch, commit.puts().size());
    std::move(commit).submit(std::move(pending.done));
    return;
  }
  commit.encode();
  const std::uint64_t bytes = pending.batch.body_bytes();
  std::unique_lock lock(mutex_);
  landed_.wait(lock, [&] {
    const bool fits = in_flight_bytes_ + bytes <= options_.in_flight_bytes_max;
    return in_flight_commits_ == 0 || (fits && refused_.empty());
  });
  if (!refused_.empty()) {
    // Refused while this one waited: it queues up behind all of them, its room is given back.
    refused_.push_back(std::move(pending));
    return;
  }
  in_flight_bytes_ += bytes;
  ++in_flight_commits_;
  // Still under the lock: a refusal that lands behind this is one that refuses this commit too.
  send(std::move(commit), std::move(pending));
}

void ChannelProcessor::send(Commit commit, Pending pending) {
  const std::uint64_t copies = commit.puts().size();
  for (const Note& note : pending.notes) commit.note(note);
  std::move(commit).submit([this, pending = std::move(pending), copies](Status status) mutable {
    landed(std::move(status), std::move(pending), copies);
  });
}

/// The channels that are not among the copies are optional ones that had no room.
void ChannelProcessor::count_put(const Batch& batch, std::uint64_t copies) noexcept {
  const std::uint64_t refused = options_.required.size() + options_.optional.size() - copies;
  counters_.put.add(batch.size() * copies, batch.body_bytes() * copies);
  counters_.refused.add(batch.size() * refused, batch.body_bytes() * refused);
  counters_.batches.add();
}

void ChannelProcessor::landed(Status status, Pending pending, std::uint64_t copies) {
  const std::uint64_t bytes = pending.batch.body_bytes();
  const bool again = status.code() == Code::Retry && options_.on_full == OnFull::Wait;
  if (status.ok()) {
    if (!pending.batch.empty()) count_put(pending.batch, copies);
  } else {
    counters_.channel_failures.add();
  }
  if (!again && pending.done) pending.done(std::move(status));
  // Let go before anybody may think that this is over: the slab's pool ends with its owner.
  if (!again) pending = {};
  const std::lock_guard lock(mutex_);
  if (again) refused_.push_back(std::move(pending));
  in_flight_bytes_ -= bytes;
  --in_flight_commits_;
  landed_.notify_all();
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
    Commit commit(options_.committer);
    if (failed.ok() && !refused.batch.empty()) failed = reserve_all(refused.batch, stop, commit);
    if (!failed.ok()) {
      if (refused.done) refused.done(failed);
      continue;
    }
    submit(std::move(commit), std::move(refused));
  }
}

Status ChannelProcessor::process_and_wait(Batch batch, std::stop_token stop) {
  struct Outcome {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Status> status;
  } outcome;
  Status submitted = process(std::move(batch), stop, [&outcome](Status status) {
    const std::lock_guard lock(outcome.mutex);
    outcome.status = std::move(status);
    outcome.ready.notify_one();
  });
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

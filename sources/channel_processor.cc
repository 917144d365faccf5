#include "sources/channel_processor.h"

#include <algorithm>
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
  std::vector<Refused> left;
  left.swap(refused_);
  lock.unlock();
  for (Refused& refused : left) {
    if (refused.done) refused.done(Closed("the agent is stopping"));
  }
}

Batch ChannelProcessor::intercept(Batch batch) {
  for (const auto& interceptor : options_.interceptors) {
    if (batch.empty()) break;
    const std::uint32_t events = batch.size();
    batch = interceptor->intercept(std::move(batch));
    SLUICE_ASSERT(batch.size() <= events, "interceptors do not make events");
    batch.receipt().settle(events - batch.size());
  }
  return batch;
}

Status ChannelProcessor::reserve_all(const Batch& batch, std::stop_token stop, Commit& commit) {
  if (options_.abandon.stop_possible()) stop = options_.abandon;
  for (Channel* channel : options_.required) {
    const Deadline deadline =
        options_.on_full == OnFull::Wait ? Deadline::never() : Deadline::in(channel->keep_alive());
    auto room = channel->reserve(batch, deadline, stop);
    if (!room.ok()) return room.status();
    commit.put(*std::move(room));
  }
  for (Channel* channel : options_.optional) {
    auto room = channel->reserve(batch.with_receipt({}), Deadline::in(milliseconds(0)), stop);
    if (room.ok()) commit.put(*std::move(room));
  }
  return {};
}

Status ChannelProcessor::process(Batch batch, std::stop_token stop, Commit::Done done) {
  if (options_.committer != nullptr) retry_refused(stop);
  const Flowing made{batch.size(), batch.body_bytes()};
  batch = intercept(std::move(batch));
  const Flowing filtered{made.events - batch.size(), made.bytes - batch.body_bytes()};
  if (batch.empty()) {
    counters_.made.add(made.events, made.bytes);
    counters_.filtered.add(filtered.events, filtered.bytes);
    if (done) done({});
    return {};
  }
  if (options_.required.size() > 1) {
    batch.receipt().expect_more(std::uint64_t{batch.size()} * (options_.required.size() - 1));
  }
  Commit commit(options_.committer);
  if (Status status = reserve_all(batch, stop, commit); !status.ok()) {
    counters_.channel_failures.add();
    return status;
  }
  counters_.made.add(made.events, made.bytes);
  counters_.filtered.add(filtered.events, filtered.bytes);
  const std::uint64_t copies = options_.required.size() + options_.optional.size() - 1;
  if (copies > 0) counters_.copied.add(batch.size() * copies, batch.body_bytes() * copies);
  submit(std::move(commit), std::move(batch), std::move(done));
  return {};
}

void ChannelProcessor::submit(Commit commit, Batch batch, Commit::Done done) {
  const std::uint64_t copies = commit.puts().size();
  const std::uint64_t bytes = batch.body_bytes();
  if (options_.committer == nullptr) {
    count_put(batch, copies);
    std::move(commit).submit(std::move(done));
    return;
  }
  {
    std::unique_lock lock(mutex_);
    landed_.wait(lock, [&] {
      const bool fits = in_flight_bytes_ + bytes <= options_.in_flight_bytes_max;
      return in_flight_commits_ == 0 || (fits && refused_.empty());
    });
    if (!refused_.empty()) {
      // Refused while this one waited: it queues up behind all of them, its room is given back.
      refused_.push_back({std::move(batch), std::move(done)});
      return;
    }
    in_flight_bytes_ += bytes;
    ++in_flight_commits_;
    // Still under the lock: a refusal that lands behind this is one that refuses this commit too.
    send(std::move(commit), std::move(batch), copies, std::move(done));
  }
}

void ChannelProcessor::send(Commit commit, Batch batch, std::uint64_t copies, Commit::Done done) {
  std::move(commit).submit(
      [this, batch = std::move(batch), copies, done = std::move(done)](Status status) mutable {
        landed(std::move(status), std::move(batch), copies, std::move(done));
      });
}

/// The channels that are not among the copies are optional ones that had no room.
void ChannelProcessor::count_put(const Batch& batch, std::uint64_t copies) noexcept {
  const std::uint64_t refused = options_.required.size() + options_.optional.size() - copies;
  counters_.put.add(batch.size() * copies, batch.body_bytes() * copies);
  counters_.refused.add(batch.size() * refused, batch.body_bytes() * refused);
  counters_.batches.add();
}

void ChannelProcessor::landed(Status status, Batch batch, std::uint64_t copies, Commit::Done done) {
  const std::uint64_t bytes = batch.body_bytes();
  const bool again = status.code() == Code::Retry && options_.on_full == OnFull::Wait;
  if (status.ok()) {
    count_put(batch, copies);
  } else {
    counters_.channel_failures.add();
  }
  if (!again && done) done(std::move(status));
  const std::lock_guard lock(mutex_);
  if (again) refused_.push_back({std::move(batch), std::move(done)});
  in_flight_bytes_ -= bytes;
  --in_flight_commits_;
  landed_.notify_all();
}

void ChannelProcessor::retry_refused(const std::stop_token& stop) {
  std::vector<Refused> again;
  {
    std::unique_lock lock(mutex_);
    if (refused_.empty()) return;
    // Those submitted behind the refused one come back too; in order they can go only together.
    landed_.wait(lock, [this] { return in_flight_commits_ == 0; });
    again.swap(refused_);
  }
  Status failed;  // what lies behind a batch that is given up is given up with it
  for (Refused& refused : again) {
    Commit commit(options_.committer);
    if (failed.ok()) failed = reserve_all(refused.batch, stop, commit);
    if (!failed.ok()) {
      if (refused.done) refused.done(failed);
      continue;
    }
    submit(std::move(commit), std::move(refused.batch), std::move(refused.done));
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
    retry_refused(stop);
    lock.lock();
  }
  return std::move(*outcome.status);
}

}  // namespace sluice

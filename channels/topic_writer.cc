#include "channels/topic_writer.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/base/thread.h"
#include "core/base/wait.h"

namespace sluice {

bool TopicWriter::Writing::done() const noexcept {
  return std::all_of(parts.begin(), parts.end(),
                     [](const Part& part) { return !part.under_way && part.rest.empty(); });
}

Status TopicWriter::open() {
  if (thread_.joinable()) return {};
  if (Status status = make_producer(); !status.ok()) return status;
  thread_ = std::jthread([this] { run(); });
  return {};
}

Status TopicWriter::health() const {
  const std::lock_guard lock(mutex_);
  return health_;
}

void TopicWriter::finish() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TopicWriter::submit(Commit commit) {
  {
    const std::lock_guard lock(mutex_);
    SLUICE_ASSERT(!finishing_, "a commit behind the end");
    submitted_.push_back(std::move(commit));
  }
  changed_.notify_all();
}

// ---- its thread

void TopicWriter::run() {
  name_this_thread(channel_.name() + "-writer");
  for (;;) {
    std::vector<Ended> ended = wait_for_work();
    for (Ended& each : ended) hear(std::move(each));
    complete_front();
    if (failed_ && under_way_ == 0) mend();
    if (given_up()) {
      if (under_way_ == 0) refuse_all();
    } else if (!failed_) {
      send_what_waits();
    }
    const std::lock_guard lock(mutex_);
    if (finishing_ && writing_.empty() && submitted_.empty()) break;
  }
  producer_.reset();
}

/// Takes over what was submitted; what has ended is returned.
std::vector<TopicWriter::Ended> TopicWriter::wait_for_work() {
  std::vector<Commit> commits;
  std::vector<Ended> ended;
  {
    std::unique_lock lock(mutex_);
    // Something failed and could not be mended, or what waits has been given up: go on at once.
    const bool at_once = under_way_ == 0 && !writing_.empty();
    wait_until(changed_, lock, Deadline::never(), {}, [&] {
      const bool over = finishing_ && writing_.empty();
      return at_once || over || !submitted_.empty() || !ended_.empty();
    });
    commits.swap(submitted_);
    ended.swap(ended_);
  }
  for (Commit& commit : commits) {
    Writing writing{std::move(commit), {}};
    for (const Reservation& room : writing.commit.puts()) {
      if (room.channel() == &channel_) writing.parts.push_back({room.batch()});
    }
    writing_.push_back(std::move(writing));
  }
  return ended;
}

void TopicWriter::send_what_waits() {
  for (std::size_t i = 0; i < writing_.size(); ++i) {
    auto& parts = writing_[i].parts;
    for (std::size_t part = 0; part < parts.size(); ++part) {
      if (parts[part].under_way || parts[part].rest.empty()) continue;
      if (under_way_ >= (options_.producer.one_by_one ? 1 : options_.producer.batches_max)) return;
      send(first_number_ + i, part);
    }
  }
}

void TopicWriter::send(std::uint64_t number, std::size_t part) {
  Part& sent = writing_[number - first_number_].parts[part];
  sent.under_way = true;
  ++under_way_;
  records_.send(sent.rest, *producer_, [this, number, part](KafkaProducer::Outcome outcome) {
    {
      const std::lock_guard lock(mutex_);
      ended_.push_back({number, part, std::move(outcome)});
    }
    changed_.notify_all();
  });
}

void TopicWriter::hear(Ended ended) {
  Part& part = writing_[ended.number - first_number_].parts[ended.part];
  KafkaProducer::Outcome& outcome = ended.outcome;
  part.under_way = false;
  --under_way_;
  if (outcome.status.ok()) {
    if (!outcome.rejected.empty() && !bury(part.rest, outcome)) {
      failed_ = true;
      return;
    }
    counters_.sent.add(part.rest.size(), part.rest.body_bytes());
    part.rest = {};
    failures_ = 0;
    backoff_.reset();
    // A record that was refused with others has gone its way alone; the rest go together again.
    if (std::exchange(options_.producer.one_by_one, false)) failed_ = true;
    const std::lock_guard lock(mutex_);
    health_ = {};
    return;
  }
  failed_ = true;
  const Batch arrived = part.rest.slice(0, outcome.arrived);
  counters_.sent.add(arrived.size(), arrived.body_bytes());
  part.rest = part.rest.slice(outcome.arrived, part.rest.size() - outcome.arrived);
  if (!given_up()) say_failure(outcome.status);
}

void TopicWriter::say_failure(const Status& status) {
  counters_.failures.add();
  if (worth_saying(++failures_)) {
    log::warn("channel {}: {}; it is tried again (failure {})", channel_.name(), status.message(),
              failures_);
  }
  const std::lock_guard lock(mutex_);
  health_ = status;
}

/// Puts aside what no broker will ever take, and leaves what has arrived. False: not now, and then
/// the batch is what must be sent again.
bool TopicWriter::bury(Batch& batch, const KafkaProducer::Outcome& outcome) {
  std::vector<std::uint32_t> arrived;
  Rejection rejection{{}, channel_.name(), outcome.rejected_because, {}};
  Amount buried;
  auto next = outcome.rejected.begin();
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    if (next == outcome.rejected.end() || *next != i) {
      arrived.push_back(i);
      continue;
    }
    ++next;
    rejection.letters.push_back({batch[i], 0, 1, {}});
    buried += Amount{1, batch.body(i).size()};
  }
  Batch left = batch.select(arrived);
  Commit none;
  const Status kept = options_.dead_letters == nullptr
                          ? Retry("there is no place for dead letters")
                          : options_.dead_letters->keep(rejection, none);
  if (!kept.ok()) {
    counters_.sent.add(left.size(), left.body_bytes());
    batch = batch.select(outcome.rejected);
    say_failure(Retry("brokers refuse " + std::to_string(outcome.rejected.size()) + " events (" +
                      outcome.rejected_because +
                      "), and they cannot be put aside: " + kept.message()));
    return false;
  }
  log::error("channel {}: {} events can never be put into the topic and are kept in {}: {}",
             channel_.name(), outcome.rejected.size(), options_.dead_letters->name(),
             outcome.rejected_because);
  counters_.dead_lettered.add(buried);
  batch = std::move(left);
  return true;
}

void TopicWriter::complete_front() {
  while (!writing_.empty() && writing_.front().done()) {
    Commit commit = std::move(writing_.front().commit);
    writing_.pop_front();
    ++first_number_;
    std::move(commit).complete({});
  }
}

void TopicWriter::refuse_all() {
  while (!writing_.empty()) {
    Commit commit = std::move(writing_.front().commit);
    writing_.pop_front();
    ++first_number_;
    std::move(commit).complete(Closed("the agent is stopping, and brokers have not acknowledged"));
  }
}

/// Another producer in the place of one that takes nothing more, with what its failure says.
void TopicWriter::mend() {
  if (producer_ && !producer_->broken().ok()) apply_remedy(*producer_, options_.producer);
  producer_.reset();
  if (failures_ > 0) {
    std::unique_lock lock(mutex_);
    wait_until(changed_, lock, Deadline::in(backoff_.next()), options_.abandon,
               [] { return false; });
  }
  if (given_up()) return;
  const Status status = make_producer();
  if (status.ok()) {
    failed_ = false;
  } else {
    say_failure(status);
  }
}

Status TopicWriter::make_producer() {
  auto producer = KafkaProducer::make(options_.producer, options_.abandon);
  if (!producer.ok()) return producer.status();
  producer_ = *std::move(producer);
  return {};
}

}  // namespace sluice

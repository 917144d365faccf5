#include "sinks/exactly_once.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <utility>

#include "core/base/fail_point.h"
#include "core/base/log.h"

namespace sluice {
namespace {

// Forgotten, they break a transaction once more.
constexpr std::size_t refused_max = 10'000;
// "sluice-position 1 NAME TRANSACTION WRITER\n" and the ranges.
constexpr std::string_view position_magic = "sluice-position 1 ";

struct Position {
  std::string name;
  std::uint64_t transaction = 0;
  std::string writer;
  OriginRanges origins;
};

/// So many random words in hexadecimal digits.
std::string draw(int words) {
  std::random_device random;
  std::string text;
  for (int i = 0; i < words; ++i) {
    std::array<char, 9> word{};
    std::snprintf(word.data(), word.size(), "%08x", random());
    text += word.data();
  }
  return text;
}

Result<Position> parse_position(std::string_view bytes) {
  const std::size_t line = bytes.find('\n');
  if (!bytes.starts_with(position_magic) || line == std::string_view::npos) {
    return Reject("it is not one of this release");
  }
  Position position;
  const std::string_view head = bytes.substr(position_magic.size(), line - position_magic.size());
  const std::size_t space = head.find(' ');
  const std::size_t second = head.find(' ', space + 1);
  if (space == head.npos || second == head.npos) return Reject("it is damaged");
  position.name = head.substr(0, space);
  position.writer = head.substr(second + 1);
  for (const char c : head.substr(space + 1, second - space - 1)) {
    if (c < '0' || c > '9') return Reject("it is damaged");
    position.transaction = position.transaction * 10 + static_cast<std::uint64_t>(c - '0');
  }
  auto origins = OriginRanges::decode(bytes.substr(line + 1));
  if (!origins.ok()) return origins.status();
  position.origins = *std::move(origins);
  return position;
}

}  // namespace

ExactlyOnce::ExactlyOnce(Options options, TransactionalOutput& output, Committer& committer,
                         const Clock& clock)
    : options_(std::move(options)),
      output_(output),
      committer_(committer),
      clock_(clock),
      writer_(draw(2)),
      known_(std::make_shared<Known>()) {}

std::string ExactlyOnce::note(std::string_view key) const {
  return options_.note_prefix + std::string(key);
}

Status ExactlyOnce::find_name() {
  if (!name_.empty()) return {};
  if (auto known = committer_.note(note("name"))) {
    name_ = *std::move(known);
    return {};
  }
  const std::string drawn = draw(4);
  // On disk before it is used: what is written under a name that is lost would not be known again.
  Commit commit(&committer_);
  commit.note({note("name"), drawn});
  if (Status status = std::move(commit).wait(); !status.ok()) return status;
  name_ = drawn;
  return {};
}

Status ExactlyOnce::open(const std::stop_token& stop) {
  if (Status status = find_name(); !status.ok()) return status;
  return open_output(stop);
}

Status ExactlyOnce::open_output(const std::stop_token& stop) {
  if (open_) return {};
  if (displaced_) {
    return Retry(
        "another agent with a copy of this store writes to the same place: stop one of the two, "
        "give it a state directory of its own, and start this one again");
  }
  auto position = output_.open(name_, stop);
  if (!position.ok()) return position.status();
  if (Status status = recover(*position); !status.ok()) {
    output_.close();
    return status;
  }
  open_ = opened_before_ = true;
  committed_at_ = clock_.steady();
  return {};
}

/// Learns from the last position what came through.
Status ExactlyOnce::recover(const std::optional<std::string>& position) {
  const bool has_written = committer_.note(note("transaction")).has_value() || transaction_ > 0;
  if (!position) {
    if (has_written) {
      log::warn(
          "{}: the position of what was delivered is not there any more: it was kept too short a "
          "time, or removed; the last transaction may come twice",
          options_.component);
    }
    return {};
  }
  auto read = parse_position(*position);
  if (!read.ok()) {
    log::error(
        "{}: the position of what was delivered cannot be read: {}; it is ignored, and the "
        "last transaction may come twice",
        options_.component, read.status().message());
    return {};
  }
  if (read->name != name_) {
    log::warn("{}: the position is that of another store ({}; this one is {}) and is ignored",
              options_.component, read->name, name_);
    return {};
  }
  // One more than we know of may be ours: that transaction whose answer did not come.
  if (opened_before_ && read->transaction > transaction_ && read->writer != writer_) {
    displaced_ = true;
    return Retry("another agent with a copy of this store has written to the same place");
  }
  transaction_ = std::max(transaction_, read->transaction);
  recovered_ = std::move(read->origins);
  bytes_since_recovered_ = 0;
  return {};
}

void ExactlyOnce::deliver(const Batch& batch, const std::stop_token& stop, DeliveryDone done) {
  stop_ = stop;
  if (Status status = open_output(stop); !status.ok()) return done({.status = std::move(status)});
  if (pending_.empty()) began_ = clock_.steady();
  pending_.emplace_back(done);
  if (Status status = add(batch, pending_.back()); !status.ok()) return fail(status);
  pending_bytes_ += batch.body_bytes();
  if (pending_bytes_ >= options_.bytes_max) {
    commit(stop);
  } else {
    tend();
  }
}

/// Writes what the output does not have, and may take.
Status ExactlyOnce::add(const Batch& batch, Pending& pending) {
  pending.row = batch.provenance();
  pending.origins = OriginRanges::of(pending.row);
  OriginRanges known;
  bool some_known = recovered_.intersects(pending.origins);
  {
    const std::lock_guard lock(known_->mutex);
    some_known = some_known || known_->origins.intersects(pending.origins);
    if (some_known) known = known_->origins;
  }
  if (some_known) known.add(recovered_);
  const bool some_refused = refused_.intersects(pending.origins);
  remember(batch.body_bytes(), some_known);
  if (some_known || some_refused) {
    const std::vector<std::uint32_t> fresh = events_not_in(known, pending.row, batch.size());
    if (fresh.size() < batch.size()) {
      log::info("{}: {} of {} events were delivered before and are passed over", options_.component,
                batch.size() - fresh.size(), batch.size());
    }
    for (const std::uint32_t event : fresh) {
      if (refused_.contains(pending.row.origin(event))) {
        pending.refuse(event, refused_because_);
      } else {
        pending.written.push_back(event);
      }
    }
    if (pending.written.empty()) return {};
  }
  writes_.push_back(pending_.size() - 1);
  return output_.write(pending.written.empty() ? batch : batch.select(pending.written));
}

void ExactlyOnce::Pending::refuse(std::uint32_t event, std::string why) {
  const Origin origin = row.origin(event);
  origins.remove({origin.id, origin.sequence, origin.sequence + 1});
  refused.insert(std::lower_bound(refused.begin(), refused.end(), event), event);
  refused_because = std::move(why);
}

/// What did not come again for long was let go of before the agent died.
void ExactlyOnce::remember(std::uint64_t bytes, bool came_again) {
  if (recovered_.empty()) return;
  bytes_since_recovered_ = came_again ? 0 : bytes_since_recovered_ + bytes;
  if (bytes_since_recovered_ > options_.remembered_bytes) recovered_ = {};
}

void ExactlyOnce::tend() {
  const SteadyTime now = clock_.steady();
  if (!pending_.empty()) {
    if (now - began_ >= options_.age_max) commit(stop_);
    return;
  }
  if (transaction_ == 0 || now - committed_at_ < options_.refresh) return;
  committed_at_ = now;  // also where it fails: then after the same time again
  if (open_output(stop_).ok()) commit(stop_);
}

void ExactlyOnce::hurry() {
  if (!pending_.empty()) commit(stop_);
}

std::string ExactlyOnce::position(const OriginRanges& origins) const {
  return std::string(position_magic) + name_ + " " + std::to_string(transaction_ + 1) + " " +
         writer_ + "\n" + origins.encode();
}

/// What the output refuses is no part of the position: it has a place of its own to go to.
Status ExactlyOnce::flush() {
  std::vector<TransactionalOutput::Refusal> refusals;
  Status status = output_.flush(refusals);
  for (TransactionalOutput::Refusal& each : refusals) {
    Pending& pending = pending_[writes_[each.write]];
    const std::uint32_t event = pending.written.empty() ? each.event : pending.written[each.event];
    if (!status.ok()) {
      const Origin origin = pending.row.origin(event);
      if (refused_.size() >= refused_max) refused_ = {};
      refused_.add({origin.id, origin.sequence, origin.sequence + 1});
      refused_because_ = std::move(each.why);
    } else {
      pending.refuse(event, std::move(each.why));
    }
  }
  return status;
}

void ExactlyOnce::commit(const std::stop_token& stop) {
  if (Status status = flush(); !status.ok()) return fail(status);
  OriginRanges origins = recovered_;
  for (const Pending& each : pending_) origins.add(each.origins);
  {
    const std::lock_guard lock(known_->mutex);
    origins.add(known_->origins);
  }
  fail_point(FailPoint::TransactionBeforeCommit);
  if (Status status = output_.commit(position(origins), stop); !status.ok()) return fail(status);
  fail_point(FailPoint::TransactionAfterCommit);
  ++transaction_;
  committed_at_ = clock_.steady();
  finish();
  if (!output_.wants_reopening()) return;
  output_.close();
  open_ = false;
}

/// The transaction is there for good: its deliveries end.
void ExactlyOnce::finish() {
  std::vector<Pending> pending = std::exchange(pending_, {});
  writes_.clear();
  pending_bytes_ = 0;
  {
    const std::lock_guard lock(known_->mutex);
    for (const Pending& each : pending) known_->origins.add(each.origins);
  }
  for (Pending& each : pending) {
    Delivery delivery;
    delivery.rejected = std::move(each.refused);
    delivery.rejected_because = std::move(each.refused_because);
    delivery.notes.push_back({note("transaction"), std::to_string(transaction_)});
    // Until then they may come again.
    delivery.committed = [known = known_, origins = std::move(each.origins)](const Status& status) {
      if (!status.ok()) return;
      const std::lock_guard lock(known->mutex);
      known->origins.remove(origins);
    };
    each.done(std::move(delivery));
  }
}

/// Whether the transaction came through is not known before the output is opened again.
void ExactlyOnce::fail(const Status& status) {
  open_ = false;
  output_.close();
  if (pending_.empty()) {
    log::warn("{}: the position could not be written again: {}", options_.component,
              status.message());
  }
  std::vector<Pending> pending = std::exchange(pending_, {});
  writes_.clear();
  pending_bytes_ = 0;
  for (const Pending& each : pending) each.done({.status = status, .may_have_arrived = true});
}

void ExactlyOnce::close() {
  if (open_) output_.close();
  open_ = false;
}

}  // namespace sluice

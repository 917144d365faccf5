#include "core/topics/lanes.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace sluice {
namespace {

// Between two messages to the group about its positions.
constexpr milliseconds tell_interval{200};
constexpr milliseconds tell_wait{5000};
constexpr milliseconds question_wait{5000};
// Before partitions are given back: as long as something arrives, and at most.
constexpr milliseconds settle_step{100};
constexpr milliseconds settle_stall{2000};
constexpr milliseconds settle_max{30'000};

KafkaCommit commit_of(const KafkaLane& lane, std::int64_t offset) {
  return {lane.partition, offset, kafka_metadata(lane.log)};
}

}  // namespace

KafkaLane* KafkaLanes::find(std::uint32_t number) noexcept {
  const auto found = lanes_.find(number);
  return found == lanes_.end() ? nullptr : &found->second;
}

// ---- partitions that come

Status KafkaLanes::take(std::vector<KafkaPartitionOwner::Assigned>& partitions,
                        const std::stop_token& stop) {
  if (Status status = learn_cluster(); !status.ok()) return status;
  std::vector<KafkaLane> taken;
  std::vector<KafkaCommit> to_tell;
  Notes to_note;
  for (KafkaPartitionOwner::Assigned& assigned : partitions) {
    std::vector<KafkaPosition> notes;
    auto position = begin_of(assigned, notes);
    if (!position.ok()) return position.status();
    KafkaLane lane;
    lane.number = assigned.lane;
    lane.partition = assigned.committed.partition;
    lane.log = position->log;
    lane.next = assigned.begin = position->offset;
    lane.note_key = note_key(lane.partition);
    const std::string metadata = kafka_metadata(lane.log);
    if (metadata != assigned.committed.metadata) {
      to_tell.push_back({lane.partition, lane.next, metadata});
    } else {
      lane.told = assigned.committed.offset;
    }
    lane.settled = lane.next;
    if (context_.out.keeps_notes() &&
        (notes.empty() || std::any_of(notes.begin(), notes.end(),
                                      [&](const auto& each) { return each != *position; }))) {
      to_note.push_back({lane.note_key, kafka_note(*position)});
    }
    taken.push_back(std::move(lane));
  }
  if (Status status = write_notes(std::move(to_note), stop); !status.ok()) return status;
  const Status told = context_.consumer.commit_now(to_tell, Deadline::in(tell_wait));
  if (!told.ok()) log::warn("{}: {}; it is done again later", options_.name, told.message());
  for (KafkaLane& lane : taken) {
    const bool new_to_group = lane.told == kafka_no_offset;
    if (new_to_group && told.ok()) lane.told = lane.next;
    lanes_.insert_or_assign(lane.number, std::move(lane));
  }
  return {};
}

Result<KafkaPosition> KafkaLanes::begin_of(const KafkaPartitionOwner::Assigned& assigned,
                                           std::vector<KafkaPosition>& notes) {
  const KafkaCommit& committed = assigned.committed;
  if (context_.out.keeps_notes()) {
    for (const std::string& note : context_.out.notes(note_key(committed.partition))) {
      if (const auto position = parse_kafka_note(note)) notes.push_back(*position);
    }
  }
  std::optional<KafkaGroupPosition> group;
  if (committed.offset != kafka_no_offset) {
    group = KafkaGroupPosition{committed.offset, parse_kafka_metadata(committed.metadata)};
  }
  const KafkaChoice choice = choose_position(group, notes);
  KafkaPosition position;
  position.log = choice.log ? *choice.log : draw_kafka_log();
  if (choice.offset) {
    position.offset = *choice.offset;
    return position;
  }
  auto begin = reset_offset(committed.partition);
  if (!begin.ok()) return begin.status();
  position.offset = *begin;
  log::info("{}: group {} has no position in {}: it is read from offset {}", options_.name,
            options_.group, committed.partition.text(), position.offset);
  return position;
}

Result<std::int64_t> KafkaLanes::reset_offset(const KafkaPartition& partition) {
  if (options_.reset == Reset::None) {
    return Invalid("group " + options_.group + " has no position in " + partition.text() +
                   ", and auto.offset.reset says that none is to be taken");
  }
  auto extent = context_.consumer.extent(partition, question_wait);
  if (!extent.ok()) return extent.status();
  return options_.reset == Reset::Earliest ? extent->begin : extent->end;
}

/// Notes under the wrong name would not be found again.
Status KafkaLanes::learn_cluster() {
  if (!cluster_.empty() || !context_.out.keeps_notes()) return {};
  cluster_ = context_.consumer.cluster_id(question_wait);
  // Before 0.10.1 brokers had none; one that has it and is only slow is asked again.
  constexpr int answers_wanted = 3;
  if (!cluster_.empty() || ++unnamed_ >= answers_wanted) return {};
  return Retry("the brokers do not say which cluster they are, by which positions are kept");
}

/// A group of the same name in another cluster is another group.
std::string KafkaLanes::note_key(const KafkaPartition& partition) const {
  return options_.note_prefix + cluster_ + "/" + options_.group + "/" + partition.topic + "/" +
         std::to_string(partition.number);
}

Status KafkaLanes::write_notes(Notes notes, const std::stop_token& stop) {
  if (notes.empty() || !context_.out.keeps_notes()) return {};
  return context_.out.put_notes(std::move(notes), stop);
}

Result<KafkaLane*> KafkaLanes::begin_new_log(KafkaLane& lane, std::int64_t offset,
                                             const std::stop_token& stop) {
  const std::uint32_t before = lane.number;
  log::error(
      "{}: {} stands at offset {}, but what comes is offset {}: the topic was made anew, or its "
      "end was lost; it is taken for another log, so nothing of it counts as a repetition",
      options_.name, lane.partition.text(), lane.next, offset);
  KafkaLane anew = lane;
  anew.number = context_.consumer.renumber(before);
  anew.log = draw_kafka_log();
  anew.next = anew.settled = anew.told = offset;
  anew.at_end = false;
  const std::uint32_t gone[] = {before};
  context_.deliveries.forget(gone);
  lanes_.erase(before);
  KafkaLane& added = lanes_[anew.number] = std::move(anew);
  Notes notes;
  notes.push_back({added.note_key, kafka_note({added.log, offset})});
  if (Status status = write_notes(std::move(notes), stop); !status.ok()) return status;
  const KafkaCommit to_tell[] = {commit_of(added, offset)};
  context_.consumer.commit(to_tell);
  return &added;
}

// ---- positions

Notes KafkaLanes::notes_of(const std::vector<KafkaMark>& marks) const {
  Notes notes;
  for (const KafkaMark& mark : marks) {
    const auto lane = lanes_.find(mark.lane);
    if (lane == lanes_.end()) continue;
    notes.push_back({lane->second.note_key, kafka_note({lane->second.log, mark.offset})});
  }
  return notes;
}

void KafkaLanes::tell_group() {
  const SteadyTime now = context_.clock.steady();
  if (now < tell_at_) return;
  const std::vector<KafkaCommit> untold = take_untold();
  if (untold.empty()) return;
  tell_at_ = now + tell_interval;
  context_.consumer.commit(untold);
}

/// What failed to reach the group goes again with the rest.
std::vector<KafkaCommit> KafkaLanes::take_untold() {
  for (const KafkaMark& mark : context_.deliveries.take_advanced()) {
    KafkaLane* const lane = find(mark.lane);
    if (lane != nullptr) lane->settled = std::max(lane->settled, mark.offset);
  }
  const std::uint64_t failures = context_.consumer.commit_failures();
  const bool again = std::exchange(commit_failures_, failures) != failures;
  std::vector<KafkaCommit> untold;
  for (auto& [number, lane] : lanes_) {
    if (lane.settled == lane.told && !again) continue;
    untold.push_back(commit_of(lane, lane.settled));
    lane.told = lane.settled;
  }
  return untold;
}

// ---- partitions that go

void KafkaLanes::give_back(std::span<const std::uint32_t> lanes, bool lost,
                           const std::stop_token& stop) {
  std::vector<Origin> recalled = context_.out.recall(logs_of(lanes));
  if (!lost) {
    if (wait_until_settled(lanes, recalled, stop)) count_arrived_before(recalled);
    const Status told = context_.consumer.commit_now(take_untold(), Deadline::in(tell_wait));
    if (!told.ok()) {
      log::warn("{}: {}; who reads on reads some records again", options_.name, told.message());
    }
  }
  context_.deliveries.forget(lanes);
  for (const std::uint32_t lane : lanes) lanes_.erase(lane);
}

std::vector<OriginId> KafkaLanes::logs_of(std::span<const std::uint32_t> lanes) const {
  std::vector<OriginId> logs;
  for (const std::uint32_t number : lanes) {
    const auto lane = lanes_.find(number);
    if (lane != lanes_.end()) logs.push_back(lane->second.log);
  }
  return logs;
}

/// What was put of a batch and not recalled has arrived too, though the batch as a whole has not.
void KafkaLanes::count_arrived_before(const std::vector<Origin>& recalled) {
  for (auto& [number, lane] : lanes_) {
    std::optional<std::uint64_t> first;
    for (const Origin& each : recalled) {
      if (each.id == lane.log) first = std::min(first.value_or(each.sequence), each.sequence);
    }
    if (first) lane.settled = std::max(lane.settled, static_cast<std::int64_t>(*first));
  }
}

/// What the sinks have not taken by then is read twice: the next member does not wait for ever.
/// False: so it is.
bool KafkaLanes::wait_until_settled(std::span<const std::uint32_t> lanes,
                                    std::vector<Origin>& recalled, const std::stop_token& stop) {
  const std::vector<OriginId> logs = logs_of(lanes);
  const Deadline end = Deadline::in(settle_max);
  Deadline stall = Deadline::in(settle_stall);
  std::uint64_t settled = context_.deliveries.settled_batches();
  while (!context_.deliveries.wait_idle(lanes, Deadline::in(settle_step))) {
    context_.out.tend(stop);
    // What a sink has put back meanwhile.
    const std::vector<Origin> more = context_.out.recall(logs);
    recalled.insert(recalled.end(), more.begin(), more.end());
    const std::uint64_t now = context_.deliveries.settled_batches();
    if (std::exchange(settled, now) != now) stall = Deadline::in(settle_stall);
    if (!stall.passed() && !end.passed()) continue;
    log::warn(
        "{}: partitions are given back while sinks still have events of them, which come "
        "again where they are read on",
        options_.name);
    return false;
  }
  return true;
}

}  // namespace sluice

#include "core/topics/deliveries.h"

#include <algorithm>
#include <stop_token>
#include <utility>

#include "core/base/assert.h"
#include "core/base/wait.h"

namespace sluice {

std::uint64_t KafkaDeliveries::expect(std::vector<KafkaMark> marks) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t token = next_token_++;
  if (marks.empty()) return token;
  for (const KafkaMark& mark : marks) lines_[mark.lane].push_back(token);
  const std::size_t lines = marks.size();
  batches_[token] = {std::move(marks), false, false, lines};
  return token;
}

void KafkaDeliveries::withdraw(std::uint64_t token) {
  const std::lock_guard lock(mutex_);
  const auto found = batches_.find(token);
  if (found == batches_.end()) return;
  for (const KafkaMark& mark : found->second.marks) {
    const auto line = lines_.find(mark.lane);
    if (line == lines_.end()) continue;
    SLUICE_ASSERT(line->second.back() == token, "only the youngest batch can be withdrawn");
    line->second.pop_back();
  }
  batches_.erase(found);
}

void KafkaDeliveries::settled(std::uint64_t token, bool delivered) noexcept {
  {
    const std::lock_guard lock(mutex_);
    ++settled_batches_;
    const auto found = batches_.find(token);
    if (found != batches_.end() && delivered) {
      found->second.delivered = true;
      // A copy: the batch is gone once it stands in no line.
      const std::vector<KafkaMark> marks = found->second.marks;
      for (const KafkaMark& mark : marks) advance(mark.lane);
    } else if (found != batches_.end()) {
      found->second.failed = true;
    }
  }
  changed_.notify_all();
}

/// Over what stands at the front of its line and has arrived.
void KafkaDeliveries::advance(std::uint32_t lane) {
  const auto line = lines_.find(lane);
  if (line == lines_.end()) return;
  while (!line->second.empty()) {
    const std::uint64_t token = line->second.front();
    const OnItsWay& batch = batches_.at(token);
    if (!batch.delivered) return;
    const auto mark = std::find_if(batch.marks.begin(), batch.marks.end(),
                                   [lane](const KafkaMark& each) { return each.lane == lane; });
    advanced_[lane] = mark->offset;
    line->second.pop_front();
    leave_line(token);
  }
}

void KafkaDeliveries::leave_line(std::uint64_t token) {
  const auto found = batches_.find(token);
  SLUICE_ASSERT(found != batches_.end(), "what stands in a line is on its way");
  if (--found->second.waited_for == 0) batches_.erase(found);
}

std::vector<KafkaMark> KafkaDeliveries::take_advanced() {
  const std::lock_guard lock(mutex_);
  std::vector<KafkaMark> advanced;
  for (const auto& [lane, offset] : advanced_) advanced.push_back({lane, offset});
  advanced_.clear();
  return advanced;
}

void KafkaDeliveries::forget(std::span<const std::uint32_t> lanes) {
  const std::lock_guard lock(mutex_);
  for (const std::uint32_t lane : lanes) {
    advanced_.erase(lane);
    const auto line = lines_.find(lane);
    if (line == lines_.end()) continue;
    for (const std::uint64_t token : line->second) leave_line(token);
    lines_.erase(line);
  }
}

bool KafkaDeliveries::wait_idle(std::span<const std::uint32_t> lanes, Deadline deadline) {
  std::unique_lock lock(mutex_);
  return wait_until(changed_, lock, deadline, std::stop_token(), [&] { return idle(lanes); });
}

bool KafkaDeliveries::idle(std::span<const std::uint32_t> lanes) const {
  return std::all_of(lanes.begin(), lanes.end(), [this](std::uint32_t lane) {
    const auto line = lines_.find(lane);
    return line == lines_.end() ||
           std::all_of(line->second.begin(), line->second.end(), [this](std::uint64_t token) {
             const OnItsWay& batch = batches_.at(token);
             return batch.delivered || batch.failed;
           });
  });
}

std::uint64_t KafkaDeliveries::settled_batches() const {
  const std::lock_guard lock(mutex_);
  return settled_batches_;
}

}  // namespace sluice

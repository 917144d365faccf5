#include "sources/deliveries.h"

namespace sluice {

std::uint64_t Deliveries::expect(std::uint64_t generation, const FileMark& mark) {
  const std::lock_guard lock(mutex_);
  Line& line = lines_[generation];
  const auto sequence = static_cast<std::uint32_t>(line.first + line.waiting.size());
  line.waiting.push_back({mark});
  return generation << sequence_bits | sequence;
}

void Deliveries::settled(std::uint64_t token, bool delivered) noexcept {
  if (!delivered) return;
  const std::lock_guard lock(mutex_);
  const std::uint64_t generation = token >> sequence_bits;
  const auto found = lines_.find(generation);
  if (found == lines_.end()) return;
  Line& line = found->second;
  // Unsigned, so that the sequence may wrap.
  line.waiting[static_cast<std::uint32_t>(token) - line.first].delivered = true;
  while (!line.waiting.empty() && line.waiting.front().delivered) {
    advanced_[generation] = line.waiting.front().mark;
    line.waiting.pop_front();
    ++line.first;
  }
}

std::vector<std::pair<std::uint64_t, FileMark>> Deliveries::take_advanced() {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::uint64_t, FileMark>> advanced(advanced_.begin(), advanced_.end());
  advanced_.clear();
  return advanced;
}

bool Deliveries::idle(std::uint64_t generation) const {
  const std::lock_guard lock(mutex_);
  const auto found = lines_.find(generation);
  return found == lines_.end() || found->second.waiting.empty();
}

void Deliveries::forget(std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  lines_.erase(generation);
  advanced_.erase(generation);
}

}  // namespace sluice

// Remembers what became of every receipt.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>

#include "core/event/receipt.h"

namespace sluice {

/// Thread-safe. A receipt that settles twice is a finding: see twice().
class ReceiptBook final : public ReceiptListener {
 public:
  void settled(std::uint64_t token, bool delivered) noexcept override {
    const std::lock_guard lock(mutex_);
    twice_ = twice_ || outcomes_.count(token) > 0;
    outcomes_[token] = delivered;
    changed_.notify_all();
  }
  bool twice() const {
    const std::lock_guard lock(mutex_);
    return twice_;
  }
  std::size_t settled_receipts() const {
    const std::lock_guard lock(mutex_);
    return outcomes_.size();
  }
  std::map<std::uint64_t, bool> outcomes() const {
    const std::lock_guard lock(mutex_);
    return outcomes_;
  }
  bool delivered(std::uint64_t token) const {
    const std::lock_guard lock(mutex_);
    const auto found = outcomes_.find(token);
    return found != outcomes_.end() && found->second;
  }
  bool not_delivered(std::uint64_t token) const {
    const std::lock_guard lock(mutex_);
    const auto found = outcomes_.find(token);
    return found != outcomes_.end() && !found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, bool> outcomes_;
  bool twice_ = false;
};

}  // namespace sluice

// Who pays for memory: one account a component, each with its own limit.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

namespace sluice {

/// A named budget of bytes.
///
/// One shared limit can deadlock (a channel waits for room that another channel's events hold);
/// separate ones cannot, so every component that keeps slabs alive has an account of its own, and
/// the sum of the limits is what the agent prints at start. Thread-safe.
class MemoryAccount {
 public:
  MemoryAccount(std::string name, std::uint64_t limit_bytes)
      : name_(std::move(name)), limit_bytes_(limit_bytes) {}
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  const std::string& name() const noexcept { return name_; }
  std::uint64_t limit_bytes() const noexcept { return limit_bytes_; }
  std::uint64_t used_bytes() const noexcept { return used_bytes_.load(std::memory_order_relaxed); }
  std::uint64_t peak_bytes() const noexcept { return peak_bytes_.load(std::memory_order_relaxed); }

  /// True when `bytes` more would still be within the limit.
  bool fits(std::uint64_t bytes) const noexcept { return used_bytes() + bytes <= limit_bytes_; }

  /// Adds to what is used. The owner has asked fits() first, or lets one piece in alone.
  void charge(std::uint64_t bytes) noexcept {
    const auto used = used_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    auto peak = peak_bytes_.load(std::memory_order_relaxed);
    while (used > peak &&
           !peak_bytes_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
    }
  }
  void release(std::uint64_t bytes) noexcept {
    used_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  }

 private:
  const std::string name_;
  const std::uint64_t limit_bytes_;
  std::atomic<std::uint64_t> used_bytes_{0};
  std::atomic<std::uint64_t> peak_bytes_{0};
};

/// Bytes charged for as long as this lives. Movable.
class MemoryCharge {
 public:
  MemoryCharge() noexcept = default;
  MemoryCharge(MemoryAccount& account, std::uint64_t bytes) noexcept
      : account_(&account), bytes_(bytes) {
    account.charge(bytes);
  }
  MemoryCharge(MemoryCharge&& other) noexcept
      : account_(std::exchange(other.account_, nullptr)), bytes_(other.bytes_) {}
  MemoryCharge& operator=(MemoryCharge&& other) noexcept {
    std::swap(account_, other.account_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MemoryCharge() {
    if (account_) account_->release(bytes_);
  }

 private:
  MemoryAccount* account_ = nullptr;
  std::uint64_t bytes_ = 0;
};

}  // namespace sluice

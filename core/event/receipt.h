// How a source learns that events it made were delivered, when its position must wait for that.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace sluice {

/// Where a receipt reports. Called on whatever thread settles last; only posts.
class ReceiptListener {
 public:
  virtual ~ReceiptListener() = default;
  /// Once a receipt. `token` is what the source gave. delivered = false: the events were destroyed
  /// before every sink had committed them, so they must be read again.
  virtual void settled(std::uint64_t token, bool delivered) noexcept = 0;
};

/// The delivery of some events, counted in events.
///
/// It travels with every required copy, slice and compaction of a batch. A sink's commit and an
/// interceptor's drop settle(); when as many are settled as are expected, the source is told
/// "delivered"; when the last holder goes away before, it is told "not delivered". Thread-safe.
class Receipt {
 public:
  Receipt() noexcept = default;
  static Receipt make(std::shared_ptr<ReceiptListener> listener, std::uint64_t token,
                      std::uint64_t events);
  Receipt(const Receipt& other) noexcept;
  Receipt(Receipt&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
  Receipt& operator=(Receipt other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~Receipt();

  explicit operator bool() const noexcept { return rep_ != nullptr; }
  /// True when both are of one delivery, or of none.
  bool operator==(const Receipt& other) const noexcept { return rep_ == other.rep_; }

  /// More settlements are needed: the same events go into another required channel.
  /// REQUIRES: not settled yet.
  void expect_more(std::uint64_t events) const noexcept;
  /// So many events have reached their end. No-op without a receipt.
  void settle(std::uint64_t events) const noexcept;

 private:
  struct Rep {
    std::atomic<std::uint32_t> refs;
    std::atomic<std::uint64_t> outstanding;
    std::uint64_t token;
    std::shared_ptr<ReceiptListener> listener;
  };
  explicit Receipt(Rep* rep) noexcept : rep_(rep) {}
  Rep* rep_ = nullptr;
};

}  // namespace sluice

// Bytes that a connection keeps for a while, and who pays for them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "core/event/memory_account.h"

namespace sluice {

/// A text whose memory is charged to an account (when given) for as long as it is held. One thread.
///
/// An empty one keeps little: what one large piece needed goes back to the system at once, so that
/// thousands of connections that were slow once cost nothing.
class PaidText {
 public:
  explicit PaidText(MemoryAccount* account) noexcept : account_(account) {}
  PaidText(const PaidText&) = delete;
  PaidText& operator=(const PaidText&) = delete;
  ~PaidText() { pay(0); }

  std::string_view view() const noexcept { return text_; }
  std::size_t size() const noexcept { return text_.size(); }
  bool empty() const noexcept { return text_.empty(); }

  void append(std::string_view bytes) {
    text_.append(bytes);
    pay(held_bytes());
  }
  /// REQUIRES: no more than size().
  void drop_front(std::size_t bytes) {
    text_.erase(0, bytes);
    if (text_.empty() && text_.capacity() > kept_bytes_max) std::string().swap(text_);
    pay(held_bytes());
  }
  void clear() { drop_front(size()); }
  /// Hands the text out; nobody pays for it any more.
  std::string release() noexcept {
    pay(0);
    return std::exchange(text_, {});
  }

 private:
  static constexpr std::size_t kept_bytes_max = 4096;

  /// A short text lies in the object itself.
  std::size_t held_bytes() const noexcept {
    return text_.capacity() < sizeof text_ ? 0 : text_.capacity();
  }
  void pay(std::size_t bytes) noexcept {
    if (account_ == nullptr || bytes == paid_bytes_) return;
    account_->charge(bytes);
    account_->release(std::exchange(paid_bytes_, bytes));
  }

  MemoryAccount* const account_;
  std::string text_;
  std::size_t paid_bytes_ = 0;
};

}  // namespace sluice

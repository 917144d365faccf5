// The outcome of an operation, and what its caller should do next.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/base/assert.h"

namespace sluice {

/// Says what the caller does next, not what went wrong (the message says that).
enum class Code : unsigned char {
  Ok,
  Retry,    ///< Nothing was done; roll back, back off, try again. Peers, disks, full channels.
  Reject,   ///< These events can never be delivered: dead-letter or drop them, count them, go on.
  Invalid,  ///< Configuration: this component cannot run until the file is changed.
  Closed,   ///< The agent is stopping, or the other side has finished. Not an error.
  Fatal,    ///< A promise of our own is broken: the agent exits non-zero.
};

/// "ok", "retry", ... for logs and tests.
std::string_view to_string(Code code) noexcept;

/// A code with a sentence for a person. Ok costs no allocation. A value: copyable, not shared.
class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  Status(Code code, std::string message);
  Status(const Status& other);
  Status(Status&&) noexcept = default;
  Status& operator=(const Status& other);
  Status& operator=(Status&&) noexcept = default;
  ~Status() = default;

  bool ok() const noexcept { return rep_ == nullptr; }
  Code code() const noexcept { return rep_ ? rep_->code : Code::Ok; }
  const std::string& message() const noexcept;

  /// The same code with "context: " in front of the message; Ok stays Ok.
  Status with_context(std::string_view context) const;

 private:
  struct Rep {
    Code code;
    std::string message;
  };
  std::unique_ptr<Rep> rep_;
};

inline Status Retry(std::string message) { return {Code::Retry, std::move(message)}; }
inline Status Reject(std::string message) { return {Code::Reject, std::move(message)}; }
inline Status Invalid(std::string message) { return {Code::Invalid, std::move(message)}; }
inline Status Closed(std::string message) { return {Code::Closed, std::move(message)}; }
inline Status Fatal(std::string message) { return {Code::Fatal, std::move(message)}; }

/// Text of an errno value, with the number for people who search for it: "Permission denied (13)".
std::string errno_text(int error_number);

/// A value or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {
    SLUICE_ASSERT(!std::get<1>(state_).ok(), "a Result without a value needs a reason");
  }

  bool ok() const noexcept { return state_.index() == 0; }
  /// Ok when there is a value.
  Status status() const { return ok() ? Status() : std::get<1>(state_); }
  Code code() const noexcept { return ok() ? Code::Ok : std::get<1>(state_).code(); }

  /// REQUIRES: ok().
  T& value() & noexcept { return *checked(); }
  const T& value() const& noexcept { return *const_cast<Result*>(this)->checked(); }
  T&& value() && noexcept { return std::move(*checked()); }
  T& operator*() & noexcept { return *checked(); }
  T&& operator*() && noexcept { return std::move(*checked()); }
  T* operator->() noexcept { return checked(); }
  const T* operator->() const noexcept { return const_cast<Result*>(this)->checked(); }

 private:
  T* checked() noexcept {
    SLUICE_ASSERT(ok(), "value() of a Result that has none");
    return std::get_if<0>(&state_);
  }
  std::variant<T, Status> state_;
};

}  // namespace sluice

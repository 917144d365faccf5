#include "core/base/status.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sluice {

namespace detail {
void assert_failed(const char* expression, const char* reason, const char* file,
                   int line) noexcept {
  std::fprintf(stderr, "sluice: a promise of our own is broken: %s (%s) at %s:%d\n", reason,
               expression, file, line);
  std::fflush(stderr);
  std::abort();
}
}  // namespace detail

std::string_view to_string(Code code) noexcept {
  switch (code) {
    case Code::Ok: return "ok";
    case Code::Retry: return "retry";
    case Code::Reject: return "reject";
    case Code::Invalid: return "invalid";
    case Code::Closed: return "closed";
    case Code::Fatal: return "fatal";
  }
  return "?";
}

Status::Status(Code code, std::string message)
    : rep_(code == Code::Ok ? nullptr : std::make_unique<Rep>(Rep{code, std::move(message)})) {}

Status::Status(const Status& other)
    : rep_(other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr) {}

Status& Status::operator=(const Status& other) {
  if (this != &other) rep_ = other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr;
  return *this;
}

const std::string& Status::message() const noexcept {
  static const std::string none;
  return rep_ ? rep_->message : none;
}

Status Status::with_context(std::string_view context) const {
  if (ok()) return {};
  return {code(), std::string(context) + ": " + message()};
}

std::string errno_text(int error_number) {
  char buffer[128];
  // GNU's strerror_r may return a static string instead of filling the buffer.
  const char* text = strerror_r(error_number, buffer, sizeof buffer);
  return std::string(text) + " (" + std::to_string(error_number) + ")";
}

}  // namespace sluice

#include "agent/systemd_notify.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "core/net/notify_socket.h"

namespace sluice {
namespace {

/// Zero when the text is not a whole positive number.
std::int64_t positive_number(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value > 0 ? value : 0;
}

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

}  // namespace

SystemdNotify SystemdNotify::take_from_environment() {
  return {{.notify_socket = take_variable("NOTIFY_SOCKET"),
           .watchdog_usec = take_variable("WATCHDOG_USEC"),
           .watchdog_pid = take_variable("WATCHDOG_PID")},
          ::getpid()};
}

SystemdNotify::SystemdNotify(const Environment& environment, long own_pid)
    : socket_(environment.notify_socket) {
  const bool ours =
      environment.watchdog_pid.empty() || positive_number(environment.watchdog_pid) == own_pid;
  if (active() && ours) {
    watchdog_ = std::chrono::microseconds(positive_number(environment.watchdog_usec));
  }
}

Status SystemdNotify::ready() const { return send("READY=1"); }

Status SystemdNotify::status(std::string_view text) const {
  std::string message = "STATUS=" + std::string(text);
  std::replace(message.begin(), message.end(), '\n', ' ');
  return send(message);
}

Status SystemdNotify::stopping() const { return send("STOPPING=1"); }

Status SystemdNotify::extend_timeout(std::chrono::microseconds by) const {
  return send("EXTEND_TIMEOUT_USEC=" + std::to_string(by.count()));
}

std::optional<std::chrono::milliseconds> SystemdNotify::watchdog_interval() const noexcept {
  if (watchdog_.count() == 0) return std::nullopt;
  const auto half = std::chrono::duration_cast<std::chrono::milliseconds>(watchdog_ / 2);
  return std::max(half, std::chrono::milliseconds(1));
}

Status SystemdNotify::ping() const { return send("WATCHDOG=1"); }

Status SystemdNotify::send(std::string_view message) const {
  if (!active()) return {};
  return send_notification(socket_, message);
}

}  // namespace sluice

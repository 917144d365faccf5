// What the agent tells systemd about itself, and how often systemd wants to hear from it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// The client side of a unit with Type=notify. Without systemd every call does nothing and
/// succeeds.
///
/// It speaks the protocol itself (a datagram of text) instead of linking libsystemd, which would
/// add 0.8 ms and six libraries to each start.
///
/// Errors: Retry, when systemd's socket refuses the datagram; the agent goes on all the same, so a
/// caller logs it once. Immutable after construction; thread-safe.
class SystemdNotify {
 public:
  /// What systemd hands over in the environment, as text; empty where a variable is not set.
  struct Environment {
    std::string notify_socket = {};  ///< $NOTIFY_SOCKET
    std::string watchdog_usec = {};  ///< $WATCHDOG_USEC
    std::string watchdog_pid = {};   ///< $WATCHDOG_PID
  };

  /// Reads this process's environment and removes the three variables from it, so that the
  /// children of exec sources do not speak for the agent. Call before other threads run.
  static SystemdNotify take_from_environment();

  /// `own_pid` is compared with watchdog_pid: a watchdog meant for another process is none of ours.
  SystemdNotify(const Environment& environment, long own_pid);

  /// False when nobody listens.
  bool active() const noexcept { return !socket_.empty(); }

  /// Every component that can start has started.
  Status ready() const;
  /// One line for `systemctl status`; line feeds become blanks.
  Status status(std::string_view text) const;
  /// The agent is draining; systemd then waits up to TimeoutStopSec.
  Status stopping() const;
  /// Start-up or stop needs up to this much longer than the unit's time-out says.
  Status extend_timeout(std::chrono::microseconds by) const;

  /// How often ping() is due: half of WatchdogSec. Nothing when no watchdog waits for us.
  std::optional<std::chrono::milliseconds> watchdog_interval() const noexcept;
  /// "The supervisor has seen every runner's heart beat", never "a timer went off".
  Status ping() const;

 private:
  Status send(std::string_view message) const;

  std::string socket_;
  std::chrono::microseconds watchdog_{0};
};

}  // namespace sluice

// A program run by the agent, whose output is read through pipes.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace sluice {

/// A running program, in a process group of its own, with nothing on its standard input.
///
/// It dies with the agent, however that dies: the kernel sends SIGTERM to the program itself, and a
/// guard (a small shell that waits for the agent's end) does so to all of its group, SIGKILL
/// following. Destroying it kills the group, unless the program has ended, and waits: no zombie
/// stays. One thread, which must outlive the child: the kernel's signal is tied to the thread that
/// called start().
class ChildProcess {
 public:
  enum class Output : unsigned char { Standard, Error };
  struct Ready {
    bool standard = false;
    bool error = false;
  };
  /// How it ended.
  struct Exit {
    bool signalled = false;
    int number = 0;  ///< Exit status or signal.
    /// "exited with status 1", "was killed by signal 9 (Killed)".
    std::string text() const;
  };

  /// Looks the program up in PATH and runs it. Errors, each naming the program: Invalid (no such
  /// program, or it may not be executed), Retry (the system is short of something).
  static Result<ChildProcess> start(const std::vector<std::string>& arguments);

  ChildProcess(ChildProcess&&) noexcept;
  ChildProcess& operator=(ChildProcess&&) noexcept;
  ~ChildProcess();

  int pid() const noexcept;

  /// Waits for output, or its end, until the deadline or stop.
  Ready wait(Deadline deadline, const std::stop_token& stop);
  /// Reads what is there; 0 when there is nothing just now. Errors: Closed (everybody who could
  /// write has finished), Retry.
  Result<std::size_t> read_some(Output which, std::span<char> into);

  /// How it ended; nothing while it runs. Never waits.
  std::optional<Exit> poll_exit();
  /// SIGTERM for the whole group.
  void terminate() noexcept;
  /// SIGKILL for the whole group.
  void kill() noexcept;

 private:
  class Impl;
  explicit ChildProcess(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice

// Makes a stop wake whoever sleeps in poll(2).
#pragma once

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>

#include "core/base/descriptor.h"
#include "core/base/status.h"

namespace sluice {

/// A descriptor that becomes readable with set() and stays so. set() may be called from any thread.
class StopSignal {
 public:
  StopSignal() noexcept
      : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), error_(fd_.get() < 0 ? errno : 0) {}
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Retry when the system had no descriptor for it: nobody would be woken. Ask before waiting.
  Status status() const {
    return error_ == 0 ? Status() : Retry("no descriptor for a stop: " + errno_text(error_));
  }

  void set() const noexcept {
    const std::uint64_t one = 1;
    if (::write(fd_.get(), &one, sizeof one) < 0) return;  // full means that it is set already
  }
  int fd() const noexcept { return fd_.get(); }

 private:
  const Descriptor fd_;
  const int error_;
};

}  // namespace sluice

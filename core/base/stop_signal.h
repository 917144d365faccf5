// Makes a stop wake whoever sleeps in poll(2).
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace sluice {

/// A descriptor that becomes readable with set() and stays so. set() may be called from any thread.
class StopSignal {
 public:
  StopSignal() noexcept : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~StopSignal() {
    if (fd_ >= 0) ::close(fd_);
  }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  void set() const noexcept {
    const std::uint64_t one = 1;
    if (::write(fd_, &one, sizeof one) < 0) return;  // full means that it is set already
  }
  int fd() const noexcept { return fd_; }

 private:
  const int fd_;
};

}  // namespace sluice

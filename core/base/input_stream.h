// A file, a pipe or a terminal that is read from front to back, whose bytes may be long in coming.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/base/descriptor.h"
#include "core/base/status.h"
#include "core/base/stop_signal.h"

namespace sluice {

/// Movable; one thread.
class InputStream {
 public:
  /// Errors: Retry, with the path.
  static Result<InputStream> open(const std::string& path);
  static InputStream standard_input();

  const std::string& name() const noexcept { return name_; }  ///< For messages.

  /// There are bytes, or there is the end: read_some() would not wait.
  bool is_ready() const noexcept;
  /// Sleeps until that is so, or `stop` is set.
  void wait(const StopSignal& stop) const noexcept;
  /// What there is, waiting for a first byte; 0 at the end. Errors: Retry.
  Result<std::size_t> read_some(std::span<char> into);

 private:
  InputStream(Descriptor own, int fd, std::string name) noexcept
      : own_(std::move(own)), fd_(fd), name_(std::move(name)) {}

  Descriptor own_;  ///< None for standard input, which is not ours to close.
  int fd_;
  std::string name_;
};

}  // namespace sluice

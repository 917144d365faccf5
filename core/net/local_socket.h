// Connections between processes of one machine and one user, by a socket that lies in a directory.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <string>

#include "core/base/clock.h"
#include "core/base/descriptor.h"
#include "core/base/status.h"
#include "core/base/stop_signal.h"

namespace sluice {

/// One connection. Every wait ends with its deadline, and at once when the signal is set. One
/// thread. Movable.
class LocalStream {
 public:
  /// To whoever listens at the path, however long that is. Errors: Closed (nobody listens there),
  /// Retry.
  static Result<LocalStream> connect(const std::string& path);
  explicit LocalStream(Descriptor socket) noexcept : socket_(std::move(socket)) {}

  /// Writes all of it. Errors: Retry (the other side has gone, or is too slow), Closed (the
  /// signal).
  Status write_all(std::span<const iovec> pieces, Deadline deadline, const StopSignal& stop);
  /// Waits for bytes; 0: the deadline passed. Errors: Closed (the other side has finished, or the
  /// signal), Retry.
  Result<std::size_t> read_some(std::span<char> into, Deadline deadline, const StopSignal& stop);
  /// Says that nothing more is coming; what the other side says can still be read.
  void finish_writing() noexcept;
  /// The other side has said that, or has closed it. REQUIRES: all it sent is read. No wait.
  bool peer_has_finished() const noexcept;

 private:
  Descriptor socket_;
};

/// A socket at a path, which only its own user (and root) can connect to. The path goes with it.
/// Movable.
class LocalListener {
 public:
  /// A socket that is there already is taken for a dead one's and replaced: REQUIRES a lock of the
  /// caller's on the directory. Errors: Retry.
  static Result<LocalListener> listen(const std::string& path);
  LocalListener(LocalListener&& other) noexcept = default;
  LocalListener& operator=(LocalListener&&) = delete;
  ~LocalListener();

  /// Waits for somebody to come. Connections of other users are refused. Errors: Closed (the
  /// signal).
  Result<LocalStream> accept(const StopSignal& stop) const;

 private:
  LocalListener(Descriptor socket, std::string path) noexcept
      : socket_(std::move(socket)), path_(std::move(path)) {}
  Descriptor socket_;
  std::string path_;  ///< Empty once it was moved from.
};

}  // namespace sluice

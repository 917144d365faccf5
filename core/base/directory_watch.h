// Learns from the kernel that something in a directory has changed.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace sluice {

/// Watches directories, not what lies below them. One thread.
///
/// It is a help, not a promise: the kernel says nothing on some file systems (NFS, FUSE, what a
/// symbolic link points to), so whoever uses it looks for himself from time to time.
class DirectoryWatch {
 public:
  struct Changes {
    bool names = false;  ///< Something came, went or was renamed; or there was too much to tell.
    std::vector<std::string> written;  ///< Paths of what was written to, each once or more.
  };
  virtual ~DirectoryWatch() = default;

  /// Errors: Retry (no such directory, no more watches): then the caller polls, and asks again now
  /// and then, because limits are raised and others let go.
  virtual Status add(const std::string& directory) = 0;
  /// Waits for changes until the deadline or stop; returns at once what has come already.
  virtual Changes wait(Deadline deadline, const std::stop_token& stop) = 0;

  /// By inotify. It can always be made: without inotify add() says Retry and wait() just waits.
  static std::unique_ptr<DirectoryWatch> make();

  /// The calls of the system, which tests replace by ones that have reached their limits.
  struct System {
    int (*init)(int flags);
    int (*add)(int inotify, const char* path, std::uint32_t mask);
  };
  static std::unique_ptr<DirectoryWatch> make(const System& system);
};

}  // namespace sluice

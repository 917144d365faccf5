// What processes of this machine tell each other about files.
#pragma once

#include <string>
#include <utility>

#include "core/base/descriptor.h"
#include "core/base/status.h"

namespace sluice {

/// A file whose lock says that somebody is at work. It is made for that and removed with its owner;
/// the system gives the lock back when the process dies, and the next one takes the file over.
///
/// One owner; movable. Not for more than the machines that share locks on this file system do.
class FileLock {
 public:
  /// Errors: Closed (somebody else has it), Retry (the file cannot be made, or the file system has
  /// no locks).
  static Result<FileLock> take(const std::string& path);
  FileLock(FileLock&& other) noexcept = default;
  FileLock& operator=(FileLock&& other) = delete;
  ~FileLock();

 private:
  FileLock(Descriptor fd, std::string path) noexcept : fd_(std::move(fd)), path_(std::move(path)) {}

  Descriptor fd_;
  std::string path_;
};

/// True when a process of this machine has the file open for writing. False also where the system
/// does not tell: files of other users, most network file systems, writers on other machines.
bool is_open_for_writing(const std::string& path) noexcept;

}  // namespace sluice

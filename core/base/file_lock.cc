#include "core/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace sluice {
namespace {

constexpr mode_t lock_mode = 0600;

Status failed(const char* what, const std::string& path) {
  return Retry(std::string("cannot ") + what + " " + path + ": " + errno_text(errno));
}

/// Whoever had the lock before removes the file with it, so the name may mean another one by now.
bool still_has_its_name(int fd, const std::string& path) {
  struct stat open {};
  struct stat named {};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

}  // namespace

Result<FileLock> FileLock::take(const std::string& path) {
  for (;;) {
    Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, lock_mode));
    if (fd.get() < 0) return failed("create", path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return Closed("somebody else has the lock " + path);
      return failed("lock", path);
    }
    if (still_has_its_name(fd.get(), path)) return FileLock(std::move(fd), path);
  }
}

FileLock::~FileLock() {
  // The name goes before the lock: who opened the file meanwhile finds that it has none.
  if (fd_.get() >= 0) ::unlink(path_.c_str());
}

bool is_open_for_writing(const std::string& path) noexcept {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (fd.get() < 0) return false;
  // Who opens the file for writing in this instant makes the kernel send a signal; the usual one,
  // SIGIO, would end the process.
  if (::fcntl(fd.get(), F_SETSIG, SIGURG) != 0) return false;
  if (::fcntl(fd.get(), F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN;
  ::fcntl(fd.get(), F_SETLEASE, F_UNLCK);
  return false;
}

}  // namespace sluice

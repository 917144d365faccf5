#include "core/base/input_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace sluice {
namespace {

constexpr int for_ever = -1;
constexpr int no_descriptor = -1;  // poll() passes over it

bool poll_readable(int fd, int other, int timeout_ms) noexcept {
  std::array<pollfd, 2> waiting{{{fd, POLLIN, 0}, {other, POLLIN, 0}}};
  return ::poll(waiting.data(), waiting.size(), timeout_ms) > 0 && waiting[0].revents != 0;
}

}  // namespace

Result<InputStream> InputStream::open(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int fd = file.get();
  if (fd < 0) return Retry("cannot open " + path + ": " + errno_text(errno));
  return InputStream(std::move(file), fd, path);
}

InputStream InputStream::standard_input() { return {Descriptor(), STDIN_FILENO, "standard input"}; }

bool InputStream::is_ready() const noexcept { return poll_readable(fd_, no_descriptor, 0); }

void InputStream::wait(const StopSignal& stop) const noexcept {
  poll_readable(fd_, stop.fd(), for_ever);
}

Result<std::size_t> InputStream::read_some(std::span<char> into) {
  for (;;) {
    const ssize_t got = ::read(fd_, into.data(), into.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EAGAIN) {  // whoever gave it to us wants no read to wait
      poll_readable(fd_, no_descriptor, for_ever);
    } else if (errno != EINTR) {
      return Retry("cannot read " + name_ + ": " + errno_text(errno));
    }
  }
}

}  // namespace sluice

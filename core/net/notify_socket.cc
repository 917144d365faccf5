#include "core/net/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace sluice {

Status send_notification(std::string_view address, std::string_view message) {
  sockaddr_un target{};
  target.sun_family = AF_UNIX;
  if (address.size() < 2 || (address[0] != '/' && address[0] != '@')) {
    return Invalid("a notification socket is an absolute path or starts with '@'");
  }
  if (address.size() >= sizeof(target.sun_path)) {
    return Invalid("the path of the notification socket is too long");
  }
  std::memcpy(target.sun_path, address.data(), address.size());
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  if (address[0] == '@') {
    target.sun_path[0] = '\0';
  } else {
    ++length;  // The terminating zero belongs to a path, but not to an abstract name.
  }

  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Retry("notification socket: " + errno_text(errno));
  const ssize_t sent = ::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&target), length);
  const int error = errno;
  ::close(fd);
  if (sent < 0) return Retry("notification to " + std::string(address) + ": " + errno_text(error));
  return {};
}

}  // namespace sluice

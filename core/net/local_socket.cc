#include "core/net/local_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

constexpr milliseconds look_again{60'000};
constexpr milliseconds accept_again{1000};

Descriptor make_socket() { return Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

/// An address holds about a hundred bytes, and paths are longer: it is reached by its directory.
class Address {
 public:
  explicit Address(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    directory_ = Descriptor(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const std::string short_path = "/proc/self/fd/" + std::to_string(directory_.get()) + "/" +
                                   path.substr(slash == std::string::npos ? 0 : slash + 1);
    address_.sun_family = AF_UNIX;
    fits_ = short_path.size() < sizeof(address_.sun_path);
    if (fits_) std::memcpy(address_.sun_path, short_path.c_str(), short_path.size() + 1);
  }
  bool ok() const noexcept { return directory_.get() >= 0 && fits_; }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t size() noexcept { return sizeof(sockaddr_un); }

 private:
  Descriptor directory_;
  sockaddr_un address_{};
  bool fits_ = false;
};

/// Ours, or root's.
bool may_connect(int socket) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

enum class Woken : unsigned char { Ready, Passed, Stopped };

Woken wait_for(int socket, short events, Deadline deadline, const StopSignal& stop) {
  for (;;) {
    std::array<pollfd, 2> wanted{{{socket, events, 0}, {stop.fd(), POLLIN, 0}}};
    const milliseconds left = deadline.left(look_again);
    const int ready = ::poll(wanted.data(), wanted.size(), static_cast<int>(left.count()));
    if (ready > 0 && wanted[1].revents != 0) return Woken::Stopped;
    if (ready > 0) return Woken::Ready;
    if (deadline.passed()) return Woken::Passed;
  }
}

}  // namespace

Result<LocalStream> LocalStream::connect(const std::string& path) {
  const Address address(path);
  Descriptor socket = make_socket();
  if (socket.get() < 0) return Retry("no socket: " + errno_text(errno));
  if (address.ok() && ::connect(socket.get(), address.get(), Address::size()) == 0) {
    return LocalStream(std::move(socket));
  }
  if (!address.ok() || errno == ENOENT || errno == ECONNREFUSED) {
    return Closed("nobody listens at " + path);
  }
  return Retry("cannot connect to " + path + ": " + errno_text(errno));
}

Status LocalStream::write_all(std::span<const iovec> pieces, Deadline deadline,
                              const StopSignal& stop) {
  for (iovec piece : pieces) {
    while (piece.iov_len > 0) {
      const ssize_t sent =
          ::send(socket_.get(), piece.iov_base, piece.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        piece.iov_base = static_cast<char*>(piece.iov_base) + sent;
        piece.iov_len -= static_cast<std::size_t>(sent);
      } else if (errno == EAGAIN) {
        switch (wait_for(socket_.get(), POLLOUT, deadline, stop)) {
          case Woken::Stopped: return Closed("stopped while it was sending");
          case Woken::Passed: return Retry("the other side does not read");
          case Woken::Ready: break;
        }
      } else if (errno != EINTR) {
        return Retry("cannot send: " + errno_text(errno));
      }
    }
  }
  return {};
}

Result<std::size_t> LocalStream::read_some(std::span<char> into, Deadline deadline,
                                           const StopSignal& stop) {
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return Closed("the other side has finished");
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Retry("cannot read: " + errno_text(errno));
    switch (wait_for(socket_.get(), POLLIN, deadline, stop)) {
      case Woken::Stopped: return Closed("stopped while it was reading");
      case Woken::Passed: return std::size_t{0};
      case Woken::Ready: break;
    }
  }
}

void LocalStream::finish_writing() noexcept {
  static_cast<void>(::shutdown(socket_.get(), SHUT_WR));
}

bool LocalStream::peer_has_finished() const noexcept {
  char byte = 0;
  const ssize_t got = ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

Result<LocalListener> LocalListener::listen(const std::string& path) {
  const auto failed = [&] { return Retry("cannot listen at " + path + ": " + errno_text(errno)); };
  const Address address(path);
  Descriptor socket = make_socket();
  if (!address.ok() || socket.get() < 0) return failed();
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed();
  // The mode that the file will have: nobody can come in between.
  if (::fchmod(socket.get(), S_IRUSR | S_IWUSR) != 0 ||
      ::bind(socket.get(), address.get(), Address::size()) != 0) {
    return failed();
  }
  LocalListener listener(std::move(socket), path);
  if (::listen(listener.socket_.get(), SOMAXCONN) != 0) return failed();
  return listener;
}

LocalListener::~LocalListener() {
  if (socket_.get() >= 0) static_cast<void>(::unlink(path_.c_str()));
}

Result<LocalStream> LocalListener::accept(const StopSignal& stop) const {
  while (wait_for(socket_.get(), POLLIN, Deadline::never(), stop) != Woken::Stopped) {
    Descriptor socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.get() >= 0 && may_connect(socket.get())) return LocalStream(std::move(socket));
    const bool exhausted = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    if (socket.get() < 0 && exhausted) {  // whoever came waits until there is a descriptor again
      wait_for(-1, 0, Deadline::in(accept_again), stop);
    }
  }
  return Closed("stopped while nobody came");
}

}  // namespace sluice

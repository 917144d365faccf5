#include "core/net/tcp_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/descriptor.h"
#include "core/base/piece_window.h"
#include "core/base/stop_signal.h"
#include "core/net/resolver.h"

namespace sluice {
namespace {

enum class Wait : unsigned char { Ready, TimedOut, Stopped };

/// An equal part of the time that is left, so that one silent address does not use up all of it.
Deadline share_of(Deadline deadline, std::size_t addresses) noexcept {
  if (deadline.is_never()) return deadline;
  return Deadline::in(deadline.left(milliseconds::max()) / static_cast<std::int64_t>(addresses));
}

void set_option(int fd, int level, int name) noexcept {
  const int on = 1;
  ::setsockopt(fd, level, name, &on, sizeof on);
}

}  // namespace

class TcpStream::Impl {
 public:
  /// Starts a connection without blocking and waits for its outcome.
  Status connect(const SocketAddress& address, Deadline deadline, const std::stop_token& stop);
  Wait wait(short events, Deadline deadline, const std::stop_token& stop);

  Descriptor socket;
  StopSignal signal;
};

Wait TcpStream::Impl::wait(short events, Deadline deadline, const std::stop_token& stop) {
  constexpr milliseconds poll_max{60'000};
  const std::stop_callback wake(stop, [this] { signal.set(); });
  for (;;) {
    if (stop.stop_requested()) return Wait::Stopped;
    // The signal of a stop that came a moment too late stays set.
    const int stop_fd = stop.stop_possible() ? signal.fd() : -1;
    std::array<pollfd, 2> fds{pollfd{socket.get(), events, 0}, pollfd{stop_fd, POLLIN, 0}};
    const auto left = deadline.left(poll_max);
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    if (ready > 0 && fds[0].revents != 0) return Wait::Ready;
    if (deadline.passed()) return Wait::TimedOut;
  }
}

Status TcpStream::Impl::connect(const SocketAddress& address, Deadline deadline,
                                const std::stop_token& stop) {
  const auto failed = [&](const std::string& why) { return Retry(address.text() + ": " + why); };
  socket = Descriptor(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return failed(errno_text(errno));
  set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY);
  set_option(socket.get(), SOL_SOCKET, SO_KEEPALIVE);
  if (::connect(socket.get(), address.data(), address.size()) == 0) return {};
  if (errno != EINPROGRESS) return failed(errno_text(errno));
  switch (wait(POLLOUT, deadline, stop)) {
    case Wait::Stopped: return Closed("stopped while connecting");
    case Wait::TimedOut: return failed("no answer in time");
    case Wait::Ready: break;
  }
  int outcome = 0;
  socklen_t size = sizeof outcome;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &outcome, &size) != 0) outcome = errno;
  return outcome == 0 ? Status() : failed(errno_text(outcome));
}

TcpStream::TcpStream(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
TcpStream::TcpStream(TcpStream&&) noexcept = default;
TcpStream& TcpStream::operator=(TcpStream&&) noexcept = default;
TcpStream::~TcpStream() = default;

Result<TcpStream> TcpStream::connect(const Target& target, Deadline deadline,
                                     const std::stop_token& stop) {
  auto impl = std::make_unique<Impl>();
  const std::string context = "cannot connect to " + target.text();
  if (Status status = impl->signal.status(); !status.ok()) return status.with_context(context);
  auto found = resolve(target.host, target.port, deadline, stop);
  if (!found.ok()) return found.status();
  std::string reasons;
  for (std::size_t i = 0; i < found->size(); ++i) {
    const Deadline part = share_of(deadline, found->size() - i);
    const Status status = impl->connect((*found)[i], part, stop);
    if (status.ok()) return TcpStream(std::move(impl));
    if (status.code() == Code::Closed) return status;
    reasons += (reasons.empty() ? "" : "; ") + status.message();
  }
  return Retry(context + ": " + reasons);
}

Status TcpStream::write_all(std::span<const iovec> pieces, Deadline deadline,
                            const std::stop_token& stop) {
  PieceWindow window(pieces);
  for (auto next = window.next(); !next.empty(); next = window.next()) {
    msghdr message{};
    message.msg_iov = next.data();
    message.msg_iovlen = next.size();
    const ssize_t sent = ::sendmsg(impl_->socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      window.written(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Retry("connection broke: " + errno_text(errno));
    switch (impl_->wait(POLLOUT, deadline, stop)) {
      case Wait::Ready: continue;
      case Wait::TimedOut: return Retry("the peer took nothing in time");
      case Wait::Stopped: return Closed("stopped while sending");
    }
  }
  return {};
}

Result<std::size_t> TcpStream::read_some(std::span<char> into, Deadline deadline,
                                         const std::stop_token& stop) {
  for (;;) {
    const ssize_t got = ::recv(impl_->socket.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return Closed("the peer has finished");
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Retry("connection broke: " + errno_text(errno));
    switch (impl_->wait(POLLIN, deadline, stop)) {
      case Wait::Ready: continue;
      case Wait::TimedOut: return std::size_t{0};
      case Wait::Stopped: return Closed("stopped while reading");
    }
  }
}

bool TcpStream::peer_is_gone(std::size_t wasted_bytes_max) noexcept {
  char waste[16 * 1024];
  while (wasted_bytes_max > 0) {
    const std::size_t wanted = std::min(sizeof waste, wasted_bytes_max);
    const ssize_t got = ::recv(impl_->socket.get(), waste, wanted, MSG_DONTWAIT);
    if (got == 0) return true;
    if (got < 0 && errno != EINTR) return errno != EAGAIN;
    if (got > 0) wasted_bytes_max -= static_cast<std::size_t>(got);
  }
  return false;
}

void TcpStream::finish(milliseconds silence_max, Deadline deadline) noexcept {
  if (::shutdown(impl_->socket.get(), SHUT_WR) != 0) return;
  while (!peer_is_gone() && !deadline.passed()) {
    const Deadline silence = Deadline::in(deadline.left(silence_max));
    if (impl_->wait(POLLIN, silence, {}) != Wait::Ready) return;
  }
}

}  // namespace sluice

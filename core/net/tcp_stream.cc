#include "core/net/tcp_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/stop_signal.h"
#include "core/net/asio.h"

namespace sluice {
namespace {

using boost::system::error_code;

enum class Wait : unsigned char { Ready, TimedOut, Stopped };

Wait wait_for(int fd, short events, int stop_fd, Deadline deadline, const std::stop_token& stop) {
  constexpr milliseconds poll_max{60'000};
  for (;;) {
    if (stop.stop_requested()) return Wait::Stopped;
    std::array<pollfd, 2> fds{pollfd{fd, events, 0}, pollfd{stop_fd, POLLIN, 0}};
    const auto left = deadline.left(poll_max);
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    if (ready > 0 && fds[0].revents != 0) return Wait::Ready;
    if (deadline.passed()) return Wait::TimedOut;
  }
}

}  // namespace

class TcpStream::Impl {
 public:
  explicit Impl(tcp::socket socket) : socket_(std::move(socket)) {}
  int fd() noexcept { return socket_.native_handle(); }

  Wait wait(short events, Deadline deadline, const std::stop_token& stop) {
    const std::stop_callback wake(stop, [this] { signal_.set(); });
    return wait_for(fd(), events, signal_.fd(), deadline, stop);
  }

 private:
  tcp::socket socket_;
  StopSignal signal_;
};

namespace {

asio::io_context& connect_context() {
  // Sockets need a context to belong to; nothing asynchronous ever runs on this one.
  static asio::io_context* const context = new asio::io_context(1);
  return *context;
}

/// Starts a connection without blocking and waits for its outcome.
Status connect_one(tcp::socket& socket, const tcp::endpoint& endpoint, Deadline deadline,
                   const std::stop_token& stop) {
  const auto failed = [&](const std::string& why) {
    return Retry(endpoint.address().to_string() + ":" + std::to_string(endpoint.port()) + ": " +
                 why);
  };
  error_code error;
  if (socket.open(endpoint.protocol(), error)) return failed(error.message());
  if (socket.native_non_blocking(true, error)) return failed(error.message());
  socket.set_option(tcp::no_delay(true), error);
  socket.set_option(asio::socket_base::keep_alive(true), error);
  const int fd = socket.native_handle();
  if (::connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) return {};
  if (errno != EINPROGRESS) return failed(errno_text(errno));
  StopSignal signal;
  const std::stop_callback wake(stop, [&signal] { signal.set(); });
  switch (wait_for(fd, POLLOUT, signal.fd(), deadline, stop)) {
    case Wait::Stopped: return Closed("stopped while connecting");
    case Wait::TimedOut: return failed("no answer in time");
    case Wait::Ready: break;
  }
  int outcome = 0;
  socklen_t size = sizeof outcome;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &outcome, &size) != 0) outcome = errno;
  return outcome == 0 ? Status() : failed(errno_text(outcome));
}

}  // namespace

TcpStream::TcpStream(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
TcpStream::TcpStream(TcpStream&&) noexcept = default;
TcpStream& TcpStream::operator=(TcpStream&&) noexcept = default;
TcpStream::~TcpStream() = default;

Result<TcpStream> TcpStream::connect(const Target& target, Deadline deadline,
                                     const std::stop_token& stop) {
  error_code error;
  tcp::resolver resolver(connect_context());
  const auto found = resolver.resolve(target.host, std::to_string(target.port),
                                      tcp::resolver::numeric_service, error);
  if (error) return Retry("cannot resolve " + target.host + ": " + error.message());
  std::string reasons;
  for (const auto& entry : found) {
    tcp::socket socket(connect_context());
    const Status status = connect_one(socket, entry.endpoint(), deadline, stop);
    if (status.ok()) return TcpStream(std::make_unique<Impl>(std::move(socket)));
    if (status.code() == Code::Closed) return status;
    reasons += (reasons.empty() ? "" : "; ") + status.message();
  }
  return Retry("cannot connect to " + target.text() + ": " + reasons);
}

Status TcpStream::write_all(std::span<const iovec> pieces, Deadline deadline,
                            const std::stop_token& stop) {
  constexpr std::size_t pieces_a_call = 64;
  std::array<iovec, pieces_a_call> window;
  std::size_t next = 0;   // first piece not yet in the window
  std::size_t begin = 0;  // first piece of the window with bytes left
  std::size_t in_window = 0;
  for (;;) {
    if (begin == in_window) {
      if (next == pieces.size()) return {};
      in_window = std::min(pieces_a_call, pieces.size() - next);
      std::copy_n(pieces.begin() + static_cast<std::ptrdiff_t>(next), in_window, window.begin());
      next += in_window;
      begin = 0;
    }
    msghdr message{};
    message.msg_iov = window.data() + begin;
    message.msg_iovlen = in_window - begin;
    const ssize_t sent = ::sendmsg(impl_->fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Retry("connection broke: " + errno_text(errno));
      switch (impl_->wait(POLLOUT, deadline, stop)) {
        case Wait::Ready: continue;
        case Wait::TimedOut: return Retry("the peer took nothing in time");
        case Wait::Stopped: return Closed("stopped while sending");
      }
    }
    auto left = static_cast<std::size_t>(sent);
    while (left > 0) {
      iovec& piece = window[begin];
      const std::size_t of_piece = std::min(left, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + of_piece;
      piece.iov_len -= of_piece;
      left -= of_piece;
      if (piece.iov_len == 0) ++begin;
    }
    while (begin < in_window && window[begin].iov_len == 0) ++begin;
  }
}

Result<std::size_t> TcpStream::read_some(std::span<char> into, Deadline deadline,
                                         const std::stop_token& stop) {
  for (;;) {
    const ssize_t got = ::recv(impl_->fd(), into.data(), into.size(), MSG_DONTWAIT);
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

bool TcpStream::peer_is_gone() noexcept {
  char waste[1024];
  for (;;) {
    const ssize_t got = ::recv(impl_->fd(), waste, sizeof waste, MSG_DONTWAIT);
    if (got > 0) continue;
    if (got == 0) return true;
    if (errno == EINTR) continue;
    return errno != EAGAIN;
  }
}

}  // namespace sluice

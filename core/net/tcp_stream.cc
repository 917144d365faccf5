#include "core/net/tcp_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <string_view>
#include <utility>

#include "core/base/descriptor.h"
#include "core/base/piece_window.h"
#include "core/base/stop_signal.h"
#include "core/net/resolver.h"

namespace sluice {
namespace {

// Bytes under layers: so much is handed to them at once, so much is sent at once, and so much may
// wait for the socket.
constexpr std::size_t layered_piece_bytes = 64 * 1024;
constexpr std::size_t sent_at_once_bytes = 64 * 1024;
constexpr std::size_t unsent_bytes_max = 256 * 1024;

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

/// The socket of a stream, for the layers on top of it: never waits, keeps what is not sent yet.
class SocketBytes final : public ByteStream {
 public:
  explicit SocketBytes(int socket) noexcept : socket_(socket) {}

  Result<bool> open() override { return true; }
  Result<std::size_t> read_some(std::span<char> into) override;
  bool holds_input() const noexcept override { return false; }
  Status write(std::string_view bytes) override;
  Status flush() override;
  Status finish() override { return flush(); }
  std::size_t unsent_bytes() const noexcept { return unsent_.size() - sent_bytes_; }

 private:
  const int socket_;
  std::string unsent_;
  std::size_t sent_bytes_ = 0;  ///< Of unsent_.
};

Result<std::size_t> SocketBytes::read_some(std::span<char> into) {
  for (;;) {
    const ssize_t got = ::recv(socket_, into.data(), into.size(), MSG_DONTWAIT);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return Closed("the peer has finished");
    if (errno == EAGAIN) return std::size_t{0};
    if (errno != EINTR) return Retry("connection broke: " + errno_text(errno));
  }
}

Status SocketBytes::write(std::string_view bytes) {
  unsent_.append(bytes);
  return unsent_bytes() >= sent_at_once_bytes ? flush() : Status();
}

Status SocketBytes::flush() {
  while (sent_bytes_ < unsent_.size()) {
    const ssize_t sent =
        ::send(socket_, unsent_.data() + sent_bytes_, unsent_bytes(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      sent_bytes_ += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      // What a large write leaves behind must not grow with it.
      if (sent_bytes_ >= sent_at_once_bytes) unsent_.erase(0, std::exchange(sent_bytes_, 0));
      return {};
    } else if (errno != EINTR) {
      return Retry("connection broke: " + errno_text(errno));
    }
  }
  unsent_.clear();
  sent_bytes_ = 0;
  return {};
}

/// Layers that two threads may use: what each of them does under the lock waits for nothing.
class SharedLayers {
 public:
  static Result<std::unique_ptr<SharedLayers>> make(const StreamLayers& layers,
                                                    const std::string& host, int socket) {
    auto bytes = std::make_unique<SocketBytes>(socket);
    SocketBytes& bottom = *bytes;
    auto top = connect_layers(layers, host, std::move(bytes));
    if (!top.ok()) return top.status();
    return std::unique_ptr<SharedLayers>(new SharedLayers(*std::move(top), bottom));
  }

  Result<bool> open() {
    const std::lock_guard lock(mutex_);
    return top_->open();
  }
  Result<std::size_t> read_some(std::span<char> into) {
    const std::lock_guard lock(mutex_);
    return top_->read_some(into);
  }
  Status write(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    return top_->write(bytes);
  }
  Status flush() {
    const std::lock_guard lock(mutex_);
    return top_->flush();
  }
  Status finish() {
    const std::lock_guard lock(mutex_);
    return top_->finish();
  }
  /// Sends what the socket takes. How much it has not taken.
  Result<std::size_t> send() {
    const std::lock_guard lock(mutex_);
    if (Status status = bottom_.flush(); !status.ok()) return status;
    return bottom_.unsent_bytes();
  }

 private:
  SharedLayers(std::unique_ptr<ByteStream> top, SocketBytes& bottom) noexcept
      : top_(std::move(top)), bottom_(bottom) {}
  std::mutex mutex_;
  const std::unique_ptr<ByteStream> top_;  // guarded by mutex_
  SocketBytes& bottom_;                    // guarded by mutex_; lies in top_
};

}  // namespace

class TcpStream::Impl {
 public:
  /// Starts a connection without blocking and waits for its outcome.
  Status connect(const SocketAddress& address, Deadline deadline, const std::stop_token& stop);
  /// Puts the layers on the connection and waits until both sides have agreed.
  Status begin_layers(const StreamLayers& wanted, const std::string& host, Deadline deadline,
                      const std::stop_token& stop);
  Status write_layers(std::span<const iovec> pieces, Deadline deadline,
                      const std::stop_token& stop);
  Result<std::size_t> read_layers(std::span<char> into, Deadline deadline,
                                  const std::stop_token& stop);
  bool layers_are_gone(std::size_t wasted_bytes_max);
  /// False when there is no use in waiting for the peer.
  bool finish_layers(milliseconds silence_max, Deadline deadline);
  /// What the socket itself has.
  bool socket_is_gone(std::size_t wasted_bytes_max) noexcept;

  Wait wait(short events, Deadline deadline, const std::stop_token& stop, const StopSignal& signal);
  Status wait_sent(std::size_t unsent_max, Deadline deadline, const std::stop_token& stop);

  Descriptor socket;
  // Who reads and who writes are stopped each by his own token, and a signal stays set.
  StopSignal read_signal;
  StopSignal write_signal;
  std::unique_ptr<SharedLayers> layers;
};

Wait TcpStream::Impl::wait(short events, Deadline deadline, const std::stop_token& stop,
                           const StopSignal& signal) {
  constexpr milliseconds poll_max{60'000};
  const std::stop_callback wake(stop, [&signal] { signal.set(); });
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
  switch (wait(POLLOUT, deadline, stop, write_signal)) {
    case Wait::Stopped: return Closed("stopped while connecting");
    case Wait::TimedOut: return failed("no answer in time");
    case Wait::Ready: break;
  }
  int outcome = 0;
  socklen_t size = sizeof outcome;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &outcome, &size) != 0) outcome = errno;
  return outcome == 0 ? Status() : failed(errno_text(outcome));
}

// ---- Layers

Status TcpStream::Impl::begin_layers(const StreamLayers& wanted, const std::string& host,
                                     Deadline deadline, const std::stop_token& stop) {
  layers.reset();
  if (wanted.none()) return {};
  auto made = SharedLayers::make(wanted, host, socket.get());
  if (!made.ok()) return made.status();
  layers = *std::move(made);
  for (;;) {
    auto opened = layers->open();
    // A peer that closes instead of agreeing is as good as none.
    if (!opened.ok()) return Retry(opened.status().message());
    auto unsent = layers->send();
    if (!unsent.ok()) return unsent.status();
    if (*opened) return {};
    const short events = static_cast<short>(*unsent > 0 ? POLLIN | POLLOUT : POLLIN);
    switch (wait(events, deadline, stop, write_signal)) {
      case Wait::Ready: break;
      case Wait::Stopped: return Closed("stopped during the TLS handshake");
      case Wait::TimedOut:
        return Retry("the TLS handshake was not done in time; does the peer speak TLS?");
    }
  }
}

/// Until no more than `unsent_max` bytes have not been taken by the socket.
Status TcpStream::Impl::wait_sent(std::size_t unsent_max, Deadline deadline,
                                  const std::stop_token& stop) {
  for (;;) {
    auto unsent = layers->send();
    if (!unsent.ok()) return unsent.status();
    if (*unsent <= unsent_max) return {};
    switch (wait(POLLOUT, deadline, stop, write_signal)) {
      case Wait::Ready: continue;
      case Wait::TimedOut: return Retry("the peer took nothing in time");
      case Wait::Stopped: return Closed("stopped while sending");
    }
  }
}

Status TcpStream::Impl::write_layers(std::span<const iovec> pieces, Deadline deadline,
                                     const std::stop_token& stop) {
  std::size_t unasked_bytes = 0;  // since the socket was last asked how much it takes
  for (const iovec& piece : pieces) {
    std::string_view rest(static_cast<const char*>(piece.iov_base), piece.iov_len);
    while (!rest.empty()) {
      const std::string_view part = rest.substr(0, layered_piece_bytes);
      rest.remove_prefix(part.size());
      if (Status status = layers->write(part); !status.ok()) return status;
      unasked_bytes += part.size();
      if (unasked_bytes < layered_piece_bytes) continue;
      unasked_bytes = 0;
      if (Status status = wait_sent(unsent_bytes_max, deadline, stop); !status.ok()) return status;
    }
  }
  if (Status status = layers->flush(); !status.ok()) return status;
  return wait_sent(0, deadline, stop);
}

Result<std::size_t> TcpStream::Impl::read_layers(std::span<char> into, Deadline deadline,
                                                 const std::stop_token& stop) {
  for (;;) {
    auto got = layers->read_some(into);
    if (!got.ok() || *got > 0) return got;
    // Reading may have had to answer, and nobody may be writing.
    auto unsent = layers->send();
    if (!unsent.ok()) return unsent.status();
    const short events = static_cast<short>(*unsent > 0 ? POLLIN | POLLOUT : POLLIN);
    switch (wait(events, deadline, stop, read_signal)) {
      case Wait::Ready: continue;
      case Wait::TimedOut: return std::size_t{0};
      case Wait::Stopped: return Closed("stopped while reading");
    }
  }
}

bool TcpStream::Impl::layers_are_gone(std::size_t wasted_bytes_max) {
  std::array<char, 16 * 1024> waste;
  while (wasted_bytes_max > 0) {
    const std::size_t wanted = std::min(waste.size(), wasted_bytes_max);
    auto got = layers->read_some({waste.data(), wanted});
    if (!got.ok()) return true;
    if (*got == 0) return false;
    wasted_bytes_max -= *got;
  }
  return false;
}

bool TcpStream::Impl::finish_layers(milliseconds silence_max, Deadline deadline) {
  if (!layers->finish().ok()) return false;
  // The peer may have to write before it reads again, so both go on; what it says is of no use.
  for (;;) {
    auto unsent = layers->send();
    if (!unsent.ok()) return false;
    if (*unsent == 0) return true;
    const Deadline silence = Deadline::in(deadline.left(silence_max));
    if (wait(POLLIN | POLLOUT, silence, {}, write_signal) != Wait::Ready) return false;
    if (socket_is_gone(layered_piece_bytes) || deadline.passed()) return false;
  }
}

TcpStream::TcpStream(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
TcpStream::TcpStream(TcpStream&&) noexcept = default;
TcpStream& TcpStream::operator=(TcpStream&&) noexcept = default;
TcpStream::~TcpStream() = default;

Result<TcpStream> TcpStream::connect(const Target& target, Deadline deadline,
                                     const std::stop_token& stop, const StreamLayers& layers) {
  auto impl = std::make_unique<Impl>();
  const std::string context = "cannot connect to " + target.text();
  for (const StopSignal* signal : {&impl->read_signal, &impl->write_signal}) {
    if (Status status = signal->status(); !status.ok()) return status.with_context(context);
  }
  auto found = resolve(target.host, target.port, deadline, stop);
  if (!found.ok()) return found.status();
  std::string reasons;
  for (std::size_t i = 0; i < found->size(); ++i) {
    const Deadline part = share_of(deadline, found->size() - i);
    const SocketAddress& address = (*found)[i];
    Status status = impl->connect(address, part, stop);
    if (status.ok()) {
      status = impl->begin_layers(layers, target.host, part, stop).with_context(address.text());
    }
    if (status.ok()) return TcpStream(std::move(impl));
    if (status.code() == Code::Closed) return status;
    reasons += (reasons.empty() ? "" : "; ") + status.message();
  }
  return Retry(context + ": " + reasons);
}

Status TcpStream::write_all(std::span<const iovec> pieces, Deadline deadline,
                            const std::stop_token& stop) {
  if (impl_->layers) return impl_->write_layers(pieces, deadline, stop);
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
    switch (impl_->wait(POLLOUT, deadline, stop, impl_->write_signal)) {
      case Wait::Ready: continue;
      case Wait::TimedOut: return Retry("the peer took nothing in time");
      case Wait::Stopped: return Closed("stopped while sending");
    }
  }
  return {};
}

Result<std::size_t> TcpStream::read_some(std::span<char> into, Deadline deadline,
                                         const std::stop_token& stop) {
  if (impl_->layers) return impl_->read_layers(into, deadline, stop);
  for (;;) {
    const ssize_t got = ::recv(impl_->socket.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return Closed("the peer has finished");
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Retry("connection broke: " + errno_text(errno));
    switch (impl_->wait(POLLIN, deadline, stop, impl_->read_signal)) {
      case Wait::Ready: continue;
      case Wait::TimedOut: return std::size_t{0};
      case Wait::Stopped: return Closed("stopped while reading");
    }
  }
}

bool TcpStream::Impl::socket_is_gone(std::size_t wasted_bytes_max) noexcept {
  char waste[16 * 1024];
  while (wasted_bytes_max > 0) {
    const std::size_t wanted = std::min(sizeof waste, wasted_bytes_max);
    const ssize_t got = ::recv(socket.get(), waste, wanted, MSG_DONTWAIT);
    if (got == 0) return true;
    if (got < 0 && errno != EINTR) return errno != EAGAIN;
    if (got > 0) wasted_bytes_max -= static_cast<std::size_t>(got);
  }
  return false;
}

bool TcpStream::peer_is_gone(std::size_t wasted_bytes_max) noexcept {
  return impl_->layers ? impl_->layers_are_gone(wasted_bytes_max)
                       : impl_->socket_is_gone(wasted_bytes_max);
}

void TcpStream::finish(milliseconds silence_max, Deadline deadline) noexcept {
  if (impl_->layers && !impl_->finish_layers(silence_max, deadline)) return;
  if (::shutdown(impl_->socket.get(), SHUT_WR) != 0) return;
  constexpr std::size_t wasted_bytes_max = 4 << 20;
  while (!impl_->socket_is_gone(wasted_bytes_max) && !deadline.passed()) {
    const Deadline silence = Deadline::in(deadline.left(silence_max));
    if (impl_->wait(POLLIN, silence, {}, impl_->write_signal) != Wait::Ready) return;
  }
}

void TcpStream::shutdown_now() noexcept { ::shutdown(impl_->socket.get(), SHUT_RDWR); }

}  // namespace sluice

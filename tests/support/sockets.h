// The other end of a connection, on 127.0.0.1: a client that sends lines, a receiver that reads
// them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "tests/support/eventually.h"

namespace sluice {

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Owns a descriptor.
class TestSocket {
 public:
  TestSocket() = default;
  explicit TestSocket(int fd) noexcept : fd_(fd) {}
  TestSocket(TestSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TestSocket& operator=(TestSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~TestSocket() { close(); }
  int fd() const noexcept { return fd_; }
  bool open() const noexcept { return fd_ >= 0; }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

/// A port that was free a moment ago.
inline std::uint16_t free_port() {
  const TestSocket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    std::abort();
  socklen_t size = sizeof address;
  ::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

/// Sends to a source and reads its answers. One thread.
class TestClient {
 public:
  explicit TestClient(std::uint16_t port, int receive_buffer = 0) {
    socket_ = TestSocket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (receive_buffer > 0) {
      ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const int on = 1;  // tests that send in pieces mean pieces
    ::setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (::connect(socket_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      socket_.close();
    }
  }
  /// The other end of a connection that a test has accepted.
  explicit TestClient(TestSocket accepted) noexcept : socket_(std::move(accepted)) {}
  bool connected() const noexcept { return socket_.open(); }

  /// False when the peer is gone, or takes nothing for `patience`.
  bool send(std::string_view bytes, milliseconds patience = test_patience) {
    const Deadline deadline = Deadline::in(patience);
    while (!bytes.empty()) {
      const ssize_t sent =
          ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
        continue;
      }
      if (errno != EAGAIN || deadline.passed()) return false;
      wait(POLLOUT, deadline);
    }
    return true;
  }
  /// After a half_close(): true once the other end's system has all that was sent, the end too.
  bool all_arrived() const noexcept {
    tcp_info info{};
    socklen_t size = sizeof info;
    return ::getsockopt(socket_.fd(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           info.tcpi_state == TCP_FIN_WAIT2;
  }
  void half_close() noexcept { ::shutdown(socket_.fd(), SHUT_WR); }
  void close() noexcept { socket_.close(); }
  /// Closes so that the peer sees a reset.
  void reset() noexcept {
    const linger hard{1, 0};
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    socket_.close();
  }

  /// Reads until so many bytes are there, the peer has finished, or patience is over.
  std::string read(std::size_t bytes, milliseconds patience = test_patience) {
    const Deadline deadline = Deadline::in(patience);
    std::string all;
    char buffer[4096];
    while (all.size() < bytes && !deadline.passed()) {
      const ssize_t got =
          ::recv(socket_.fd(), buffer, std::min(sizeof buffer, bytes - all.size()), MSG_DONTWAIT);
      if (got > 0) all.append(buffer, static_cast<std::size_t>(got));
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        ended_ = true;
        break;
      }
      if (got < 0) wait(POLLIN, deadline);
    }
    return all;
  }
  /// Everything until the peer finishes.
  std::string read_to_end() { return read(SIZE_MAX); }
  bool ended() const noexcept { return ended_; }

 private:
  void wait(short events, Deadline deadline) const {
    pollfd waiting{socket_.fd(), events, 0};
    ::poll(&waiting, 1, static_cast<int>(deadline.left(milliseconds(1000)).count()));
  }
  TestSocket socket_;
  bool ended_ = false;
};

/// Listens, and collects what all connections send. Everything but serve() is thread-safe.
class TestReceiver {
 public:
  /// `on_thread` runs first on the receiver's own thread.
  explicit TestReceiver(std::uint16_t port = 0, int receive_buffer = 0,
                        std::function<void()> on_thread = {}) {
    listener_ = TestSocket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1;
    ::setsockopt(listener_.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (receive_buffer > 0) {
      ::setsockopt(listener_.fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address = loopback(port);
    if (::bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.fd(), 16) != 0) {
      std::abort();
    }
    socklen_t size = sizeof address;
    ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this, on_thread](std::stop_token stop) {
      if (on_thread) on_thread();
      serve(stop);
    });
  }

  std::uint16_t port() const noexcept { return port_; }
  std::string received() const {
    const std::lock_guard lock(mutex_);
    return received_;
  }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::uint64_t accepted() const noexcept { return accepted_; }
  /// Nothing is read while this is on.
  void rest(bool resting) noexcept { resting_ = resting; }
  /// Only counts what is received; for tests that watch allocations.
  void count_only() noexcept { count_only_ = true; }
  /// Closes every connection; new ones are accepted.
  void hang_up() {
    hang_up_ = true;
    eventually([this] { return !hang_up_; });
  }

 private:
  void serve(const std::stop_token& stop) {
    std::vector<TestSocket> open;
    std::vector<pollfd> waiting;
    std::vector<char> buffer(256 * 1024);
    while (!stop.stop_requested()) {
      if (hang_up_) {
        open.clear();
        hang_up_ = false;
      }
      waiting.assign(1, {listener_.fd(), POLLIN, 0});
      if (!resting_) {
        for (const TestSocket& each : open) waiting.push_back({each.fd(), POLLIN, 0});
      }
      if (::poll(waiting.data(), waiting.size(), 2) <= 0) continue;
      if (waiting[0].revents != 0) {
        open.emplace_back(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
        ++accepted_;
      }
      for (std::size_t i = waiting.size(); i-- > 1;) {
        if (waiting[i].revents == 0) continue;
        const ssize_t got = ::recv(open[i - 1].fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got <= 0) {
          open.erase(open.begin() + static_cast<std::ptrdiff_t>(i - 1));
          continue;
        }
        bytes_ += static_cast<std::uint64_t>(got);
        if (count_only_) continue;
        const std::lock_guard lock(mutex_);
        received_.append(buffer.data(), static_cast<std::size_t>(got));
      }
    }
  }

  TestSocket listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> resting_{false};
  std::atomic<bool> hang_up_{false};
  std::atomic<bool> count_only_{false};
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> bytes_{0};
  mutable std::mutex mutex_;
  std::string received_;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace sluice

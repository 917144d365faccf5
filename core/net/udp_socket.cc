#include "core/net/udp_socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "core/base/stop_signal.h"

namespace sluice {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

/// Text of a sender's address, in place: one is made a datagram.
class SenderText {
 public:
  void assign(const sockaddr_storage& address) noexcept {
    if (address.ss_family == AF_INET) {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
      return write(text_.data(), AF_INET, &v4.sin_addr, v4.sin_port);
    }
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      return write(text_.data(), AF_INET, v6.sin6_addr.s6_addr + 12, v6.sin6_port);
    }
    text_[0] = '[';
    write(text_.data() + 1, AF_INET6, &v6.sin6_addr, v6.sin6_port);
  }
  std::string_view view() const noexcept { return {text_.data(), bytes_}; }

 private:
  void write(char* to, int family, const void* address, in_port_t port) noexcept {
    ::inet_ntop(family, address, to, INET6_ADDRSTRLEN);
    to += std::strlen(to);
    if (family == AF_INET6) *to++ = ']';
    *to++ = ':';
    to = std::to_chars(to, text_.data() + text_.size(), ntohs(port)).ptr;
    bytes_ = static_cast<std::size_t>(to - text_.data());
  }
  std::array<char, 64> text_{};  ///< INET6_ADDRSTRLEN, "[]:" and five digits are less.
  std::size_t bytes_ = 0;
};

/// Both versions on one socket where no host is named.
Status bind_address(int fd, const addrinfo& address, const std::string& text) {
  if (address.ai_family == AF_INET6) {
    const int off = 0;
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (::bind(fd, address.ai_addr, address.ai_addrlen) == 0) return {};
  return Retry("cannot receive on " + text + ": " + errno_text(errno));
}

void ask_for_buffer(int fd, std::uint64_t bytes) noexcept {
  const int wanted =
      static_cast<int>(std::min<std::uint64_t>(bytes, std::numeric_limits<int>::max() / 2));
  // The first may go beyond the system's limit, and needs a privilege.
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) == 0) return;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
}

}  // namespace

class UdpSocket::Impl {
 public:
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (fd >= 0) ::close(fd);
    if (buffers != nullptr) ::munmap(buffers, buffer_bytes);
  }

  Status bind(const Options& options);
  Status map_buffers();
  void note_drops(msghdr& message) noexcept;

  int fd = -1;
  bool senders = false;
  char* buffers = nullptr;
  std::uint16_t port = 0;
  StopSignal signal;
  std::uint64_t dropped = 0;
  std::uint32_t dropped_reported = 0;  ///< The system's own count, which wraps around.

  struct alignas(cmsghdr) Control {
    char bytes[CMSG_SPACE(sizeof(std::uint32_t))];
  };
  std::array<mmsghdr, datagrams_max> messages{};
  std::array<iovec, datagrams_max> pieces{};
  std::array<sockaddr_storage, datagrams_max> addresses{};
  std::array<Control, datagrams_max> controls{};
  std::array<SenderText, datagrams_max> sender_texts;
};

Status UdpSocket::Impl::bind(const Options& options) {
  if (Status status = signal.status(); !status.ok()) return status;
  addrinfo hints{};
  hints.ai_family = options.host.empty() ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const std::string number = std::to_string(options.port);
  const std::string text = (options.host.empty() ? "port " : options.host + ":") + number;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(options.host.empty() ? nullptr : options.host.c_str(), number.c_str(),
                            &hints, &found);
  if (error != 0) return Retry("cannot resolve " + options.host + ": " + ::gai_strerror(error));
  const AddressList owner(found, &::freeaddrinfo);
  fd = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 && errno == EAFNOSUPPORT && options.host.empty()) {
    Options version4 = options;
    version4.host = "0.0.0.0";
    return bind(version4);
  }
  if (fd < 0) return Retry("cannot receive on " + text + ": " + errno_text(errno));
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
  ask_for_buffer(fd, options.receive_buffer_bytes);
  if (Status status = bind_address(fd, *found, text); !status.ok()) return status;
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return Retry("cannot receive on " + text + ": " + errno_text(errno));
  }
  // The port lies at the same place in both versions' addresses.
  port = ntohs(reinterpret_cast<const sockaddr_in&>(own).sin_port);
  senders = options.senders;
  return map_buffers();
}

Status UdpSocket::Impl::map_buffers() {
  void* const memory =
      ::mmap(nullptr, buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Retry("no memory for datagrams: " + errno_text(errno));
  buffers = static_cast<char*>(memory);
  for (std::size_t i = 0; i < datagrams_max; ++i) {
    pieces[i] = {buffers + i * datagram_bytes_max, datagram_bytes_max};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  return {};
}

void UdpSocket::Impl::note_drops(msghdr& message) noexcept {
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
       each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SO_RXQ_OVFL) continue;
    std::uint32_t count = 0;
    std::memcpy(&count, CMSG_DATA(each), sizeof count);
    dropped += count - dropped_reported;
    dropped_reported = count;
  }
}

UdpSocket::UdpSocket(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
UdpSocket::UdpSocket(UdpSocket&&) noexcept = default;
UdpSocket& UdpSocket::operator=(UdpSocket&&) noexcept = default;
UdpSocket::~UdpSocket() = default;

Result<UdpSocket> UdpSocket::bind(const Options& options) {
  auto impl = std::make_unique<Impl>();
  if (Status status = impl->bind(options); !status.ok()) return status;
  return UdpSocket(std::move(impl));
}

std::uint16_t UdpSocket::port() const noexcept { return impl_->port; }

std::uint64_t UdpSocket::receive_buffer_bytes() const noexcept {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  if (::getsockopt(impl_->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size) != 0) return 0;
  return static_cast<std::uint64_t>(bytes);
}

bool UdpSocket::wait(Deadline deadline, const std::stop_token& stop) {
  constexpr milliseconds poll_max{60'000};
  const std::stop_callback wake(stop, [this] { impl_->signal.set(); });
  std::array<pollfd, 2> fds{pollfd{impl_->fd, POLLIN, 0}, pollfd{impl_->signal.fd(), POLLIN, 0}};
  while (!stop.stop_requested()) {
    const int ready =
        ::poll(fds.data(), fds.size(), static_cast<int>(deadline.left(poll_max).count()));
    if (ready > 0 && fds[0].revents != 0) return true;
    if (deadline.passed()) break;
  }
  return false;
}

Result<std::size_t> UdpSocket::receive() {
  for (std::size_t i = 0; i < datagrams_max; ++i) {
    msghdr& message = impl_->messages[i].msg_hdr;
    message.msg_name = impl_->senders ? &impl_->addresses[i] : nullptr;
    message.msg_namelen = impl_->senders ? sizeof(sockaddr_storage) : 0;
    message.msg_control = impl_->controls[i].bytes;
    message.msg_controllen = sizeof impl_->controls[i].bytes;
  }
  int got;
  do {
    got = ::recvmmsg(impl_->fd, impl_->messages.data(), datagrams_max, MSG_DONTWAIT, nullptr);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return std::size_t{0};
  if (got < 0) return Retry("cannot receive: " + errno_text(errno));
  const auto count = static_cast<std::size_t>(got);
  for (std::size_t i = 0; i < count; ++i) {
    impl_->note_drops(impl_->messages[i].msg_hdr);
    if (impl_->senders) impl_->sender_texts[i].assign(impl_->addresses[i]);
  }
  return count;
}

Datagram UdpSocket::operator[](std::size_t i) const noexcept {
  return {{impl_->buffers + i * datagram_bytes_max, impl_->messages[i].msg_len},
          impl_->sender_texts[i].view()};
}

std::uint64_t UdpSocket::dropped() const noexcept { return impl_->dropped; }

}  // namespace sluice

#include "core/net/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <array>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "core/base/assert.h"
#include "core/base/thread.h"
#include "core/base/wait.h"

namespace sluice {
namespace {

using Addresses = std::vector<SocketAddress>;

/// Shared by who asks and the thread that finds out; whoever is last lets go of it.
struct Lookup {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<Addresses>> found;  // guarded by mutex
};

Result<Addresses> look_up(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* first = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first);
  if (error != 0) return Retry("cannot resolve " + host + ": " + ::gai_strerror(error));
  Addresses addresses;
  for (const addrinfo* each = first; each != nullptr; each = each->ai_next) {
    addresses.emplace_back(each->ai_addr, each->ai_addrlen);
  }
  ::freeaddrinfo(first);
  return addresses;
}

/// False when the system has no thread left.
bool start(const std::shared_ptr<Lookup>& lookup, const std::string& host, std::uint16_t port) {
  try {
    std::thread([lookup, host, port] {
      name_this_thread("resolver");
      auto found = look_up(host, port, 0);
      const std::lock_guard lock(lookup->mutex);
      lookup->found = std::move(found);
      lookup->changed.notify_all();
    }).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size) noexcept : size_(size) {
  SLUICE_ASSERT(size <= sizeof storage_, "an address larger than every address");
  std::memcpy(&storage_, address, size);
}

std::string SocketAddress::host_text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage_);
    return ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  }
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr;
  constexpr std::size_t v4_at = 12;
  return IN6_IS_ADDR_V4MAPPED(&v6)
             ? ::inet_ntop(AF_INET, v6.s6_addr + v4_at, text.data(), text.size())
             : ::inet_ntop(AF_INET6, &v6, text.data(), text.size());
}

std::string SocketAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage_);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return std::string(text.data()) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage_);
  ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  return "[" + std::string(text.data()) + "]:" + std::to_string(ntohs(v6.sin6_port));
}

Result<Addresses> resolve(const std::string& host, std::uint16_t port, Deadline deadline,
                          const std::stop_token& stop) {
  // Numbers need no look-up, so no thread.
  if (auto numeric = look_up(host, port, AI_NUMERICHOST); numeric.ok()) return numeric;
  const auto lookup = std::make_shared<Lookup>();
  if (!start(lookup, host, port)) return Retry("no thread to resolve " + host);
  std::unique_lock lock(lookup->mutex);
  if (wait_until(lookup->changed, lock, deadline, stop,
                 [&] { return lookup->found.has_value(); })) {
    return *std::move(lookup->found);
  }
  if (stop.stop_requested()) return Closed("stopped while resolving " + host);
  return Retry("cannot resolve " + host + ": no answer in time");
}

}  // namespace sluice

// Addresses of hosts, with a deadline that the system's own look-up does not have.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace sluice {

/// Where a socket connects to. A value.
class SocketAddress {
 public:
  /// REQUIRES: size of a sockaddr_storage at most.
  SocketAddress(const sockaddr* address, socklen_t size) noexcept;

  int family() const noexcept { return storage_.ss_family; }
  const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const noexcept { return size_; }
  /// "1.2.3.4:5" or "[::1]:5".
  std::string text() const;
  /// "1.2.3.4" or "::1"; an address of version 4 in one of version 6 as what it is.
  std::string host_text() const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_;
};

/// Every TCP address of a host, at least one. Errors: Retry (unknown, or too slow), Closed (stop).
///
/// A name is looked up on a thread of its own, which is left to itself when the deadline or stop
/// comes first and ends when the system's resolver gives up.
Result<std::vector<SocketAddress>> resolve(const std::string& host, std::uint16_t port,
                                           Deadline deadline, const std::stop_token& stop);

}  // namespace sluice

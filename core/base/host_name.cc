#include "core/base/host_name.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

namespace sluice {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

AddressList resolve(const std::string& name, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) found = nullptr;
  return {found, &::freeaddrinfo};
}

std::string to_text(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address->sa_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text,
                sizeof text);
  } else if (address->sa_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text,
                sizeof text);
  }
  return text;
}

/// The first address of a family on an interface that talks to others.
std::string interface_address(const ifaddrs* interfaces, int family) {
  for (const ifaddrs* each = interfaces; each != nullptr; each = each->ifa_next) {
    const bool usable = (each->ifa_flags & IFF_UP) != 0 && (each->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable || each->ifa_addr == nullptr || each->ifa_addr->sa_family != family) continue;
    return to_text(each->ifa_addr);
  }
  return {};
}

}  // namespace

std::string own_host_name() {
  char name[256] = {};
  // The last byte stays zero, whatever the system does with a name that is too long.
  if (::gethostname(name, sizeof name - 1) != 0) return {};
  return name;
}

std::string local_address() {
  const std::string name = own_host_name();
  if (const AddressList found = resolve(name, 0); !name.empty() && found) {
    // As Java does unless it is told otherwise: version 4 where there is one.
    for (const addrinfo* each = found.get(); each != nullptr; each = each->ai_next) {
      if (each->ai_family == AF_INET) return to_text(each->ai_addr);
    }
    return to_text(found->ai_addr);
  }
  ifaddrs* interfaces = nullptr;
  if (::getifaddrs(&interfaces) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(interfaces, &::freeifaddrs);
  const std::string version4 = interface_address(interfaces, AF_INET);
  return version4.empty() ? interface_address(interfaces, AF_INET6) : version4;
}

std::string local_host_name() {
  const std::string name = own_host_name();
  const AddressList found = resolve(name, AI_CANONNAME);
  return found && found->ai_canonname != nullptr ? found->ai_canonname : name;
}

}  // namespace sluice

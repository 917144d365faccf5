// What this machine is called.
#pragma once

#include <string>

namespace sluice {

/// Address that the host's own name resolves to, as Java's InetAddress.getLocalHost() finds it;
/// when it does not resolve, the first address of an interface that is up and no loopback. Empty:
/// none. May wait for a name server.
std::string local_address();

/// The host's own name for itself, without asking anybody. Empty: it has none.
std::string own_host_name();

/// Canonical name of the host: what its name server calls it, otherwise its own name.
/// May wait for a name server.
std::string local_host_name();

}  // namespace sluice

// One datagram to a Unix socket: all that is needed of systemd's notification protocol.
#pragma once

#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// Sends `message` to the datagram socket at `address`: a path, or '@' and a name for Linux's
/// abstract name space.
///
/// Never blocks: a receiver that does not read makes it fail instead. Opens and closes a socket of
/// its own, because it is called a few times a minute at most. Thread-safe.
/// Errors: Invalid (the address is empty, relative or too long), Retry (the system's refusal).
Status send_notification(std::string_view address, std::string_view message);

}  // namespace sluice

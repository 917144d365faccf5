// Bytes as text, where only text may stand (RFC 4648, with padding).
#pragma once

#include <string>
#include <string_view>

namespace sluice {

/// Four characters for each three bytes begun.
std::string base64(std::string_view bytes);

}  // namespace sluice

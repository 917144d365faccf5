// Origins as a person reads them.
#pragma once

#include <string>

#include "core/event/provenance.h"

namespace sluice {

/// 32 hexadecimal digits.
std::string to_string(const OriginId& id);
/// "0123456789abcdef0123456789abcdef:17"
std::string to_string(const Origin& origin);

}  // namespace sluice

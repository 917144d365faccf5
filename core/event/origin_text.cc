#include "core/event/origin_text.h"

#include <array>
#include <cinttypes>
#include <cstdio>

namespace sluice {

std::string to_string(const OriginId& id) {
  std::array<char, 33> digits{};
  std::snprintf(digits.data(), digits.size(), "%016" PRIx64 "%016" PRIx64, id.high, id.low);
  return digits.data();
}

std::string to_string(const Origin& origin) {
  return to_string(origin.id) + ":" + std::to_string(origin.sequence);
}

}  // namespace sluice

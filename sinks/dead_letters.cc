#include "sinks/dead_letters.h"

#include <fmt/format.h>

namespace sluice {

std::string to_string(const Origin& origin) {
  return fmt::format("{:016x}{:016x}:{}", origin.id.high, origin.id.low, origin.sequence);
}

}  // namespace sluice

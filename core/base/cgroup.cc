#include "core/base/cgroup.h"

#include <fstream>

namespace sluice {
namespace {

/// The number in a file; nothing when there is none: "max" is no limit.
std::optional<std::uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> cgroup_memory_limit_bytes(const std::string& root) {
  if (const auto limit = number_in(root + "/memory.max")) return limit;
  // Version 1 has a number near 2^63 where there is no limit.
  constexpr std::uint64_t unlimited = std::uint64_t{1} << 60;
  const auto limit = number_in(root + "/memory/memory.limit_in_bytes");
  return limit && *limit < unlimited ? limit : std::nullopt;
}

}  // namespace sluice

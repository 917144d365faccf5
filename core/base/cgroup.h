// What the control group of this process allows: the limit of a container.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sluice {

/// The memory limit of the control group mounted at `root`, version 2 or 1; nothing when there is
/// no limit, or no control group. In a container that is the container's own; outside it is the
/// machine's, which has none. Reads a file; thread-safe.
std::optional<std::uint64_t> cgroup_memory_limit_bytes(const std::string& root = "/sys/fs/cgroup");

}  // namespace sluice

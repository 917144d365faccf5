// What the system says about this process: the figures that every Prometheus client shows.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice {

/// A moment's figures.
struct ProcessStats {
  double start_time_seconds = 0;  ///< Since 1970 UTC; the same in every call.
  double cpu_seconds = 0;         ///< User and system time of all threads.
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t threads = 0;
  std::uint64_t open_files = 0;
  std::uint64_t open_files_max = 0;  ///< The soft limit.
};

/// Reads /proc/self; nothing where that is not mounted. Some system calls; thread-safe.
std::optional<ProcessStats> read_process_stats();

/// What one line of /proc/PID/stat says, in the system's own units.
struct ProcStatLine {
  std::uint64_t cpu_ticks = 0;  ///< User and system.
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;  ///< After boot.
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_pages = 0;
};

/// Nothing when the text is no such line. The program's name in it may hold blanks and brackets.
std::optional<ProcStatLine> parse_proc_stat(std::string_view text);

}  // namespace sluice

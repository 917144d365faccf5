#include "core/base/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <charconv>

namespace sluice {
namespace {

std::optional<std::string_view> read_small_file(const char* path, std::array<char, 2048>& buffer) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  const ssize_t bytes = ::read(file, buffer.data(), buffer.size());
  ::close(file);
  if (bytes <= 0) return std::nullopt;
  return std::string_view(buffer.data(), static_cast<std::size_t>(bytes));
}

double seconds_of(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double ticks_a_second() noexcept { return static_cast<double>(::sysconf(_SC_CLK_TCK)); }

/// Asked once: the wall clock may be set later, and the process did not start anew then.
double start_time_seconds(std::uint64_t start_ticks) noexcept {
  static const double start = seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) +
                              static_cast<double>(start_ticks) / ticks_a_second();
  return start;
}

std::uint64_t count_open_files() noexcept {
  DIR* const directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  std::uint64_t entries = 0;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') ++entries;
  }
  ::closedir(directory);
  return entries - 1;  // the one that is counting
}

}  // namespace

std::optional<ProcStatLine> parse_proc_stat(std::string_view text) {
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(name_end + 1);
  // Fields are numbered as in proc(5); the first one behind the name is number 3.
  constexpr std::size_t first = 3;
  constexpr std::size_t last = 24;
  std::array<std::uint64_t, last + 1> fields{};
  for (std::size_t number = first; number <= last; ++number) {
    const std::size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) return std::nullopt;
    text.remove_prefix(begin);
    const std::string_view field = text.substr(0, text.find_first_of(" \n"));
    text.remove_prefix(field.size());
    // Negative figures and the state's letter stay 0: none of them is wanted.
    std::from_chars(field.data(), field.data() + field.size(), fields[number]);
  }
  return ProcStatLine{.cpu_ticks = fields[14] + fields[15],
                      .threads = fields[20],
                      .start_ticks = fields[22],
                      .virtual_bytes = fields[23],
                      .resident_pages = fields[24]};
}

std::optional<ProcessStats> read_process_stats() {
  std::array<char, 2048> buffer;
  const auto text = read_small_file("/proc/self/stat", buffer);
  if (!text) return std::nullopt;
  const auto line = parse_proc_stat(*text);
  if (!line) return std::nullopt;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  return ProcessStats{
      .start_time_seconds = start_time_seconds(line->start_ticks),
      .cpu_seconds = static_cast<double>(line->cpu_ticks) / ticks_a_second(),
      .resident_bytes = line->resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)),
      .virtual_bytes = line->virtual_bytes,
      .threads = line->threads,
      .open_files = count_open_files(),
      .open_files_max = files.rlim_cur};
}

}  // namespace sluice

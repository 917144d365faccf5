// The agent's log: one line a record, written by spdlog behind this small face.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "core/base/status.h"

namespace sluice::log {

/// Trace and Debug are for developers; Warn = odd, nothing lost; Error = data was lost or a person
/// is needed.
enum class Level : unsigned char { Trace, Debug, Info, Warn, Error, Off };

/// Where records go.
struct Options {
  Level level = Level::Info;
  bool console = true;    ///< stderr, coloured on a terminal; false: the file below.
  std::string file_path;  ///< Used when console is false; its directory is created.
  std::size_t file_bytes_max = 100 * 1024 * 1024;  ///< Rotates beyond this size.
  std::size_t files_max = 10;
};

/// Replaces the log's target. Errors: Invalid (the file cannot be opened; the old target stays).
/// Before the first call records go to stderr. Call from one thread.
Status configure(const Options& options);

/// Closes and opens the file again (after an external rotation). Thread-safe; no-op on a console.
void reopen();

/// Writes everything out. Called by the agent before it exits.
void flush() noexcept;

bool enabled(Level level) noexcept;

/// Writes one record. Thread-safe. Control characters inside are escaped: a record stays one line
/// and commands no terminal.
void write(Level level, std::string_view text) noexcept;

template <typename... Args>
void print(Level level, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level)) write(level, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  print(Level::Debug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  print(Level::Info, format, std::forward<Args>(args)...);
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  print(Level::Warn, format, std::forward<Args>(args)...);
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  print(Level::Error, format, std::forward<Args>(args)...);
}

}  // namespace sluice::log

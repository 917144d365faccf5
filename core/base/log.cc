#include "core/base/log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>

namespace sluice::log {
namespace {

constexpr const char* pattern = "%Y-%m-%d %H:%M:%S.%e (%t) [%^%l%$] %v";

spdlog::level::level_enum to_spdlog(Level level) noexcept {
  switch (level) {
    case Level::Trace: return spdlog::level::trace;
    case Level::Debug: return spdlog::level::debug;
    case Level::Info: return spdlog::level::info;
    case Level::Warn: return spdlog::level::warn;
    case Level::Error: return spdlog::level::err;
    case Level::Off: return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink, Level level) {
  auto logger = std::make_shared<spdlog::logger>("sluice", std::move(sink));
  logger->set_pattern(pattern);
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::info);  // a log read with tail -f should not lag
  return logger;
}

struct State {
  std::mutex mutex;
  Options options;
  std::shared_ptr<spdlog::logger> logger =
      make_logger(std::make_shared<spdlog::sinks::stderr_color_sink_mt>(), Level::Info);
  std::atomic<Level> level{Level::Info};
};

State& state() {
  static State* const s = new State;  // never destroyed: threads may log while the process exits
  return *s;
}

Result<spdlog::sink_ptr> open_sink(const Options& options) {
  try {
    if (options.console) {
      return spdlog::sink_ptr(std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    }
    const std::filesystem::path path(options.file_path);
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
    return spdlog::sink_ptr(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
        options.file_path, options.file_bytes_max, options.files_max));
  } catch (const std::exception& e) {
    return Invalid("cannot open the log file " + options.file_path + ": " + e.what());
  }
}

/// Neither a second line nor a terminal's escape sequence: messages quote what strangers send.
bool is_control(char c) noexcept {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
}

/// U+0080 to U+009F steer terminals as well; in UTF-8 they are C2 80 to C2 9F.
bool is_c1_control(char first, char second) noexcept {
  return first == '\xC2' && (second & '\xE0') == '\x80';
}

bool has_controls(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), is_control) ||
         std::adjacent_find(text.begin(), text.end(), is_c1_control) != text.end();
}

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool c1 = i + 1 < text.size() && is_c1_control(text[i], text[i + 1]);
    const char c = text[c1 ? ++i : i];
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c1 || is_control(c)) {
      out += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

Status configure(const Options& options) {
  auto sink = open_sink(options);
  if (!sink.ok()) return sink.status();
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.options = options;
  s.logger = make_logger(*std::move(sink), options.level);
  s.level = options.level;
  return {};
}

void reopen() {
  State& s = state();
  Options options;
  {
    const std::lock_guard lock(s.mutex);
    options = s.options;
  }
  if (options.console || options.file_path.empty()) return;
  if (const Status status = configure(options); !status.ok()) error("{}", status.message());
}

void flush() noexcept {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.logger->flush();
}

bool enabled(Level level) noexcept {
  return level >= state().level.load(std::memory_order_relaxed) && level != Level::Off;
}

void write(Level level, std::string_view text) noexcept {
  try {
    State& s = state();
    std::shared_ptr<spdlog::logger> logger;
    {
      const std::lock_guard lock(s.mutex);
      logger = s.logger;
    }
    if (has_controls(text)) {
      logger->log(to_spdlog(level), escape_controls(text));
    } else {
      logger->log(to_spdlog(level), spdlog::string_view_t(text.data(), text.size()));
    }
  } catch (...) {
    // Nothing sensible can be done about a log that cannot be written.
  }
}

}  // namespace sluice::log

// The lines that a program prints, as Flume's exec source takes them.

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>
#include <vector>

#include "core/base/child_process.h"
#include "core/base/log.h"
#include "sources/line_reader.h"
#include "sources/pause.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "command",
     .type = KeyType::Text,
     .meaning = "The program and its arguments, separated by blanks; quotes mean nothing unless "
                "there is a shell.",
     .required = true},
    {.name = "shell",
     .type = KeyType::Text,
     .meaning = "A shell to run the command with, such as /bin/sh -c; the command becomes its last "
                "argument. Needed for pipes, quotes, wildcards and variables."},
    {.name = "restart",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Run the command again when it has ended."},
    {.name = "restartThrottle",
     .type = KeyType::Millis,
     .default_value = "10000",
     .meaning = "How long to wait before the command is run again.",
     .min = 0},
    {.name = "logStdErr",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning =
         "Write what the command prints on standard error into the log, a line each, at INFO "
         "level; otherwise it is thrown away."},
    {.name = "batchSize",
     .type = KeyType::Integer,
     .default_value = "20",
     .meaning =
         "Flume collects this many lines a transaction; here the lines of every read are put "
         "at once, few or many.",
     .min = 1,
     .max = 1'000'000},
    {.name = "batchTimeout",
     .type = KeyType::Millis,
     .default_value = "3000",
     .meaning = "Flume holds lines back so long; here they are never held back.",
     .min = 0},
    {.name = "charset",
     .type = KeyType::Text,
     .default_value = "UTF-8",
     .meaning = "Accepted for Flume's sake: bytes are passed on as they come, in any encoding."},
    {.name = "maxLineLength",
     .type = KeyType::Bytes,
     .default_value = "16Mi",
     .meaning = "Longest line; a longer one is cut into events of this size.",
     .min = 1024,
     .max = 1 << 30},
    {.name = "trimCR",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning =
         "End lines at a carriage return too and drop it, as Flume does; otherwise only a line "
         "feed ends a line, and a carriage return before it stays."},
    multiline_start_key,
    multiline_lines_key,
    multiline_bytes_key,
    multiline_timeout_key,
};

constexpr ComponentInfo info{.alias = "exec",
                             .class_name = "org.apache.flume.source.ExecSource",
                             .meaning = "Runs a command and makes an event of each line it prints.",
                             .keys = keys,
                             .batch_size_key = "batchSize"};

constexpr milliseconds round_wait{1000};
constexpr milliseconds exit_wait{20};
// How long a command may take to end after SIGTERM; what it still prints meanwhile is read.
constexpr milliseconds stop_patience{2000};
// Who still holds the pipe after SIGKILL is none of ours; a full pipe is fewer reads than this.
constexpr int last_reads_max = 64;

std::vector<std::string> split_at_blanks(const std::string& text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    words.back() += c;
  }
  return words;
}

bool is_utf8(std::string charset) {
  std::transform(charset.begin(), charset.end(), charset.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return charset == "utf-8" || charset == "utf8" || charset == "us-ascii" || charset == "ascii";
}

/// Standard error: drained always, logged if wanted.
class ErrorLines {
 public:
  explicit ErrorLines(bool wanted) : wanted_(wanted) {}

  void drain(ChildProcess& child) {
    std::array<char, 4096> bytes;
    for (int i = 0; i < reads_max; ++i) {
      auto got = child.read_some(ChildProcess::Output::Error, bytes);
      if (!got.ok() || *got == 0) break;
      if (wanted_) add({bytes.data(), *got});
    }
  }
  void finish() {
    if (!line_.empty()) write();
  }

 private:
  static constexpr int reads_max = 64;  ///< Then standard output has its turn.
  static constexpr std::size_t line_bytes_max = 64 * 1024;

  void add(std::string_view bytes) {
    for (const char c : bytes) {
      if (c == '\n') {
        write();
      } else {
        line_ += c;
        if (line_.size() >= line_bytes_max) write();
      }
    }
  }
  void write() {
    log::info("StderrLogger[{}] = '{}'", ++lines_, line_);
    line_.clear();
  }

  const bool wanted_;
  std::string line_;
  std::uint64_t lines_ = 0;
};

class ExecSource final : public Source {
 public:
  ExecSource(const Settings& settings, SourceContext context)
      : command_(settings.text("command")),
        shell_(split_at_blanks(settings.text("shell"))),
        charset_(settings.text("charset")),
        restart_(settings.boolean("restart")),
        throttle_(settings.duration("restartThrottle")),
        counters_(context.counters),
        outlet_(settings.component(), context),
        groups_(LineGroups::make(settings)),
        group_timeout_(settings.duration(multiline_timeout_key.name)),
        trim_cr_(settings.boolean("trimCR")),
        lines_(outlet_, {static_cast<std::size_t>(settings.bytes("maxLineLength")), trim_cr_,
                         groups_.ok() ? *groups_ : nullptr}),
        errors_(settings.boolean("logStdErr")) {}

  Status open() override {
    if (!groups_.ok()) return groups_.status();
    if (*groups_ && trim_cr_) {
      return Invalid("trimCR and multiline.startPattern cannot be used together");
    }
    warn_of_surprises();
    Status status = start();
    if (status.ok() || !restart_) return status;
    log::error("{}: {}; it is tried again in {} ms", name(), status.message(), throttle_.count());
    return {};
  }

  Status run(std::stop_token stop) override {
    for (;;) {
      if (child_) {
        Status status = follow(stop);
        child_.reset();
        if (!status.ok() || !restart_ || stop.stop_requested()) {
          return status.code() == Code::Closed ? Status() : status;
        }
        log::info("{}: the command is run again in {} ms", name(), throttle_.count());
      }
      if (!pause(throttle_, outlet_, stop)) return {};
      if (Status status = start(); !status.ok()) log::error("{}: {}", name(), status.message());
    }
  }

  void close() override {
    child_.reset();
    lines_.close();
  }

 private:
  const std::string& name() const noexcept { return outlet_.name(); }

  void warn_of_surprises() {
    if (!is_utf8(charset_)) {
      log::warn(
          "{}: charset = {} has no effect: bytes are passed on as they are, not converted to "
          "UTF-8",
          name(), charset_);
    }
    if (shell_.empty() && command_.find_first_of("|&;<>*?$`\"'\\~") != std::string::npos) {
      log::warn(
          "{}: the command is run without a shell, so quotes, pipes, wildcards and variables "
          "in it are ordinary characters; if they are meant for a shell, set shell = /bin/sh -c",
          name());
    }
  }

  Status start() {
    std::vector<std::string> arguments = shell_;
    if (shell_.empty()) {
      arguments = split_at_blanks(command_);
    } else {
      arguments.push_back(command_);
    }
    if (arguments.empty()) return Invalid("command is empty");
    auto child = ChildProcess::start(arguments);
    if (!child.ok()) return child.status();
    child_ = *std::move(child);
    log::info("{}: running '{}' (process {})", name(), command_, child_->pid());
    return {};
  }

  Status follow(const std::stop_token& stop);
  Status read_output(const std::stop_token& stop);
  Status end_group(const std::stop_token& stop);
  Status end_command(const std::stop_token& stop);
  void await_exit(Deadline patience);
  void report_end(bool stopped);

  const std::string command_;
  const std::vector<std::string> shell_;
  const std::string charset_;
  const bool restart_;
  const milliseconds throttle_;
  SourceCounters& counters_;
  Outlet outlet_;
  Result<std::shared_ptr<const LineGroups>> groups_;
  const milliseconds group_timeout_;
  const bool trim_cr_;
  LineReader lines_;
  Deadline group_end_ = Deadline::never();  ///< When the last lines have waited long enough.
  ErrorLines errors_;
  std::optional<ChildProcess> child_;
};

/// Reads until the command has ended, or stop ends it.
Status ExecSource::follow(const std::stop_token& stop) {
  Status status;
  while (status.ok() && !stop.stop_requested()) {
    const milliseconds wait = group_end_.left(round_wait);
    const ChildProcess::Ready ready = child_->wait(Deadline::in(wait), stop);
    if (ready.error) errors_.drain(*child_);
    if (ready.standard) status = read_output(stop);
    if (status.ok() && group_end_.passed()) status = end_group(stop);
    outlet_.idle(stop);
  }
  const bool ended = !status.ok() && !stop.stop_requested();
  if (status.code() == Code::Fatal) return status;
  if (!ended) status = end_command(stop);
  if (Status last = lines_.finish(stop); !last.ok()) return last;
  group_end_ = Deadline::never();
  // Standard output has ended, but the command may go on without it.
  while (ended && !child_->poll_exit() && !stop.stop_requested()) {
    if (child_->wait(Deadline::in(exit_wait), stop).error) errors_.drain(*child_);
  }
  if (!child_->poll_exit()) await_exit(Deadline::in(stop_patience));
  errors_.drain(*child_);
  errors_.finish();
  report_end(!ended);
  return {};
}

/// One read. Closed: there will be no more, or the channels are closed.
Status ExecSource::read_output(const std::stop_token& stop) {
  auto got = child_->read_some(ChildProcess::Output::Standard, lines_.space());
  if (!got.ok()) {
    if (got.code() == Code::Retry) counters_.read_failures.add();
    return Closed(got.status().message());
  }
  if (*got == 0) return {};
  Status status = lines_.took(*got, stop);
  group_end_ = lines_.holds_group() ? Deadline::in(group_timeout_) : Deadline::never();
  return status;
}

/// Nothing has come for so long that the last lines are an event.
Status ExecSource::end_group(const std::stop_token& stop) {
  group_end_ = Deadline::never();
  return lines_.end_group(stop);
}

/// SIGTERM, and what the command still prints; SIGKILL when it takes too long.
Status ExecSource::end_command(const std::stop_token& stop) {
  child_->terminate();
  const Deadline patience = Deadline::in(stop_patience);
  Status status;
  while (status.ok() && !patience.passed()) {
    const ChildProcess::Ready ready = child_->wait(patience, {});
    if (ready.error) errors_.drain(*child_);
    if (ready.standard) status = read_output(stop);
  }
  await_exit(patience);
  for (int i = 0; status.ok() && i < last_reads_max; ++i) status = read_output(stop);
  return {};
}

void ExecSource::await_exit(Deadline patience) {
  child_->terminate();
  while (!child_->poll_exit() && !patience.passed()) {
    if (child_->wait(Deadline::in(exit_wait), {}).error) errors_.drain(*child_);
  }
  if (child_->poll_exit()) return;
  log::warn("{}: the command has not ended after SIGTERM and is killed", name());
  child_->kill();
  while (!child_->poll_exit()) child_->wait(Deadline::in(exit_wait), {});
}

void ExecSource::report_end(bool stopped) {
  const ChildProcess::Exit exit = *child_->poll_exit();
  const bool well = stopped || (!exit.signalled && exit.number == 0);
  log::print(well ? log::Level::Info : log::Level::Warn, "{}: the command '{}' {} after {} events",
             name(), command_, exit.text(), outlet_.put_events());
}

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<ExecSource>(settings, context);
}

std::uint64_t window_bytes(const Settings& settings) {
  return window_bytes_default +
         3 * std::max(settings.bytes("maxLineLength"), settings.bytes(multiline_bytes_key.name));
}

}  // namespace

extern const SourceType exec_source{&info, make, window_bytes};

}  // namespace sluice

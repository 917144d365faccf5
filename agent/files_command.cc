#include "agent/files_command.h"

#include <fmt/format.h>

#include <array>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/file_lock.h"
#include "core/config/diagnostics.h"
#include "sinks/compaction.h"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

constexpr int all_well = 0;
constexpr int trouble = 1;
constexpr int wrong_usage = 2;

/// "812 bytes", "1.2 MB", "12 MB".
std::string size_text(std::uint64_t bytes) {
  constexpr std::array units = {"bytes", "kB", "MB", "GB", "TB"};
  constexpr double step = 1000;
  auto shown = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; shown >= step && unit + 1 < units.size(); ++unit) shown /= step;
  const bool exact = unit == 0 || shown >= 10;
  return fmt::format("{:.{}f} {}", shown, exact ? 0 : 1, units[unit]);
}

std::string plural(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// A report is useless without the ends of its names and reasons.
std::string in_full(std::string_view text) {
  constexpr std::size_t bytes_max = 16 << 10;
  return printable(text, bytes_max);
}

/// What an agent does about a full disk, nobody does here.
std::string for_a_command(std::string message) {
  constexpr std::string_view advice = ", writing goes on by itself";
  if (const std::size_t at = message.find(advice); at != std::string::npos) {
    message.erase(at, advice.size());
  }
  return message;
}

/// What happened in all directories, told in one of two ways.
class Report : public CompactionListener {
 public:
  /// The next calls are about this directory; `shown` is what stands in front of its names.
  virtual void enter(const std::string& shown) = 0;
  virtual void failed(const std::string& message) = 0;
  virtual void end(const CompactionCounts& counts) = 0;

  bool all_well() const noexcept { return !trouble_; }

 protected:
  void note_trouble() noexcept { trouble_ = true; }

 private:
  bool trouble_ = false;
};

class Lines final : public Report {
 public:
  Lines(bool dry_run, std::ostream& out, std::ostream& err)
      : dry_run_(dry_run), out_(out), err_(err) {}

  void enter(const std::string& shown) override { shown_ = shown; }
  void merged(const Merge& merge) override {
    ++merges_;
    files_ += merge.files;
    const std::string after = dry_run_ ? "" : ", " + size_text(merge.bytes_after);
    say(fmt::format("{} .. {}: {}, {} -> {}{}", in_full(shown_ + merge.first), in_full(merge.last),
                    plural(merge.files, "file"), size_text(merge.bytes_before), in_full(merge.name),
                    after));
  }
  void finished(const std::string& name, std::uint64_t files) override {
    say(fmt::format("{}: a merge of {}, which an earlier run had begun, {}", in_full(shown_ + name),
                    plural(files, "file"), dry_run_ ? "would be finished" : "is finished"));
  }
  void left(const std::string& name, const std::string& why, bool is_trouble) override {
    ++left_;
    if (is_trouble) note_trouble();
    say(fmt::format("{} stays: {}", in_full(shown_ + name), in_full(for_a_command(why))));
  }
  void failed(const std::string& message) override {
    note_trouble();
    out_ << std::flush;
    err_ << in_full(for_a_command(message)) << "\n" << std::flush;
  }
  void end(const CompactionCounts& counts) override {
    say(fmt::format("{}{} of {}", dry_run_ ? "would make " : "", plural(merges_, "merge"),
                    plural(files_, "file")));
    std::string others;
    const auto add = [&others](std::uint64_t count, std::string_view what) {
      if (count > 0) others += fmt::format("{}{} {}", others.empty() ? "" : ", ", count, what);
    };
    add(counts.large, "large enough");
    add(counts.young, "modified a short while ago");
    add(counts.in_use, "in use");
    add(counts.empty, "empty");
    add(counts.alone, "without others of their kind");
    add(left_, "for the reasons above");
    if (!others.empty()) say("files that stay: " + others);
  }

 private:
  void say(const std::string& line) { out_ << line << "\n" << std::flush; }

  const bool dry_run_;
  std::ostream& out_;
  std::ostream& err_;
  std::string shown_;
  std::uint64_t merges_ = 0;
  std::uint64_t files_ = 0;
  std::uint64_t left_ = 0;
};

class JsonReport final : public Report {
 public:
  JsonReport(bool dry_run, std::ostream& out) : out_(out) { report_["dry_run"] = dry_run; }

  void enter(const std::string& shown) override { shown_ = shown; }
  void merged(const Merge& merge) override {
    Json line = {{"first", text(merge.first)},
                 {"last", merge.last},
                 {"files", merge.files},
                 {"bytes", merge.bytes_before},
                 {"name", text(merge.name)}};
    if (!report_["dry_run"]) line["bytes_after"] = merge.bytes_after;
    report_["merges"].push_back(std::move(line));
  }
  void finished(const std::string& name, std::uint64_t files) override {
    report_["finished"].push_back({{"name", text(name)}, {"files", files}});
  }
  void left(const std::string& name, const std::string& why, bool is_trouble) override {
    if (is_trouble) note_trouble();
    report_["left"].push_back(
        {{"name", text(name)}, {"why", for_a_command(why)}, {"trouble", is_trouble}});
  }
  void failed(const std::string& message) override {
    note_trouble();
    report_["errors"].push_back(for_a_command(message));
  }
  void end(const CompactionCounts& counts) override {
    report_["stay"] = {{"large", counts.large},
                       {"young", counts.young},
                       {"in_use", counts.in_use},
                       {"empty", counts.empty},
                       {"alone", counts.alone}};
    // Names may be no UTF-8; the rest of the report is worth more than their odd bytes.
    out_ << report_.dump(2, ' ', false, Json::error_handler_t::replace) << "\n" << std::flush;
  }

 private:
  std::string text(const std::string& name) const { return shown_ + name; }

  std::ostream& out_;
  std::string shown_;
  Json report_ = {{"dry_run", false},
                  {"merges", Json::array()},
                  {"finished", Json::array()},
                  {"left", Json::array()},
                  {"errors", Json::array()}};
};

/// Errors: as compact_directory(); Closed, another run is at work.
Result<CompactionCounts> compact(const std::string& directory, const CompactionOptions& options,
                                 Report& report) {
  std::optional<FileLock> lock;
  if (!options.dry_run) {
    auto taken = FileLock::take(directory + "/" + std::string(compaction_lock_name));
    if (taken.code() == Code::Closed) {
      return Closed("another sluice files compact is at work in " + directory);
    }
    if (!taken.ok()) return taken.status();
    lock.emplace(std::move(*taken));
  }
  return compact_directory(directory, options, FileSystem::real(), InputFiles::real(),
                           Clock::system(), report);
}

void add(const CompactionCounts& more, CompactionCounts& sum) {
  sum.young += more.young;
  sum.in_use += more.in_use;
  sum.large += more.large;
  sum.empty += more.empty;
  sum.alone += more.alone;
}

}  // namespace

int run_files(const CommandLine& line, std::ostream& out, std::ostream& err) {
  // A reader of the report that has gone is no reason to leave work half done.
  std::signal(SIGPIPE, SIG_IGN);
  const FilesArguments& arguments = line.on_files;
  const std::string top = canonical_path(arguments.directory);
  std::vector<Status> unread;
  Result<std::vector<std::string>> directories = std::vector<std::string>{top};
  if (arguments.recursive) directories = directories_below(top, InputFiles::real(), unread);
  const auto look = InputFiles::real().look(top);
  Status usable = look.status();
  if (usable.ok() && !look->directory) usable = Invalid(top + " is no directory");
  if (usable.ok()) usable = directories.status();
  if (!usable.ok()) {
    err << in_full(usable.message()) << "\n";
    return wrong_usage;
  }
  std::unique_ptr<Report> report;
  if (line.json) {
    report = std::make_unique<JsonReport>(line.dry_run, out);
  } else {
    report = std::make_unique<Lines>(line.dry_run, out, err);
  }
  const CompactionOptions options{arguments.size_bytes, arguments.age_min, line.dry_run};
  CompactionCounts sum;
  for (const Status& status : unread) report->failed(status.message());
  for (const std::string& directory : *directories) {
    const bool is_top = directory.size() <= top.size();
    report->enter(is_top ? "" : directory.substr(top.size() + 1) + "/");
    auto counts = compact(directory, options, *report);
    if (counts.ok()) {
      add(*counts, sum);
    } else {
      report->failed(counts.status().message());
    }
  }
  report->end(sum);
  return report->all_well() ? all_well : trouble;
}

}  // namespace sluice

// Files that grow, followed through rotation, as Flume's TAILDIR source takes them.

#include <cstdlib>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/absolute_path.h"
#include "core/base/directory_watch.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "sources/file_follower.h"
#include "sources/file_lines.h"
#include "sources/file_positions.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "filegroups",
     .type = KeyType::List,
     .meaning = "Names of the groups of files.",
     .required = true},
    {.name = "filegroups.*",
     .type = KeyType::Path,
     .meaning = "The files of a group: a directory, and behind the last slash a regular expression "
                "that a whole name must match."},
    {.name = "positionFile",
     .type = KeyType::Path,
     .meaning = "Where the positions are written, as Flume does, and where Flume's are read once; "
                "without it ~/.flume/taildir_position.json. Every source needs one of its own."},
    {.name = "headers.*", .meaning = "headers.G.K = V gives each event of group G the header K."},
    {.name = "byteOffsetHeader",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Give each event the header byteoffset: where its line begins in the file."},
    {.name = "skipToEnd",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Begin at the end of files that are there at the first start and of which no "
                "position is known."},
    {.name = "idleTimeout",
     .type = KeyType::Millis,
     .default_value = "120000",
     .meaning = "How long a file that does not grow is kept open; a renamed or deleted one is over "
                "then, and what stands behind its last line feed is an event.",
     .min = 0},
    {.name = "writePosInterval",
     .type = KeyType::Millis,
     .default_value = "3000",
     .meaning = "How often the position file is written, when there is something new.",
     .min = 0},
    {.name = "batchSize",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Flume puts so many lines a transaction; here the lines of every read are put at "
                "once, few or many.",
     .min = 1,
     .max = 1'000'000},
    {.name = "maxBatchCount",
     .type = KeyType::Integer,
     .default_value = "9223372036854775807",
     .meaning = "Reads of one file before the next one has its turn; never more than 16 here, so "
                "that one busy file does not hold up the others.",
     .min = 1},
    {.name = "backoffSleepIncrement",
     .type = KeyType::Millis,
     .default_value = "1000",
     .meaning = "Where the system does not tell of changes: how much longer each wait is while "
                "nothing comes.",
     .min = 1},
    {.name = "maxBackoffSleep",
     .type = KeyType::Millis,
     .default_value = "5000",
     .meaning = "Longest time between two looks at all files.",
     .min = 1},
    {.name = "cachePatternMatching",
     .type = KeyType::Ignored,
     .default_value = "true",
     .meaning = "Directories are listed again when the system tells of new names, and at every "
                "look at all files."},
    {.name = "fileHeader",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Give each event a header with the file's absolute path."},
    {.name = "fileHeaderKey", .default_value = "file", .meaning = "Name of that header."},
    {.name = "maxLineLength",
     .type = KeyType::Bytes,
     .default_value = "16Mi",
     .meaning = "Longest line; a longer one is cut into events of this size. Not in Flume.",
     .min = 1024,
     .max = 1 << 30},
    {.name = "trimCR",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "A carriage return before the line feed is no part of the line. Not in Flume."},
    multiline_start_key,
    multiline_lines_key,
    multiline_bytes_key,
    multiline_timeout_key,
};

constexpr ComponentInfo info{.alias = "TAILDIR",
                             .class_name = "org.apache.flume.source.taildir.TaildirSource",
                             .meaning = "Follows files that grow, with their positions.",
                             .keys = keys,
                             .batch_size_key = "batchSize"};

constexpr std::int64_t reads_max = 16;
// Refused commits and positions are seen to at least so often.
constexpr milliseconds housekeeping{1000};
// Between two scans, however much happens.
constexpr milliseconds scan_wait{10};
// Until a held back file is looked at again.
constexpr milliseconds held_back_wait{100};
// Writes behind a symbolic link are not told of.
constexpr milliseconds link_wait{500};
// A scan that takes long is made seldom.
constexpr int scan_rest_factor = 10;
constexpr int look_rest_factor = 400;

std::string position_path(const Settings& settings) {
  if (settings.has("positionFile")) return absolute_path(settings.text("positionFile"));
  const char* const home = std::getenv("HOME");
  return std::string(home != nullptr ? home : ".") + "/.flume/taildir_position.json";
}

FileLines::Options lines_options(const Settings& settings,
                                 std::shared_ptr<const LineGroups> groups) {
  FileLines::Options options;
  options.name = settings.component();
  options.note_prefix = "taildir/" + settings.name() + "/";
  options.line_bytes_max = settings.bytes("maxLineLength");
  options.trim_cr = settings.boolean("trimCR");
  options.byte_offset_header = settings.boolean("byteOffsetHeader");
  options.groups = std::move(groups);
  options.reads_max =
      static_cast<std::uint64_t>(std::min(reads_max, settings.integer("maxBatchCount")));
  return options;
}

class TaildirSource final : public Source {
 public:
  TaildirSource(const Settings& settings, const SourceContext& context)
      : settings_(settings),
        context_(context),
        deliveries_(std::make_shared<Deliveries>()),
        groups_(LineGroups::make(settings)),
        lines_(lines_options(settings, groups_.ok() ? *groups_ : nullptr), context, deliveries_),
        positions_({settings.component(), "taildir/" + settings.name() + "/",
                    position_path(settings), settings.duration("writePosInterval")},
                   context, *deliveries_),
        look_interval_(settings.duration("maxBackoffSleep")) {}
  ~TaildirSource() override {
    // By now the sinks have drained the channels, so more has arrived than when run() ended.
    if (follower_) positions_.write_last(follower_->generations());
  }

  Status open() override {
    if (!groups_.ok()) return groups_.status();
    if (!follower_) {
      if (Status status = make_follower(); !status.ok()) return status;
    }
    watch_ = context_.make_watch();
    scan_wanted_ = true;
    return {};
  }
  Status run(std::stop_token stop) override;
  void close() override {
    lines_.close();
    watch_.reset();
  }

 private:
  const std::string& name() const noexcept { return settings_.component(); }
  Status make_follower();
  Result<std::vector<FileGroup>> read_groups();
  Result<bool> read_all(const std::stop_token& stop);
  Result<bool> read(FileGeneration& generation, const std::stop_token& stop);
  void impose_headers(FileGeneration& generation);
  Status update_positions(const std::stop_token& stop);
  void scan();
  void watch_directories();
  bool caught_up() const;
  void wait(bool idle, const std::stop_token& stop);

  const Settings settings_;
  const SourceContext context_;
  const std::shared_ptr<Deliveries> deliveries_;
  Result<std::shared_ptr<const LineGroups>> groups_;
  FileLines lines_;
  FilePositions positions_;
  const milliseconds look_interval_;
  std::vector<std::string> group_names_;
  std::set<std::string> directories_;
  std::unique_ptr<FileFollower> follower_;
  std::unique_ptr<DirectoryWatch> watch_;
  bool watched_ = false;  ///< The system tells of changes in every directory.
  bool scan_wanted_ = true;
  bool scanned_ = false;  ///< Since the last wait for more.
  SteadyTime scan_at_{};  ///< Not before.
  SteadyTime look_at_{};  ///< At last.
  milliseconds backoff_{0};
  std::uint64_t scan_failures_ = 0;
  std::uint64_t watch_failures_ = 0;
};

Status TaildirSource::make_follower() {
  auto groups = read_groups();
  if (!groups.ok()) return groups.status();
  const std::string path = position_path(settings_);
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  if (!folder.empty()) {
    if (Status status = context_.input.make_directories(folder); !status.ok()) return status;
  }
  FileFollower::Options options;
  options.name = name();
  options.groups = *std::move(groups);
  options.skip_to_end = settings_.boolean("skipToEnd");
  options.idle_timeout = settings_.duration("idleTimeout");
  options.group_timeout = settings_.duration(multiline_timeout_key.name);
  follower_ = std::make_unique<FileFollower>(std::move(options), context_.input, context_.clock);
  std::vector<FilePosition> known = positions_.read();
  std::erase_if(known, [this](const FilePosition& position) {
    return !directories_.contains(position.path.substr(0, position.path.rfind('/')));
  });
  follower_->restore(std::move(known));
  return {};
}

Result<std::vector<FileGroup>> TaildirSource::read_groups() {
  std::vector<FileGroup> groups;
  for (const std::string& group : settings_.list("filegroups")) {
    for (const auto& [key, path] : settings_.below("filegroups")) {
      const std::size_t slash = path.rfind('/');
      if (key != group || slash == std::string::npos) continue;
      auto pattern = NamePattern::make(path.substr(slash + 1));
      if (!pattern.ok()) return pattern.status().with_context("filegroups." + group);
      groups.push_back({group, absolute_path(path.substr(0, slash)), *std::move(pattern)});
    }
  }
  if (groups.empty()) return Invalid("no group of filegroups has a path with a directory");
  group_names_.clear();
  for (const FileGroup& group : groups) {
    group_names_.push_back(group.name);
    directories_.insert(group.directory);
  }
  return groups;
}

Status TaildirSource::run(std::stop_token stop) {
  Status status;
  while (!stop.stop_requested()) {
    const SteadyTime now = context_.clock.steady();
    const bool due = now >= look_at_ || scan_wanted_ || follower_->wants_scan();
    if (due && now >= scan_at_) scan();
    // The list first: a position that it does not name would not be found after a kill.
    status = update_positions(stop);
    if (!status.ok()) break;
    auto read_some = read_all(stop);
    context_.counters.read_failures.set(follower_->read_failures());
    status = read_some.ok() ? update_positions(stop) : read_some.status();
    if (!status.ok()) break;
    context_.out.retry_refused(stop);
    if (context_.once && !*read_some && caught_up()) break;
    wait(!*read_some, stop);
  }
  return status.code() == Code::Closed ? Status() : status;
}

bool TaildirSource::caught_up() const {
  return !scan_wanted_ && !follower_->wants_scan() && !follower_->holds_back() &&
         follower_->quiet_at().is_never();
}

void TaildirSource::scan() {
  watch_directories();
  scan_wanted_ = false;
  scanned_ = true;
  const SteadyTime before = context_.clock.steady();
  const Status status = follower_->scan();
  const SteadyTime after = context_.clock.steady();
  scan_at_ = after + scan_rest_factor * (after - before);
  // Where the system tells of changes a look is a safety net, worth a quarter percent of a core.
  const SteadyTime::duration rest = look_rest_factor * (after - before);
  look_at_ = after + (watched_ ? std::max<SteadyTime::duration>(look_interval_, rest) : backoff_);
  if (!status.ok() && worth_saying(++scan_failures_)) {
    log::error("{}: {}; it is tried again (failure {})", name(), status.message(), scan_failures_);
  }
}

/// Again at every look: a directory may have been made anew.
void TaildirSource::watch_directories() {
  const bool failed_before = watch_failures_ > 0;
  watched_ = true;
  for (const std::string& directory : directories_) {
    const Status status = watch_->add(directory);
    watched_ = watched_ && status.ok();
    if (!status.ok() && worth_saying(++watch_failures_)) {
      log::warn("{}: {}; meanwhile files are looked at every {} ms (failure {})", name(),
                status.message(), look_interval_.count(), watch_failures_);
    }
  }
  if (!watched_ || !failed_before) return;
  log::info("{}: the system tells of changes in all directories now", name());
  watch_failures_ = 0;
}

/// One turn for each file that has something. True when something was read.
Result<bool> TaildirSource::read_all(const std::stop_token& stop) {
  bool some = false;
  while (FileGeneration* const generation = follower_->next()) {
    if (stop.stop_requested()) return Closed("the agent is stopping");
    // First: a position counts only once the list in the store names its file.
    if (Status status = update_positions(stop); !status.ok()) return status;
    auto read_one = read(*generation, stop);
    if (!read_one.ok()) return read_one.status();
    some = some || *read_one;
    context_.out.retry_refused(stop);
  }
  return some;
}

Result<bool> TaildirSource::read(FileGeneration& generation, const std::stop_token& stop) {
  impose_headers(generation);
  const std::uint64_t before = generation.offset();
  auto turn = lines_.read(generation, generation.end(), stop);
  if (!turn.ok() && turn.code() != Code::Retry) return turn.status();
  if (!turn.ok()) {
    follower_->set_aside(generation, turn.status());
    return false;
  }
  if (turn->at_end) {
    follower_->at_end(generation, turn->looked_to, turn->holds_group);
  } else {
    follower_->read_later(generation);
  }
  return generation.offset() > before;
}

void TaildirSource::impose_headers(FileGeneration& generation) {
  if (!generation.headers.empty()) return;
  std::string block;
  if (settings_.boolean("fileHeader")) {
    append_header(block, settings_.text("fileHeaderKey"), generation.at.path);
  }
  const std::string prefix = group_names_[generation.group] + ".";
  for (const auto& [key, value] : settings_.below("headers")) {
    if (key.starts_with(prefix)) append_header(block, key.substr(prefix.size()), value);
  }
  if (!block.empty()) generation.headers = HeaderBlock(std::move(block));
}

Status TaildirSource::update_positions(const std::stop_token& stop) {
  if (follower_->take_changed()) positions_.files_changed();
  return positions_.update(follower_->generations(), stop);
}

void TaildirSource::wait(bool idle, const std::stop_token& stop) {
  if (!idle) {
    backoff_ = milliseconds(0);
  } else if (std::exchange(scanned_, false)) {
    backoff_ = std::min(backoff_ + settings_.duration("backoffSleepIncrement"), look_interval_);
    if (!watched_) look_at_ = context_.clock.steady() + backoff_;
  }
  milliseconds most = idle ? std::min(housekeeping, look_interval_) : milliseconds(0);
  if (follower_->holds_back()) most = std::min(most, held_back_wait);
  if (follower_->has_symbolic_links()) most = std::min(most, link_wait);
  if (scan_wanted_ || follower_->wants_scan()) most = std::min(most, scan_wait);
  most = follower_->quiet_at().left(most);
  const bool soon = follower_->holds_back() || (idle && follower_->has_symbolic_links());
  const DirectoryWatch::Changes changes = watch_->wait(Deadline::in(most), stop);
  scan_wanted_ = scan_wanted_ || changes.names || soon;
  for (const std::string& path : changes.written) {
    if (!follower_->look_at(path)) scan_wanted_ = true;
  }
}

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<TaildirSource>(settings, context);
}

std::uint64_t window_bytes(const Settings& settings) {
  return window_bytes_default +
         std::max(settings.bytes("maxLineLength"), settings.bytes(multiline_bytes_key.name));
}

}  // namespace

extern const SourceType taildir_source{&info, make, window_bytes};

}  // namespace sluice

// Finished files that are put into a directory, as Flume's spooling directory source takes them.

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/base/wait.h"
#include "sources/avro_file.h"
#include "sources/decompressed_file.h"
#include "sources/file_lines.h"
#include "sources/file_positions.h"
#include "sources/spool_directory.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "spoolDir",
     .type = KeyType::Path,
     .meaning = "The directory. A file in it must be finished: it is put there by a rename, and "
                "its name is never used again.",
     .required = true},
    {.name = "fileSuffix",
     .default_value = ".COMPLETED",
     .meaning = "What the name of a delivered file gets; files that have it are not read."},
    {.name = "deletePolicy",
     .type = KeyType::Choice,
     .default_value = "never",
     .meaning = "immediate removes a delivered file.",
     .choices = "never immediate"},
    {.name = "trackingPolicy",
     .type = KeyType::Choice,
     .default_value = "rename",
     .meaning =
         "tracker_dir leaves a delivered file as it is and makes an empty file in trackerDir "
         "instead, with the same relative path and the suffix.",
     .choices = "rename tracker_dir"},
    {.name = "fileHeader",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Give each event a header with the file's path."},
    {.name = "fileHeaderKey", .default_value = "file", .meaning = "Name of that header."},
    {.name = "basenameHeader",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Give each event a header with the file's name."},
    {.name = "basenameHeaderKey", .default_value = "basename", .meaning = "Name of that header."},
    {.name = "includePattern",
     .default_value = "^.*$",
     .meaning = "A regular expression that the whole name of a file must match."},
    {.name = "ignorePattern",
     .default_value = "^$",
     .meaning = "A regular expression for names of files that are left alone; it wins."},
    {.name = "trackerDir",
     .type = KeyType::Path,
     .default_value = ".flumespool",
     .meaning = "Where positions are kept; a relative path lies below spoolDir."},
    {.name = "consumeOrder",
     .type = KeyType::Choice,
     .default_value = "oldest",
     .meaning = "Which file comes next: by time of the last change, then by name.",
     .choices = "oldest youngest random"},
    {.name = "pollDelay",
     .type = KeyType::Millis,
     .default_value = "500",
     .meaning = "How long to wait before the directory is listed again.",
     .min = 1},
    {.name = "recursiveDirectorySearch",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Read the directories below too, but for those that begin with a point."},
    {.name = "maxBackoff",
     .type = KeyType::Ignored,
     .default_value = "4000",
     .meaning = "While a channel is full the source waits for room and tries nothing meanwhile."},
    {.name = "batchSize",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Flume puts so many lines a transaction; here the lines of every read are put at "
                "once, few or many.",
     .min = 1,
     .max = 1'000'000},
    {.name = "inputCharset",
     .default_value = "UTF-8",
     .meaning = "LINE: the charset of the files, by any name that iconv knows; events are UTF-8. "
                "UTF-8 itself is passed on as it is, unless decodeErrorPolicy is set."},
    {.name = "decodeErrorPolicy",
     .type = KeyType::Choice,
     .default_value = "FAIL",
     .meaning =
         "What becomes of bytes that are no text in inputCharset: FAIL sets the file aside at "
         "the line, REPLACE makes U+FFFD of them, IGNORE leaves them out.",
     .choices = "FAIL REPLACE IGNORE"},
    {.name = "compression",
     .type = KeyType::Choice,
     .default_value = "auto",
     .meaning = "auto reads gzip and zstd files, known by their first bytes, as what is in them; "
                "none as they are. Files for BLOB are read as they are unless the key is set. Not "
                "in Flume.",
     .choices = "auto none"},
    {.name = "deserializer",
     .default_value = "LINE",
     .meaning = "LINE makes an event of each line, AVRO of each record of Avro container files, "
                "BLOB (or the class name of Flume's BlobDeserializer) of each file."},
    {.name = "deserializer.maxLineLength",
     .type = KeyType::Bytes,
     .default_value = "2048",
     .meaning = "LINE: a longer line is cut into events of this size.",
     .min = 1,
     .max = 1 << 30,
     .old_names = "bufferMaxLineLength"},
    {.name = "deserializer.outputCharset",
     .default_value = "UTF-8",
     .meaning = "LINE: UTF-8, or the same as inputCharset, which then passes as it is."},
    {.name = "deserializer.maxBlobLength",
     .type = KeyType::Bytes,
     .default_value = "100000000",
     .meaning = "BLOB: a longer file becomes several events of this size.",
     .min = 1,
     .max = 1 << 30},
    {.name = "deserializer.schemaType",
     .type = KeyType::Choice,
     .default_value = "HASH",
     .meaning = "AVRO: HASH gives each event a header flume.avro.schema.hash with the CRC-64-AVRO "
                "of the schema, LITERAL a header flume.avro.schema.literal with all of it.",
     .choices = "HASH LITERAL"},
    {.name = "deserializer.maxBlockLength",
     .type = KeyType::Bytes,
     .default_value = "64Mi",
     .meaning = "AVRO: a file is set aside at a block that is longer, in the file or decompressed. "
                "Not in Flume.",
     .min = 1,
     .max = 1 << 30},
    {.name = "bufferMaxLines",
     .type = KeyType::Ignored,
     .meaning = "Flume has no use for it either, since 1.4."},
    multiline_start_key,
    multiline_lines_key,
    multiline_bytes_key,
};

constexpr ComponentInfo info{.alias = "spooldir",
                             .class_name = "org.apache.flume.source.SpoolDirectorySource",
                             .meaning = "Reads files that are put into a directory.",
                             .keys = keys,
                             .batch_size_key = "batchSize"};

constexpr milliseconds write_interval{1000};
constexpr std::size_t character_bytes_max = 8;
// While delivered files wait to be put away.
constexpr milliseconds pending_wait{20};

bool is_blob(const Settings& settings) {
  const std::string name = settings.text("deserializer");
  return name == "BLOB" || name.ends_with(".BlobDeserializer$Builder");
}
/// Flume's aliases may be in small letters too.
bool is_deserializer(const Settings& settings, std::string_view alias, std::string_view builder) {
  std::string name = settings.text("deserializer");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name == alias || name.ends_with(builder);
}
bool is_line(const Settings& settings) {
  return is_deserializer(settings, "LINE", ".LINEDESERIALIZER$BUILDER");
}
bool is_avro(const Settings& settings) {
  return is_deserializer(settings, "AVRO", ".AVROEVENTDESERIALIZER$BUILDER");
}

std::string directory_path(const Settings& settings) {
  std::string path = settings.text("spoolDir");
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string tracker_path(const Settings& settings) {
  const std::string path = settings.text("trackerDir");
  return path.starts_with('/') ? path : directory_path(settings) + "/" + path;
}

std::string note_prefix(const Settings& settings) { return "spooldir/" + settings.name() + "/"; }

bool is_same_charset(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

/// Null when bytes pass as they are. Errors: Invalid, the charset is not known.
Result<std::shared_ptr<TextDecoder>> make_decoder(const Settings& settings) {
  const std::string charset = settings.text("inputCharset");
  const bool same = is_same_charset(charset, settings.text("deserializer.outputCharset"));
  // UTF-8 is looked at where somebody has said what shall become of what is none.
  const bool passes = TextDecoder::is_utf8(charset) ? !settings.has("decodeErrorPolicy") : same;
  if (passes || !is_line(settings)) return std::shared_ptr<TextDecoder>();
  const std::string policy = settings.text("decodeErrorPolicy");
  auto decoder = TextDecoder::make(charset, policy == "REPLACE"  ? TextDecoder::OnError::Replace
                                            : policy == "IGNORE" ? TextDecoder::OnError::Ignore
                                                                 : TextDecoder::OnError::Fail);
  if (!decoder.ok()) return decoder.status().with_context("inputCharset");
  return std::shared_ptr<TextDecoder>(*std::move(decoder));
}

FileLines::Options lines_options(const Settings& settings, std::shared_ptr<const LineGroups> groups,
                                 std::shared_ptr<TextDecoder> decoder) {
  FileLines::Options options;
  options.name = settings.component();
  options.note_prefix = note_prefix(settings);
  options.blobs = is_blob(settings);
  options.line_bytes_max = settings.bytes(options.blobs       ? "deserializer.maxBlobLength"
                                          : is_avro(settings) ? "deserializer.maxBlockLength"
                                                              : "deserializer.maxLineLength");
  options.trim_cr = false;
  options.may_be_truncated = false;
  options.groups = std::move(groups);
  options.decoder = std::move(decoder);
  // A character must fit.
  if (options.decoder)
    options.line_bytes_max = std::max(options.line_bytes_max, character_bytes_max);
  return options;
}

class SpooldirSource final : public Source {
 public:
  SpooldirSource(const Settings& settings, const SourceContext& context)
      : settings_(settings),
        context_(context),
        deliveries_(std::make_shared<Deliveries>()),
        groups_(LineGroups::make(settings)),
        decoder_(make_decoder(settings)),
        lines_(lines_options(settings, groups_.ok() ? *groups_ : nullptr,
                             decoder_.ok() ? *decoder_ : nullptr),
               context, deliveries_),
        positions_({settings.component(), note_prefix(settings),
                    tracker_path(settings) + "/sluice-" + settings.name() + "-positions.json",
                    write_interval},
                   context, *deliveries_) {}
  ~SpooldirSource() override {
    if (directory_) positions_.write_last(generations_);
  }

  Status open() override;
  Status run(std::stop_token stop) override;
  void close() override { lines_.close(); }

 private:
  using File = SpoolDirectory::File;

  const std::string& name() const noexcept { return settings_.component(); }
  Result<SpoolDirectory::Options> directory_options() const;
  void warn_of_surprises() const;
  void restore();
  Result<bool> read_all(const std::stop_token& stop);
  Status read(const File& file, const std::stop_token& stop);
  struct Content {
    std::unique_ptr<InputFile> file;
    std::shared_ptr<const AvroSchema> schema;  ///< Null: no Avro.
  };
  Result<Content> open(const std::string& path) const;
  FileGeneration* begin(const File& file);
  FileGeneration& look_at(FileGeneration& generation, const File& file);
  Result<bool> read_to_end(FileGeneration& generation, const std::stop_token& stop);
  HeaderBlock headers_of(const FileGeneration& generation) const;
  FileGeneration& add_fresh(const File& file);
  FileGeneration& add(std::unique_ptr<FileGeneration> generation);
  void remove(std::uint64_t number);
  FileGeneration* find(const FileIdentity& identity) const;
  bool is_under_way(const File& file) const;
  void put_away_delivered();
  void set_aside(const FileGeneration& generation, const Status& why);

  const Settings settings_;
  const SourceContext context_;
  const std::shared_ptr<Deliveries> deliveries_;
  Result<std::shared_ptr<const LineGroups>> groups_;
  Result<std::shared_ptr<TextDecoder>> decoder_;
  FileLines lines_;
  FilePositions positions_;
  std::optional<SpoolDirectory> directory_;
  FilePositions::Generations generations_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> by_inode_;
  std::set<std::uint64_t> read_;  ///< Numbers of files that were read to their end.
  std::set<std::uint64_t> aside_;
  std::uint64_t next_number_ = 1;
  std::uint64_t list_failures_ = 0;
};

Status SpooldirSource::open() {
  if (!is_blob(settings_) && !is_line(settings_) && !is_avro(settings_)) {
    return Invalid("deserializer = " + settings_.text("deserializer") +
                   " is not known here; LINE, AVRO and BLOB are");
  }
  if (!groups_.ok()) return groups_.status();
  if (!decoder_.ok()) return decoder_.status();
  if (*groups_ && !is_line(settings_)) {
    return Invalid("multiline.startPattern joins lines, so it goes with deserializer = LINE only");
  }
  if (!directory_) {
    auto options = directory_options();
    if (!options.ok()) return options.status();
    const bool writes = options->done != SpoolDirectory::Done::Track;
    if (auto look = context_.input.look(options->directory); !look.ok()) {
      return Retry(look.status().message());
    }
    if (writes) {
      if (Status status = context_.files.check_directory(options->directory); !status.ok()) {
        return status;
      }
    }
    const std::string tracker = options->tracker_directory;
    if (Status status = context_.input.make_directories(tracker); !status.ok()) return status;
    directory_.emplace(*std::move(options), context_.input, context_.files);
    warn_of_surprises();
    restore();
  }
  return {};
}

/// Positions of files that are still there; the others were put away.
void SpooldirSource::restore() {
  for (FilePosition& known : positions_.read()) {
    auto look = context_.input.look(known.path);
    if (!look.ok() || look->identity != known.identity) continue;
    auto generation = std::make_unique<FileGeneration>();
    generation->delivered = known.mark;
    generation->at = std::move(known);
    add(std::move(generation));
  }
  positions_.files_changed();
}

Result<SpoolDirectory::Options> SpooldirSource::directory_options() const {
  auto include = NamePattern::make(settings_.text("includePattern"));
  if (!include.ok()) return include.status().with_context("includePattern");
  auto ignore = NamePattern::make(settings_.text("ignorePattern"));
  if (!ignore.ok()) return ignore.status().with_context("ignorePattern");
  SpoolDirectory::Options options{directory_path(settings_), settings_.text("fileSuffix"),
                                  tracker_path(settings_), *std::move(include), *std::move(ignore)};
  const std::string order = settings_.text("consumeOrder");
  if (order == "youngest") options.order = SpoolDirectory::Order::Youngest;
  if (order == "random") options.order = SpoolDirectory::Order::Random;
  if (settings_.text("deletePolicy") == "immediate") {
    options.done = SpoolDirectory::Done::Delete;
  } else if (settings_.text("trackingPolicy") == "tracker_dir") {
    options.done = SpoolDirectory::Done::Track;
  }
  options.recursive = settings_.boolean("recursiveDirectorySearch");
  return options;
}

void SpooldirSource::warn_of_surprises() const {
  const std::string charset = settings_.text("deserializer.outputCharset");
  if (TextDecoder::is_utf8(charset) || is_same_charset(charset, settings_.text("inputCharset"))) {
    return;
  }
  log::warn("{}: deserializer.outputCharset = {} has no effect: events are UTF-8", name(), charset);
}

Status SpooldirSource::run(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable never;
  while (!stop.stop_requested()) {
    auto some = read_all(stop);
    put_away_delivered();
    Status status = some.ok() ? positions_.update(generations_, stop) : some.status();
    if (!status.ok()) return status.code() == Code::Closed ? Status() : status;
    context_.out.retry_refused(stop);
    if (*some) continue;
    if (context_.once && read_.empty()) return {};
    const milliseconds delay = settings_.duration("pollDelay");
    std::unique_lock lock(mutex);
    wait_until(never, lock, Deadline::in(read_.empty() ? delay : std::min(delay, pending_wait)),
               stop, [] { return false; });
  }
  return {};
}

/// Reads every file that is there. True when there was one.
Result<bool> SpooldirSource::read_all(const std::stop_token& stop) {
  auto files = directory_->list();
  if (!files.ok()) {
    if (worth_saying(++list_failures_)) log::error("{}: {}", name(), files.status().message());
    return false;
  }
  const SteadyTime listed = context_.clock.steady();
  bool some = false;
  for (const File& file : *files) {
    if (is_under_way(file)) continue;
    if (stop.stop_requested()) return Closed("the agent is stopping");
    if (Status status = read(file, stop); !status.ok()) return status;
    some = true;
    put_away_delivered();
    // Files that came meanwhile may be before the others in the order.
    const bool old = context_.clock.steady() - listed > settings_.duration("pollDelay");
    if (old && directory_->options().order != SpoolDirectory::Order::Random) break;
  }
  return some;
}

FileGeneration* SpooldirSource::find(const FileIdentity& identity) const {
  const auto number = by_inode_.find({identity.device, identity.inode});
  return number == by_inode_.end() ? nullptr : generations_.at(number->second).get();
}

/// True when it was read to its end, or will not be.
bool SpooldirSource::is_under_way(const File& file) const {
  const FileGeneration* const known = find(file.look.identity);
  return known != nullptr && known->at.identity == file.look.identity &&
         (read_.contains(known->number) || aside_.contains(known->number));
}

Status SpooldirSource::read(const File& file, const std::stop_token& stop) {
  FileGeneration* const generation = begin(file);
  if (generation == nullptr) return {};
  if (Status status = positions_.update(generations_, stop); !status.ok()) return status;
  auto whole = read_to_end(*generation, stop);
  generation->file.reset();
  if (!whole.ok() && whole.code() != Code::Retry && whole.code() != Code::Reject) {
    return whole.status();
  }
  if (whole.ok()) {
    read_.insert(generation->number);
  } else {
    context_.counters.read_failures.add();
    set_aside(*generation, whole.status());
  }
  return {};
}

Result<SpooldirSource::Content> SpooldirSource::open(const std::string& path) const {
  auto file = context_.input.open(path);
  if (!file.ok()) return file.status();
  // Who wants whole files wants them as they are.
  const bool plain = is_blob(settings_) && !settings_.has("compression");
  if (!plain && settings_.text("compression") != "none") {
    file = decompressed_if_compressed(*std::move(file));
    if (!file.ok()) return file.status();
  }
  if (!is_avro(settings_)) return Content{*std::move(file), nullptr};
  auto avro = open_avro_file(*std::move(file), settings_.bytes("deserializer.maxBlockLength"));
  if (!avro.ok()) return avro.status();
  return Content{std::move(avro->datums), std::move(avro->schema)};
}

/// The file at the place where it was left, or at its beginning; null when it has gone, or when it
/// is set aside.
FileGeneration* SpooldirSource::begin(const File& file) {
  auto opened = open(file.path);
  FileGeneration* known = find(file.look.identity);
  if (!opened.ok()) {
    if (opened.code() == Code::Closed) return nullptr;
    if (known == nullptr) known = &add_fresh(file);
    context_.counters.read_failures.add();
    set_aside(look_at(*known, file), opened.status());
    return nullptr;
  }
  if (known != nullptr) {
    // The size of the file says nothing about that of its content.
    const bool same = known->at.identity == file.look.identity &&
                      known->is_in(*opened->file, std::numeric_limits<std::uint64_t>::max());
    known->file = std::move(opened->file);
    known->schema = opened->schema;
    if (same && known->learn().ok()) return &look_at(*known, file);
    opened->file = std::move(known->file);
    remove(known->number);
  }
  FileGeneration& fresh = add_fresh(file);
  fresh.file = std::move(opened->file);
  fresh.schema = std::move(opened->schema);
  return &look_at(fresh, file);
}

FileGeneration& SpooldirSource::add_fresh(const File& file) {
  auto fresh = std::make_unique<FileGeneration>();
  fresh->at.id = random_id();
  fresh->at.identity = file.look.identity;
  return add(std::move(fresh));
}

FileGeneration& SpooldirSource::look_at(FileGeneration& generation, const File& file) {
  generation.at.path = file.path;
  generation.size_seen = file.look.size_bytes;
  generation.modified_seen = file.look.modified_ns;
  generation.headers = headers_of(generation);
  return generation;
}

FileGeneration& SpooldirSource::add(std::unique_ptr<FileGeneration> generation) {
  const FileIdentity& identity = generation->at.identity;
  generation->number = next_number_++;
  by_inode_[{identity.device, identity.inode}] = generation->number;
  positions_.files_changed();
  return *(generations_[generation->number] = std::move(generation));
}

void SpooldirSource::remove(std::uint64_t number) {
  const FileIdentity identity = generations_[number]->at.identity;
  by_inode_.erase({identity.device, identity.inode});
  generations_.erase(number);
  aside_.erase(number);
  deliveries_->forget(number);
  positions_.files_changed();
}

/// Reject: the file has changed since it was opened.
Result<bool> SpooldirSource::read_to_end(FileGeneration& generation, const std::stop_token& stop) {
  const std::uint64_t size_bytes = generation.size_seen;
  FileLines::Turn turn;
  while (!turn.at_end) {
    auto next = lines_.read(generation, InputEnd::Over, stop);
    if (!next.ok()) return next.status();
    turn = *next;
    context_.out.retry_refused(stop);
    if (Status status = positions_.update(generations_, stop); !status.ok()) return status;
  }
  // What seems to be the end may be where it is damaged.
  char beyond = 0;
  if (auto end = generation.file->read_at(turn.looked_to, {&beyond, 1}); !end.ok()) {
    return end.status();
  }
  auto look = generation.file->look();
  if (!look.ok()) return look.status();
  if (look->size_bytes != size_bytes || look->modified_ns != generation.modified_seen) {
    return Reject("it has changed since it was put here (" + std::to_string(size_bytes) +
                  " bytes then, " + std::to_string(look->size_bytes) + " now)");
  }
  return true;
}

HeaderBlock SpooldirSource::headers_of(const FileGeneration& generation) const {
  const std::string& path = generation.at.path;
  std::string block;
  if (settings_.boolean("fileHeader")) append_header(block, settings_.text("fileHeaderKey"), path);
  if (settings_.boolean("basenameHeader")) {
    append_header(block, settings_.text("basenameHeaderKey"), path.substr(path.rfind('/') + 1));
  }
  if (generation.schema && settings_.text("deserializer.schemaType") == "LITERAL") {
    append_header(block, "flume.avro.schema.literal", generation.schema->text());
  } else if (generation.schema) {
    append_header(block, "flume.avro.schema.hash", generation.schema->fingerprint());
  }
  return block.empty() ? HeaderBlock() : HeaderBlock(std::move(block));
}

/// A file is done when all of its events have arrived.
void SpooldirSource::put_away_delivered() {
  for (auto number = read_.begin(); number != read_.end();) {
    if (!deliveries_->idle(*number)) {
      ++number;
      continue;
    }
    const FileGeneration& generation = *generations_[*number];
    if (Status status = directory_->put_away(generation.at.path); status.ok()) {
      remove(*number);
    } else {
      set_aside(generation, status);
    }
    number = read_.erase(number);
  }
}

void SpooldirSource::set_aside(const FileGeneration& generation, const Status& why) {
  aside_.insert(generation.number);
  log::error("{}: {} is set aside until the next start: {}; the other files are read on", name(),
             generation.at.path, why.message());
}

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<SpooldirSource>(settings, context);
}

std::uint64_t window_bytes(const Settings& settings) {
  return window_bytes_default +
         std::max<std::uint64_t>(lines_options(settings, nullptr, nullptr).line_bytes_max,
                                 settings.bytes(multiline_bytes_key.name));
}

}  // namespace

extern const SourceType spooldir_source{&info, make, window_bytes};

}  // namespace sluice

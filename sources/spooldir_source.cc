// Finished files that are put into a directory, as Flume's spooling directory source takes them.

#include <algorithm>
#include <array>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/absolute_path.h"
#include "core/base/backoff.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/base/wait.h"
#include "sources/avro_file.h"
#include "sources/decompressed_file.h"
#include "sources/file_lines.h"
#include "sources/file_positions.h"
#include "sources/flume_tracker.h"
#include "sources/ignored_files.h"
#include "sources/spool_directory.h"
#include "sources/spooldir_settings.h"

namespace sluice {
namespace {

using namespace spooldir;

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
     .meaning = "Give each event a header with the file's absolute path."},
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
     .meaning = "A regular expression for names of files, and of directories below, that are left "
                "alone; it wins."},
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
    {.name = "ignoreExisting",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Read only files that come after the source's first start: what is there then is "
                "left alone for good. Not in Flume."},
    {.name = "recursiveDirectorySearch",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Read the directories below too, but for those that begin with a point and those "
                "that are symbolic links."},
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
// A file that cannot be read, or put away, is tried again after pollDelay, and then more seldom.
constexpr milliseconds held_most{5000};
// A sync for so many files that were put away, or for those of one turn.
constexpr std::size_t put_away_max = 64;
// While delivered files wait to be put away.
constexpr milliseconds pending_wait{20};

/// Errors: Reject, with what has changed.
Status is_as_seen(const FileGeneration& generation, const FileLook& look) {
  const bool same = look.size_bytes == generation.size_compared;
  if (same && look.modified_ns == generation.modified_compared) return {};
  return Reject("it has changed since it was put here (" +
                std::to_string(generation.size_compared) + " bytes then, " +
                std::to_string(look.size_bytes) + " now)");
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
        positions_(
            {settings.component(), note_prefix(settings), position_path(settings), write_interval},
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
  void warn_of_surprises() const;
  Status restore();
  Status adopt_flume_position();
  Status ignore_existing();
  bool decompresses() const;
  Result<bool> read_all(const std::stop_token& stop);
  Result<bool> read(const File& file, const std::stop_token& stop);
  struct Content {
    std::unique_ptr<InputFile> file;
    std::shared_ptr<const AvroSchema> schema;  ///< Null: no Avro.
  };
  Result<Content> open(const std::string& path) const;
  FileGeneration* begin(const File& file);
  Result<bool> is_still(FileGeneration& known);
  void cannot_read(const FileGeneration& generation, const Status& why);
  FileGeneration& look_at(FileGeneration& generation, const File& file);
  Result<bool> read_to_end(FileGeneration& generation, const std::stop_token& stop);
  HeaderBlock headers_of(const FileGeneration& generation) const;
  FileGeneration& add_fresh(const File& file);
  FileGeneration& add(std::unique_ptr<FileGeneration> generation);
  void remove(std::uint64_t number);
  FileGeneration* find(const FileIdentity& identity) const;
  bool is_under_way(const File& file) const;
  bool is_ignored(const File& file) const {
    return ignored_ && ignored_->contains(file.path, file.look.identity);
  }
  void put_away_delivered();
  bool forget_put_away();
  Status put_away(const FileGeneration& generation);
  bool rests(std::uint64_t number) const;
  void hold(const FileGeneration& generation, const Status& why);
  void release(const FileGeneration& generation);
  bool only_held_left() const;
  void set_aside(const FileGeneration& generation, const Status& why);

  const Settings settings_;
  const SourceContext context_;
  const std::shared_ptr<Deliveries> deliveries_;
  Result<std::shared_ptr<const LineGroups>> groups_;
  Result<std::shared_ptr<TextDecoder>> decoder_;
  FileLines lines_;
  FilePositions positions_;
  std::optional<SpoolDirectory> directory_;
  std::optional<IgnoredFiles> ignored_;  ///< With ignoreExisting.
  FilePositions::Generations generations_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> by_inode_;
  std::set<std::uint64_t> read_;  ///< Numbers of files that were read to their end.
  /// Numbers of files that were put away, but might be back after a power cut: their positions
  /// are kept.
  std::set<std::uint64_t> put_away_;
  std::set<std::uint64_t> aside_;
  /// What cannot be read or put away just now, by number.
  struct Held {
    Backoff backoff;
    SteadyTime until{};
    std::uint64_t failures = 0;
  };
  std::map<std::uint64_t, Held> held_;
  std::uint64_t next_number_ = 1;
  std::uint64_t list_failures_ = 0;
  std::uint64_t sync_failures_ = 0;
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
    auto options = directory_options(settings_);
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
    directory_.emplace(*std::move(options), context_.input, context_.files);
    Status status = directory_->make_tracker();
    if (status.ok()) status = restore();
    if (status.ok() && settings_.boolean("ignoreExisting")) status = ignore_existing();
    if (!status.ok()) {
      generations_.clear();
      by_inode_.clear();
      directory_.reset();
      return status;
    }
    warn_of_surprises();
  }
  return {};
}

/// Positions of files that are still to be read; the others were put away. Errors: Retry.
Status SpooldirSource::restore() {
  std::vector<FilePosition> positions = positions_.read();
  const bool first = positions.empty() && !context_.input.look(position_path(settings_)).ok();
  for (FilePosition& known : positions) {
    auto look = context_.input.look(known.path);
    // A device may have another number since the machine was started; bytes are compared later.
    if (look.ok()) known.identity.device = look->identity.device;
    auto put_away = directory_->is_put_away(known.path, known.identity);
    // What cannot be looked at just now is still there.
    if (put_away.ok() && *put_away) continue;
    auto generation = std::make_unique<FileGeneration>();
    generation->delivered = known.mark;
    generation->at = std::move(known);
    add(std::move(generation));
  }
  // The notes of the others go with the first commit.
  if (Status status = directory_->sync(); !status.ok()) return status;
  positions_.files_changed();
  return first ? adopt_flume_position() : Status();
}

/// Flume's own position counts once, when there is none of this source.
Status SpooldirSource::adopt_flume_position() {
  const std::string meta = tracker_path(settings_) + "/" + FlumeTracker::file_name;
  auto tracker = read_flume_tracker(context_.input, meta);
  if (tracker.code() == Code::Retry) return tracker.status();
  const std::string beginning = "; the file that Flume had begun is read from its beginning";
  if (!tracker.ok()) {
    log::error("{}: {} cannot be read: {}{}", name(), meta, tracker.status().message(), beginning);
    return {};
  }
  if (!*tracker || (*tracker)->offset == 0) return {};
  const std::string path = absolute_path((*tracker)->path);
  const std::uint64_t offset = (*tracker)->offset;
  auto file = context_.input.open(path);
  if (file.code() == Code::Closed) return {};
  if (!file.ok()) return file.status();
  std::array<char, 4> first{};
  auto look = (*file)->look();
  auto got = read_held(**file, 0, first);
  if (!look.ok() || !got.ok()) return Retry((look.ok() ? got.status() : look.status()).message());
  // Flume counted the bytes as they lie in the file.
  const bool counts_alike =
      !is_avro(settings_) && !(decompresses() && is_compressed({first.data(), *got}));
  if (!counts_alike || offset > look->size_bytes) {
    log::warn("{}: byte {} of {}, where Flume stopped, is no place in its content{}", name(),
              offset, path, beginning);
    return {};
  }
  auto generation = std::make_unique<FileGeneration>();
  generation->at.id = random_id();
  generation->at.identity = look->identity;
  generation->at.path = path;
  generation->at.mark.offset = generation->delivered.offset = offset;
  add(std::move(generation));
  log::info("{}: {} is read on at byte {}, where Flume stopped", name(), path, offset);
  return {};
}

/// A file whose position is known was begun, and is read on.
Status SpooldirSource::ignore_existing() {
  const std::string path = ignored_path(settings_);
  auto ignored = IgnoredFiles::read(context_.input, path);
  if (ignored.code() == Code::Reject) {
    return Invalid("ignoreExisting: the list of ignored files " + path + " cannot be read: " +
                   ignored.status().message() + "; remove it to ignore what is there now");
  }
  if (ignored.code() == Code::Closed) {
    auto there = directory_->list();
    if (!there.ok()) return there.status();
    std::vector<IgnoredFiles::Entry> entries;
    for (const File& file : *there) {
      const FileGeneration* const known = find(file.look.identity);
      if (known == nullptr || known->at.identity != file.look.identity) {
        entries.push_back({file.path, file.look.identity});
      }
    }
    log::info("{}: {} files that are there are ignored; {} lists them", name(), entries.size(),
              path);
    ignored = IgnoredFiles::write(context_.files, path, std::move(entries));
  }
  if (!ignored.ok()) return Retry(ignored.status().message());
  ignored_ = *std::move(ignored);
  return {};
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
    forget_put_away();
    Status status = some.ok() ? positions_.update(generations_, stop) : some.status();
    if (!status.ok()) return status.code() == Code::Closed ? Status() : status;
    context_.out.retry_refused(stop);
    if (*some) continue;
    const bool none_pends = only_held_left();
    if (context_.once && none_pends) return {};
    const milliseconds delay = settings_.duration("pollDelay");
    std::unique_lock lock(mutex);
    wait_until(never, lock, Deadline::in(none_pends ? delay : std::min(delay, pending_wait)), stop,
               [] { return false; });
  }
  return {};
}

/// Reads every file that is there. True when one was read, or when the others are still to come.
Result<bool> SpooldirSource::read_all(const std::stop_token& stop) {
  auto files = directory_->list();
  if (!files.ok()) {
    if (worth_saying(++list_failures_)) log::error("{}: {}", name(), files.status().message());
    return false;
  }
  const SteadyTime listed = context_.clock.steady();
  bool some = false;
  for (const File& file : *files) {
    if (is_under_way(file) || is_ignored(file)) continue;
    if (stop.stop_requested()) return Closed("the agent is stopping");
    auto read_it = read(file, stop);
    if (!read_it.ok()) return read_it.status();
    some = some || *read_it;
    put_away_delivered();
    // Files that came meanwhile may be before the others in the order.
    const bool old = context_.clock.steady() - listed > settings_.duration("pollDelay");
    if (old && directory_->options().order != SpoolDirectory::Order::Random) return true;
  }
  return some;
}

FileGeneration* SpooldirSource::find(const FileIdentity& identity) const {
  const auto number = by_inode_.find({identity.device, identity.inode});
  return number == by_inode_.end() ? nullptr : generations_.at(number->second).get();
}

/// True when it was read to its end, or will not be now.
bool SpooldirSource::is_under_way(const File& file) const {
  const FileGeneration* const known = find(file.look.identity);
  if (known == nullptr || known->at.identity != file.look.identity) return false;
  const std::uint64_t number = known->number;
  return read_.contains(number) || put_away_.contains(number) || aside_.contains(number) ||
         rests(number);
}

/// True when it was read to its end.
Result<bool> SpooldirSource::read(const File& file, const std::stop_token& stop) {
  FileGeneration* const generation = begin(file);
  if (generation == nullptr) return false;
  if (Status status = positions_.update(generations_, stop); !status.ok()) return status;
  auto whole = read_to_end(*generation, stop);
  generation->file.reset();
  if (!whole.ok() && whole.code() != Code::Retry && whole.code() != Code::Reject) {
    return whole.status();
  }
  if (!whole.ok()) {
    cannot_read(*generation, whole.status());
    return false;
  }
  release(*generation);
  read_.insert(generation->number);
  return true;
}

bool SpooldirSource::decompresses() const {
  // Who wants whole files wants them as they are.
  const bool plain = is_blob(settings_) && !settings_.has("compression");
  return !plain && settings_.text("compression") != "none";
}

Result<SpooldirSource::Content> SpooldirSource::open(const std::string& path) const {
  auto file = context_.input.open(path);
  if (!file.ok()) return file.status();
  if (decompresses()) {
    file = decompressed_if_compressed(*std::move(file));
    if (!file.ok()) return file.status();
  }
  if (!is_avro(settings_)) return Content{*std::move(file), nullptr};
  auto avro = open_avro_file(*std::move(file), settings_.bytes("deserializer.maxBlockLength"));
  if (!avro.ok()) return avro.status();
  return Content{std::move(avro->datums), std::move(avro->schema)};
}

/// The file at the place where it was left, or at its beginning; null when it has gone, or when it
/// is held or set aside.
FileGeneration* SpooldirSource::begin(const File& file) {
  auto opened = open(file.path);
  if (opened.code() == Code::Closed) return nullptr;
  FileGeneration* known = find(file.look.identity);
  if (known != nullptr && put_away_.contains(known->number)) {
    if (!forget_put_away()) return nullptr;
    known = nullptr;
  }
  if (known != nullptr && known->at.identity != file.look.identity) {
    // It has the number of a file that somebody has deleted. What was read of that one is on its
    // way, and arrives.
    remove(known->number);
    known = nullptr;
  }
  if (!opened.ok()) {
    if (known == nullptr) known = &add_fresh(file);
    cannot_read(look_at(*known, file), opened.status());
    return nullptr;
  }
  if (known != nullptr) {
    known->file = std::move(opened->file);
    known->schema = opened->schema;
    auto same = is_still(*known);
    if (same.ok() && *same) return &look_at(*known, file);
    opened->file = std::move(known->file);
    if (!same.ok()) {
      cannot_read(look_at(*known, file), same.status());
      return nullptr;
    }
    remove(known->number);
  }
  FileGeneration& fresh = add_fresh(file);
  fresh.file = std::move(opened->file);
  fresh.schema = std::move(opened->schema);
  return &look_at(fresh, file);
}

/// Errors: Retry, its bytes cannot be compared.
Result<bool> SpooldirSource::is_still(FileGeneration& known) {
  // The size of the file says nothing about that of its content.
  auto same = known.is_in(*known.file, std::numeric_limits<std::uint64_t>::max());
  if (!same.ok() || !*same) return same;
  const Status learned = known.learn();
  if (learned.ok()) return true;
  return learned.code() == Code::Reject ? Result<bool>(false) : learned;
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
  generation.compared_with(file.look);  // size_seen becomes that of the content
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
  const FileIdentity identity = generations_.at(number)->at.identity;
  by_inode_.erase({identity.device, identity.inode});
  generations_.erase(number);
  read_.erase(number);
  put_away_.erase(number);
  aside_.erase(number);
  held_.erase(number);
  deliveries_->forget(number);
  positions_.files_changed();
}

/// Reject: the file has changed since it was opened.
Result<bool> SpooldirSource::read_to_end(FileGeneration& generation, const std::stop_token& stop) {
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
  if (auto end = read_held(*generation.file, turn.looked_to, {&beyond, 1}); !end.ok()) {
    return end.status();
  }
  auto look = generation.file->look();
  if (!look.ok()) return Retry(look.status().message());
  if (Status status = is_as_seen(generation, *look); !status.ok()) return status;
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
  for (auto next = read_.begin(); next != read_.end();) {
    const std::uint64_t number = *next++;  // remove() takes it out of read_
    if (rests(number) || !deliveries_->idle(number)) continue;
    const FileGeneration& generation = *generations_.at(number);
    const Status status = put_away(generation);
    if (status.code() == Code::Retry) {
      hold(generation, status);
    } else if (status.ok()) {
      release(generation);
      read_.erase(number);
      put_away_.insert(number);
    } else {
      set_aside(generation, status);
      read_.erase(number);
    }
  }
  if (put_away_.size() >= put_away_max) forget_put_away();
}

/// The positions of files that were put away go, once no power cut can bring the files back under
/// their names. False: not now.
bool SpooldirSource::forget_put_away() {
  if (put_away_.empty()) return true;
  if (Status status = directory_->sync(); !status.ok()) {
    if (worth_saying(++sync_failures_)) {
      log::error("{}: {}; the positions of {} delivered files are kept meanwhile (failure {})",
                 name(), status.message(), put_away_.size(), sync_failures_);
    }
    return false;
  }
  for (const std::uint64_t number : std::exchange(put_away_, {})) remove(number);
  return true;
}

/// Errors: Retry (the directory cannot be written just now), Reject.
Status SpooldirSource::put_away(const FileGeneration& generation) {
  auto look = context_.input.look(generation.at.path);
  if (look.ok() && look->identity == generation.at.identity) {
    // What was written since it was read has not been read.
    if (Status status = is_as_seen(generation, *look); !status.ok()) return status;
  }
  Status status = directory_->put_away(generation.at.path);
  if (status.ok() || status.code() == Code::Reject) return status;
  // Somebody else may have put it away.
  if (context_.input.look(generation.at.path).code() == Code::Closed) return {};
  return Retry(status.message());
}

/// True while a file that is held need not be tried.
bool SpooldirSource::rests(std::uint64_t number) const {
  const auto held = held_.find(number);
  return held != held_.end() && context_.clock.steady() < held->second.until;
}

/// It keeps its position, or waits delivered to be put away, so nothing of it comes twice.
void SpooldirSource::hold(const FileGeneration& generation, const Status& why) {
  const milliseconds delay = settings_.duration("pollDelay");
  Held& held =
      held_.try_emplace(generation.number, Held{Backoff(delay, std::max(delay, held_most))})
          .first->second;
  held.until = context_.clock.steady() + held.backoff.next();
  if (!worth_saying(++held.failures)) return;
  log::error("{}: {}: {}; it is tried again, the other files are read on (failure {})", name(),
             generation.at.path, why.message(), held.failures);
}

void SpooldirSource::release(const FileGeneration& generation) {
  const auto held = held_.find(generation.number);
  if (held == held_.end()) return;
  log::info("{}: {} is in order again, after {} failures", name(), generation.at.path,
            held->second.failures);
  held_.erase(held);
}

/// True when no delivered file waits to be put away, but for those that cannot be just now.
bool SpooldirSource::only_held_left() const {
  return std::all_of(read_.begin(), read_.end(),
                     [this](std::uint64_t number) { return held_.contains(number); });
}

void SpooldirSource::cannot_read(const FileGeneration& generation, const Status& why) {
  context_.counters.read_failures.add();
  if (why.code() == Code::Retry) {
    hold(generation, why);
  } else {
    set_aside(generation, why);
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

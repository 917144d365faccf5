// Writes events into files of a local directory and begins a new one from time to time.

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <optional>
#include <string>

#include "core/base/log.h"
#include "core/wire/event_text.h"
#include "sinks/bucket_sink.h"
#include "sinks/sink.h"
#include "sinks/text_runs.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "sink.directory",
     .type = KeyType::Path,
     .meaning = "Directory that the files go into; it must exist.",
     .required = true},
    {.name = "sink.rollInterval",
     .type = KeyType::Seconds,
     .default_value = "30",
     .meaning = "Begin a new file after this long; 0 never does. A file without events is kept.",
     .min = 0},
    {.name = "sink.rollSize",
     .type = KeyType::Bytes,
     .default_value = "0",
     .meaning = "Begin a new file once one has this many bytes; 0 never does.",
     .min = 0},
    {.name = "sink.rollCount",
     .type = KeyType::Integer,
     .default_value = "0",
     .meaning = "Begin a new file once one has this many events; 0 never does.",
     .min = 0},
    {.name = "sink.batchSize",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Events a transaction; more are taken at once where they lie together.",
     .min = 1,
     .max = 1'000'000},
    {.name = "sink.serializer",
     .type = KeyType::Choice,
     .default_value = "text",
     .meaning = "How an event becomes text: text (its body) or header_and_text.",
     .choices = "text header_and_text "
                "org.apache.flume.serialization.BodyTextEventSerializer$Builder "
                "org.apache.flume.serialization.HeaderAndBodyTextEventSerializer$Builder",
     .choices_not_built = "avro_event "
                          "org.apache.flume.serialization.FlumeEventAvroEventSerializer$Builder "
                          "org.apache.flume.sink.hdfs.AvroEventSerializer$Builder"},
    {.name = "sink.serializer.appendNewline",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "Put a line feed behind every event."},
    {.name = "sink.pathManager",
     .type = KeyType::Choice,
     .default_value = "DEFAULT",
     .meaning =
         "File names: DEFAULT is start time in ms, a dash and a number; ROLLTIME is the time "
         "of the roll as yyyyMMddHHmmss, a dash and a number.",
     .choices = "DEFAULT ROLLTIME"},
    {.name = "sink.pathManager.prefix",
     .type = KeyType::Text,
     .meaning = "Put in front of every file name."},
    {.name = "sink.pathManager.extension",
     .type = KeyType::Text,
     .meaning = "Put behind every file name, with a dot."},
};

constexpr ComponentInfo info{.alias = "file_roll",
                             .class_name = "org.apache.flume.sink.RollingFileSink",
                             .meaning = "Writes events into files of a local directory.",
                             .keys = keys,
                             .batch_size_key = "sink.batchSize"};

constexpr int name_tries_max = 10'000;

/// Makes file names. DEFAULT counts from its own start, ROLLTIME names the moment.
class FileNames {
 public:
  FileNames(const Settings& settings, const Clock& clock)
      : clock_(clock),
        directory_(settings.text("sink.directory")),
        prefix_(settings.text("sink.pathManager.prefix")),
        extension_(settings.text("sink.pathManager.extension")),
        by_roll_time_(settings.text("sink.pathManager") == "ROLLTIME"),
        start_ms_(clock.wall_ms()) {}

  const std::string& directory() const noexcept { return directory_; }
  std::string next() {
    std::string stamp = std::to_string(start_ms_);
    if (by_roll_time_) {
      const std::time_t seconds = static_cast<std::time_t>(clock_.wall_ms() / 1000);
      stamp = fmt::format("{:%Y%m%d%H%M%S}", fmt::localtime(seconds));
    }
    std::string name = directory_ + "/" + prefix_ + stamp + "-" + std::to_string(++count_);
    if (!extension_.empty()) name += "." + extension_;
    return name;
  }

 private:
  const Clock& clock_;
  const std::string directory_;
  const std::string prefix_;
  const std::string extension_;
  const bool by_roll_time_;
  const std::int64_t start_ms_;
  std::uint64_t count_ = 0;
};

bool writes_headers(const Settings& settings) {
  return settings.text("sink.serializer").find("eader") != std::string::npos;
}

class FileRollSink final : public Sink {
 public:
  FileRollSink(const Settings& settings, SinkContext context)
      : context_(context),
        name_(settings.component()),
        names_(settings, context.clock),
        roll_interval_(settings.duration("sink.rollInterval")),
        roll_bytes_(settings.bytes("sink.rollSize")),
        roll_events_(static_cast<std::uint64_t>(settings.integer("sink.rollCount"))),
        batch_events_(static_cast<std::uint32_t>(settings.integer("sink.batchSize"))),
        with_headers_(writes_headers(settings)),
        line_feeds_(settings.boolean("sink.serializer.appendNewline")) {}

  Status open(const std::stop_token&) override {
    if (Status status = context_.files.check_directory(names_.directory()); !status.ok()) {
      return status;
    }
    return file_ ? Status() : begin_file();
  }

  void deliver(const Batch& batch, std::stop_token, DeliveryDone done) override {
    std::uint32_t written = 0;
    while (written < batch.size()) {
      if (Status status = make_ready(); !status.ok()) {
        return done({.status = std::move(status), .arrived = written});
      }
      const std::uint32_t fit = events_that_fit(batch.size() - written);
      const Batch part = fit == batch.size() ? batch : batch.slice(written, fit);
      if (Status status = write(part); !status.ok()) {
        return done({.status = std::move(status), .arrived = written});
      }
      written += fit;
    }
    done({});
  }

  void tend() override {
    // Time alone begins no file when the last one is still empty: Flume leaves one an interval.
    if (file_ && file_->size_bytes() > 0 && interval_over()) {
      if (Status status = begin_file(); !status.ok()) log::warn("{}: {}", name_, status.message());
    }
  }

  void close() override { file_.reset(); }

  TakeLimit take_limit() const override {
    return {.events_max = batch_events_, .bytes_at_least = stream_bytes_at_least};
  }

 private:
  bool interval_over() const {
    return roll_interval_.count() > 0 && context_.clock.steady() - opened_ >= roll_interval_;
  }
  bool roll_due() const {
    return (file_->size_bytes() > 0 && interval_over()) ||
           (roll_bytes_ > 0 && file_->size_bytes() >= roll_bytes_) ||
           (roll_events_ > 0 && events_in_file_ >= roll_events_);
  }

  /// How many of `events` go into the file that is open: a count that begins files is exact.
  std::uint32_t events_that_fit(std::uint32_t events) const noexcept {
    if (roll_events_ == 0) return events;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(events, roll_events_ - events_in_file_));
  }

  Status make_ready() { return file_ && !roll_due() ? Status() : begin_file(); }

  /// All of the events, or none of them.
  Status write(const Batch& batch) {
    const std::uint64_t good_bytes = file_->size_bytes();
    Status status = file_->append(serialize(batch));
    if (status.ok()) {
      events_in_file_ += batch.size();
    } else if (!file_->truncate(good_bytes).ok()) {
      // The torn tail should have been cut off, so that the retry leaves neither half lines nor
      // doubles. The next write begins a fresh file.
      log::error("{}: {} ends in a torn line and is left as it is", name_, file_->path());
      file_.reset();
    }
    return status;
  }

  Status begin_file() {
    for (int i = 0; i < name_tries_max; ++i) {
      const std::string path = names_.next();
      auto file = context_.files.create(path, false);
      if (!file.ok()) {
        // A name that is taken gets the next number; anything else is not cured by another name.
        if (file.code() == Code::Reject) continue;
        return file.status();
      }
      file_ = *std::move(file);
      opened_ = context_.clock.steady();
      events_in_file_ = 0;
      log::info("{}: writing {}", name_, path);
      return {};
    }
    return Retry("no free file name in " + names_.directory());
  }

  std::span<const iovec> serialize(const Batch& batch) {
    if (!with_headers_ && line_feeds_) return runs_.assign_lines(batch);
    buffer_.clear();
    for (std::uint32_t i = 0; i < batch.size(); ++i) {
      if (with_headers_) {
        append_headers_and_body(buffer_, batch[i]);
      } else {
        buffer_ += batch.body(i);
      }
      if (line_feeds_) buffer_ += '\n';
    }
    whole_ = {buffer_.data(), buffer_.size()};
    return {&whole_, 1};
  }

  const SinkContext context_;
  const std::string name_;
  FileNames names_;
  const milliseconds roll_interval_;
  const std::uint64_t roll_bytes_;
  const std::uint64_t roll_events_;
  const std::uint32_t batch_events_;
  const bool with_headers_;
  const bool line_feeds_;
  std::unique_ptr<OutputFile> file_;
  SteadyTime opened_;
  std::uint64_t events_in_file_ = 0;
  TextRuns runs_;
  std::string buffer_;
  iovec whole_{};
};

/// The one bucket that there is.
Result<std::unique_ptr<BucketPath>> path_to(std::string_view directory) {
  std::string path;
  for (const char c : directory) path += c == '%' ? "%%" : std::string(1, c);
  auto zone = TimeZone::find("UTC");  // no time is told
  if (!zone.ok()) return zone.status();
  return BucketPath::make({.path = std::move(path), .prefix = "", .zone = *std::move(zone)});
}

/// Behind a channel on disk: each line that left it is on the disk, once.
std::unique_ptr<Sink> make_durable(const Settings& settings, const SinkContext& context) {
  const std::string& directory = settings.text("sink.directory");
  auto path = path_to(directory);
  const Status trouble = path.status();
  const bool headers = writes_headers(settings);
  const bool line_feeds = settings.boolean("sink.serializer.appendNewline");
  BucketSinkParts parts{
      .book = make_note_book(*context.committer, "file_roll/" + settings.name() + "/"),
      .path = path.ok() ? *std::move(path) : nullptr,
      .files = {.component = settings.component(),
                .roll_interval = settings.duration("sink.rollInterval"),
                .roll_bytes = settings.bytes("sink.rollSize"),
                .roll_events = static_cast<std::uint64_t>(settings.integer("sink.rollCount")),
                .make_encoder =
                    [headers, line_feeds](const std::string&) {
                      return headers ? make_header_and_text_encoder(line_feeds)
                                     : make_text_encoder(line_feeds);
                    },
                .durable = true,
                .next_name = [names = std::make_shared<FileNames>(
                                  settings, context.clock)] { return names->next(); },
                .make_directories = false,
                .roll_by_file_bytes = true},
      .batch_events = static_cast<std::uint32_t>(settings.integer("sink.batchSize")),
      .trouble = trouble,
      .must_exist = directory};
  return make_bucket_sink(std::move(parts), context);
}

std::unique_ptr<Sink> make(const Settings& settings, SinkContext context) {
  if (context.committer != nullptr) return make_durable(settings, context);
  return std::make_unique<FileRollSink>(settings, context);
}

}  // namespace

extern const SinkType file_roll_sink{&info, make};

}  // namespace sluice

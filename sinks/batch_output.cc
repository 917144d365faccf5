#include "sinks/batch_output.h"

#include <algorithm>
#include <set>
#include <utility>

#include "analytics/result_text.h"
#include "core/base/assert.h"
#include "core/base/fail_point.h"
#include "core/base/time_zone.h"
#include "sinks/doubtful_names.h"
#include "sinks/shown_outputs.h"

namespace sluice {
namespace {

using analytics::BlockStyle;
using analytics::Rows;
using analytics::Tick;

constexpr Key input_key{.name = "input",
                        .type = KeyType::Text,
                        .meaning =
                            "The step whose rows it gets; without it all steps that no "
                            "other step reads."};

constexpr Key print_keys[] = {
    input_key,
    {.name = "style",
     .type = KeyType::Choice,
     .default_value = "scala",
     .meaning = "As Spark prints: print() of Scala and Java, pprint() of Python, or the table of "
                "its console.",
     .choices = "scala python table"},
    {.name = "num",
     .type = KeyType::Integer,
     .default_value = "10",
     .meaning = "Rows of a batch that are printed; 0: all.",
     .min = 0},
    {.name = "timeZone",
     .type = KeyType::Text,
     .meaning = "Of the times that the style python prints; without it the machine's."},
    {.name = "emptyBatches",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "Batches without rows are printed too."},
};

constexpr Key channel_keys[] = {
    input_key,
    {.name = "channel",
     .type = KeyType::Text,
     .meaning = "The channel; any sink may read it.",
     .required = true},
    {.name = "format",
     .type = KeyType::Choice,
     .default_value = "json",
     .meaning = "What the body of an event is: one row.",
     .choices = "json csv text"},
};

constexpr Key file_keys[] = {
    input_key,
    {.name = "prefix",
     .type = KeyType::Path,
     .meaning = "A batch is the file <prefix>-<its time in milliseconds><suffix>.",
     .required = true},
    {.name = "suffix", .type = KeyType::Text, .meaning = "What the names end in."},
    {.name = "format",
     .type = KeyType::Choice,
     .default_value = "text",
     .meaning = "What a line is: one row. csv has a line with the names first.",
     .choices = "json csv text"},
    {.name = "emptyBatches",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Batches without rows are files too, as with Spark."},
};

std::vector<Finding> judge_print(const Settings& settings) {
  const auto zone = TimeZone::find(settings.text("timeZone"));
  if (zone.ok()) return {};
  return {{Severity::Error, "timeZone", zone.status().message(), {}, 0}};
}

constexpr ComponentInfo print_info{.alias = "print",
                                   .meaning = "Prints the first rows of each batch.",
                                   .keys = print_keys,
                                   .judge = judge_print};
constexpr ComponentInfo channel_info{.alias = "channel",
                                     .meaning = "Puts each row into a channel, as an event.",
                                     .keys = channel_keys};
constexpr ComponentInfo file_info{
    .alias = "file", .meaning = "Writes a file a batch.", .keys = file_keys};
constexpr const ComponentInfo* types[] = {&print_info, &channel_info, &file_info, &view_output_info,
                                          &gauges_output_info};

/// Rows as lines or bodies.
class RowFormat {
 public:
  explicit RowFormat(std::string_view name) : csv_(name == "csv"), json_(name == "json") {}
  void append(std::string& out, const Rows& rows, const analytics::Schema& schema,
              std::size_t row) const {
    if (json_) {
      analytics::append_json(out, rows, schema, row);
    } else if (csv_) {
      analytics::append_csv(out, rows, schema, row);
    } else {
      analytics::append_scala(out, rows, schema, row);
    }
  }
  bool csv() const noexcept { return csv_; }

 private:
  const bool csv_;
  const bool json_;
};

class PrintOutput final : public BatchOutput {
 public:
  PrintOutput(const Settings& settings, std::string label, const analytics::Schema& schema,
              std::ostream& out)
      : BatchOutput(std::move(label), schema),
        block_(options_of(settings)),
        empty_too_(settings.boolean("emptyBatches")),
        out_(out) {
    block_.begin(0, 0);
  }

  void end(const Tick& tick, std::uint64_t number) override { block_.name(tick.time_ms, number); }
  void add(const Rows& rows) override {
    has_rows_ = true;
    block_.add(rows, schema());
  }
  std::string take_text() override {
    std::string text;
    if (has_rows_ || (empty_too_ && due())) block_.end(text);
    block_.begin(0, 0);
    has_rows_ = false;
    return text;
  }
  Status deliver(std::string_view text) override {
    out_.write(text.data(), static_cast<std::streamsize>(text.size()));
    out_.flush();
    // Nobody reads any more: what is printed is not data.
    if (!out_) out_.clear();
    return {};
  }

 private:
  static analytics::BlockOptions options_of(const Settings& settings) {
    const std::string style = settings.text("style");
    auto zone = TimeZone::find(settings.text("timeZone"));
    SLUICE_ASSERT(zone.ok(), "judge() let a bad zone through");
    return {.style = style == "python"  ? BlockStyle::Python
                     : style == "table" ? BlockStyle::Table
                                        : BlockStyle::Scala,
            .num = static_cast<std::uint64_t>(settings.integer("num")),
            .zone = *std::move(zone)};
  }

  analytics::ResultBlock block_;
  const bool empty_too_;
  std::ostream& out_;
  bool has_rows_ = false;
};

/// A file a batch, whole or not at all: its text begins with its name.
class FileOutput final : public BatchOutput {
 public:
  FileOutput(const Settings& settings, std::string label, const std::string& branch,
             const analytics::Schema& schema, FileSystem& files)
      : BatchOutput(std::move(label), schema),
        prefix_(settings.text("prefix") + (branch.empty() ? "" : "-" + branch)),
        suffix_(settings.has("suffix") ? settings.text("suffix") : ""),
        format_(settings.text("format")),
        empty_too_(settings.boolean("emptyBatches")),
        files_(files) {}

  void end(const Tick& tick, std::uint64_t /*number*/) override { time_ms_ = tick.time_ms; }
  void add(const Rows& rows) override {
    for (std::uint32_t row = 0; row < rows.size; ++row) {
      format_.append(lines_, rows, schema(), row);
      lines_ += '\n';
    }
  }
  std::string take_text() override {
    if (lines_.empty() && !(empty_too_ && due())) return {};
    std::string text = prefix_ + "-" + std::to_string(time_ms_) + suffix_ + "\n";
    if (format_.csv()) {
      analytics::append_csv_header(text, schema());
      text += '\n';
    }
    return text + std::exchange(lines_, {});
  }
  /// A file of the name that is another's stays; this one gets a number.
  Status deliver(std::string_view text) override {
    const std::size_t end = text.find('\n');
    SLUICE_ASSERT(end != std::string_view::npos, "a file without a name");
    const std::string name(text.substr(0, end));
    const std::string_view content = text.substr(end + 1);
    const std::size_t slash = name.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : name.substr(0, slash + 1);
    if (!std::exchange(doubted_, true)) {
      for (std::string& above : doubtful_above(files_, directory)) {
        unsynced_.insert(std::move(above));
      }
    }
    std::string path = name;
    for (int number = 1;; ++number) {
      auto there = files_.size_of(path);
      if (!there.ok()) return there.status();
      if (!*there) return write(directory, path, content);
      if (**there == content.size()) {
        auto old = files_.read(path, 0, content.size());
        if (!old.ok()) return old.status();
        // Delivered, and then the agent died, or could not sync its name.
        if (*old == content) return sync_names(directory);
      }
      path = name + "." + std::to_string(number);
    }
  }

 private:
  Status write(const std::string& directory, const std::string& path, std::string_view content) {
    auto made = files_.make_path(directory);
    if (!made.ok()) return made.status();
    unsynced_.insert(made->begin(), made->end());
    const std::string unfinished = path + ".tmp";
    if (auto left = files_.size_of(unfinished); left.ok() && *left) {
      if (Status status = files_.remove(unfinished); !status.ok()) return status;
    }
    auto file = files_.create(unfinished, false);
    if (!file.ok()) return Retry(file.status().message());
    const iovec piece{const_cast<char*>(content.data()), content.size()};
    Status status = (*file)->append(std::span(&piece, 1));
    if (status.ok()) status = (*file)->sync();
    fail_point(FailPoint::BatchBeforeRename);
    if (status.ok()) status = files_.rename(unfinished, path);
    if (status.ok()) status = sync_names(directory);
    return status.with_context(path);
  }

  /// Of the file, and of directories that were made for it.
  Status sync_names(const std::string& directory) {
    unsynced_.insert(directory);
    while (!unsynced_.empty()) {
      if (Status status = files_.sync_directory(*unsynced_.begin()); !status.ok()) return status;
      unsynced_.erase(unsynced_.begin());
    }
    return {};
  }

  const std::string prefix_;
  const std::string suffix_;
  const RowFormat format_;
  const bool empty_too_;
  FileSystem& files_;
  bool doubted_ = false;
  std::set<std::string> unsynced_;  ///< Directories in which something was made.
  std::string lines_;
  std::int64_t time_ms_ = 0;
};

class ChannelOutput final : public BatchOutput {
 public:
  ChannelOutput(const Settings& settings, std::string label, const analytics::Schema& schema,
                SlabPool& pool, Channel* channel)
      : BatchOutput(std::move(label), schema),
        format_(settings.text("format")),
        builder_(pool),
        channel_(channel) {}

  Channel* channel() noexcept override { return channel_; }
  void end(const Tick& tick, std::uint64_t /*number*/) override {
    headers_ = HeaderBlock()
                   .with("timestamp", std::to_string(tick.time_ms))
                   .with("mb.batch", std::to_string(tick.time_ms))
                   .with("mb.stage", label());
  }
  void add(const Rows& rows) override {
    for (std::uint32_t row = 0; row < rows.size; ++row) {
      body_.clear();
      format_.append(body_, rows, schema(), row);
      if (builder_.append(body_)) continue;
      seal();
      builder_.renew(body_.size() + 64);
      const bool fits = builder_.append(body_);
      SLUICE_ASSERT(fits, "a fresh slab has no room for an event");
    }
  }
  std::vector<Batch> take_events() override {
    seal();
    builder_.reset();
    for (Batch& batch : sealed_) batch = batch.with_shared_headers(headers_, {});
    return std::exchange(sealed_, {});
  }

 private:
  void seal() {
    Batch batch = builder_.seal();
    if (!batch.empty()) sealed_.push_back(std::move(batch));
  }

  const RowFormat format_;
  BatchBuilder builder_;
  Channel* const channel_;
  HeaderBlock headers_;
  std::string body_;
  std::vector<Batch> sealed_;
};

}  // namespace

std::span<const ComponentInfo* const> batch_output_types() { return types; }

std::unique_ptr<BatchOutput> make_batch_output(const Settings& settings, std::string label,
                                               const OutputInput& input,
                                               const LongReaderContext& context) {
  const ComponentInfo* const type = &settings.info();
  if (type == &print_info) {
    return std::make_unique<PrintOutput>(settings, std::move(label), input.schema, context.out);
  }
  if (type == &file_info) {
    return std::make_unique<FileOutput>(settings, std::move(label), input.branch, input.schema,
                                        context.files);
  }
  if (type == &view_output_info) {
    return make_view_output(settings, std::move(label), input, context.views);
  }
  if (type == &gauges_output_info) {
    return make_gauges_output(settings, std::move(label), input, context.gauges);
  }
  return std::make_unique<ChannelOutput>(settings, std::move(label), input.schema, context.pool,
                                         context.channel_of(settings.text("channel")));
}

}  // namespace sluice

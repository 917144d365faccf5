#include "sinks/shown_outputs.h"

#include <algorithm>
#include <map>
#include <utility>

#include "analytics/characters.h"
#include "analytics/result_text.h"
#include "core/base/assert.h"
#include "core/base/nearest_name.h"
#include "core/metrics/result_gauges.h"
#include "sinks/view_board.h"

namespace sluice {
namespace {

using analytics::ColumnType;
using analytics::Rows;
using analytics::Schema;
using analytics::Tick;

// Whatever events hold: bounds of what one batch may make of them.
constexpr std::size_t view_batch_bytes_max = 1 << 20;
constexpr std::size_t gauges_bytes_max = 4 << 20;  // of labels
constexpr std::size_t label_bytes_max = 1024;

constexpr Key view_keys[] = {
    {.name = "input",
     .type = KeyType::Text,
     .meaning = "The step whose rows it gets; without it all steps that no other step reads, each "
                "with a view of its own."},
    {.name = "num",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Rows of a batch that are shown; how many more there are is said.",
     .min = 1,
     .max = 10'000},
    {.name = "remember",
     .type = KeyType::Millis,
     .default_value = "1m",
     .meaning = "How long batches are kept for the chart; at most 2000 of them, and 8 MiB.",
     .min = 0,
     .max = 86'400'000},
    {.name = "port",
     .type = KeyType::Port,
     .meaning = "A port that has this view and nothing else; without it there is the monitoring "
                "server's."},
    {.name = "bind",
     .type = KeyType::Text,
     .default_value = "127.0.0.1",
     .meaning = "The address of that port. Nobody is asked for a password."},
};

constexpr Key gauges_keys[] = {
    {.name = "input",
     .type = KeyType::Text,
     .meaning = "The step whose rows it gets; without it all steps that no other step reads."},
    {.name = "labels",
     .type = KeyType::List,
     .meaning = "Columns that are labels; without it those that are no numbers. The other columns "
                "of numbers are values."},
    {.name = "num",
     .type = KeyType::Integer,
     .default_value = "1000",
     .meaning = "Rows of a batch that become gauges; the others are counted.",
     .min = 1,
     .max = 100'000},
};

bool is_number(ColumnType type) noexcept {
  return type == ColumnType::Int || type == ColumnType::Double;
}

std::string columns_json(const Schema& schema) {
  std::string json = "[";
  for (const Schema::Field& field : schema.fields()) {
    if (json.size() > 1) json += ',';
    json += "{\"name\":";
    analytics::append_json_text(json, field.name);
    json += ",\"type\":\"" + std::string(analytics::to_string(field.type)) + "\"}";
  }
  return json + "]";
}

/// Its first rows as JSON.
class ViewOutput final : public BatchOutput {
 public:
  ViewOutput(const Settings& settings, std::string label, const OutputInput& input,
             ViewBoard& board)
      : BatchOutput(std::move(label), input.schema),
        num_(static_cast<std::uint64_t>(settings.integer("num"))),
        board_(board),
        view_(board.open({.sink = input.sink,
                          .output = settings.name(),
                          .step = input.branch,
                          .columns_json = columns_json(input.schema),
                          .interval = input.interval,
                          .remember = settings.duration("remember")})) {}

  void end(const Tick& tick, std::uint64_t /*number*/) override { time_ms_ = tick.time_ms; }
  void show() override {
    if (!due()) return;
    ShownBatch batch{time_ms_, "{\"time\":" + std::to_string(time_ms_) + ",\"rows\":["};
    batch.json += rows_ + "],\"left\":" + std::to_string(left_) + "}";
    rows_.clear();
    shown_ = left_ = 0;
    board_.show(*view_, std::move(batch));
  }

 private:
  void add(const Rows& rows) override {
    for (std::uint32_t row = 0; row < rows.size; ++row) {
      if (shown_ == num_ || left_ > 0) {
        ++left_;
        continue;
      }
      const std::size_t before = rows_.size();
      if (before > 0) rows_ += ',';
      analytics::append_json_values(rows_, rows, schema(), row);
      if (rows_.size() <= view_batch_bytes_max) {
        ++shown_;
      } else {
        rows_.resize(before);
        ++left_;
      }
    }
  }

  const std::uint64_t num_;
  ViewBoard& board_;
  const ViewBoard::View view_;
  std::string rows_;
  std::uint64_t shown_ = 0;
  std::uint64_t left_ = 0;  ///< Rows that are not shown.
  std::int64_t time_ms_ = 0;
};

/// As Prometheus wants labels: UTF-8, and no longer than anybody reads.
std::string label_text(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size() && out.size() < label_bytes_max;) {
    const analytics::Character character = analytics::character_at(text, at);
    if (character.valid) {
      out += text.substr(at, character.bytes);
    } else {
      out += "\uFFFD";
    }
    at += character.bytes;
  }
  return out;
}

/// Its rows as figures; of those with the same labels the last one, which of windows is the latest.
class GaugesOutput final : public BatchOutput {
 public:
  GaugesOutput(const Settings& settings, std::string label, const OutputInput& input,
               ResultGauges& gauges)
      : BatchOutput(std::move(label), input.schema),
        num_(static_cast<std::uint64_t>(settings.integer("num"))),
        empty_(named(settings, input)),
        gauges_(gauges),
        figures_(empty_) {}
  void end(const Tick& /*tick*/, std::uint64_t /*number*/) override {}
  void show() override {
    // Those of the last window hold until the next one ends.
    if (!due()) return;
    gauges_.show(std::exchange(figures_, empty_));
    places_.clear();
    bytes_ = 0;
  }

 private:
  /// Without rows; sorts columns into labels_ and values_.
  ResultFigures named(const Settings& settings, const OutputInput& input) {
    std::vector<std::string> label_columns;
    std::vector<std::string> value_columns;
    const auto wanted = settings.list("labels");
    const Schema& schema = input.schema;
    for (std::size_t i = 0; i < schema.size(); ++i) {
      const bool number = is_number(schema[i].type);
      const bool is_label =
          wanted.empty() ? !number : std::count(wanted.begin(), wanted.end(), schema[i].name) > 0;
      if (is_label) {
        labels_.push_back(i);
        label_columns.push_back(schema[i].name);
      } else if (number) {
        values_.push_back(i);
        value_columns.push_back(schema[i].name);
      }
    }
    return {.sink = input.sink,
            .output = settings.name(),
            .step = input.branch,
            .label_names = metric_names(label_columns, {"sink", "output", "step"}),
            .value_names = metric_names(value_columns, {})};
  }

  void add(const Rows& rows) override {
    for (std::uint32_t row = 0; row < rows.size; ++row) {
      ResultFigures::Row figures{labels_of(rows, row), values_of(rows, row)};
      const auto known = places_.find(figures.labels);
      if (known != places_.end()) {
        figures_.rows[known->second] = std::move(figures);
        continue;
      }
      std::size_t bytes = 0;
      for (const std::string& label : figures.labels) bytes += label.size();
      if (figures_.rows.size() == num_ || bytes_ + bytes > gauges_bytes_max) {
        ++figures_.left_out;
        continue;
      }
      bytes_ += bytes;
      places_.emplace(figures.labels, figures_.rows.size());
      figures_.rows.push_back(std::move(figures));
    }
  }
  std::vector<std::string> labels_of(const Rows& rows, std::uint32_t row) const {
    std::vector<std::string> all;
    for (const std::size_t i : labels_) {
      std::string text;
      const bool null = rows.columns[i]->is_null(row);
      if (!null) analytics::append_cell(text, *rows.columns[i], schema()[i].type, row);
      all.push_back(label_text(text));
    }
    return all;
  }
  std::vector<ResultFigures::Value> values_of(const Rows& rows, std::uint32_t row) const {
    std::vector<ResultFigures::Value> all;
    for (const std::size_t i : values_) {
      const analytics::Column& column = *rows.columns[i];
      if (column.is_null(row)) {
        all.emplace_back();
      } else if (schema()[i].type == ColumnType::Int) {
        all.emplace_back(column.cells[row].integer);
      } else {
        all.emplace_back(column.cells[row].real);
      }
    }
    return all;
  }

  const std::uint64_t num_;
  std::vector<std::size_t> labels_;  ///< Columns.
  std::vector<std::size_t> values_;
  const ResultFigures empty_;  ///< With the names.
  ResultGauges& gauges_;
  ResultFigures figures_;                                   ///< Of the open batch.
  std::map<std::vector<std::string>, std::size_t> places_;  ///< In figures_, by labels.
  std::size_t bytes_ = 0;                                   ///< Of labels.
};

}  // namespace

extern const ComponentInfo view_output_info{
    .alias = "view", .meaning = "Shows the latest batches on a page.", .keys = view_keys};
extern const ComponentInfo gauges_output_info{
    .alias = "gauges", .meaning = "Shows the latest batch to Prometheus.", .keys = gauges_keys};

std::vector<Finding> judge_gauges(const Settings& settings, const Schema& schema) {
  const auto labels = settings.list("labels");
  std::vector<std::string_view> names;
  bool has_value = false;
  for (const Schema::Field& field : schema.fields()) {
    names.push_back(field.name);
    const bool is_label = std::count(labels.begin(), labels.end(), field.name) > 0;
    has_value = has_value || (is_number(field.type) && !is_label);
  }
  for (const std::string& label : labels) {
    if (schema.find(label)) continue;
    const std::string_view near = nearest_name(label, names);
    return {{Severity::Error, "labels", "no column is called '" + label + "'",
             near.empty() ? "" : "did you mean '" + std::string(near) + "'?", 0}};
  }
  if (has_value) return {};
  return {{Severity::Error, "type", "the rows have no column of numbers that could be a value",
           "an aggregation counts: agg.n = count()", 0}};
}

std::unique_ptr<BatchOutput> make_view_output(const Settings& settings, std::string label,
                                              const OutputInput& input, ViewBoard& board) {
  return std::make_unique<ViewOutput>(settings, std::move(label), input, board);
}

std::unique_ptr<BatchOutput> make_gauges_output(const Settings& settings, std::string label,
                                                const OutputInput& input, ResultGauges& gauges) {
  return std::make_unique<GaugesOutput>(settings, std::move(label), input, gauges);
}

}  // namespace sluice

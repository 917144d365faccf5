#include "analytics/pipeline_builder.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>
#include <variant>

#include "analytics/aggregate_step.h"
#include "analytics/part_step.h"
#include "analytics/record_parser.h"
#include "analytics/row_steps.h"
#include "analytics/state_step.h"
#include "analytics/word_splitter.h"
#include "core/base/nearest_name.h"

namespace sluice::analytics {
namespace {

std::string key_of(const Settings& step, std::string_view key) {
  return "steps." + step.name() + "." + std::string(key);
}

std::string names_of(const Schema& schema) {
  std::string names;
  for (const Schema::Field& field : schema.fields()) {
    names += (names.empty() ? "" : ", ") + field.name;
  }
  return names;
}

/// An expression does not say whether it looks at headers; a text in it that says so costs little.
bool may_read_headers(std::string_view text, const Schema& schema) {
  constexpr std::string_view word = "header";
  return schema.with_headers() &&
         std::search(text.begin(), text.end(), word.begin(), word.end(),
                     [](char a, char b) { return (a | 0x20) == b; }) != text.end();
}

constexpr std::int64_t panes_max = 10'000;  // of a window

/// Keys that say nothing about what is kept.
bool may_change(std::string_view key) {
  constexpr std::string_view keys[] = {"input",     "maxKeys",  "maxStateBytes", "timeout",
                                       "mode",      "initial",  "delay",         "late",
                                       "updateFor", "maxFuture"};
  return std::find(std::begin(keys), std::end(keys), key) != std::end(keys);
}

/// What tables are made of: the keys, and what the functions keep.
std::string layout_of(const Schema& input, const std::vector<std::size_t>& keys,
                      const std::vector<Aggregate>& aggregates) {
  std::string layout = "\n";
  for (const std::size_t key : keys) {
    layout += input[key].name + ":" + std::string(to_string(input[key].type)) + " ";
  }
  return layout + Aggregates(aggregates).layout();
}

/// Everything that a step was told and that its state depends on, for fingerprints.
std::string told(const Settings& step) {
  std::string all(step.info().alias);
  for (const Key& key : step.info().keys) {
    if (key.name.ends_with(".*")) {
      const std::string_view stem = key.name.substr(0, key.name.size() - 2);
      for (const auto& [name, value] : step.below(stem)) {
        all += "\n" + std::string(stem) + "." + name + "=" + value;
      }
    } else if (step.has(key.name) && !may_change(key.name)) {
      all += "\n" + std::string(key.name) + "=" + step.raw(key.name);
    }
  }
  return all;
}

}  // namespace

void StepBuilder::error(const Settings& step, std::string_view key, std::string message,
                        std::string hint, std::size_t offset) {
  findings_.push_back(
      {Severity::Error, key_of(step, key), std::move(message), std::move(hint), offset});
}

void StepBuilder::warning(const Settings& step, std::string_view key, std::string message,
                          std::string hint) {
  findings_.push_back(
      {Severity::Warning, key_of(step, key), std::move(message), std::move(hint), 0});
}

void StepBuilder::problem(const Settings& step, std::string_view key, const Problem& what,
                          std::size_t offset) {
  error(step, key, what.message, what.hint, offset + what.offset);
}

std::optional<std::size_t> StepBuilder::column(const Settings& step, std::string_view key,
                                               std::string_view name, const Schema& schema) {
  const auto found = schema.find(name);
  if (found) return found;
  std::vector<std::string_view> names;
  for (const Schema::Field& field : schema.fields()) names.push_back(field.name);
  const std::string_view near = nearest_name(name, names);
  error(step, key, "there is no column '" + std::string(name) + "'",
        near.empty() ? "columns here: " + names_of(schema)
                     : "did you mean '" + std::string(near) + "'?");
  return std::nullopt;
}

std::optional<std::size_t> StepBuilder::text_column(const Settings& step, std::string_view key,
                                                    const Schema& schema) {
  const std::string name = step.text(key);
  const auto found = column(step, key, name, schema);
  if (found && schema[*found].type != ColumnType::Text) {
    error(step, key, "the column '" + name + "' is no text");
    return std::nullopt;
  }
  return found;
}

std::optional<Expression> StepBuilder::expression(const Settings& step, const std::string& key,
                                                  std::string_view text, std::size_t offset,
                                                  const Schema& schema) {
  auto compiled = Expression::compile(text, schema);
  if (const auto* wrong = std::get_if<Problem>(&compiled)) {
    problem(step, key, *wrong, offset);
    return std::nullopt;
  }
  return std::get<Expression>(std::move(compiled));
}

std::optional<BuiltStep> StepBuilder::build(const Settings& settings, const StepInput& input) {
  const std::string_view type = settings.info().alias;
  if (type == "parse") return parse(settings, *input.schema);
  if (type == "split") return split(settings, input);
  if (type == "map") return map(settings, *input.schema);
  if (type == "filter" || type == "having") return filter(settings, *input.schema);
  if (type == "aggregate") return aggregate(settings, input);
  if (type == "state") return state(settings, *input.schema);
  return order(settings, *input.schema);
}

// ---- rows

std::optional<BuiltStep> StepBuilder::parse(const Settings& step, const Schema& input) {
  ParseOptions options;
  options.format = step.text("format");
  bool good = true;
  const auto read = [&](const char* key, std::vector<Schema::Field>& fields) {
    auto result = read_fields(step.text(key));
    if (const auto* wrong = std::get_if<Problem>(&result)) {
      problem(step, key, *wrong);
      good = false;
    } else {
      fields = std::get<std::vector<Schema::Field>>(std::move(result));
    }
  };
  if (step.has("fields")) read("fields", options.fields);
  if (step.has("extra")) read("extra", options.extra);
  for (const auto& [name, type] : step.below("extra")) {
    const auto known = column_type(type);
    if (known) {
      options.extra.push_back({name, *known});
    } else {
      error(step, "extra." + name, "no type is called '" + type + "'",
            "types are text, int, double and bool");
      good = false;
    }
  }
  if (step.has("pattern")) options.pattern = step.text("pattern");
  if (const std::string delimiter = step.text("delimiter"); delimiter.size() == 1) {
    options.delimiter = delimiter[0];
  } else {
    error(step, "delimiter", "it must be one character");
    good = false;
  }
  if (step.has("pairSeparator")) options.pair_separator = step.text("pairSeparator");
  options.key_value_separator = step.text("keyValueSeparator");
  ParseStep::Options places{.keep_bad = step.text("onError") == "keep"};
  const auto from = text_column(step, "from", input);
  good = good && from;
  for (const std::string& name : step.list("keep")) {
    const auto kept = column(step, "keep", name, input);
    if (kept) places.kept.push_back(*kept);
    good = good && kept;
  }
  if (!good) return std::nullopt;
  places.column = *from;
  auto parser = RecordParser::make(std::move(options));
  if (const auto* wrong = std::get_if<Problem>(&parser)) {
    problem(step, step.has("fields") ? "fields" : "format", *wrong);
    return std::nullopt;
  }
  auto& made = std::get<std::unique_ptr<RecordParser>>(parser);
  for (const std::size_t kept : places.kept) {
    for (const Schema::Field& field : made->fields()) {
      if (field.name != input[kept].name) continue;
      error(step, "keep", "the record has a field '" + field.name + "' of its own");
      return std::nullopt;
    }
  }
  return BuiltStep{std::make_unique<ParseStep>(input, std::move(places), std::move(made)), {}};
}

std::optional<BuiltStep> StepBuilder::split(const Settings& step, const StepInput& input) {
  const Schema& schema = *input.schema;
  const auto from = text_column(step, "from", schema);
  auto splitter = WordSplitter::make(step.text("on"));
  const std::string as = step.text("as");
  const auto same = schema.find(as);
  if (const auto* wrong = std::get_if<Problem>(&splitter)) {
    problem(step, "on", *wrong);
    return std::nullopt;
  }
  if (!from) return std::nullopt;
  if (same && *same != *from) {
    error(step, "as", "another column is called '" + as + "'");
    return std::nullopt;
  }
  SplitStep::Options options{.column = *from,
                             .as = as,
                             .lower = step.boolean("lower"),
                             .trailing_empty = step.boolean("trailingEmpty")};
  return BuiltStep{
      std::make_unique<SplitStep>(schema, std::move(options),
                                  std::get<WordSplitter>(std::move(splitter)), input.is_events),
      {}};
}

std::optional<BuiltStep> StepBuilder::map(const Settings& step, const Schema& input) {
  Schema work = input;
  std::vector<MapStep::Set> sets;
  for (const auto& [name, text] : step.below("set")) {
    auto value = expression(step, "set." + name, text, 0, work);
    if (!value) return std::nullopt;
    const ColumnType type = value->type();
    const bool events = may_read_headers(text, work);
    sets.push_back({work.set(name, type), *std::move(value), events});
  }
  std::vector<std::string> names;
  for (const Schema::Field& field : work.fields()) names.push_back(field.name);
  for (const auto& [old_name, new_name] : step.below("rename")) {
    const auto found = column(step, "rename." + old_name, old_name, work);
    if (!found) return std::nullopt;
    names[*found] = new_name;
  }
  std::set<std::size_t> dropped;
  for (const std::string& name : step.list("drop")) {
    const auto found = column(step, "drop", name, work);
    if (!found) return std::nullopt;
    dropped.insert(*found);
  }
  std::vector<Schema::Field> fields;
  std::vector<std::size_t> kept;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < work.size(); ++i) {
    if (dropped.contains(i)) continue;
    if (!seen.insert(names[i]).second) {
      error(step, "rename", "two columns would be called '" + names[i] + "'");
      return std::nullopt;
    }
    fields.push_back({names[i], work[i].type});
    kept.push_back(i);
  }
  return BuiltStep{std::make_unique<MapStep>(Schema(std::move(fields), input.with_headers()),
                                             input.size(), std::move(sets), std::move(kept)),
                   {}};
}

std::optional<BuiltStep> StepBuilder::filter(const Settings& step, const Schema& input) {
  const std::string text = step.text("where");
  auto condition = expression(step, "where", text, 0, input);
  if (!condition) return std::nullopt;
  if (condition->type() != ColumnType::Bool) {
    error(step, "where",
          "it is no condition, but of type " + std::string(to_string(condition->type())),
          "compare it with something");
    return std::nullopt;
  }
  return BuiltStep{
      std::make_unique<FilterStep>(input, *std::move(condition), may_read_headers(text, input)),
      {}};
}

// ---- groups

bool StepBuilder::check_window(const Settings& settings) {
  using Names = std::vector<std::string_view>;
  static const std::map<std::string_view, Names> own = {
      {"time",
       {"length", "slide", "offset", "keepZero", "time", "timestamp", "delay", "late", "updateFor",
        "maxFuture"}},
      {"session", {"gap", "time", "timestamp", "delay", "late", "maxFuture"}},
      {"count", {"rows", "slideRows"}}};
  const std::string kind = settings.text("kind");
  const Names& its = own.at(kind);
  for (const auto& [other, keys] : own) {
    for (const std::string_view key : keys) {
      if (!settings.has(key) || std::find(its.begin(), its.end(), key) != its.end()) continue;
      error(settings, key, "it has no meaning for windows of kind " + kind);
      return false;
    }
  }
  if (kind == "session") return check_session(settings);
  if (kind == "count") return check_count(settings);
  return window_of(settings).has_value();
}

bool StepBuilder::check_session(const Settings& settings) {
  if (!settings.has("gap")) {
    error(settings, "gap", "sessions need it: how long a key is silent between two of them",
          "write gap = 30m");
    return false;
  }
  if (settings.text("late") != "update") return true;
  error(settings, "late", "a session that was passed on does not change any more",
        "choose drop, and a longer delay");
  return false;
}

bool StepBuilder::check_count(const Settings& settings) {
  if (!settings.has("rows")) {
    error(settings, "rows", "windows of kind count need it: how many rows of a key one has",
          "write rows = 100");
    return false;
  }
  // Each is put together of its pieces once in slideRows rows.
  constexpr std::int64_t pieces_max = 1000;
  const std::int64_t rows = settings.integer("rows");
  const std::int64_t slide = settings.has("slideRows") ? settings.integer("slideRows") : rows;
  if (rows / std::gcd(rows, slide) <= pieces_max) return true;
  error(settings, "slideRows", "a window would be put together of more than a thousand pieces",
        "choose a larger one that rows is a multiple of");
  return false;
}

std::optional<Window> StepBuilder::window_of(const Settings& settings) {
  Window window;
  if (!settings.has("length")) {
    error(settings, "length", "windows of time need it: how long one is", "write length = 10s");
    return std::nullopt;
  }
  window.length_ms = settings.duration("length").count();
  window.slide_ms = settings.has("slide") ? settings.duration("slide").count() : window.length_ms;
  window.offset_ms = settings.duration("offset").count();
  window.event_time = settings.text("time") == "event";
  window.keep_zero = settings.boolean("keepZero");
  if (window.event_time && window.keep_zero) {
    error(settings, "keepZero", "by event time there are windows only where rows are",
          "leave it out, or choose time = processing");
    return std::nullopt;
  }
  if (window.event_time) {
    window.delay_ms = settings.duration("delay").count();
    window.future_ms = settings.duration("maxFuture").count();
    if (settings.text("late") == "update") {
      window.update_ms =
          settings.has("updateFor") ? settings.duration("updateFor").count() : window.length_ms;
    }
  } else {
    for (const char* key : {"length", "slide", "offset"}) {
      if (!settings.has(key) || settings.duration(key).count() % interval_ms_ == 0) continue;
      error(
          settings, key,
          "it must be a multiple of the batches' interval, " + std::to_string(interval_ms_) + " ms",
          "windows are made of whole batches");
      return std::nullopt;
    }
    window.offset_ms += origin_ms_;
  }
  if (window.length_ms / window.pane_ms() > panes_max) {
    error(settings, "slide",
          "a window would be put together of " +
              std::to_string(window.length_ms / window.pane_ms()) + " pieces",
          "choose a length that is a multiple of the slide, or a longer slide");
    return std::nullopt;
  }
  return window;
}

std::optional<StepBuilder::Grouping> StepBuilder::grouping_of(const Settings& step,
                                                              const Schema& schema) {
  Grouping all;
  std::set<std::string> names;
  for (const std::string& name : step.list("by")) {
    const auto found = column(step, "by", name, schema);
    if (!found) return std::nullopt;
    if (names.insert(name).second) all.keys.push_back(*found);
  }
  for (const auto& [name, text] : step.below("agg")) {
    const std::string key = "agg." + name;
    auto call = read_aggregate(text);
    if (const auto* wrong = std::get_if<Problem>(&call)) {
      problem(step, key, *wrong);
      return std::nullopt;
    }
    Aggregate aggregate{.name = name, .call = std::get<AggregateCall>(std::move(call))};
    AggregateArgument argument;
    if (aggregate.call.has_argument()) {
      argument.value =
          expression(step, key, aggregate.call.argument, aggregate.call.argument_offset, schema);
      if (!argument.value) return std::nullopt;
      argument.reads_events = may_read_headers(aggregate.call.argument, schema);
      aggregate.argument = argument.value->type();
    }
    const auto type = result_type(aggregate.call, aggregate.argument);
    if (const auto* wrong = std::get_if<Problem>(&type)) {
      problem(step, key, *wrong);
      return std::nullopt;
    }
    if (!names.insert(name).second) {
      error(step, key, "a column of 'by' has this name too");
      return std::nullopt;
    }
    all.aggregates.push_back(std::move(aggregate));
    all.arguments.push_back(std::move(argument));
  }
  if (!all.aggregates.empty()) return all;
  error(step, "agg", "it computes nothing", "write agg.n = count()");
  return std::nullopt;
}

std::optional<StepBuilder::RowTime> StepBuilder::row_time(const Settings& window,
                                                          const Schema& schema) {
  RowTime time;
  if (window.text("time") != "event") return time;
  const std::string text = window.text("timestamp");
  time.value = expression(window, "timestamp", text, 0, schema);
  if (!time.value) return std::nullopt;
  time.reads_events = may_read_headers(text, schema);
  if (time.value->type() == ColumnType::Int) return time;
  error(window, "timestamp", "it must be an int: milliseconds since 1970");
  return std::nullopt;
}

std::optional<BuiltStep> StepBuilder::aggregate(const Settings& step, const StepInput& input) {
  const Schema& schema = *input.schema;
  auto grouping = grouping_of(step, schema);
  if (!grouping) return std::nullopt;
  std::string fingerprint;
  if (input.window != nullptr) {
    fingerprint = told(*input.window) + "\n" + told(step) +
                  layout_of(schema, grouping->keys, grouping->aggregates);
    if (input.window->text("kind") != "time") {
      return key_windows(step, input, *std::move(grouping), std::move(fingerprint));
    }
  }
  AggregateStep::Options options{.keys = std::move(grouping->keys),
                                 .keys_max = static_cast<std::size_t>(step.integer("maxKeys")),
                                 .state_bytes_max = step.bytes("maxStateBytes"),
                                 .seed = seed_,
                                 .interval_ms = interval_ms_};
  if (input.window != nullptr) {
    const auto window = window_of(*input.window);
    auto time = row_time(*input.window, schema);
    if (!window || !time) return std::nullopt;
    options.window = *window;
    options.time = std::move(time->value);
    options.time_reads_events = time->reads_events;
  }
  return BuiltStep{
      std::make_unique<AggregateStep>(schema, std::move(options), std::move(grouping->aggregates),
                                      std::move(grouping->arguments)),
      std::move(fingerprint)};
}

/// Windows that each key has of its own.
std::optional<BuiltStep> StepBuilder::key_windows(const Settings& step, const StepInput& input,
                                                  Grouping grouping, std::string fingerprint) {
  const Settings& window = *input.window;
  const PartStep::Options options{.keys = std::move(grouping.keys),
                                  .keys_max = static_cast<std::size_t>(step.integer("maxKeys")),
                                  .state_bytes_max = step.bytes("maxStateBytes"),
                                  .seed = seed_};
  if (window.text("kind") == "count") {
    const auto rows = static_cast<std::uint64_t>(window.integer("rows"));
    const auto slide =
        window.has("slideRows") ? static_cast<std::uint64_t>(window.integer("slideRows")) : rows;
    return BuiltStep{
        std::make_unique<CountStep>(*input.schema, options, rows, slide,
                                    std::move(grouping.aggregates), std::move(grouping.arguments)),
        std::move(fingerprint)};
  }
  auto time = row_time(window, *input.schema);
  if (!time) return std::nullopt;
  SessionStep::Session session{.gap_ms = window.duration("gap").count(),
                               .time = std::move(time->value),
                               .time_reads_events = time->reads_events,
                               .times = {.delay_ms = window.duration("delay").count(),
                                         .future_ms = window.duration("maxFuture").count(),
                                         .interval_ms = interval_ms_}};
  return BuiltStep{
      std::make_unique<SessionStep>(*input.schema, options, std::move(session),
                                    std::move(grouping.aggregates), std::move(grouping.arguments)),
      std::move(fingerprint)};
}

std::optional<BuiltStep> StepBuilder::state(const Settings& step, const Schema& input) {
  StateStep::Options options{.changes_only = step.text("mode") == "changes",
                             .timeout_ms = step.duration("timeout").count(),
                             .keys_max = static_cast<std::size_t>(step.integer("maxKeys")),
                             .state_bytes_max = step.bytes("maxStateBytes"),
                             .seed = seed_};
  std::vector<Aggregate> aggregates;
  std::set<std::size_t> merged;
  for (const auto& [name, function] : step.below("merge")) {
    const std::string key = "merge." + name;
    const auto found = column(step, key, name, input);
    if (!found) return std::nullopt;
    constexpr std::string_view known[] = {"sum", "min", "max", "last", "first"};
    if (std::find(std::begin(known), std::end(known), function) == std::end(known)) {
      error(step, key, "values cannot go together by '" + function + "'",
            "by sum, min, max, last or first; counts go together by sum");
      return std::nullopt;
    }
    auto call = read_aggregate(function + "(x)");
    Aggregate aggregate{name, std::get<AggregateCall>(std::move(call)), input[*found].type};
    const auto type = result_type(aggregate.call, aggregate.argument);
    if (const auto* wrong = std::get_if<Problem>(&type)) {
      error(step, key, wrong->message, wrong->hint);
      return std::nullopt;
    }
    merged.insert(*found);
    options.values.push_back(*found);
    aggregates.push_back(std::move(aggregate));
  }
  if (aggregates.empty()) {
    error(step, "merge", "it keeps nothing", "write merge.n = sum for a column n");
    return std::nullopt;
  }
  for (std::size_t i = 0; i < input.size(); ++i) {
    if (!merged.contains(i)) options.keys.push_back(i);
  }
  std::string fingerprint = told(step) + layout_of(input, options.keys, aggregates);
  // Keys are saved with their times only where one says when to forget them.
  if (options.timeout_ms > 0) fingerprint += "\ntimes";
  return BuiltStep{std::make_unique<StateStep>(input, std::move(options), std::move(aggregates)),
                   std::move(fingerprint)};
}

// ---- order

std::optional<std::vector<TopStep::By>> StepBuilder::order_by(const Settings& step,
                                                              const Schema& schema) {
  std::vector<TopStep::By> order;
  for (const std::string& word : step.list("order")) {
    const bool falling = word.starts_with('-') && !schema.find(word);
    const auto found =
        column(step, "order", std::string_view(word).substr(falling ? 1 : 0), schema);
    if (!found) return std::nullopt;
    order.push_back({*found, falling});
  }
  return order;
}

std::optional<BuiltStep> StepBuilder::order(const Settings& step, const Schema& input) {
  const std::string_view type = step.info().alias;
  if (type == "limit") {
    return BuiltStep{
        std::make_unique<LimitStep>(input, static_cast<std::uint64_t>(step.integer("n"))), {}};
  }
  auto by = order_by(step, input);
  if (!by) return std::nullopt;
  const std::uint64_t most = type == "top" ? static_cast<std::uint64_t>(step.integer("n")) : 0;
  return BuiltStep{
      std::make_unique<TopStep>(input, *std::move(by), most, step.bytes("maxStateBytes")), {}};
}

}  // namespace sluice::analytics

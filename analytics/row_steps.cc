#include "analytics/row_steps.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace sluice::analytics {
namespace {

/// In blocks whose counters are a byte each, which a compiler can keep side by side: std::count()
/// looks at one byte after the other.
std::size_t count_line_feeds(std::string_view text) noexcept {
  constexpr std::size_t wide = 32;
  constexpr std::size_t rounds_max = 255;
  std::size_t found = 0;
  while (text.size() >= wide) {
    std::array<std::uint8_t, wide> counts{};
    const std::size_t rounds = std::min(text.size() / wide, rounds_max);
    for (std::size_t round = 0; round < rounds; ++round) {
      const char* const block = text.data() + round * wide;
      for (std::size_t i = 0; i < wide; ++i) {
        counts[i] = static_cast<std::uint8_t>(counts[i] + (block[i] == '\n' ? 1 : 0));
      }
    }
    found += std::accumulate(counts.begin(), counts.end(), std::size_t{0});
    text.remove_prefix(rounds * wide);
  }
  return found + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// No body has a line feed within it: cut together, the texts are what they are alone.
bool are_lines(const Batch& events) {
  return !events.empty() && events.lines() && count_line_feeds(events.text()) == events.size();
}

/// What a step reads of `inputs` columns, and of the events.
Used nothing(std::size_t inputs) { return Used(inputs + 1, false); }

void read_by(const Expression& expression, bool reads_events, Used& used) {
  for (const std::size_t column : expression.columns()) used[column] = true;
  if (reads_events) used.back() = true;
}

}  // namespace

// ---- parse

ParseStep::ParseStep(const Schema& input, Options options, std::unique_ptr<RecordParser> parser)
    : Step(schema_of(input, options, *parser)),
      options_(std::move(options)),
      inputs_(input.size()),
      parser_(std::move(parser)),
      fields_(parser_->fields().size()),
      bad_records_(AsideRows::bad, input, {options_.column}) {}

Schema ParseStep::schema_of(const Schema& input, const Options& options,
                            const RecordParser& parser) {
  std::vector<Schema::Field> fields = parser.fields();
  for (const std::size_t kept : options.kept) fields.push_back(input[kept]);
  return Schema(std::move(fields), input.with_headers());
}

Used ParseStep::use(const Used& used) {
  Used reads = nothing(inputs_);
  reads[options_.column] = true;
  reads.back() = used.back();
  parser_->need(
      std::vector<bool>(used.begin(), used.begin() + static_cast<std::ptrdiff_t>(fields_.size())));
  out_.columns.assign(schema_.size(), nullptr);
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (used[i]) out_.columns[i] = &fields_[i];
  }
  for (std::size_t i = 0; i < options_.kept.size(); ++i) {
    if (used[fields_.size() + i]) reads[options_.kept[i]] = true;
  }
  return reads;
}

void ParseStep::push(const Rows& rows) {
  arena_.clear();
  parser_->parse(*rows.columns[options_.column], rows.size, fields_, arena_, bad_);
  out_.size = rows.size;
  out_.batch = rows.batch;
  out_.events = rows.events;
  for (std::size_t i = 0; i < options_.kept.size(); ++i) {
    out_.columns[fields_.size() + i] = rows.columns[options_.kept[i]];
  }
  const auto bad = static_cast<std::uint64_t>(
      std::count(bad_.begin(), bad_.begin() + static_cast<std::ptrdiff_t>(rows.size), 1));
  if (bad == 0) return pass(out_);
  bad_count_.fetch_add(bad, std::memory_order_relaxed);
  pass_bad(rows);
  if (options_.keep_bad) return pass(out_);
  std::vector<std::uint32_t> good;
  for (std::uint32_t row = 0; row < rows.size; ++row) {
    if (bad_[row] == 0) good.push_back(row);
  }
  pass(picker_.pick(out_, good));
}

void ParseStep::pass_bad(const Rows& rows) {
  if (bad_records_.next().empty()) return;
  std::vector<std::uint32_t> chosen;
  for (std::uint32_t row = 0; row < rows.size; ++row) {
    if (bad_[row] != 0) chosen.push_back(row);
  }
  bad_records_.pass_on(rows, chosen);
}

void ParseStep::tick(const Tick& tick) {
  bad_records_.tick(tick);
  tick_next(tick);
}

// ---- split

SplitStep::SplitStep(const Schema& input, Options options, WordSplitter splitter,
                     bool input_is_body)
    : Step(schema_of(input, options)),
      options_(std::move(options)),
      inputs_(input.size()),
      place_(options_.column),
      input_is_body_(input_is_body),
      splitter_(std::move(splitter)),
      words_(Rows::chunk),
      columns_(schema_.size()) {}

/// The word takes the place of the text it is from.
Schema SplitStep::schema_of(const Schema& input, const Options& options) {
  std::vector<Schema::Field> fields = input.fields();
  fields[options.column] = {options.as, ColumnType::Text};
  return Schema(std::move(fields), input.with_headers());
}

Used SplitStep::use(const Used& used) {
  used_ = used;
  Used reads = nothing(inputs_);
  reads[options_.column] = true;
  reads.back() = used.back();
  bool word_alone = !used.back();
  for (std::size_t i = 0; i < schema_.size(); ++i) {
    if (i == place_ || !used[i]) continue;
    word_alone = false;
    reads[i] = true;
  }
  takes_events_ = input_is_body_ && word_alone;
  out_.columns.assign(schema_.size(), nullptr);
  for (std::size_t i = 0; i < schema_.size(); ++i) {
    if (used[i] || i == place_) out_.columns[i] = &columns_[i];
  }
  return reads;
}

std::string_view SplitStep::prepared(std::string_view text) {
  if (!options_.lower) return text;
  char* const lower = arena_.room(text.size());
  std::transform(text.begin(), text.end(), lower, [](char each) {
    return static_cast<char>(each >= 'A' && each <= 'Z' ? each + ('a' - 'A') : each);
  });
  return {lower, text.size()};
}

/// All the words of a text, when nothing else belongs to a row.
void SplitStep::cut(WordSplitter::Cursor cursor) {
  Column& words = columns_[place_];
  while (!cursor.done) {
    words.cells.resize(Rows::chunk);
    const char* const from = cursor.at;
    const std::size_t found = splitter_.cut(cursor, words.cells.data(), Rows::chunk);
    // Only of so much text can one word be too long.
    const bool some_long = static_cast<std::size_t>(cursor.at - from) > word_bytes_max;
    for (std::size_t i = 0; some_long && i < found; ++i) {
      words.cells[i].text.bytes = std::min(words.cells[i].text.bytes, word_bytes_max);
    }
    words.cells.resize(found);
    out_.size = static_cast<std::uint32_t>(found);
    pass(out_);
  }
}

void SplitStep::push(const Batch& events) {
  arena_.clear();
  // Lines that stand behind each other are cut in one go, but where each loses what is at its end.
  const bool whole = splitter_.takes_lines() &&
                     (!splitter_.keeps_empty() || (options_.trailing_empty && are_lines(events)));
  out_.batch = nullptr;
  out_.events = nullptr;
  if (whole) {
    events.for_each_text_run([this](std::string_view text, bool lines) {
      const std::string_view ready = prepared(text);
      cut(lines ? WordSplitter::begin_lines(ready) : WordSplitter::begin(ready));
    });
    return;
  }
  Rows rows;
  Column bodies;
  rows.columns.push_back(&bodies);
  for (std::uint32_t i = 0; i < events.size(); ++i) {
    bodies.clear();
    bodies.push_back(Cell::of(events.body(i)));
    rows.size = 1;
    cut_row(rows, 0);
  }
  flush();
}

void SplitStep::push(const Rows& rows) {
  arena_.clear();
  out_.batch = rows.batch;
  for (std::uint32_t row = 0; row < rows.size; ++row) {
    if (!rows.columns[options_.column]->is_null(row)) cut_row(rows, row);
  }
  flush();
}

void SplitStep::cut_row(const Rows& rows, std::uint32_t row) {
  Column& words = columns_[place_];
  auto cursor = WordSplitter::begin(prepared(rows.columns[options_.column]->cells[row].view()));
  std::vector<Cell> all;
  while (!cursor.done) {
    const std::size_t found = splitter_.cut(cursor, words_.data(), words_.size());
    all.insert(all.end(), words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(found));
  }
  // As in Java: nothing behind the last word that is not empty; an empty text has one word all the
  // same.
  if (!options_.trailing_empty && all.size() > 1) {
    while (!all.empty() && all.back().text.bytes == 0) all.pop_back();
  }
  for (Cell word : all) {
    word.text.bytes = std::min(word.text.bytes, word_bytes_max);
    words.push_back(word);
    for (std::size_t i = 0; i < schema_.size(); ++i) {
      if (i == place_ || !used_[i] || rows.columns[i] == nullptr) continue;
      if (rows.columns[i]->is_null(row)) {
        columns_[i].push_null();
      } else {
        columns_[i].push_back(rows.columns[i]->cells[row]);
      }
    }
    if (used_.back() && rows.events != nullptr) events_.push_back(rows.events[row]);
    if (words.cells.size() == Rows::chunk) flush();
  }
}

void SplitStep::flush() {
  out_.size = static_cast<std::uint32_t>(columns_[place_].cells.size());
  out_.events = events_.empty() ? nullptr : events_.data();
  pass(out_);
  for (Column& column : columns_) column.clear();
  events_.clear();
}

// ---- map

MapStep::MapStep(Schema result, std::size_t inputs, std::vector<Set> sets,
                 std::vector<std::size_t> kept)
    : Step(std::move(result)),
      inputs_(inputs),
      sets_(std::move(sets)),
      kept_(std::move(kept)),
      needed_(sets_.size(), false),
      values_(sets_.size()) {}

Used MapStep::use(const Used& used) {
  std::size_t places = inputs_;
  for (const Set& set : sets_) places = std::max(places, set.place + 1);
  Used work(places + 1, false);
  work.back() = used.back();
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    if (used[i]) work[kept_[i]] = true;
  }
  for (std::size_t i = sets_.size(); i-- > 0;) {
    needed_[i] = work[sets_[i].place];
    if (!needed_[i]) continue;
    work[sets_[i].place] = false;
    read_by(sets_[i].value, sets_[i].reads_events, work);
  }
  work_.columns.assign(places, nullptr);
  out_.columns.assign(kept_.size(), nullptr);
  Used reads(work.begin(), work.begin() + static_cast<std::ptrdiff_t>(inputs_));
  reads.push_back(work.back());
  return reads;
}

void MapStep::push(const Rows& rows) {
  arena_.clear();
  work_.size = rows.size;
  work_.batch = rows.batch;
  work_.events = rows.events;
  std::copy(rows.columns.begin(), rows.columns.end(), work_.columns.begin());
  std::fill(work_.columns.begin() + static_cast<std::ptrdiff_t>(inputs_), work_.columns.end(),
            nullptr);
  for (std::size_t i = 0; i < sets_.size(); ++i) {
    if (!needed_[i]) continue;
    sets_[i].value.evaluate(work_, arena_, values_[i]);
    work_.columns[sets_[i].place] = &values_[i];
  }
  out_.size = rows.size;
  out_.batch = rows.batch;
  out_.events = rows.events;
  for (std::size_t i = 0; i < kept_.size(); ++i) out_.columns[i] = work_.columns[kept_[i]];
  pass(out_);
}

// ---- filter

FilterStep::FilterStep(const Schema& input, Expression condition, bool reads_events)
    : Step(input), condition_(std::move(condition)), reads_events_(reads_events) {}

Used FilterStep::use(const Used& used) {
  Used reads = used;
  read_by(condition_, reads_events_, reads);
  return reads;
}

void FilterStep::push(const Rows& rows) {
  arena_.clear();
  rows_.clear();
  condition_.select(rows, arena_, rows_);
  if (rows_.size() == rows.size) return pass(rows);
  if (!rows_.empty()) pass(picker_.pick(rows, rows_));
}

}  // namespace sluice::analytics

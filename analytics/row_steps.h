// Steps that look at each row for itself: parse, split, map, filter.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "analytics/aside_rows.h"
#include "analytics/expression.h"
#include "analytics/record_parser.h"
#include "analytics/row_picker.h"
#include "analytics/step.h"
#include "analytics/word_splitter.h"

namespace sluice::analytics {

/// Reads the text of one column as a record. Its rows have the fields of the record, then the
/// columns that are kept. The text of records that cannot be read is passed on by aside().
class ParseStep final : public Step {
 public:
  struct Options {
    std::size_t column = 0;              ///< Of the input, a text.
    std::vector<std::size_t> kept = {};  ///< Columns of the input.
    bool keep_bad = false;               ///< A bad record is a row of nulls; else it is left out.
  };
  ParseStep(const Schema& input, Options options, std::unique_ptr<RecordParser> parser);

  Used use(const Used& used) override;
  void push(const Rows& rows) override;
  AsideRows* aside() noexcept override { return &bad_records_; }
  void tick(const Tick& tick) override;
  std::vector<LeftOut> left_out() const override { return {{LeftOut::bad, bad_count_}}; }

 private:
  void pass_bad(const Rows& rows);
  static Schema schema_of(const Schema& input, const Options& options, const RecordParser& parser);

  const Options options_;
  const std::size_t inputs_;
  const std::unique_ptr<RecordParser> parser_;
  std::atomic<std::uint64_t> bad_count_{0};
  TextArena arena_;
  std::vector<Column> fields_;
  std::vector<std::uint8_t> bad_;
  Rows out_;
  RowPicker picker_;
  AsideRows bad_records_;
};

/// Makes a row of each word of a text; the other columns are repeated.
class SplitStep final : public Step {
 public:
  struct Options {
    std::size_t column = 0;  ///< Of the input, a text.
    std::string as;          ///< The word; no other column is called so.
    bool lower = false;      ///< A-Z become a-z first.
    bool trailing_empty = true;
  };
  SplitStep(const Schema& input, Options options, WordSplitter splitter, bool input_is_body);

  Used use(const Used& used) override;
  bool takes_events() const noexcept override { return takes_events_; }
  void push(const Rows& rows) override;
  void push(const Batch& events) override;

  static constexpr std::size_t word_bytes_max =
      64 * 1024;  ///< The rest of a longer word is cut off.

 private:
  static Schema schema_of(const Schema& input, const Options& options);
  void cut(WordSplitter::Cursor cursor);
  void cut_row(const Rows& rows, std::uint32_t row);
  std::string_view prepared(std::string_view text);
  void flush();

  const Options options_;
  const std::size_t inputs_;
  const std::size_t place_;  ///< Of the text in the input, and of the word in the schema.
  const bool input_is_body_;
  WordSplitter splitter_;
  bool takes_events_ = false;
  Used used_;
  TextArena arena_;
  std::vector<Cell> words_;
  std::vector<Column> columns_;  ///< By the schema; the word is in one of them.
  std::vector<std::uint32_t> events_;
  Rows out_;
};

/// Adds, replaces, renames and drops columns.
class MapStep final : public Step {
 public:
  struct Set {
    std::size_t place;  ///< In the columns while they are set.
    Expression value;
    bool reads_events = false;
  };
  /// `sets` are evaluated in their order, each sees those before it; `kept` are the columns of the
  /// result: their places in the columns behind all sets.
  MapStep(Schema result, std::size_t inputs, std::vector<Set> sets, std::vector<std::size_t> kept);

  Used use(const Used& used) override;
  void push(const Rows& rows) override;

 private:
  const std::size_t inputs_;
  std::vector<Set> sets_;
  const std::vector<std::size_t> kept_;
  std::vector<bool> needed_;  ///< By set.
  TextArena arena_;
  std::vector<Column> values_;  ///< By set.
  Rows work_;
  Rows out_;
};

/// Rows for which a condition holds; having is the same behind an aggregation.
class FilterStep final : public Step {
 public:
  FilterStep(const Schema& input, Expression condition, bool reads_events);

  Used use(const Used& used) override;
  void push(const Rows& rows) override;

 private:
  Expression condition_;
  const bool reads_events_;
  TextArena arena_;
  std::vector<std::uint32_t> rows_;
  RowPicker picker_;
};

}  // namespace sluice::analytics

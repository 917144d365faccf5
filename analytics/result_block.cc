#include "analytics/result_block.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>
#include <utility>

#include "analytics/result_text.h"

namespace sluice::analytics {
namespace {

constexpr std::string_view rule = "-------------------------------------------\n";  // 43 dashes.

/// Python's str() of the datetime, without a zone, of this moment there.
void append_clock(std::string& out, const TimeZone& zone, std::int64_t time_ms) {
  std::int64_t seconds = time_ms / 1000;
  std::int64_t ms = time_ms % 1000;
  if (ms < 0) {
    ms += 1000;
    --seconds;
  }
  const CivilTime time = zone.at(seconds);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02} {:02}:{:02}:{:02}", time.year,
                 time.month, time.day, time.hour, time.minute, time.second);
  if (ms != 0) fmt::format_to(std::back_inserter(out), ".{:03}000", ms);
}

}  // namespace

ResultBlock::ResultBlock(BlockOptions options) : options_(std::move(options)) {}

void ResultBlock::name(std::int64_t batch_time_ms, std::uint64_t batch_number) {
  batch_time_ms_ = batch_time_ms;
  batch_number_ = batch_number;
}

void ResultBlock::begin(std::int64_t batch_time_ms, std::uint64_t batch_number) {
  name(batch_time_ms, batch_number);
  rows_ = 0;
  more_ = false;
  lines_.clear();
  table_.clear();
}

void ResultBlock::add(const Rows& rows, const Schema& schema) {
  const bool table = options_.style == BlockStyle::Table;
  if (table && !table_.has_columns() && schema.size() != 0) table_.begin(schema);
  for (std::uint32_t row = 0; row < rows.size; ++row) {
    if (options_.num != 0 && rows_ == options_.num) {
      more_ = true;
      return;
    }
    ++rows_;
    if (table) {
      table_.add(rows, schema, row);
      continue;
    }
    if (options_.style == BlockStyle::Scala) {
      append_scala(lines_, rows, schema, row);
    } else {
      append_python(lines_, rows, schema, row);
    }
    lines_ += '\n';
  }
}

void ResultBlock::end(std::string& out) const {
  out += rule;
  append_headline(out);
  out += rule;
  out += lines_;
  if (table_.has_columns()) table_.append_to(out);
  if (more_ && options_.style == BlockStyle::Table) {
    fmt::format_to(std::back_inserter(out), "only showing top {} {}\n", options_.num,
                   options_.num == 1 ? "row" : "rows");
  } else if (more_) {
    out += "...\n";
  }
  out += '\n';
}

void ResultBlock::append_headline(std::string& out) const {
  switch (options_.style) {
    case BlockStyle::Scala:
      fmt::format_to(std::back_inserter(out), "Time: {} ms\n", batch_time_ms_);
      return;
    case BlockStyle::Python:
      out += "Time: ";
      append_clock(out, options_.zone, batch_time_ms_);
      out += '\n';
      return;
    case BlockStyle::Table:
      fmt::format_to(std::back_inserter(out), "Batch: {}\n", batch_number_);
      return;
  }
}

}  // namespace sluice::analytics

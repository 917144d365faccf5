#include "analytics/aside_rows.h"

#include <numeric>
#include <utility>

namespace sluice::analytics {
namespace {

Schema schema_of(const Schema& input, const std::vector<std::size_t>& columns) {
  std::vector<Schema::Field> fields;
  for (const std::size_t column : columns) fields.push_back(input[column]);
  return Schema(std::move(fields), input.with_headers());
}

std::vector<std::size_t> all_of(const Schema& input) {
  std::vector<std::size_t> columns(input.size());
  std::iota(columns.begin(), columns.end(), std::size_t{0});
  return columns;
}

}  // namespace

AsideRows::AsideRows(std::string_view suffix, const Schema& input, std::vector<std::size_t> columns)
    : Step(schema_of(input, columns)), suffix_(suffix), columns_(std::move(columns)) {}

AsideRows::AsideRows(std::string_view suffix, const Schema& input)
    : AsideRows(suffix, input, all_of(input)) {}

void AsideRows::use_input(const Used& used, Used& reads) const {
  for (std::size_t i = 0; i < columns_.size() && i < used.size(); ++i) {
    if (used[i]) reads[columns_[i]] = true;
  }
  if (used.back()) reads.back() = true;
}

void AsideRows::pass_on(const Rows& rows, std::span<const std::uint32_t> chosen) {
  if (next().empty() || chosen.empty()) return;
  const Rows& picked = picker_.pick(rows, chosen);
  out_ = {};
  out_.size = picked.size;
  out_.batch = picked.batch;
  out_.events = picked.events;
  for (const std::size_t column : columns_) out_.columns.push_back(picked.columns[column]);
  pass(out_);
}

}  // namespace sluice::analytics

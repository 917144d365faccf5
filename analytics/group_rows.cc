#include "analytics/group_rows.h"

namespace sluice::analytics {

GroupRows::GroupRows(std::size_t shared, std::size_t keys, std::size_t results)
    : keys_(keys), shared_(shared, 0), columns_(shared + keys + results) {
  for (const Column& column : columns_) rows_.columns.push_back(&column);
}

void GroupRows::share(std::span<const std::int64_t> values) {
  shared_.assign(values.begin(), values.end());
}

/// One result of each is enough to know that most of them are read by nobody.
void GroupRows::leave_out(GroupTable& groups, std::chrono::milliseconds length,
                          const RowBound& bound) {
  const std::size_t result = bound.column - shared_.size() - keys_;
  bound_values_.clear();
  bound_groups_.clear();
  for (const std::size_t i : chosen_) bound_groups_.push_back(groups.group(i));
  groups.finish_result(bound_groups_, result, bound_values_, texts_, length);
  std::size_t kept = 0;
  for (std::size_t row = 0; row < chosen_.size(); ++row) {
    if (bound.excludes(bound_values_.is_null(row), bound_values_.cells[row])) continue;
    chosen_[kept++] = chosen_[row];
  }
  chosen_.resize(kept);
}

const Rows& GroupRows::make(GroupTable& groups, std::chrono::milliseconds length,
                            const std::optional<RowBound>& bound) {
  for (Column& column : columns_) column.clear();
  texts_.clear();
  const std::size_t front = shared_.size() + keys_;
  if (bound && bound->column >= front) leave_out(groups, length, *bound);
  const std::span<Column> columns(columns_);
  for (const std::size_t i : chosen_) {
    for (std::size_t column = 0; column < shared_.size(); ++column) {
      columns_[column].push_back(Cell::of(shared_[column]));
    }
    groups.finish(i, columns.subspan(shared_.size(), keys_), columns.subspan(front), texts_,
                  length);
  }
  rows_.size = static_cast<std::uint32_t>(chosen_.size());
  chosen_.clear();
  return rows_;
}

}  // namespace sluice::analytics

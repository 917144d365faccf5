// Groups as rows: what aggregations pass on.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "analytics/group_table.h"
#include "analytics/row_order.h"
#include "analytics/rows.h"

namespace sluice::analytics {

/// Rows of a chunk of groups: columns that all of them share, then their keys, then their results.
/// One thread.
class GroupRows {
 public:
  GroupRows(std::size_t shared, std::size_t keys, std::size_t results);

  /// What the shared columns say from now on: an int each.
  void share(std::span<const std::int64_t> values);
  /// Adds group i of a table. True: there is a chunk of them.
  bool add(std::size_t i) {
    chosen_.push_back(i);
    return chosen_.size() >= Rows::chunk;
  }
  /// Makes rows of those that were added since, but for those that `bound` excludes. They are valid
  /// until the next call, and as long as the groups.
  const Rows& make(GroupTable& groups, std::chrono::milliseconds length,
                   const std::optional<RowBound>& bound);

 private:
  void leave_out(GroupTable& groups, std::chrono::milliseconds length, const RowBound& bound);

  const std::size_t keys_;
  std::vector<std::int64_t> shared_;
  std::vector<std::size_t> chosen_;
  std::vector<const std::uint64_t*> bound_groups_;
  Column bound_values_;
  std::vector<Column> columns_;
  TextArena texts_;
  Rows rows_;
};

}  // namespace sluice::analytics

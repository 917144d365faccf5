// Some of the rows of a chunk.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analytics/rows.h"

namespace sluice::analytics {

/// Copies the cells of chosen rows together; the texts stay where they are.
class RowPicker {
 public:
  /// Columns of `rows` that are null stay null. Valid until the next call, and as long as `rows`.
  const Rows& pick(const Rows& rows, std::span<const std::uint32_t> chosen);

 private:
  std::vector<Column> columns_;
  std::vector<std::uint32_t> events_;
  Rows picked_;
};

}  // namespace sluice::analytics

// Which of two rows comes first.
#pragma once

#include <cstddef>

#include "analytics/rows.h"

namespace sluice::analytics {

/// Below 0: the first value comes first; above 0: the second does. Falling: large ones come first.
/// Nulls come last in either case; what is no number is above all of them, as in Spark.
int compare_in_order(ColumnType type, bool falling, bool a_null, const Cell& a, bool b_null,
                     const Cell& b) noexcept;

/// Where the rows end that a step has a use for: what comes behind it by one column need not be
/// pushed.
struct RowBound {
  std::size_t column = 0;
  ColumnType type = ColumnType::Int;
  bool falling = false;
  bool with_equal = false;  ///< What equals it comes behind it, too.
  bool is_null = false;
  Cell last = {};  ///< Views a text of the step.

  bool excludes(bool null, const Cell& value) const noexcept {
    const int order = compare_in_order(type, falling, null, value, is_null, last);
    return order > 0 || (with_equal && order == 0);
  }
};

}  // namespace sluice::analytics

#include "analytics/row_order.h"

namespace sluice::analytics {
namespace {

template <typename T>
int compare_values(const T& a, const T& b) noexcept {
  if (a < b) return -1;
  return b < a ? 1 : 0;
}

int compare_cells(ColumnType type, const Cell& a, const Cell& b) noexcept {
  switch (type) {
    case ColumnType::Bool: return compare_values(a.truth, b.truth);
    case ColumnType::Int: return compare_values(a.integer, b.integer);
    case ColumnType::Double: {
      const bool a_is = a.real == a.real;
      const bool b_is = b.real == b.real;
      return a_is && b_is ? compare_values(a.real, b.real) : compare_values(!a_is, !b_is);
    }
    case ColumnType::Text: return a.view().compare(b.view());
  }
  return 0;
}

}  // namespace

int compare_in_order(ColumnType type, bool falling, bool a_null, const Cell& a, bool b_null,
                     const Cell& b) noexcept {
  if (a_null || b_null) return compare_values(a_null, b_null);
  const int order = compare_cells(type, a, b);
  return falling ? -order : order;
}

}  // namespace sluice::analytics

// Bytes as an expression. Whatever they are, a problem lies within them; and what compiles gives
// each row the same value in a chunk, alone, and asked again.

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "analytics/expression.h"
#include "fuzz/byte_file.h"
#include "tests/support/owned_rows.h"

namespace sluice::analytics {
namespace {

Schema schema() {
  return Schema({{"i", ColumnType::Int},
                 {"d", ColumnType::Double},
                 {"t", ColumnType::Text},
                 {"b", ColumnType::Bool}},
                true);
}

/// Seven rows with odd values, and each of their columns null in some of them.
OwnedRows rows() {
  const std::vector<std::string_view> texts{
      "", "a path/course/12", "12", "gr\xc3\xb6\xc3\x9f\x65", "x", "\xff\x80 broken", "%_\\"};
  const std::vector<std::int64_t> ints{0, 1, -1, INT64_MIN, INT64_MAX, 7, 100};
  const std::vector<double> doubles{0.0, -0.0, 1.5, -1e300, 1e-300, NAN, INFINITY};
  OwnedRows made;
  made.size = 7;
  made.columns.resize(4);
  for (std::uint32_t row = 0; row < made.size; ++row) {
    made.columns[0].push_back(Cell::of(ints[row]));
    made.columns[1].push_back(Cell::of(doubles[row]));
    made.columns[2].push_back(Cell::of(texts[row]));
    made.columns[3].push_back(Cell::of(row % 2 == 0));
  }
  for (const auto& [column, row] :
       std::vector<std::pair<std::size_t, std::uint32_t>>{{0, 6}, {1, 2}, {2, 4}, {3, 6}, {3, 5}}) {
    made.columns[column].cells[row] = Cell::of(std::int64_t{0x7b7b7b7b7b7b7b7b});
    made.columns[column].set_null(row);
  }
  return made;
}

OwnedRows only(const OwnedRows& all, std::uint32_t row) {
  OwnedRows made;
  made.size = 1;
  for (const Column& column : all.columns) {
    Column& one = made.columns.emplace_back();
    one.push_back(column.cells[row]);
    if (column.is_null(row)) one.set_null(0);
  }
  return made;
}

bool same(ColumnType type, const Column& a, std::size_t row_a, const Column& b, std::size_t row_b) {
  if (a.is_null(row_a) || b.is_null(row_b)) return a.is_null(row_a) && b.is_null(row_b);
  const Cell& x = a.cells[row_a];
  const Cell& y = b.cells[row_b];
  switch (type) {
    case ColumnType::Bool: return x.truth == y.truth;
    case ColumnType::Int: return x.integer == y.integer;
    case ColumnType::Double: return x.real == y.real || (std::isnan(x.real) && std::isnan(y.real));
    case ColumnType::Text: break;
  }
  return x.view() == y.view();
}

void check(Expression& expression) {
  const OwnedRows all = rows();
  TextArena arena;
  Column out;
  Column again;
  expression.evaluate(all, arena, out);
  expression.evaluate(all, arena, again);
  require(out.cells.size() == all.size, "a cell a row");
  require(out.nulls.empty() || out.nulls.size() == all.size, "nulls of all rows or of none");
  for (std::uint32_t row = 0; row < all.size; ++row) {
    Column alone;
    expression.evaluate(only(all, row), arena, alone);
    require(same(expression.type(), out, row, again, row), "the same when asked again");
    require(same(expression.type(), out, row, alone, 0), "the same alone");
  }
  if (expression.type() != ColumnType::Bool) return;
  std::vector<std::uint32_t> expected;
  for (std::uint32_t row = 0; row < all.size; ++row) {
    if (!out.is_null(row) && out.cells[row].truth) expected.push_back(row);
  }
  std::vector<std::uint32_t> selected;
  expression.select(all, arena, selected);
  require(selected == expected, "selected are those that are true");
}

}  // namespace
}  // namespace sluice::analytics

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::analytics;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto made = Expression::compile(text, schema());
  if (const auto* problem = std::get_if<Problem>(&made)) {
    sluice::require(problem->offset <= size && problem->bytes <= size - problem->offset,
                    "a problem lies within the text");
    sluice::require(!problem->message.empty(), "and says something");
    return 0;
  }
  check(std::get<Expression>(made));
  return 0;
}

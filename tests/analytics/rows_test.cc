#include "analytics/rows.h"

#include <string>

#include "tests/catch.h"

namespace sluice::analytics {
namespace {

TEST_CASE("a column knows which of its cells are null") {
  Column column;
  column.push_back(Cell::of(std::int64_t{7}));
  CHECK_FALSE(column.is_null(0));
  CHECK(column.nulls.empty());
  column.push_null();
  column.push_back(Cell::of(std::int64_t{8}));
  CHECK_FALSE(column.is_null(0));
  CHECK(column.is_null(1));
  CHECK_FALSE(column.is_null(2));
  CHECK(column.cells[2].integer == 8);
  column.set_null(2);
  CHECK(column.is_null(2));
}

TEST_CASE("a schema finds, adds and replaces columns") {
  Schema schema({{"a", ColumnType::Int}, {"b", ColumnType::Text}});
  CHECK(schema.find("b") == 1);
  CHECK_FALSE(schema.find("c"));
  CHECK(schema.set("c", ColumnType::Bool) == 2);
  CHECK(schema.set("a", ColumnType::Double) == 0);
  CHECK(schema[0].type == ColumnType::Double);
  CHECK(column_type("long") == ColumnType::Int);
  CHECK_FALSE(column_type("Long"));
  CHECK(to_string(ColumnType::Double) == "double");
}

TEST_CASE("an arena keeps texts until it is cleared, and memory for the next ones") {
  TextArena arena;
  std::vector<std::string_view> kept;
  for (int i = 0; i < 20000; ++i) kept.push_back(arena.keep("text " + std::to_string(i)));
  const std::string large(300'000, 'x');
  CHECK(arena.keep(large) == large);
  for (int i = 0; i < 20000; ++i) {
    REQUIRE(kept[static_cast<std::size_t>(i)] == "text " + std::to_string(i));
  }
  const std::size_t most = arena.bytes();
  arena.clear();
  CHECK(arena.bytes() == large.size());
  CHECK(arena.bytes() < most);
  CHECK(arena.keep("again") == "again");
  CHECK(arena.bytes() == large.size());
}

}  // namespace
}  // namespace sluice::analytics

// A table drawn with characters, as Spark's Dataset.show() draws it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/rows.h"

namespace sluice::analytics {

/// Rows of cells below the names of their columns, in a frame of +---+ and bars.
///
/// A column is as wide as its widest cell and at least 3; cells stand at its right. A cell of more
/// than 20 characters keeps 17 and ends in "..."; names keep all of theirs. Characters count as
/// Java's chars do: one beyond U+FFFF is two of them. For the width East Asian ones count twice.
/// Control characters with a letter in C are drawn as that (\n), bytes that are not UTF-8 as
/// U+FFFD. Not thread-safe; holds copies; keeps its memory over clear().
class TextTable {
 public:
  /// No columns and no rows.
  void clear() noexcept;
  /// True from begin() to clear().
  bool has_columns() const noexcept { return !widths_.empty(); }
  /// Names the columns. REQUIRES: a schema with fields, and a new or cleared table.
  void begin(const Schema& schema);
  /// Adds a row; see result_text.h on nulls and numbers. REQUIRES: the schema that began.
  void add(const Rows& rows, const Schema& schema, std::size_t row);
  /// Appends the table; every line ends in \n. REQUIRES: has_columns().
  void append_to(std::string& out) const;

 private:
  struct Cell {
    std::size_t end = 0;  ///< Of its text, in text_; it begins where the last one ends.
    std::size_t width = 0;
  };
  void add_cell(std::string_view text, std::size_t characters_max);

  std::string text_;
  std::vector<Cell> cells_;  ///< The names, then row by row.
  std::vector<std::size_t> widths_;
  std::string scratch_;
};

}  // namespace sluice::analytics

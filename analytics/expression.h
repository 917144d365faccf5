// What users write to compute with the columns of rows: `status >= 500 and path like '/course/%'`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <variant>
#include <vector>

#include "analytics/rows.h"

namespace sluice::analytics {

struct ExpressionProgram;

/// A compiled expression; its type and all names are settled, so evaluation cannot fail.
///
/// THE LANGUAGE. Words and names of functions in any case, names of columns as they are.
///
/// - Columns: letters (also beyond ASCII), digits, `_` and dots between: `a.b`. Any other name, and
///   the words of the language, in backticks.
/// - Literals: 12, 1.5, 2e3, 'text', "text", true, false, null. In texts \n \t \r \\ \' \" are
///   escapes; a backslash before anything else stays, so that a regex reads as usual: "\d+".
/// - By falling precedence: `!` and unary `-`; `* / %`; `+ -`; `= == != <> < <= > >=`, `[not] in
///   (...)`, `[not] like`, `is [not] null` (these do not chain); `not`; `and` `&&`; `or` `||`.
/// - Two ints make an int, which wraps around at 64 bits; with a double both become doubles. `/` of
///   ints drops the fraction, as in Scala; by 0 it is null, and so is `%`. Doubles are IEEE's.
/// - Texts compare by their bytes, which is the order of code points. A text and a number do not
///   compare: int(x), double(x) and text(x) convert.
/// - `like`: % is any text, _ one character; a backslash takes their meaning from them.
/// - null is as in SQL: what is computed from it is null, `null and false` is false, `null or true`
///   is true, `x in (1, null)` is true or null.
///
/// Functions; without a word about null, a null among their values makes null:
///
///   if(c, a, b)               b also when c is null
///   coalesce(a, b, ...)       the first that is not null
///   lower(t), upper(t)        see text_functions.h; other than UTF-8 stays as it is
///   len(t)                    in characters; a byte that is not UTF-8 counts as one
///   substr(t, from, count)    from 1 on; below 0 from the end, 0 means 1, as in Spark
///   trim(t)                   without spaces, tabs and line ends around it
///   concat(a, ...)            of any types, as text() writes them
///   startswith(t, x), endswith(t, x), contains(t, x)
///   split_part(t, sep, n)     the nth part, from 1; null beyond the last, and for an empty sep
///   matches(t, 'regex')       the whole text, as Java does; null if it takes too many tries
///   extract(t, 'regex', n)    group n (0: all of it) of the first match; null when there is none
///   pathint(t, prefix)        the digits behind the first such prefix that has some, else null
///   header('x')               of the event of this row; null when it has none
///   int(x)                    of text: null if it is not an integer; of doubles: towards 0, null
///   if
///                             it does not fit; of bool: 1 or 0
///   double(x), float(x)       of text: null if it is no number
///   text(x)                   1, 1.5, 2.0 (shortest that reads back), true
///   hash(a, ...)              0 to 2^63 - 1; the same on every machine and in every version
///   abs(n), round(n), floor(n), ceil(n), min(a, b), max(a, b)
///                             of the type of their numbers; round: halves away from 0
///
/// Thread rule: one thread at a time. Movable; texts of literals stay where they are.
class Expression {
 public:
  static constexpr std::size_t text_bytes_max = 64 * 1024;
  static constexpr std::size_t regex_bytes_max = 4 * 1024;
  static constexpr int nesting_max = 200;          ///< Brackets, `not` and signs within each other.
  static constexpr std::size_t nodes_max = 10000;  ///< Operands and operators.

  /// Compiles `text` for rows of `schema`. The Problem is the first one, placed within `text`.
  static std::variant<Expression, Problem> compile(std::string_view text, const Schema& schema);

  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;
  ~Expression();

  ColumnType type() const noexcept;
  /// The places in the schema of the columns that it reads, ascending: all others may be missing.
  const std::vector<std::size_t>& columns() const noexcept;

  /// Makes `out` the value of each row: out.cells.size() == rows.size.
  ///
  /// Texts are views of what the rows view, of `arena`, or of this object's literals. Warm, for
  /// chunks of one size, it allocates nothing but texts. REQUIRES: rows have the compiled schema;
  /// each column that is read has rows.size cells, and `out` is none of them.
  void evaluate(const Rows& rows, TextArena& arena, Column& out);

  /// Appends the numbers of the rows where it is true; null is not. REQUIRES: type() is Bool, and
  /// what evaluate() requires.
  void select(const Rows& rows, TextArena& arena, std::vector<std::uint32_t>& rows_out);

 private:
  explicit Expression(std::unique_ptr<ExpressionProgram> program) noexcept;
  std::unique_ptr<ExpressionProgram> program_;
};

}  // namespace sluice::analytics

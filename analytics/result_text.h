// One row of a result as text, in the forms that its readers know.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "analytics/rows.h"

namespace sluice::analytics {

// Each function appends one row to `out` and no line end behind it.
// REQUIRES: row < rows.size, and the columns of `rows` are those of `schema`.
// Never fails. Any thread, as long as nobody changes what it is given.

/// What Scala and Java print of a tuple: (hello,1). One column alone is its bare value: hello.
/// null, true, false, doubles as append_java_double() has them; a text's bytes as they are.
void append_scala(std::string& out, const Rows& rows, const Schema& schema, std::size_t row);

/// Python 3's repr() of a tuple: ('hello', 1). One column alone is the repr of its value: 'hello'.
/// A byte that is not UTF-8 is what Python makes of it with "surrogateescape": \udcff.
void append_python(std::string& out, const Rows& rows, const Schema& schema, std::size_t row);

/// A JSON object in one line: {"word":"hello","n":1}. Doubles as append_java_double(), which JSON
/// reads, but null for what is not finite. Bytes that are not UTF-8 become U+FFFD.
void append_json(std::string& out, const Rows& rows, const Schema& schema, std::size_t row);

/// The values alone: ["hello",1]. For JavaScript, whose numbers are doubles: ints beyond 2^53 and
/// doubles that are not finite are texts ("NaN"); the rest as append_json().
void append_json_values(std::string& out, const Rows& rows, const Schema& schema, std::size_t row);
/// A text in its quotes, as append_json() has it.
void append_json_text(std::string& out, std::string_view text);

/// A record of RFC 4180: hello,1. Null is an empty field and an empty text is "", so that they can
/// be told apart; the rest as append_scala(). A field in quotes may hold a line end.
void append_csv(std::string& out, const Rows& rows, const Schema& schema, std::size_t row);
/// The names of the columns, as a record in front of those of append_csv().
void append_csv_header(std::string& out, const Schema& schema);

/// The value of one row in one column, as append_scala() writes it.
void append_cell(std::string& out, const Column& column, ColumnType type, std::size_t row);

/// Java's Double.toString() since JDK 19: 1.0, 1.0E10, -0.0, NaN, Infinity. The fewest digits that
/// read back as the same number (older JDKs sometimes print one more).
void append_java_double(std::string& out, double number);
/// Python's repr() of a float: 1.0, 10000000000.0, 1e+16, nan, inf.
void append_python_double(std::string& out, double number);

}  // namespace sluice::analytics

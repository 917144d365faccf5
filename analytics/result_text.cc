#include "analytics/result_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "analytics/characters.h"

namespace sluice::analytics {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

template <class Integer>
void append_integer(std::string& out, Integer number) {
  std::array<char, 20> buffer;  // "-9223372036854775808"
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  out.append(buffer.data(), end);
}

void append_hex(std::string& out, std::uint32_t number, unsigned digits) {
  for (unsigned shift = 4 * digits; shift != 0; shift -= 4) {
    out += hex_digits[(number >> (shift - 4)) & 0xF];
  }
}

/// The shortest digits of a finite number: d.ddd times ten to the exponent.
class Digits {
 public:
  enum class Least : unsigned char { One, Two };

  /// Two: where one digit would do but two are nearer, those two. Only subnormal numbers are so
  /// coarse; it is what makes Java's least double 4.9E-324 and Python's 5e-324.
  Digits(double number, Least least) {
    write(number, std::chars_format::scientific);
    if (least == Least::Two && count_ == 1 && std::fpclassify(number) == FP_SUBNORMAL) {
      write(number, std::chars_format::scientific, 1);
      if (digits_[1] == '0') count_ = 1;
    }
  }

  int exponent() const noexcept { return exponent_; }
  char first() const noexcept { return digits_[0]; }
  /// All but the first.
  std::string_view rest() const noexcept { return {digits_.data() + 1, count_ - 1}; }

  /// Without an exponent, and with a digit behind the point.
  void append_plain(std::string& out) const {
    const std::string_view all(digits_.data(), count_);
    if (exponent_ < 0) {
      out.append("0.").append(static_cast<std::size_t>(-exponent_ - 1), '0').append(all);
      return;
    }
    const std::size_t whole = static_cast<std::size_t>(exponent_) + 1;
    if (count_ <= whole) {
      out.append(all).append(whole - count_, '0').append(".0");
    } else {
      out.append(all.substr(0, whole)).append(".").append(all.substr(whole));
    }
  }

 private:
  template <class... Precision>
  void write(double number, Precision... precision) {
    std::array<char, 32> buffer;  // "-1.7976931348623157e+308"
    const char* const end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::fabs(number), precision...)
            .ptr;
    count_ = 0;
    const char* at = buffer.data();
    for (; *at != 'e'; ++at) {
      if (*at != '.') digits_[count_++] = *at;
    }
    const char* const exponent = at[1] == '+' ? at + 2 : at + 1;  // from_chars() takes no plus.
    std::from_chars(exponent, end, exponent_);
  }

  std::array<char, 20> digits_{};
  std::size_t count_ = 0;
  int exponent_ = 0;
};

/// "null", "true" and "false" of the readers.
struct Words {
  std::string_view null;
  std::string_view yes;
  std::string_view no;
};
constexpr Words java_words{"null", "true", "false"};
constexpr Words python_words{"None", "True", "False"};

/// One cell; doubles and texts as `append_double` and `append_text` have them.
template <class AppendDouble, class AppendText>
void append_value(std::string& out, const Column& column, ColumnType type, std::size_t row,
                  const Words& words, AppendDouble append_double, AppendText append_text) {
  if (column.is_null(row)) {
    out += words.null;
    return;
  }
  const Cell& cell = column.cells[row];
  switch (type) {
    case ColumnType::Bool: out += cell.truth ? words.yes : words.no; return;
    case ColumnType::Int: append_integer(out, cell.integer); return;
    case ColumnType::Double: append_double(out, cell.real); return;
    case ColumnType::Text: append_text(out, cell.view()); return;
  }
}

/// A character that Python does not print as it is.
void append_python_escape(std::string& out, std::uint32_t code) {
  if (code == '\n') {
    out += "\\n";
  } else if (code == '\r') {
    out += "\\r";
  } else if (code == '\t') {
    out += "\\t";
  } else if (code <= 0xFF) {
    append_hex(out.append("\\x"), code, 2);
  } else if (code <= 0xFFFF) {
    append_hex(out.append("\\u"), code, 4);
  } else {
    append_hex(out.append("\\U"), code, 8);
  }
}

void append_python_text(std::string& out, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out += quote;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    const std::string_view bytes = text.substr(at, character.bytes);
    at += character.bytes;
    if (!character.valid) {
      for (const char byte : bytes) {
        append_python_escape(out, 0xDC00u + static_cast<unsigned char>(byte));
      }
    } else if (bytes[0] == quote || bytes[0] == '\\') {
      out += '\\';
      out += bytes[0];
    } else if (is_printable(character.code)) {
      out += bytes;
    } else {
      append_python_escape(out, character.code);
    }
  }
  out += quote;
}

void append_python_cell(std::string& out, const Column& column, ColumnType type, std::size_t row) {
  append_value(out, column, type, row, python_words, append_python_double, append_python_text);
}

void append_json_escape(std::string& out, char c) {
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: append_hex(out.append("\\u"), static_cast<unsigned char>(c), 4); return;
  }
}

void append_json_double(std::string& out, double number) {
  if (std::isfinite(number)) {
    append_java_double(out, number);
  } else {
    out += java_words.null;
  }
}

void append_csv_text(std::string& out, std::string_view text) {
  if (!text.empty() && text.find_first_of("\",\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

/// Doubles hold every int up to here.
constexpr std::int64_t exact_max = std::int64_t{1} << 53;

}  // namespace

void append_json_text(std::string& out, std::string_view text) {
  out += '"';
  std::size_t done = 0;  // What lies before it is in `out`; most texts go there in one piece.
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    const bool escape = character.code < 0x20 || character.code == '"' || character.code == '\\';
    if (escape || !character.valid) {
      out.append(text.substr(done, at - done));
      if (escape) {
        append_json_escape(out, text[at]);
      } else {
        out += "\uFFFD";
      }
      done = at + character.bytes;
    }
    at += character.bytes;
  }
  out.append(text.substr(done));
  out += '"';
}

void append_java_double(std::string& out, double number) {
  if (std::isnan(number)) {
    out += "NaN";
    return;
  }
  if (std::signbit(number)) out += '-';
  if (std::isinf(number)) {
    out += "Infinity";
    return;
  }
  const Digits digits(number, Digits::Least::Two);
  if (digits.exponent() >= -3 && digits.exponent() < 7) return digits.append_plain(out);
  out += digits.first();
  out += '.';
  out += digits.rest().empty() ? "0" : digits.rest();
  out += 'E';
  append_integer(out, digits.exponent());
}

void append_python_double(std::string& out, double number) {
  if (std::isnan(number)) {
    out += "nan";
    return;
  }
  if (std::signbit(number)) out += '-';
  if (std::isinf(number)) {
    out += "inf";
    return;
  }
  const Digits digits(number, Digits::Least::One);
  if (digits.exponent() >= -4 && digits.exponent() < 16) return digits.append_plain(out);
  out += digits.first();
  if (!digits.rest().empty()) out.append(".").append(digits.rest());
  out += digits.exponent() < 0 ? "e-" : "e+";
  const int exponent = std::abs(digits.exponent());
  if (exponent < 10) out += '0';
  append_integer(out, exponent);
}

void append_cell(std::string& out, const Column& column, ColumnType type, std::size_t row) {
  append_value(out, column, type, row, java_words, append_java_double,
               [](std::string& to, std::string_view text) { to += text; });
}

void append_scala(std::string& out, const Rows& rows, const Schema& schema, std::size_t row) {
  if (schema.size() == 1) return append_cell(out, *rows.columns[0], schema[0].type, row);
  out += '(';
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (i != 0) out += ',';
    append_cell(out, *rows.columns[i], schema[i].type, row);
  }
  out += ')';
}

void append_python(std::string& out, const Rows& rows, const Schema& schema, std::size_t row) {
  // print() of one thing is its str(), which for a text has no quotes; null is None all the same.
  const bool text_alone = schema.size() == 1 && schema[0].type == ColumnType::Text;
  if (text_alone && !rows.columns[0]->is_null(row)) {
    return append_cell(out, *rows.columns[0], schema[0].type, row);
  }
  if (schema.size() == 1) return append_python_cell(out, *rows.columns[0], schema[0].type, row);
  out += '(';
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (i != 0) out += ", ";
    append_python_cell(out, *rows.columns[i], schema[i].type, row);
  }
  out += ')';
}

void append_json(std::string& out, const Rows& rows, const Schema& schema, std::size_t row) {
  out += '{';
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (i != 0) out += ',';
    append_json_text(out, schema[i].name);
    out += ':';
    append_value(out, *rows.columns[i], schema[i].type, row, java_words, append_json_double,
                 append_json_text);
  }
  out += '}';
}

void append_json_values(std::string& out, const Rows& rows, const Schema& schema, std::size_t row) {
  out += '[';
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (i != 0) out += ',';
    const Column& column = *rows.columns[i];
    const ColumnType type = schema[i].type;
    const auto is_exact = [&](const Cell& cell) {
      if (type == ColumnType::Double) return std::isfinite(cell.real);
      return type != ColumnType::Int || (cell.integer <= exact_max && cell.integer >= -exact_max);
    };
    const bool as_text = !column.is_null(row) && !is_exact(column.cells[row]);
    if (as_text) out += '"';
    append_value(out, column, type, row, java_words, append_java_double, append_json_text);
    if (as_text) out += '"';
  }
  out += ']';
}

void append_csv(std::string& out, const Rows& rows, const Schema& schema, std::size_t row) {
  constexpr Words words{"", java_words.yes, java_words.no};
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (i != 0) out += ',';
    append_value(out, *rows.columns[i], schema[i].type, row, words, append_java_double,
                 append_csv_text);
  }
}

void append_csv_header(std::string& out, const Schema& schema) {
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (i != 0) out += ',';
    append_csv_text(out, schema[i].name);
  }
}

}  // namespace sluice::analytics

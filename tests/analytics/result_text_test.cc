#include "analytics/result_text.h"

#include <limits>
#include <string>
#include <string_view>

#include "analytics/characters.h"
#include "tests/catch.h"
#include "tests/support/owned_rows.h"

namespace sluice::analytics {
namespace {

using namespace std::string_literals;

/// Columns of one row each, or a null.
class OneRow {
 public:
  template <class Value>
  OneRow& with(std::string name, ColumnType type, Value value) {
    schema.set(name, type);
    rows.columns.emplace_back().push_back(Cell::of(value));
    rows.size = 1;
    return *this;
  }
  OneRow& text(std::string name, std::string_view value) {
    return with(std::move(name), ColumnType::Text, value);
  }
  OneRow& integer(std::string name, std::int64_t value) {
    return with(std::move(name), ColumnType::Int, value);
  }
  OneRow& real(std::string name, double value) {
    return with(std::move(name), ColumnType::Double, value);
  }
  OneRow& truth(std::string name, bool value) {
    return with(std::move(name), ColumnType::Bool, value);
  }
  OneRow& null(std::string name, ColumnType type) {
    schema.set(name, type);
    rows.columns.emplace_back().push_null();
    rows.size = 1;
    return *this;
  }

  std::string as(void (*append)(std::string&, const Rows&, const Schema&, std::size_t)) const {
    std::string out = "<";  // It is appended, so this stays.
    append(out, rows, schema, 0);
    REQUIRE(out[0] == '<');
    return out.substr(1);
  }
  std::string csv_header() const {
    std::string out;
    append_csv_header(out, schema);
    return out;
  }

  OwnedRows rows;
  Schema schema;
};

std::string java(double number) {
  std::string out;
  append_java_double(out, number);
  return out;
}
std::string python(double number) {
  std::string out;
  append_python_double(out, number);
  return out;
}
/// Within a tuple: alone a text has no quotes.
std::string python(std::string_view text) {
  const std::string out = OneRow().text("t", text).integer("n", 1).as(append_python);
  REQUIRE(out.starts_with('('));
  REQUIRE(out.ends_with(", 1)"));
  return out.substr(1, out.size() - 5);
}
std::string json(std::string_view text) {
  const std::string out = OneRow().text("t", text).as(append_json);
  REQUIRE(out.starts_with("{\"t\":\""));
  REQUIRE(out.ends_with("\"}"));
  return out.substr(6, out.size() - 8);
}
std::string csv(std::string_view text) { return OneRow().text("t", text).as(append_csv); }

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double least = std::numeric_limits<double>::denorm_min();

TEST_CASE("a pair is what its readers print") {
  OneRow pair;
  pair.text("word", "hello").integer("n", 1);
  CHECK(pair.as(append_scala) == "(hello,1)");
  CHECK(pair.as(append_python) == "('hello', 1)");
  CHECK(pair.as(append_json) == R"({"word":"hello","n":1})");
  CHECK(pair.as(append_json_values) == R"(["hello",1])");
  CHECK(pair.as(append_csv) == "hello,1");
  CHECK(pair.csv_header() == "word,n");
}

TEST_CASE("one column alone is no tuple") {
  OneRow word;
  word.text("word", "hello");
  CHECK(word.as(append_scala) == "hello");
  CHECK(word.as(append_python) == "hello");
  CHECK(word.as(append_json) == R"({"word":"hello"})");
  CHECK(word.as(append_csv) == "hello");
  CHECK(word.csv_header() == "word");

  OneRow number;
  number.real("x", 2);
  CHECK(number.as(append_scala) == "2.0");
  CHECK(number.as(append_python) == "2.0");
}

TEST_CASE("every type has its text, and null too") {
  OneRow row;
  row.text("a", "x").truth("b", true).truth("c", false).real("d", 1e10).integer("e", -7);
  CHECK(row.as(append_scala) == "(x,true,false,1.0E10,-7)");
  CHECK(row.as(append_python) == "('x', True, False, 10000000000.0, -7)");
  CHECK(row.as(append_json) == R"({"a":"x","b":true,"c":false,"d":1.0E10,"e":-7})");
  CHECK(row.as(append_csv) == "x,true,false,1.0E10,-7");

  OneRow nulls;
  nulls.null("a", ColumnType::Text).null("b", ColumnType::Bool).null("c", ColumnType::Int);
  nulls.null("d", ColumnType::Double);
  CHECK(nulls.as(append_scala) == "(null,null,null,null)");
  CHECK(nulls.as(append_python) == "(None, None, None, None)");
  CHECK(nulls.as(append_json) == R"({"a":null,"b":null,"c":null,"d":null})");
  CHECK(nulls.as(append_csv) == ",,,");
  CHECK(OneRow().null("a", ColumnType::Text).as(append_scala) == "null");
  CHECK(OneRow().null("a", ColumnType::Text).as(append_python) == "None");

  OneRow limits;
  limits.integer("a", std::numeric_limits<std::int64_t>::min());
  limits.integer("b", std::numeric_limits<std::int64_t>::max());
  CHECK(limits.as(append_scala) == "(-9223372036854775808,9223372036854775807)");
}

TEST_CASE("of several rows the one asked for is written") {
  Schema schema({{"word", ColumnType::Text}, {"n", ColumnType::Int}});
  OwnedRows rows;
  rows.columns.resize(2);
  for (int i = 0; i < 3; ++i) {
    rows.columns[0].push_back(Cell::of(std::string_view("abc").substr(0, i)));
    if (i == 1) {
      rows.columns[1].push_null();
    } else {
      rows.columns[1].push_back(Cell::of(std::int64_t{i}));
    }
  }
  rows.size = 3;
  std::string out;
  for (std::size_t row = 0; row < rows.size; ++row) append_scala(out, rows, schema, row);
  CHECK(out == "(,0)(a,null)(ab,2)");
}

TEST_CASE("doubles are what Java prints") {
  CHECK(java(0.0) == "0.0");
  CHECK(java(-0.0) == "-0.0");
  CHECK(java(1.0) == "1.0");
  CHECK(java(-1.5) == "-1.5");
  CHECK(java(100) == "100.0");
  CHECK(java(0.1) == "0.1");
  CHECK(java(0.001) == "0.001");
  CHECK(java(0.0123) == "0.0123");
  CHECK(java(9.999e-4) == "9.999E-4");
  CHECK(java(1e-5) == "1.0E-5");
  CHECK(java(9999999) == "9999999.0");
  CHECK(java(1234567.5) == "1234567.5");
  CHECK(java(1e7) == "1.0E7");
  CHECK(java(1e10) == "1.0E10");
  CHECK(java(1e16) == "1.0E16");
  CHECK(java(1e100) == "1.0E100");
  CHECK(java(123456789.125) == "1.23456789125E8");
  CHECK(java(-2.5e-7) == "-2.5E-7");
  CHECK(java(2e23) == "2.0E23");
  CHECK(java(1.0 / 3) == "0.3333333333333333");
  CHECK(java(std::numeric_limits<double>::max()) == "1.7976931348623157E308");
  CHECK(java(least) == "4.9E-324");
  CHECK(java(2 * least) == "9.9E-324");
  CHECK(java(4 * least) == "2.0E-323");
  CHECK(java(nan_value) == "NaN");
  CHECK(java(-nan_value) == "NaN");
  CHECK(java(infinity) == "Infinity");
  CHECK(java(-infinity) == "-Infinity");
}

TEST_CASE("doubles are what Python prints") {
  CHECK(python(0.0) == "0.0");
  CHECK(python(-0.0) == "-0.0");
  CHECK(python(1.0) == "1.0");
  CHECK(python(0.1) == "0.1");
  CHECK(python(1e7) == "10000000.0");
  CHECK(python(1e15) == "1000000000000000.0");
  CHECK(python(9999999999999998) == "9999999999999998.0");
  CHECK(python(1e16) == "1e+16");
  CHECK(python(123456789012345680.0) == "1.2345678901234568e+17");
  CHECK(python(1e100) == "1e+100");
  CHECK(python(0.0001) == "0.0001");
  CHECK(python(1e-5) == "1e-05");
  CHECK(python(-2.5e-7) == "-2.5e-07");
  CHECK(python(123456789.125) == "123456789.125");
  CHECK(python(1.0 / 3) == "0.3333333333333333");
  CHECK(python(std::numeric_limits<double>::max()) == "1.7976931348623157e+308");
  CHECK(python(least) == "5e-324");
  CHECK(python(2 * least) == "1e-323");
  CHECK(python(nan_value) == "nan");
  CHECK(python(-nan_value) == "nan");
  CHECK(python(infinity) == "inf");
  CHECK(python(-infinity) == "-inf");
}

TEST_CASE("texts are quoted and escaped as Python's repr does it") {
  CHECK(python("") == "''");
  CHECK(python("it's") == "\"it's\"");
  CHECK(python("say \"hi\"") == "'say \"hi\"'");
  CHECK(python("it's \"x\"") == "'it\\'s \"x\"'");
  CHECK(python("a\\b") == "'a\\\\b'");
  CHECK(python("a\n\r\t\0\x1f\x7f"s) == "'a\\n\\r\\t\\x00\\x1f\\x7f'");
  CHECK(python("\u00A0\u00AD\u00E9\u00FF") == "'\\xa0\\xad\u00E9\u00FF'");
  CHECK(python("\xC2\x80") == "'\\x80'");
  CHECK(python("中文") == "'中文'");
  CHECK(python("\u200B\u2028\uE000\uFFFD") == "'\\u200b\\u2028\\ue000\uFFFD'");
  CHECK(python("\U0001F600") == "'\U0001F600'");
  CHECK(python("\U000E0001\U0010FFFF") == "'\\U000e0001\\U0010ffff'");
  OneRow row;
  row.text("a", "it's").text("b", "plain");
  CHECK(row.as(append_python) == "(\"it's\", 'plain')");
}

TEST_CASE("bytes that are no text are what Python's surrogateescape makes of them") {
  CHECK(python("a\xFFz") == "'a\\udcffz'");
  CHECK(python("a\xE4\xB8") == "'a\\udce4\\udcb8'");
  CHECK(python("\xED\xA0\x80") == "'\\udced\\udca0\\udc80'");
}

TEST_CASE("what is printable is what Python 3.11 says of every character") {
  // FNV-1a over a byte a code point, 1 for the printable ones.
  std::uint64_t hash = 0xcbf29ce484222325;
  std::uint32_t printable = 0;
  for (std::uint32_t code = 0; code < 0x110000; ++code) {
    const std::uint32_t yes = is_printable(code) ? 1 : 0;
    printable += yes;
    hash = (hash ^ yes) * 0x100000001b3;
  }
  CHECK(printable == 144516);
  CHECK(hash == 0xbef272e932b35f59);
}

TEST_CASE("JSON escapes what it must and nothing else") {
  CHECK(json("") == "");
  CHECK(json("plain / text \x7F") == "plain / text \x7F");
  CHECK(json("\"\\") == R"(\"\\)");
  CHECK(json("a\b\f\n\r\tz") == R"(a\b\f\n\r\tz)");
  CHECK(json("\0\x01\x1F"s) == R"(\u0000\u0001\u001f)");
  CHECK(json("中文\u2028\U0001F600") == "中文\u2028\U0001F600");
  CHECK(OneRow().integer("a \"name\"\n", 1).as(append_json) == R"({"a \"name\"\n":1})");
}

TEST_CASE("JSON has U+FFFD for bytes that are not UTF-8") {
  CHECK(json("a\xFFz") == "a\uFFFDz");
  CHECK(json("\xE4\xB8") == "\uFFFD");          // The beginning of a character.
  CHECK(json("\xE4\xB8\"x") == "\uFFFD\\\"x");  // And one that the quote interrupts.
  CHECK(json("\xF0\x9F\x98\xE9") == "\uFFFD\uFFFD");
  CHECK(json("\xC0\xAF") == "\uFFFD\uFFFD");  // A longer form of '/'.
  CHECK(json("\xE0\x80\xAF") == "\uFFFD\uFFFD\uFFFD");
  CHECK(json("\xF0\x80\x80\xAF") == "\uFFFD\uFFFD\uFFFD\uFFFD");
  CHECK(json("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");            // A surrogate.
  CHECK(json("\xF4\x90\x80\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD");  // Beyond U+10FFFF.
  CHECK(json("\xF5\x80") == "\uFFFD\uFFFD");
  CHECK(json("\x80中") == "\uFFFD中");
  CHECK(json("\uFFFD") == "\uFFFD");
}

TEST_CASE("JSON has no numbers that are not finite") {
  OneRow row;
  row.real("a", nan_value).real("b", infinity).real("c", -infinity).real("d", 1e-5);
  CHECK(row.as(append_json) == R"({"a":null,"b":null,"c":null,"d":1.0E-5})");
  CHECK(row.as(append_csv) == "NaN,Infinity,-Infinity,1.0E-5");
}

TEST_CASE("JSON for JavaScript has texts where its numbers are not exact") {
  OneRow row;
  row.real("a", nan_value).real("b", infinity).real("c", -infinity).real("d", 1e-5);
  row.integer("e", 9007199254740992).integer("f", 9007199254740993).integer("g", INT64_MIN);
  row.null("h", ColumnType::Double).null("i", ColumnType::Int).truth("j", true).text("k", "\"\xFF");
  CHECK(row.as(append_json_values) ==
        R"(["NaN","Infinity","-Infinity",1.0E-5,9007199254740992,"9007199254740993",)"
        R"("-9223372036854775808",null,null,true,"\")"
        "\uFFFD\"]");
}

TEST_CASE("a CSV field stands in quotes where RFC 4180 wants them") {
  CHECK(csv("plain text") == "plain text");
  CHECK(csv("a,b") == "\"a,b\"");
  CHECK(csv("say \"hi\"") == "\"say \"\"hi\"\"\"");
  CHECK(csv("two\nlines") == "\"two\nlines\"");
  CHECK(csv("a\rb") == "\"a\rb\"");
  CHECK(csv("a\xFF") == "a\xFF");
  CHECK(csv("") == "\"\"");  // Not null.
  CHECK(OneRow().null("a", ColumnType::Text).as(append_csv) == "");
  OneRow row;
  row.text("first, last", "").null("b \"x\"", ColumnType::Text).integer("c", 3);
  CHECK(row.as(append_csv) == "\"\",,3");
  CHECK(row.csv_header() == "\"first, last\",\"b \"\"x\"\"\",c");
}

TEST_CASE("Scala's text keeps every byte") {
  OneRow row;
  row.text("a", "x,(y)\n\xFF").text("b", "");
  CHECK(row.as(append_scala) == "(x,(y)\n\xFF,)");
}

}  // namespace
}  // namespace sluice::analytics

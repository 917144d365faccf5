#include "analytics/expression.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/owned_rows.h"

namespace sluice::analytics {
namespace {

constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();

Schema schema() {
  return Schema({{"i", ColumnType::Int},
                 {"j", ColumnType::Int},
                 {"d", ColumnType::Double},
                 {"t", ColumnType::Text},
                 {"b", ColumnType::Bool},
                 {"n", ColumnType::Int},
                 {"no.text", ColumnType::Text},
                 {"no truth", ColumnType::Bool},
                 {"größe", ColumnType::Int},
                 {"status", ColumnType::Text}},
                true);
}

/// `size` times one row: i = 7, j = -2, d = 2.5, t = "Hello", b = true, größe = 5, status = "404",
/// and nulls.
OwnedRows rows(std::uint32_t size) {
  OwnedRows made;
  made.size = size;
  made.columns.resize(10);
  for (std::uint32_t row = 0; row < size; ++row) {
    made.columns[0].push_back(Cell::of(std::int64_t{7}));
    made.columns[1].push_back(Cell::of(std::int64_t{-2}));
    made.columns[2].push_back(Cell::of(2.5));
    made.columns[3].push_back(Cell::of(std::string_view("Hello")));
    made.columns[4].push_back(Cell::of(true));
    made.columns[8].push_back(Cell::of(std::int64_t{5}));
    made.columns[9].push_back(Cell::of(std::string_view("404")));
    for (const std::size_t null : {5u, 6u, 7u}) {
      // What a null's cell holds is nobody's business.
      made.columns[null].push_back(Cell::of(std::int64_t{0x7b7b7b7b7b7b7b7b}));
      made.columns[null].set_null(row);
    }
  }
  return made;
}

Expression compiled(std::string_view text, const Schema& of = schema()) {
  auto made = Expression::compile(text, of);
  if (const auto* problem = std::get_if<Problem>(&made)) {
    FAIL(text << ": " << problem->message << " at " << problem->offset);
  }
  return std::get<Expression>(std::move(made));
}

std::string shown(ColumnType type, const Column& column, std::size_t row) {
  if (column.is_null(row)) return "null";
  const Cell cell = column.cells[row];
  switch (type) {
    case ColumnType::Bool: return cell.truth ? "true" : "false";
    case ColumnType::Int: return std::to_string(cell.integer);
    case ColumnType::Double: return Catch::Detail::stringify(cell.real);
    case ColumnType::Text: break;
  }
  return "'" + std::string(cell.view()) + "'";
}

/// The value on rows(), which must be the same on each of them, and again when it is asked again.
std::string value(std::string_view text) {
  INFO(text);
  Expression expression = compiled(text);
  const OwnedRows chunk = rows(3);
  TextArena arena;
  Column out;
  out.push_back(Cell::of(true));
  std::string result;
  for (int round = 0; round < 2; ++round) {
    expression.evaluate(chunk, arena, out);
    REQUIRE(out.cells.size() == 3);
    if (round == 0) result = shown(expression.type(), out, 0);
    for (std::size_t row = 0; row < 3; ++row) {
      CHECK(shown(expression.type(), out, row) == result);
    }
  }
  return result;
}

Problem problem(std::string_view text, const Schema& of = schema()) {
  auto made = Expression::compile(text, of);
  INFO(text.substr(0, 100));
  REQUIRE(std::holds_alternative<Problem>(made));
  Problem found = std::get<Problem>(made);
  CHECK(found.offset + found.bytes <= text.size());
  CHECK_FALSE(found.message.empty());
  return found;
}

/// The part of the text that the problem is about; its message must have `message`.
std::string wrong(std::string_view text, std::string_view message, std::string_view hint = "") {
  const Problem found = problem(text);
  CHECK_THAT(found.message, Catch::Contains(std::string(message)));
  CHECK_THAT(found.hint, Catch::Contains(std::string(hint)));
  return std::to_string(found.offset) + ":" + std::string(text.substr(found.offset, found.bytes));
}

TEST_CASE("literals and columns are what they say") {
  CHECK(value("12") == "12");
  CHECK(value("-9223372036854775808") == std::to_string(lowest));
  CHECK(value("1.5") == "1.5");
  CHECK(value("2e3") == Catch::Detail::stringify(2000.0));
  CHECK(value("TRUE") == "true");
  CHECK(value("False") == "false");
  CHECK(value("null") == "null");
  CHECK(value("'a\\'b\\n\\\\'") == "'a'b\n\\'");
  CHECK(value(R"("\d+ it's")") == R"('\d+ it's')");
  CHECK(value("''") == "''");
  CHECK(value("i") == "7");
  CHECK(value("`i`") == "7");
  CHECK(value("no.text") == "null");
  CHECK(value("`no truth`") == "null");
  CHECK(value("größe") == "5");
  CHECK(value(" \t( i ) \n") == "7");
}

TEST_CASE("arithmetic on ints wraps and drops fractions") {
  CHECK(value("i + j") == "5");
  CHECK(value("i - j") == "9");
  CHECK(value("i * j") == "-14");
  CHECK(value("i / j") == "-3");
  CHECK(value("i % j") == "1");
  CHECK(value("j % i") == "-2");
  CHECK(value("-i") == "-7");
  CHECK(value("- -i") == "7");
  CHECK(value("i / 0") == "null");
  CHECK(value("i % 0") == "null");
  CHECK(value("1 / (i - 7)") == "null");
  CHECK(value("i - 7 + 9223372036854775807 + 1") == std::to_string(lowest));
  CHECK(value("9223372036854775807 * 2") == "-2");
  CHECK(value("-9223372036854775808 / (j + 1)") == std::to_string(lowest));
  CHECK(value("-9223372036854775808 % (j + 1)") == "0");
  CHECK(value("-(-9223372036854775808)") == std::to_string(lowest));
  CHECK(value("i + n") == "null");
  CHECK(value("n / 0") == "null");
  CHECK(value("null + i") == "null");
  CHECK(value("-null") == "null");
}

TEST_CASE("a double makes doubles of ints") {
  CHECK(compiled("i + d").type() == ColumnType::Double);
  CHECK(value("i + d") == "9.5");
  CHECK(value("d - 1") == "1.5");
  CHECK(value("i * 0.5") == "3.5");
  CHECK(value("i / 2.0") == "3.5");
  CHECK(value("5.5 % 2") == "1.5");
  CHECK(value("-d") == "-2.5");
  CHECK(value("d / 0 > 1e300") == "true");
  CHECK(value("n + d") == "null");
  CHECK(value("null * d") == "null");
}

TEST_CASE("multiplication before addition, comparison before not, not before and, and before or") {
  CHECK(value("1 + 2 * 3") == "7");
  CHECK(value("(1 + 2) * 3") == "9");
  CHECK(value("10 - 4 - 3") == "3");
  CHECK(value("100 / 10 / 5") == "2");
  CHECK(value("-2 * -3") == "6");
  CHECK(value("-i + 1") == "-6");
  CHECK(value("1 + 1 = 2") == "true");
  CHECK(value("true or true and false") == "true");
  CHECK(value("(true or true) and false") == "false");
  CHECK(value("not true or true") == "true");
  CHECK(value("not (true or true)") == "false");
  CHECK(value("not i = 8") == "true");
  CHECK(value("not i = 8 and not i = 9") == "true");
  CHECK(value("!b = false") == "true");
  CHECK(value("not b is null") == "true");
  CHECK(value("i = 7 and j in (1, -2) or false") == "true");
}

TEST_CASE("comparisons") {
  CHECK(value("i = 7") == "true");
  CHECK(value("i == 8") == "false");
  CHECK(value("i != 7") == "false");
  CHECK(value("i <> 8") == "true");
  for (const auto& [left, right, less] :
       {std::tuple("i", "8", true), std::tuple("8", "i", false), std::tuple("j", "i", true),
        std::tuple("i", "7", false), std::tuple("d", "3", true), std::tuple("t", "'He'", false),
        std::tuple("'H'", "t", true), std::tuple("b", "b", false),
        std::tuple("false", "b", true)}) {
    const std::string a = left;
    const std::string b = right;
    CHECK(value(a + " < " + b) == (less ? "true" : "false"));
    CHECK(value(b + " > " + a) == (less ? "true" : "false"));
    CHECK(value(a + " >= " + b) == (less ? "false" : "true"));
    CHECK(value(b + " <= " + a) == (less ? "false" : "true"));
  }
  CHECK(value("d = 2.5") == "true");
  CHECK(value("t = 'Hello'") == "true");
  CHECK(value("t = \"hello\"") == "false");
  CHECK(value("t != 'Hello'") == "false");
  CHECK(value("b = true") == "true");
  CHECK(value("n = n") == "null");
  CHECK(value("no.text = 'x'") == "null");
  CHECK(value("'x' < no.text") == "null");
  CHECK(value("t = null") == "null");
  CHECK(value("null = null") == "null");
  CHECK(value("'a' < 'ä'") == "true");
}

TEST_CASE("logic has three values") {
  const std::string null = "(n = 1)";
  CHECK(value("b and false") == "false");
  CHECK(value("b AND b") == "true");
  CHECK(value("false && b") == "false");
  CHECK(value("b || false") == "true");
  CHECK(value("b or null") == "true");
  CHECK(value(null + " and b") == "null");
  CHECK(value(null + " and not b") == "false");
  CHECK(value("not b and " + null) == "false");
  CHECK(value(null + " or b") == "true");
  CHECK(value("b or " + null) == "true");
  CHECK(value(null + " or not b") == "null");
  CHECK(value(null + " or " + null) == "null");
  CHECK(value(null + " and " + null) == "null");
  CHECK(value("not " + null) == "null");
  CHECK(value("`no truth` and b") == "null");
  CHECK(value("`no truth` or b") == "true");
  CHECK(value("n is null") == "true");
  CHECK(value("n is not null") == "false");
  CHECK(value("i is null") == "false");
  CHECK(value("i IS NOT NULL") == "true");
  CHECK(value("null is null") == "true");
}

TEST_CASE("in looks through a list") {
  CHECK(value("i in (1, 7, 3)") == "true");
  CHECK(value("i in (1, 2)") == "false");
  CHECK(value("i not in (1, 2)") == "true");
  CHECK(value("i NOT IN (7)") == "false");
  CHECK(value("i in (1, null)") == "null");
  CHECK(value("i in (7, null)") == "true");
  CHECK(value("i not in (1, null)") == "null");
  CHECK(value("n in (1)") == "null");
  CHECK(value("t in ('x', 'Hello')") == "true");
  CHECK(value("t in ('x', '')") == "false");
  CHECK(value("i in (6.5, 7.0)") == "true");
  CHECK(value("d in (2, 2.5)") == "true");
  CHECK(value("i in (j, 9, i)") == "true");
  CHECK(value("i in (j, 9)") == "false");
  CHECK(value("i in (j, n)") == "null");
  CHECK(value("b in (true)") == "true");
  CHECK(value("0.0 / 0 in (0.0 / 0, d)") == "false");
  CHECK(value("0.0 / (i - 7) in (0.0 / 0, 1)") == "false");
  CHECK(value("7 in (7)") == "true");
}

TEST_CASE("like knows % and _") {
  CHECK(value("t like 'H%o'") == "true");
  CHECK(value("t like '_ello'") == "true");
  CHECK(value("t like 'ello'") == "false");
  CHECK(value("t like '%'") == "true");
  CHECK(value("t like '%l%l%'") == "true");
  CHECK(value("t like '%l%l%l%'") == "false");
  CHECK(value("t like 'Hello_'") == "false");
  CHECK(value("t like 'Hell'") == "false");
  CHECK(value("t not like 'h%'") == "true");
  CHECK(value("no.text like '%'") == "null");
  CHECK(value("no.text not like '%'") == "null");
  CHECK(value("'' like '%'") == "true");
  CHECK(value("'' like '_'") == "false");
  CHECK(value(R"('50%' like '50\%')") == "true");
  CHECK(value(R"('500' like '50\%')") == "false");
  CHECK(value(R"('a_b' like 'a\_b')") == "true");
  CHECK(value("'aé日b' like 'a__b'") == "true");
  CHECK(value("'\xe9' like '_'") == "true");
  CHECK(value("'mississippi' like '%iss%pi'") == "true");
  CHECK(value("t like t") == "true");
}

TEST_CASE("if and coalesce choose") {
  CHECK(value("if(b, i, j)") == "7");
  CHECK(value("IF(not b, i, j)") == "-2");
  CHECK(value("if(n = 1, 'yes', 'no')") == "'no'");
  CHECK(value("if(b, n, i)") == "null");
  CHECK(value("if(not b, n, i)") == "7");
  CHECK(value("if(b, null, i)") == "null");
  CHECK(value("if(b, i, d)") == Catch::Detail::stringify(7.0));
  CHECK(compiled("if(b, i, d)").type() == ColumnType::Double);
  CHECK(value("coalesce(n, i)") == "7");
  CHECK(value("coalesce(n, null, j, i)") == "-2");
  CHECK(value("coalesce(n)") == "null");
  CHECK(value("coalesce(no.text, 'none')") == "'none'");
  CHECK(value("coalesce(n, d)") == "2.5");
  CHECK(value("coalesce(null, null)") == "null");
}

TEST_CASE("functions of texts") {
  CHECK(value("lower(t)") == "'hello'");
  CHECK(value("UPPER(t)") == "'HELLO'");
  CHECK(value("upper('größe, ça, привет ёж, ςίγμα')") == "'GRÖßE, ÇA, ПРИВЕТ ЁЖ, ΣΊΓΜΑ'");
  CHECK(value("lower('ÄÖÜ × ÞÀ ΆΈΌΎΏΑΩ АЯЀЏ')") == "'äöü × þà άέόύώαω аяѐџ'");
  CHECK(value("upper('÷ÿ 日本')") == "'÷ÿ 日本'");
  CHECK(value("lower('A\xc4')") == "'A\xc4'");
  CHECK(value("lower(no.text)") == "null");
  CHECK(value("len(t)") == "5");
  CHECK(value("len('aé日😀')") == "4");
  CHECK(value("len('\xe9\x80')") == "2");
  CHECK(value("len('')") == "0");
  CHECK(value("len(no.text)") == "null");
  CHECK(value("substr(t, 2, 3)") == "'ell'");
  CHECK(value("substr(t, 0, 2)") == "'He'");
  CHECK(value("substr(t, -3, 2)") == "'ll'");
  CHECK(value("substr(t, -7, 3)") == "'H'");
  CHECK(value("substr(t, 4, 100)") == "'lo'");
  CHECK(value("substr(t, 6, 1)") == "''");
  CHECK(value("substr(t, 2, -1)") == "''");
  CHECK(value("substr(t, 2, 9223372036854775807)") == "'ello'");
  CHECK(value("substr(t, -9223372036854775808, 9223372036854775807)") == "'Hell'");
  CHECK(value("substr('aé日b', 2, 2)") == "'é日'");
  CHECK(value("substr(t, n, 2)") == "null");
  CHECK(value("trim(' \t x y\r\n')") == "'x y'");
  CHECK(value("trim('  ')") == "''");
  CHECK(value("concat(t, '-', i, b, d)") == "'Hello-7true2.5'");
  CHECK(value("concat(t, no.text)") == "null");
  CHECK(value("concat('', '')") == "''");
  CHECK(value("startswith(t, 'He')") == "true");
  CHECK(value("startswith(t, 'he')") == "false");
  CHECK(value("endswith(t, 'lo')") == "true");
  CHECK(value("contains(t, 'ell')") == "true");
  CHECK(value("contains(t, 'L')") == "false");
  CHECK(value("contains(no.text, 'L')") == "null");
  CHECK(value("split_part('a,b,,c', ',', 2)") == "'b'");
  CHECK(value("split_part('a,b,,c', ',', 3)") == "''");
  CHECK(value("split_part('a,b,,c', ',', 4)") == "'c'");
  CHECK(value("split_part('a,b,,c', ',', 5)") == "null");
  CHECK(value("split_part(t, 'll', 1)") == "'He'");
  CHECK(value("split_part(t, '', 1)") == "null");
  CHECK(value("split_part(t, 'l', 0)") == "null");
  CHECK(value("pathint('/course/112.html', '/course/')") == "112");
  CHECK(value("pathint('/course/x/course/8?a=/course/9', '/course/')") == "8");
  CHECK(value("pathint('/class/112.html', '/course/')") == "null");
  CHECK(value("pathint('/course/', '/course/')") == "null");
  CHECK(value("pathint('/course/-5', '/course/')") == "null");
  CHECK(value("pathint('/course/99999999999999999999', '/course/')") == "null");
  CHECK(value("pathint(no.text, '/course/')") == "null");
}

TEST_CASE("regexes match whole texts and extract groups") {
  CHECK(value("matches(t, 'H.*o')") == "true");
  CHECK(value("matches(t, 'ell')") == "false");
  CHECK(value(R"(matches('2024-01', "\d+-\d+"))") == "true");
  CHECK(value("matches(no.text, '.*')") == "null");
  CHECK(value("matches('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', '(a+)+[xy]')") == "null");
  CHECK(value("extract('id=42;', 'id=([0-9]+)', 1)") == "'42'");
  CHECK(value("extract('id=42;', 'id=([0-9]+)', 0)") == "'id=42'");
  CHECK(value("extract(t, '(x)|(l+)', 1)") == "null");
  CHECK(value("extract(t, '(x)|(l+)', 2)") == "'ll'");
  CHECK(value("extract(t, 'x(.)', 1)") == "null");
  CHECK(value("extract(t, '(z?)', 1)") == "''");
  CHECK(value("extract(no.text, '(.)', 1)") == "null");
  CHECK(value("extract('\xe9 caf\xe9', 'c(..)', 1)") == "'af'");
}

TEST_CASE("conversions make null of what does not convert") {
  CHECK(value("int('42')") == "42");
  CHECK(value("int(' -42\n')") == "-42");
  CHECK(value("int('+7')") == "7");
  CHECK(value("int(status) >= 400") == "true");
  CHECK(value("int('4.2')") == "null");
  CHECK(value("int('x')") == "null");
  CHECK(value("int('')") == "null");
  CHECK(value("int('+-7')") == "null");
  CHECK(value("int('9223372036854775808')") == "null");
  CHECK(value("int(-2.9)") == "-2");
  CHECK(value("int(9.3e18)") == "null");
  CHECK(value("int(-9223372036854775808.0)") == std::to_string(lowest));
  CHECK(value("int(9223372036854775808.0)") == "null");
  CHECK(value("int(0.0 / 0)") == "null");
  CHECK(value("int(b)") == "1");
  CHECK(value("int(i)") == "7");
  CHECK(value("int(n)") == "null");
  CHECK(value("double(i) / 2") == "3.5");
  CHECK(value("float('2.5e0')") == "2.5");
  CHECK(value("double('2,5')") == "null");
  CHECK(value("double(b)") == Catch::Detail::stringify(1.0));
  CHECK(value("double(null)") == "null");
  CHECK(value("text(i)") == "'7'");
  CHECK(value("text(d)") == "'2.5'");
  CHECK(value("text(2.0)") == "'2.0'");
  CHECK(value("text(1e100)") == "'1e+100'");
  CHECK(value("text(0.1)") == "'0.1'");
  CHECK(value("text(1.0 / 0)") == "'inf'");
  CHECK(value("text(b)") == "'true'");
  CHECK(value("text(n)") == "null");
  CHECK(value("text(-9223372036854775808)") == "'" + std::to_string(lowest) + "'");
}

TEST_CASE("functions of numbers keep their type") {
  CHECK(value("abs(j)") == "2");
  CHECK(value("abs(-d)") == "2.5");
  CHECK(value("abs(-9223372036854775808)") == std::to_string(lowest));
  CHECK(value("round(2.5)") == Catch::Detail::stringify(3.0));
  CHECK(value("round(-2.5)") == Catch::Detail::stringify(-3.0));
  CHECK(value("int(round(d * 3))") == "8");
  CHECK(value("floor(-d)") == Catch::Detail::stringify(-3.0));
  CHECK(value("ceil(d)") == Catch::Detail::stringify(3.0));
  CHECK(value("floor(i)") == "7");
  CHECK(value("round(i)") == "7");
  CHECK(value("ceil(j)") == "-2");
  CHECK(value("min(i, j)") == "-2");
  CHECK(value("max(i, j)") == "7");
  CHECK(value("min(i, d)") == "2.5");
  CHECK(value("max(d, 2)") == "2.5");
  CHECK(value("max(n, 2)") == "null");
  CHECK(value("min(null, null)") == "null");
}

TEST_CASE("hashes are the same for ever and never negative") {
  // Written down once: whoever split keys by hash(x) % 16 must find them where they were.
  CHECK(value("hash('word')") == value("hash(concat('wo', 'rd'))"));
  CHECK(value("hash('')") == std::to_string(0x2d06800538d394c2ULL >> 1));
  CHECK(value("hash(1) = hash(1.0)") == "false");
  CHECK(value("hash(0.0) = hash(-0.0)") == "true");
  CHECK(value("hash(t, i) = hash(i, t)") == "false");
  CHECK(value("hash(t, i) = hash('Hello', 7)") == "true");
  CHECK(value("hash(b) = hash(true)") == "true");
  CHECK(value("hash(i, n)") == "null");
  for (int each = 0; each < 100; ++each) {
    CHECK(value("hash(" + std::to_string(each) + ") >= 0") == "true");
  }
}

TEST_CASE("columns that are read are known, in order, once") {
  CHECK(compiled("j + i + j + len('x')").columns() == std::vector<std::size_t>{0, 1});
  CHECK(compiled("1 + 2").columns().empty());
  CHECK(compiled("if(b, t, 'x')").columns() == std::vector<std::size_t>{3, 4});
  Expression moved = compiled("d > 1");
  Expression target = compiled("i");
  target = std::move(moved);
  CHECK(target.type() == ColumnType::Bool);
  CHECK(target.columns() == std::vector<std::size_t>{2});
}

TEST_CASE("columns that are not read may be missing") {
  OwnedRows chunk = rows(2);
  for (const std::size_t each : {2u, 3u, 9u}) chunk.columns[each].clear();
  TextArena arena;
  Column out;
  compiled("i + j").evaluate(chunk, arena, out);
  CHECK(shown(ColumnType::Int, out, 1) == "5");
}

TEST_CASE("unknown names say what they may have been meant to be") {
  CHECK(wrong("statsu = 'x'", "no column 'statsu'", "did you mean 'status'?") == "0:statsu");
  CHECK(wrong("1 + I", "no column 'I'", "") == "4:I");
  CHECK(wrong("i + `größ`", "no column", "größe") == "4:`größ`");
  CHECK(wrong("1 + lowr(t)", "no function 'lowr'", "did you mean lower(text)?") == "4:lowr");
  CHECK(wrong("zzzzzz(t)", "no function 'zzzzzz'") == "0:zzzzzz");
  CHECK(wrong("lower", "no column 'lower'", "brackets") == "0:lower");
  CHECK(wrong("len(t, t)", "len takes 1 value, not 2", "len(text)") == "0:len(t, t)");
  CHECK(wrong("i + substr(t)", "substr takes 3 values, not 1") == "4:substr(t)");
  CHECK(wrong("concat()", "at least 1 value") == "0:concat()");
}

TEST_CASE("types that do not go together are refused where they stand") {
  CHECK(wrong("status > 400", "'>' has text and int", "int(status)") == "0:status");
  CHECK(wrong("400 <= status", "'<=' has int and text", "int(status)") == "7:status");
  CHECK(wrong("d = t", "'=' has double and text", "double(t)") == "4:t");
  CHECK(wrong("b = 1", "'=' has bool and int", "1 != 0") == "4:1");
  CHECK(wrong("i in (1, '2')", "'in' has", "int('2')") == "9:'2'");
  CHECK(wrong("t in (1)", "'in' has", "int(t)") == "0:t");
  CHECK(wrong("1 + (i = 7)", "'+' takes numbers, and this is bool") == "4:(i = 7)");
  CHECK(wrong("t + 'x'", "'+' takes numbers", "concat") == "0:t");
  CHECK(wrong("i * t", "'*' takes numbers, and this is text", "int(t)") == "4:t");
  CHECK(wrong("-t", "'-' takes numbers") == "1:t");
  CHECK(wrong("i and b", "'and' takes bool, and this is int", "i != 0") == "0:i");
  CHECK(wrong("b or t", "'or' takes bool, and this is text", "t = 'true'") == "5:t");
  CHECK(wrong("not i + 1", "'not' takes bool") == "4:i + 1");
  CHECK(wrong("!i", "'not' takes bool") == "1:i");
  CHECK(wrong("i like 'x'", "'like' takes text, and this is int", "text(i)") == "0:i");
  CHECK(wrong("t like 5", "'like' takes text", "text(5)") == "7:5");
  CHECK(wrong("lower(i)", "lower takes text, and this is int", "text(i)") == "6:i");
  CHECK(wrong("substr(t, 1.5, 2)", "substr takes int, and this is double", "int(1.5)") == "10:1.5");
  CHECK(wrong("abs(t)", "abs takes numbers") == "4:t");
  CHECK(wrong("min(1, b)", "min takes numbers") == "7:b");
  CHECK(wrong("if(i, 1, 2)", "if takes bool") == "3:i");
  CHECK(wrong("if(b, 1, 'x')", "if has int and text", "int('x')") == "9:'x'");
  CHECK(wrong("coalesce(i, 1, t)", "coalesce has int and text") == "15:t");
  CHECK(wrong("matches(t, t)", "the regex must be a literal") == "11:t");
  CHECK(wrong("matches(t, null)", "the regex must be a literal") == "11:null");
  CHECK(wrong("matches(t, '(')", "no regular expression") == "11:'('");
  CHECK(wrong("extract(t, '(.)', 2)", "no group 2, only 1") == "18:2");
  CHECK(wrong("extract(t, '(.)', -1)", "no group -1") == "18:-1");
  CHECK(wrong("extract(t, '(.)', i)", "the group must be a literal") == "18:i");
  CHECK(wrong("header(t)", "the name of the header must be a literal") == "7:t");
}

TEST_CASE("what is no expression is refused where it breaks") {
  CHECK(wrong("", "ends where a value was expected") == "0:");
  CHECK(wrong("i + ", "ends where a value was expected") == "4:");
  CHECK(wrong("(i + 1", "this '(' is never closed") == "0:(");
  CHECK(wrong("len(t", "this '(' is never closed") == "3:(");
  CHECK(wrong("i in (1, 2", "this '(' is never closed") == "5:(");
  CHECK(wrong("i + 1)", "no '(' for this ')'") == "5:)");
  CHECK(wrong("(i i)", "operator or ')'") == "3:i");
  CHECK(wrong("i 5", "an operator, or the end") == "2:5");
  CHECK(wrong("i * * 2", "a value was expected here, not '*'") == "4:*");
  CHECK(wrong("1 + and", "a value was expected here", "`and`") == "4:and");
  CHECK(wrong("len(,)", "a value was expected here") == "4:,");
  CHECK(wrong("len(t,)", "a value was expected here") == "6:)");
  CHECK(wrong("t = 'abc", "the closing ' is missing") == "4:'abc");
  CHECK(wrong("`i", "the closing ` is missing") == "0:`i");
  CHECK(wrong("i & b", "'&' has no meaning", "'&&'") == "2:&");
  CHECK(wrong("i # 1", "'#' has no meaning") == "2:#");
  CHECK(wrong("12abc", "letters right behind a number", "backticks") == "0:12abc");
  CHECK(wrong("9223372036854775808", "does not fit 64 bits") == "0:9223372036854775808");
  CHECK(wrong("1 + 99999999999999999999", "does not fit 64 bits") == "4:99999999999999999999");
  CHECK(wrong("1e999", "does not fit a double") == "0:1e999");
  CHECK(wrong("1 < 2 < 3", "comparisons do not chain") == "6:<");
  CHECK(wrong("i = 1 is null", "comparisons do not chain") == "6:is");
  CHECK(wrong("i not 5", "'in' or 'like' was expected") == "6:5");
  CHECK(wrong("i in 5", "a list in brackets") == "5:5");
  CHECK(wrong("i in ()", "the list behind 'in' is empty") == "5:(");
  CHECK(wrong("i is 5", "'null' or 'not null'") == "5:5");
}

TEST_CASE("hostile texts are a problem, not a crash") {
  const auto times = [](std::size_t count, const std::string& text) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += text;
    return all;
  };
  CHECK_THAT(problem(times(100'000, "(")).message, Catch::Contains("longer than"));
  CHECK_THAT(problem(times(60'000, "(")).message, Catch::Contains("nested too deeply"));
  CHECK_THAT(problem(times(60'000, "-") + "i").message, Catch::Contains("nested too deeply"));
  CHECK_THAT(problem(times(60'000, "!") + "b").message, Catch::Contains("nested too deeply"));
  CHECK_THAT(problem(times(15'000, "not ") + "b").message, Catch::Contains("nested too deeply"));
  CHECK_THAT(problem(times(15'000, "abs(") + "i").message, Catch::Contains("nested too deeply"));
  CHECK_THAT(problem(times(20'000, "i+") + "i").message, Catch::Contains("too many parts"));
  CHECK_THAT(problem("matches(t, '" + times(5000, "x") + "')").message,
             Catch::Contains("regex is too long"));
  CHECK(value(times(150, "(") + "i" + times(150, ")")) == "7");
  CHECK(value(times(4000, "i+") + "0") == std::to_string(4000 * 7));
  CHECK(value("i in (" + times(3000, "1,") + "7)") == "true");
}

TEST_CASE("header() reads the header of the event of each row") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  BatchBuilder builder(pool, EventHeaders::Own);
  builder.renew(4096);
  REQUIRE(builder.append("zero", encoded({{"host", "web1"}, {"level", "3"}})));
  REQUIRE(builder.append("one"));
  REQUIRE(builder.append("two", encoded({{"host", "web2"}})));
  const Batch batch = builder.seal();
  OwnedRows chunk = rows(3);
  chunk.batch = &batch;
  chunk.events = {2, 0, 1};
  TextArena arena;
  Column out;
  Expression host = compiled("upper(header('host'))");
  CHECK(host.columns().empty());
  host.evaluate(chunk, arena, out);
  CHECK(shown(ColumnType::Text, out, 0) == "'WEB2'");
  CHECK(shown(ColumnType::Text, out, 1) == "'WEB1'");
  CHECK(shown(ColumnType::Text, out, 2) == "null");
  std::vector<std::uint32_t> found;
  compiled("int(header('level')) > 2").select(chunk, arena, found);
  CHECK(found == std::vector<std::uint32_t>{1});
  CHECK(value("header('host')") == "null");  // rows that come from no event
}

TEST_CASE("without headers header() is refused") {
  const Problem found = problem("header('x') = 'y'", Schema({{"i", ColumnType::Int}}));
  CHECK(found.offset == 0);
  CHECK(found.bytes == 11);
  CHECK_THAT(found.message, Catch::Contains("no headers"));
}

TEST_CASE("select gives the rows that are true, in chunks of any size") {
  const Schema of({{"x", ColumnType::Int}, {"y", ColumnType::Text}});
  Expression condition = compiled("x % 3 = 1 and y like 'k%' and x != 4", of);
  TextArena arena;
  for (const std::uint32_t size : {256u, 0u, 1u, 300u, 256u}) {
    OwnedRows chunk;
    chunk.size = size;
    chunk.columns.resize(2);
    std::vector<std::uint32_t> expected{99999};
    for (std::uint32_t row = 0; row < size; ++row) {
      chunk.columns[0].push_back(Cell::of(std::int64_t{row}));
      chunk.columns[1].push_back(Cell::of(std::string_view(row % 2 == 0 ? "key" : "value")));
      if (row % 5 == 0) chunk.columns[0].set_null(row);
      if (row % 3 == 1 && row % 2 == 0 && row != 4 && row % 5 != 0) expected.push_back(row);
    }
    std::vector<std::uint32_t> found{99999};
    condition.select(chunk, arena, found);
    CHECK(found == expected);
  }
  std::vector<std::uint32_t> all;
  compiled("true").select(rows(3), arena, all);
  compiled("b").select(rows(2), arena, all);
  compiled("`no truth`").select(rows(2), arena, all);
  compiled("null = 1").select(rows(2), arena, all);
  CHECK(all == std::vector<std::uint32_t>{0, 1, 2, 0, 1});
}

// ---- against a tiny evaluator

using Maybe = std::optional<std::int64_t>;
__extension__ using Wide = __int128;

/// A random expression of ints, as text with all brackets, and what it is on each row.
struct Random {
  std::mt19937_64 numbers;
  std::vector<std::vector<Maybe>> columns;  // a, b, c

  std::uint64_t below(std::uint64_t limit) { return numbers() % limit; }

  std::pair<std::string, std::vector<Maybe>> leaf() {
    const std::size_t rows = columns[0].size();
    if (below(3) != 0) {
      const std::size_t which = below(3);
      return {std::string(1, static_cast<char>('a' + which)), columns[which]};
    }
    if (below(10) == 0) return {"null", std::vector<Maybe>(rows)};
    const auto literal = static_cast<std::int64_t>(below(2) == 0 ? below(4) : numbers() >> 1);
    return {std::to_string(literal), std::vector<Maybe>(rows, literal)};
  }

  static Maybe apply(char op, Maybe a, Maybe b) {
    if (!a || !b) return std::nullopt;
    const auto wide_a = static_cast<Wide>(*a);
    const auto wide_b = static_cast<Wide>(*b);
    const auto cut = [](Wide value) {
      return static_cast<std::int64_t>(static_cast<std::uint64_t>(value));
    };
    if (op == '+') return cut(wide_a + wide_b);
    if (op == '-') return cut(wide_a - wide_b);
    if (op == '*') return cut(wide_a * wide_b);
    if (op == '<') return wide_a < wide_b ? 1 : 0;
    if (wide_b == 0) return std::nullopt;
    return op == '/' ? cut(wide_a / wide_b) : cut(wide_a % wide_b);
  }

  std::pair<std::string, std::vector<Maybe>> tree(int depth) {
    if (depth == 0 || below(6) == 0) return leaf();
    auto [left, x] = tree(depth - 1);
    if (below(6) == 0) {
      for (Maybe& each : x) each = apply('-', 0, each);
      return {"-(" + left + ")", x};
    }
    auto [right, y] = tree(depth - 1);
    const char op = "+-*/%<?"[below(7)];
    for (std::size_t row = 0; row < x.size(); ++row) {
      if (op == '?') {
        x[row] = x[row] ? x[row] : y[row];
      } else {
        x[row] = apply(op, x[row], y[row]);
      }
    }
    if (op == '?') return {"coalesce(" + left + ", " + right + ")", x};
    if (op == '<') return {"int(" + left + " < " + right + ")", x};
    return {"(" + left + " " + op + " " + right + ")", x};
  }
};

TEST_CASE("random expressions are what a simple evaluator says they are") {
  constexpr std::size_t size = Rows::chunk;
  const Schema of({{"a", ColumnType::Int}, {"b", ColumnType::Int}, {"c", ColumnType::Int}});
  Random random{std::mt19937_64(20240607), {}};
  OwnedRows chunk;
  chunk.size = size;
  chunk.columns.resize(3);
  for (std::size_t column = 0; column < 3; ++column) {
    std::vector<Maybe> values;
    for (std::size_t row = 0; row < size; ++row) {
      const std::uint64_t kind = random.below(8);
      Maybe cell = static_cast<std::int64_t>(random.below(7)) - 3;
      if (kind == 0) cell = lowest;
      if (kind == 1) cell = highest;
      if (kind == 2) cell = static_cast<std::int64_t>(random.numbers());
      if (kind == 3 && column != 1) cell.reset();
      values.push_back(cell);
      if (cell) {
        chunk.columns[column].push_back(Cell::of(*cell));
      } else {
        chunk.columns[column].push_null();
      }
    }
    random.columns.push_back(std::move(values));
  }
  TextArena arena;
  Column out;
  for (int round = 0; round < 1500; ++round) {
    const auto [text, expected] = random.tree(5);
    Expression expression = compiled("0 + " + text, of);
    expression.evaluate(chunk, arena, out);
    bool same = out.cells.size() == size;
    for (std::size_t row = 0; row < size; ++row) {
      same = same && out.is_null(row) == !expected[row] &&
             (!expected[row] || out.cells[row].integer == *expected[row]);
    }
    INFO(text);
    REQUIRE(same);
  }
}

TEST_CASE("texts live in the arena, and a warm evaluation takes no more of it than they need") {
  Expression expression = compiled("concat(lower(t), '-', i)");
  const OwnedRows chunk = rows(Rows::chunk);
  TextArena arena;
  Column out;
  expression.evaluate(chunk, arena, out);
  CHECK(shown(ColumnType::Text, out, 255) == "'hello-7'");
  const std::size_t bytes = arena.bytes();
  const Cell* const cells = out.cells.data();
  Column other;
  for (int round = 0; round < 10; ++round) {
    arena.clear();
    expression.evaluate(chunk, arena, round % 2 == 0 ? other : out);
  }
  CHECK(arena.bytes() == bytes);
  CHECK((out.cells.data() == cells || other.cells.data() == cells));
}

}  // namespace
}  // namespace sluice::analytics

#include "analytics/result_block.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/catch.h"
#include "tests/support/owned_rows.h"

namespace sluice::analytics {
namespace {

const Schema words({{"word", ColumnType::Text}, {"n", ColumnType::Int}});

/// Pairs of a word and a number; the words outlive it.
OwnedRows pairs(const std::vector<std::pair<std::string_view, std::int64_t>>& values) {
  OwnedRows rows;
  rows.columns.resize(2);
  for (const auto& [word, n] : values) {
    rows.columns[0].push_back(Cell::of(word));
    rows.columns[1].push_back(Cell::of(n));
  }
  rows.size = static_cast<std::uint32_t>(values.size());
  return rows;
}

/// (w,first) to (w,last).
OwnedRows numbered(std::int64_t first, std::int64_t last) {
  std::vector<std::pair<std::string_view, std::int64_t>> values;
  for (std::int64_t n = first; n <= last; ++n) values.emplace_back("w", n);
  return pairs(values);
}

ResultBlock block_of(BlockStyle style, std::uint64_t num = 10, const std::string& zone = "UTC") {
  return ResultBlock({style, num, TimeZone::find(zone).value()});
}

std::string ended(const ResultBlock& block) {
  std::string out = "<";  // It is appended, so this stays.
  block.end(out);
  REQUIRE(out[0] == '<');
  return out.substr(1);
}

std::string one_chunk(ResultBlock block, const Rows& rows, const Schema& schema = words) {
  block.begin(1'479'431'100'000, 0);
  block.add(rows, schema);
  return ended(block);
}

const std::string scala_head =
    "-------------------------------------------\n"
    "Time: 1479431100000 ms\n"
    "-------------------------------------------\n";
const std::string python_head =
    "-------------------------------------------\n"
    "Time: 2016-11-18 01:05:00\n"
    "-------------------------------------------\n";
const std::string table_head =
    "-------------------------------------------\n"
    "Batch: 0\n"
    "-------------------------------------------\n";

std::string python_time(std::int64_t time_ms, const std::string& zone) {
  ResultBlock block = block_of(BlockStyle::Python, 10, zone);
  block.begin(time_ms, 0);
  const std::string out = ended(block);
  REQUIRE(out.size() > 2 * 44 + 7);
  REQUIRE(out.substr(44, 6) == "Time: ");
  return out.substr(50, out.size() - 50 - 46);  // A line end, a rule and an empty line follow.
}

TEST_CASE("the block of the guide's word count") {
  const OwnedRows rows = pairs({{"hello", 1}, {"world", 1}});
  CHECK(one_chunk(block_of(BlockStyle::Scala), rows) == scala_head + "(hello,1)\n(world,1)\n\n");
  CHECK(one_chunk(block_of(BlockStyle::Python), rows) ==
        python_head + "('hello', 1)\n('world', 1)\n\n");
  CHECK(one_chunk(block_of(BlockStyle::Table), rows) == table_head +
                                                            "+-----+---+\n"
                                                            "| word|  n|\n"
                                                            "+-----+---+\n"
                                                            "|hello|  1|\n"
                                                            "|world|  1|\n"
                                                            "+-----+---+\n"
                                                            "\n");
}

TEST_CASE("a batch without rows has its headline and an empty line") {
  for (const std::uint64_t num : {0U, 1U, 10U}) {
    CHECK(one_chunk(block_of(BlockStyle::Scala, num), OwnedRows(), words) == scala_head + "\n");
    CHECK(one_chunk(block_of(BlockStyle::Python, num), OwnedRows(), words) == python_head + "\n");
    CHECK(one_chunk(block_of(BlockStyle::Table, num), OwnedRows(), words) == table_head +
                                                                                 "+----+---+\n"
                                                                                 "|word|  n|\n"
                                                                                 "+----+---+\n"
                                                                                 "+----+---+\n"
                                                                                 "\n");
  }
  ResultBlock table = block_of(BlockStyle::Table);
  table.begin(0, 12);
  CHECK(ended(table) ==
        "-------------------------------------------\n"
        "Batch: 12\n"
        "-------------------------------------------\n"
        "\n");
}

TEST_CASE("one row, as many as are printed, and one more") {
  const std::string ten = "(w,1)\n(w,2)\n(w,3)\n(w,4)\n(w,5)\n(w,6)\n(w,7)\n(w,8)\n(w,9)\n(w,10)\n";
  CHECK(one_chunk(block_of(BlockStyle::Scala), numbered(1, 1)) == scala_head + "(w,1)\n\n");
  CHECK(one_chunk(block_of(BlockStyle::Scala), numbered(1, 10)) == scala_head + ten + "\n");
  CHECK(one_chunk(block_of(BlockStyle::Scala), numbered(1, 11)) == scala_head + ten + "...\n\n");
  CHECK(one_chunk(block_of(BlockStyle::Python, 1), numbered(1, 2)) ==
        python_head + "('w', 1)\n...\n\n");
  CHECK(one_chunk(block_of(BlockStyle::Python, 2), numbered(1, 2)) ==
        python_head + "('w', 1)\n('w', 2)\n\n");
}

TEST_CASE("num 0 prints all rows") {
  std::string lines;
  for (int n = 1; n <= 300; ++n) lines += "(w," + std::to_string(n) + ")\n";
  CHECK(one_chunk(block_of(BlockStyle::Scala, 0), numbered(1, 300)) == scala_head + lines + "\n");
  const std::string table = one_chunk(block_of(BlockStyle::Table, 0), numbered(1, 300));
  CHECK(table.ends_with("|   w|300|\n+----+---+\n\n"));
}

TEST_CASE("chunks follow each other, and batches do not see each other") {
  for (const BlockStyle style : {BlockStyle::Scala, BlockStyle::Python, BlockStyle::Table}) {
    for (std::int64_t middle = 0; middle <= 11; ++middle) {
      ResultBlock block = block_of(style);
      for (int batch = 0; batch < 2; ++batch) {
        block.begin(1'479'431'100'000, 0);
        block.add(numbered(1, middle), words);
        block.add(numbered(middle + 1, 11), words);
        CHECK(ended(block) == one_chunk(block_of(style), numbered(1, 11)));
        CHECK(ended(block) == one_chunk(block_of(style), numbered(1, 11)));
        block.add(numbered(12, 12), words);
        CHECK(ended(block) == one_chunk(block_of(style), numbered(1, 11)));
      }
      block.begin(1'479'431'100'000, 0);
      block.add(numbered(3, 3), words);
      CHECK(ended(block) == one_chunk(block_of(style), numbered(3, 3)));
    }
  }
}

TEST_CASE("rows are copied, not viewed") {
  for (const BlockStyle style : {BlockStyle::Scala, BlockStyle::Table}) {
    ResultBlock block = block_of(style);
    block.begin(1'479'431'100'000, 0);
    std::string word = "a long word, not in place";
    block.add(pairs({{word, 1}}), words);
    const std::string before = ended(block);
    word.assign(word.size(), '!');
    CHECK(ended(block) == before);
  }
}

TEST_CASE("the clock of the Python style is that of its zone") {
  CHECK(python_time(1'413'325'521'000, "America/Los_Angeles") == "2014-10-14 15:25:21");
  CHECK(python_time(1'413'325'521'000, "UTC") == "2014-10-14 22:25:21");
  CHECK(python_time(1'479'431'100'000, "Asia/Shanghai") == "2016-11-18 09:05:00");
  CHECK(python_time(1'413'325'521'500, "America/Los_Angeles") == "2014-10-14 15:25:21.500000");
  CHECK(python_time(1'413'325'521'050, "Asia/Kolkata") == "2014-10-15 03:55:21.050000");
  CHECK(python_time(1'413'325'521'001, "UTC") == "2014-10-14 22:25:21.001000");
  CHECK(python_time(0, "UTC") == "1970-01-01 00:00:00");
  CHECK(python_time(-500, "UTC") == "1969-12-31 23:59:59.500000");
  CHECK(python_time(-1000, "UTC") == "1969-12-31 23:59:59");
}

TEST_CASE("the other styles have no use for the zone") {
  const OwnedRows rows = numbered(1, 1);
  for (const BlockStyle style : {BlockStyle::Scala, BlockStyle::Table}) {
    CHECK(one_chunk(block_of(style, 10, "Asia/Shanghai"), rows) ==
          one_chunk(block_of(style, 10, "UTC"), rows));
  }
  ResultBlock block = block_of(BlockStyle::Scala);
  block.begin(1'413'325'521'500, 7);
  CHECK(ended(block).find("Time: 1413325521500 ms\n") == 44);
}

TEST_CASE("a table says how many rows of more it shows") {
  CHECK(one_chunk(block_of(BlockStyle::Table, 2), numbered(1, 3)) == table_head +
                                                                         "+----+---+\n"
                                                                         "|word|  n|\n"
                                                                         "+----+---+\n"
                                                                         "|   w|  1|\n"
                                                                         "|   w|  2|\n"
                                                                         "+----+---+\n"
                                                                         "only showing top 2 rows\n"
                                                                         "\n");
  CHECK(one_chunk(block_of(BlockStyle::Table, 1), numbered(1, 2))
            .ends_with("+----+---+\nonly showing top 1 row\n\n"));
  CHECK(one_chunk(block_of(BlockStyle::Table), numbered(1, 10))
            .ends_with("|   w| 10|\n+----+---+\n\n"));
  CHECK(one_chunk(block_of(BlockStyle::Table), numbered(1, 11))
            .ends_with("|   w| 10|\n+----+---+\nonly showing top 10 rows\n\n"));
}

/// The lines of a table with one column: its rules, its name, its cell.
std::string cell(std::string_view text, const std::string& name = "t") {
  const Schema schema({{name, ColumnType::Text}});
  OwnedRows rows;
  rows.columns.resize(1);
  rows.columns[0].push_back(Cell::of(text));
  rows.size = 1;
  const std::string block = one_chunk(block_of(BlockStyle::Table), rows, schema);
  REQUIRE(block.starts_with(table_head));
  return block.substr(table_head.size());
}

TEST_CASE("columns of a table are at least 3 wide, cells stand at the right") {
  CHECK(cell("") == "+---+\n|  t|\n+---+\n|   |\n+---+\n\n");
  CHECK(cell("abcd") == "+----+\n|   t|\n+----+\n|abcd|\n+----+\n\n");
  CHECK(cell("x", "name") == "+----+\n|name|\n+----+\n|   x|\n+----+\n\n");
}

TEST_CASE("wide characters take two columns of a table") {
  CHECK(one_chunk(block_of(BlockStyle::Table), pairs({{"中文", 1}, {"abc", 2}, {"é", 3}})) ==
        table_head +
            "+----+---+\n"
            "|word|  n|\n"
            "+----+---+\n"
            "|中文|  1|\n"
            "| abc|  2|\n"
            "|   é|  3|\n"
            "+----+---+\n"
            "\n");
  CHECK(cell("中文字") == "+------+\n|     t|\n+------+\n|中文字|\n+------+\n\n");
  CHECK(cell("x", "单词数") == "+------+\n|单词数|\n+------+\n|     x|\n+------+\n\n");
  CHECK(cell("한Ａｱ") == "+-----+\n|    t|\n+-----+\n|한Ａｱ|\n+-----+\n\n");  // The last is half.
  CHECK(cell("\U0001F600ab") == "+----+\n|   t|\n+----+\n|\U0001F600ab|\n+----+\n\n");
}

TEST_CASE("a cell of a table has at most 20 characters, a name as many as it likes") {
  const std::string twenty = "abcdefghijklmnopqrst";
  const std::string rule = "+--------------------+\n";
  const std::string head = rule + "|                   t|\n" + rule;
  CHECK(cell(twenty) == head + "|" + twenty + "|\n" + rule + "\n");
  CHECK(cell(twenty + "u") == head + "|abcdefghijklmnopq...|\n" + rule + "\n");
  CHECK(cell(twenty + "中文") == head + "|abcdefghijklmnopq...|\n" + rule + "\n");

  const std::string name = "a name of 24 characters_";
  CHECK(cell("x", name) == "+------------------------+\n|" + name +
                               "|\n+------------------------+\n|                       x|\n"
                               "+------------------------+\n\n");

  // Characters are counted here, not their width: 17 wide ones and the dots.
  std::string wide;
  for (int i = 0; i < 20; ++i) wide += "中";
  CHECK(cell(wide).find("|" + wide + "|\n") != std::string::npos);
  CHECK(cell(wide + "a").find("|" + wide.substr(0, 51) + "...|\n") != std::string::npos);
  CHECK(cell(wide + "a").starts_with("+" + std::string(37, '-') + "+\n"));

  // Beyond U+FFFF they count twice, and none is cut in two.
  std::string faces;
  for (int i = 0; i < 10; ++i) faces += "\U0001F600";
  CHECK(cell(faces).find("|" + faces + "|\n") != std::string::npos);
  CHECK(cell(faces + "a").find("|" + faces.substr(0, 32) + "...|\n") != std::string::npos);
}

TEST_CASE("nothing in a cell breaks the frame of a table") {
  CHECK(cell("a\nb\r\t\f\b\v\a") ==
        "+----------------+\n|               t|\n+----------------+\n"
        "|a\\nb\\r\\t\\f\\b\\v\\a|\n+----------------+\n\n");
  CHECK(cell("a\xFFz\xE4\xB8") == "+----+\n|   t|\n+----+\n|a\uFFFDz\uFFFD|\n+----+\n\n");
  CHECK(cell("x", "a\nb") == "+----+\n|a\\nb|\n+----+\n|   x|\n+----+\n\n");
  // An escape is two characters, which the limit may part.
  CHECK(cell("abcdefghijklmnop\nrstu").find("|abcdefghijklmnop\\...|\n") != std::string::npos);
}

TEST_CASE("every type has its cell in a table") {
  const Schema schema(
      {{"b", ColumnType::Bool}, {"d", ColumnType::Double}, {"none", ColumnType::Int}});
  OwnedRows rows;
  rows.columns.resize(3);
  rows.columns[0].push_back(Cell::of(true));
  rows.columns[1].push_back(Cell::of(1e7));
  rows.columns[2].push_null();
  rows.size = 1;
  CHECK(one_chunk(block_of(BlockStyle::Table), rows, schema) == table_head +
                                                                    "+----+-----+----+\n"
                                                                    "|   b|    d|none|\n"
                                                                    "+----+-----+----+\n"
                                                                    "|true|1.0E7|null|\n"
                                                                    "+----+-----+----+\n"
                                                                    "\n");
}

}  // namespace
}  // namespace sluice::analytics

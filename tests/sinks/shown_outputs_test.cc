// What views and gauges make of rows.
#include "sinks/shown_outputs.h"

#include "sinks/view_board.h"
#include "tests/catch.h"
#include "tests/support/owned_rows.h"
#include "tests/support/settings.h"

namespace sluice {
namespace {

using analytics::Cell;
using analytics::Column;
using analytics::ColumnType;
using analytics::OwnedRows;
using analytics::Schema;
using analytics::Tick;
using Values = std::map<std::string, std::string>;

const Schema& words() {
  static const Schema schema({{"word", ColumnType::Text}, {"n", ColumnType::Int}});
  return schema;
}

OwnedRows rows_of(const std::vector<std::pair<std::string_view, std::int64_t>>& all) {
  OwnedRows rows;
  rows.size = static_cast<std::uint32_t>(all.size());
  rows.columns.resize(2);
  for (const auto& [word, n] : all) {
    rows.columns[0].push_back(Cell::of(word));
    rows.columns[1].push_back(Cell::of(n));
  }
  return rows;
}

OutputInput input_of(const Schema& schema, const std::string& branch = {}) {
  return {"mb", branch, schema, milliseconds(1000)};
}

/// A view of words.
struct Shown {
  explicit Shown(const Values& values = {})
      : output(make_view_output(test_settings(view_output_info, "output live", values), "mb.live",
                                input_of(words()), board)) {}
  std::string end(std::int64_t time_ms) {
    output->end({time_ms, 1000}, 0);
    output->show();
    return board.views()[0]->last()->json;
  }
  ViewBoard board;
  std::unique_ptr<BatchOutput> output;
};

/// Gauges of rows of any schema.
struct Gauged {
  explicit Gauged(const Schema& schema = words(), const Values& values = {},
                  const std::string& branch = {})
      : output(make_gauges_output(test_settings(gauges_output_info, "output g", values), "mb.g",
                                  input_of(schema, branch), gauges)) {}
  const ResultFigures& end() {
    output->end({1000, 1000}, 0);
    output->show();
    all = gauges.all();
    REQUIRE(all.size() == 1);
    return *all.begin()->second;
  }
  ResultGauges gauges;
  ResultGauges::All all;
  std::unique_ptr<BatchOutput> output;
};

using Labels = std::vector<std::string>;

std::int64_t whole(const ResultFigures& figures, std::size_t row) {
  return std::get<std::int64_t>(figures.rows[row].values[0]);
}

}  // namespace

TEST_CASE("a view shows the rows of a batch, and none of the one before") {
  Shown shown;
  const auto& plan = shown.board.views()[0]->plan();
  CHECK(plan.columns_json == R"([{"name":"word","type":"text"},{"name":"n","type":"int"}])");
  CHECK(plan.remember == milliseconds(60'000));
  CHECK(plan.interval == milliseconds(1000));
  shown.output->push(rows_of({{"hello", 2}}));
  shown.output->push(rows_of({{"wo\"rld\n", 1}}));
  CHECK(shown.output->take_row_count() == 2);
  CHECK(shown.end(1000) == R"({"time":1000,"rows":[["hello",2],["wo\"rld\n",1]],"left":0})");
  CHECK(shown.output->take_row_count() == 0);
  CHECK(shown.end(2000) == R"({"time":2000,"rows":[],"left":0})");
}

TEST_CASE("nothing is seen of a batch before it is committed") {
  Shown shown;
  shown.output->push(rows_of({{"hello", 2}}));
  shown.output->end({1000, 1000}, 0);
  CHECK(shown.board.views()[0]->last() == nullptr);
  CHECK(shown.output->take_text().empty());
  Gauged gauged;
  gauged.output->push(rows_of({{"hello", 2}}));
  gauged.output->end({1000, 1000}, 0);
  CHECK(gauged.gauges.all().empty());
}

TEST_CASE("what a window has shown stays until the next one ends") {
  Shown shown;
  Gauged gauged;
  shown.output->push(rows_of({{"hello", 2}}));
  gauged.output->push(rows_of({{"hello", 2}}));
  const std::string first = shown.end(1000);
  CHECK(gauged.end().rows.size() == 1);
  for (BatchOutput* const output : {shown.output.get(), gauged.output.get()}) {
    output->tick({2000, 1000, false});
  }
  CHECK(shown.end(2000) == first);
  CHECK(gauged.end().rows.size() == 1);
  for (BatchOutput* const output : {shown.output.get(), gauged.output.get()}) {
    output->tick({3000, 1000});
  }
  CHECK(shown.end(3000) == R"({"time":3000,"rows":[],"left":0})");
  CHECK(gauged.end().rows.empty());
}

TEST_CASE("a view shows so many rows and counts the others") {
  Shown shown(Values{{"num", "2"}});
  shown.output->push(rows_of({{"a", 1}, {"b", 2}, {"c", 3}}));
  shown.output->push(rows_of({{"d", 4}}));
  CHECK(shown.end(1000) == R"({"time":1000,"rows":[["a",1],["b",2]],"left":2})");
  shown.output->push(rows_of({{"a", 1}}));
  CHECK(shown.end(2000) == R"({"time":2000,"rows":[["a",1]],"left":0})");
}

TEST_CASE("a view's batch is bounded in bytes, whatever rows hold") {
  Shown shown;
  const std::string large(400 * 1024, 'x');
  for (int i = 0; i < 5; ++i) shown.output->push(rows_of({{large, 1}}));
  const std::string json = shown.end(1000);
  CHECK(json.ends_with("\",1]],\"left\":3}"));
  CHECK(json.size() < (1 << 20) + 100);
  const std::string huge(2 << 20, 'x');
  shown.output->push(rows_of({{huge, 1}}));
  CHECK(shown.end(2000) == R"({"time":2000,"rows":[],"left":1})");
}

TEST_CASE("texts are labels and numbers are values") {
  const Schema schema({{"word", ColumnType::Text},
                       {"n", ColumnType::Int},
                       {"hot", ColumnType::Bool},
                       {"sink", ColumnType::Text},
                       {"avg", ColumnType::Double}});
  Gauged gauged(schema, {}, "count");
  OwnedRows rows;
  rows.size = 1;
  rows.columns.resize(5);
  rows.columns[0].push_back(Cell::of(std::string_view("a\xFF")));
  rows.columns[1].push_back(Cell::of(std::int64_t{7}));
  rows.columns[2].push_back(Cell::of(true));
  rows.columns[3].push_null();
  rows.columns[4].push_null();
  gauged.output->push(rows);
  const ResultFigures& figures = gauged.end();
  CHECK(figures.sink == "mb");
  CHECK(figures.output == "g");
  CHECK(figures.step == "count");
  CHECK(figures.label_names == Labels{"word", "hot", "sink_2"});
  CHECK(figures.value_names == Labels{"n", "avg"});
  REQUIRE(figures.rows.size() == 1);
  CHECK(figures.rows[0].labels == Labels{"a\uFFFD", "true", ""});
  CHECK(whole(figures, 0) == 7);
  CHECK(std::holds_alternative<std::monostate>(figures.rows[0].values[1]));
}

TEST_CASE("columns that are named are labels, numbers too") {
  const Schema schema(
      {{"status", ColumnType::Int}, {"n", ColumnType::Int}, {"t", ColumnType::Text}});
  Gauged gauged(schema, {{"labels", "status"}});
  OwnedRows rows;
  rows.size = 1;
  rows.columns.resize(3);
  rows.columns[0].push_back(Cell::of(std::int64_t{404}));
  rows.columns[1].push_back(Cell::of(std::int64_t{3}));
  rows.columns[2].push_back(Cell::of(std::string_view("text")));
  gauged.output->push(rows);
  const ResultFigures& figures = gauged.end();
  CHECK(figures.label_names == Labels{"status"});
  CHECK(figures.value_names == Labels{"n"});
  CHECK(figures.rows[0].labels == Labels{"404"});
  CHECK(whole(figures, 0) == 3);
}

TEST_CASE("of rows with the same labels the last one counts") {
  Gauged gauged;
  gauged.output->push(rows_of({{"a", 1}, {"b", 2}, {"a", 3}}));
  const ResultFigures& figures = gauged.end();
  REQUIRE(figures.rows.size() == 2);
  CHECK(whole(figures, 0) == 3);
  CHECK(figures.left_out == 0);
}

TEST_CASE("gauges are bounded in rows and bytes, and gone with the next batch") {
  Gauged gauged(words(), {{"num", "2"}});
  gauged.output->push(rows_of({{"a", 1}, {"b", 2}, {"c", 3}, {"a", 4}}));
  CHECK(gauged.end().left_out == 1);
  CHECK(gauged.all.begin()->second->rows.size() == 2);
  CHECK(gauged.end().rows.empty());
  CHECK(gauged.end().left_out == 0);
  gauged.output->push(rows_of({{"c", 1}}));
  CHECK(gauged.end().rows[0].labels == Labels{"c"});
  Gauged many(words(), {{"num", "100000"}});
  for (int i = 0; i < 5000; ++i) {
    const std::string label = std::to_string(i) + std::string(100'000, 'x');
    many.output->push(rows_of({{label, 1}}));
  }
  const ResultFigures& figures = many.end();
  CHECK(figures.rows[0].labels[0].size() == 1024);
  CHECK(figures.rows.size() == 4096);
  CHECK(figures.left_out == 904);
}

TEST_CASE("gauges of columns that are not there, or of no numbers, are refused") {
  const auto judged = [](const Values& values, const Schema& schema) {
    return judge_gauges(test_settings(gauges_output_info, "output g", values), schema);
  };
  CHECK(judged({}, words()).empty());
  CHECK(judged({{"labels", "word"}}, words()).empty());
  const auto unknown = judged({{"labels", "wrod"}}, words());
  REQUIRE(unknown.size() == 1);
  CHECK(unknown[0].key == "labels");
  CHECK(unknown[0].hint.find("word") != std::string::npos);
  CHECK(judged({}, Schema({{"body", ColumnType::Text}})).size() == 1);
  CHECK(judged({{"labels", "word n"}}, words()).size() == 1);
}

}  // namespace sluice

#include "analytics/aggregate_call.h"

#include <string>

#include "tests/catch.h"

namespace sluice::analytics {
namespace {

AggregateCall read(std::string_view text) {
  auto result = read_aggregate(text);
  INFO(text);
  REQUIRE(std::holds_alternative<AggregateCall>(result));
  return std::get<AggregateCall>(result);
}

Problem problem_with(std::string_view text) {
  auto result = read_aggregate(text);
  INFO(text);
  REQUIRE(std::holds_alternative<Problem>(result));
  return std::get<Problem>(result);
}

/// What of `text` the problem points to, and what it says.
std::string told(std::string_view text) {
  const Problem problem = problem_with(text);
  REQUIRE(problem.offset <= text.size());
  REQUIRE(problem.bytes <= text.size() - problem.offset);
  std::string all = std::to_string(problem.offset) + " [" +
                    std::string(text.substr(problem.offset, problem.bytes)) + "] " +
                    problem.message;
  if (!problem.hint.empty()) all += " / " + problem.hint;
  return all;
}

TEST_CASE("aggregate calls: each function is read by its name") {
  for (const std::string_view name : {"sum", "min", "max", "avg", "var", "stddev", "first", "last",
                                      "collect", "distinct", "count"}) {
    const AggregateCall call = read(std::string(name) + "(amount)");
    CHECK(to_string(call.function) == name);
    CHECK(call.argument == "amount");
    CHECK(call.argument_offset == name.size() + 1);
  }
  CHECK(read("count()").function == AggregateFunction::Count);
  CHECK_FALSE(read("count( )").has_argument());
  CHECK(read("rate()").function == AggregateFunction::Rate);
  CHECK(read("collect(x)").limit == 1000);
  CHECK(read("collect(x, 7)").limit == 7);
  const AggregateCall call = read("  quantile\t( latency * 1000 ,0.99 ) ");
  CHECK(call.function == AggregateFunction::Quantile);
  CHECK(call.argument == "latency * 1000");
  CHECK(call.argument_offset == 13);
  CHECK(call.quantile == 0.99);
}

TEST_CASE("aggregate calls: an argument ends at its own comma or bracket only") {
  CHECK(read("sum(if(a, b, [c, d]))").argument == "if(a, b, [c, d])");
  CHECK(read("quantile(f({x: ')'}), 1)").argument == "f({x: ')'})");
  CHECK(read("distinct(concat(a, ',)'))").argument == "concat(a, ',)')");
  CHECK(read(R"(distinct("it's, (" ))").argument == R"("it's, (")");
  CHECK(read(R"(collect('\', \\', 3))").argument == R"('\', \\')");
  CHECK(read("first(header('x'))").argument_offset == 6);
  CHECK(read("count('')").argument == "''");
}

TEST_CASE("aggregate calls: what is wrong is pointed to") {
  CHECK(told("") == "0 [] an aggregate function is expected / for example count() or sum(x)");
  CHECK(told(" *") == "1 [*] an aggregate function is expected / for example count() or sum(x)");
  CHECK(told(" summ(x)") == "1 [summ] there is no aggregate function 'summ' / did you mean 'sum'?");
  CHECK(told("Count()") ==
        "0 [Count] there is no aggregate function 'Count' / did you mean 'count'?");
  CHECK(told("mean(x)") == "0 [mean] there is no aggregate function 'mean' / did you mean 'avg'?");
  CHECK(told("zebra(x)") == "0 [zebra] there is no aggregate function 'zebra'");
  CHECK(told("count") == "0 [count] '(' is expected after count");
  CHECK(told("sum x") == "0 [sum] '(' is expected after sum");
  CHECK(told("sum(x") == "3 [(] nothing closes this bracket");
  CHECK(told("sum(f(x)") == "3 [(] nothing closes this bracket");
  CHECK(told("sum(f[x)") == "7 [)] ']' is expected before this");
  CHECK(told("sum('x)") == "4 ['x)] this text has no closing quote");
  CHECK(told("sum('x\\") == "4 ['x\\] this text has no closing quote");
  CHECK(told("sum(x) + 1") == "7 [+ 1] nothing is expected after sum(...)");
}

TEST_CASE("aggregate calls: wrong arguments are pointed to") {
  CHECK(told("sum( )") == "3 [( )] sum() needs an argument");
  CHECK(told("sum(a, b)") == "7 [b] sum() takes one argument");
  CHECK(told("rate(x)") == "5 [x] rate() takes no argument");
  CHECK(told("collect(x, 1, 2)") == "14 [2] collect() takes two arguments");
  CHECK(told("quantile(x)") ==
        "8 [(x)] quantile() needs two arguments / for example quantile(x, 0.99)");
  CHECK(told("quantile(, 1)") == "9 [,] an argument is expected here");
  CHECK(told("collect(x, )") == "11 [)] an argument is expected here");
  CHECK(told("quantile(x, 99)") ==
        "12 [99] a number from 0 to 1 is expected / 99 % is written 0.99");
  CHECK(told("quantile(x, -0.1)") == "12 [-0.1] a number from 0 to 1 is expected");
  CHECK(told("quantile(x, nan)") == "12 [nan] a number from 0 to 1 is expected");
  CHECK(told("quantile(x, 0.5x)") == "12 [0.5x] a number from 0 to 1 is expected");
  const std::string whole = "a whole number from 1 to 1000000 is expected";
  CHECK(told("collect(x, 0)") == "11 [0] " + whole);
  CHECK(told("collect(x, -1)") == "11 [-1] " + whole);
  CHECK(told("collect(x, 1.5)") == "11 [1.5] " + whole);
  CHECK(told("collect(x, 1000001)") == "11 [1000001] " + whole);
}

TEST_CASE("aggregate calls: any text is read or refused within its bounds") {
  const std::string_view pieces[] = {"sum", "quantile", "(",  ")", "[", "]", "{", "}",    ",",
                                     "'",   "\"",       "\\", " ", "x", "1", ".", "\xc3", "count"};
  std::uint64_t state = 1;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = i % 2 == 0 ? "sum(" : "";
    for (int j = 0; j < 8; ++j) {
      state = state * 6364136223846793005 + 1442695040888963407;
      text += pieces[(state >> 33) % std::size(pieces)];
    }
    if (std::holds_alternative<Problem>(read_aggregate(text))) told(text);
  }
}

TEST_CASE("aggregate calls: a result has a type, and text has no sum") {
  const auto type = [](std::string_view text, ColumnType argument) {
    return std::get<ColumnType>(result_type(read(text), argument));
  };
  CHECK(type("count()", ColumnType::Text) == ColumnType::Int);
  CHECK(type("distinct(x)", ColumnType::Text) == ColumnType::Int);
  CHECK(type("sum(x)", ColumnType::Int) == ColumnType::Int);
  CHECK(type("sum(x)", ColumnType::Double) == ColumnType::Double);
  CHECK(type("avg(x)", ColumnType::Int) == ColumnType::Double);
  CHECK(type("quantile(x, 0)", ColumnType::Int) == ColumnType::Double);
  CHECK(type("rate()", ColumnType::Bool) == ColumnType::Double);
  CHECK(type("max(x)", ColumnType::Bool) == ColumnType::Bool);
  CHECK(type("first(x)", ColumnType::Text) == ColumnType::Text);
  CHECK(type("collect(x)", ColumnType::Int) == ColumnType::Text);
  for (const std::string_view text : {"sum(x)", "avg(x)", "var(x)", "stddev(x)"}) {
    for (const ColumnType wrong : {ColumnType::Text, ColumnType::Bool}) {
      const auto problem = std::get<Problem>(result_type(read(text), wrong));
      CHECK(problem.offset == text.size() - 2);
      CHECK(problem.bytes == 1);
      CHECK(problem.message.find("needs a number, and this is a " +
                                 std::string(to_string(wrong))) != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace sluice::analytics

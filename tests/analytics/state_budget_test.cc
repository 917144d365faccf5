// What steps keep is bounded by bytes: floods of keys and values, and what counts on exactly.
#include "analytics/state_budget.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/support/pipelines.h"

namespace sluice::analytics {
namespace {

constexpr std::int64_t epoch = 1'699'999'980'000;  // when an Analysis begins
constexpr std::uint64_t bytes_max = 2'000'000;
const std::string long_key(10'000, 'k');

using Bounded = std::pair<std::string, std::uint64_t>;
using Values = std::vector<std::pair<std::string, std::string>>;

/// A key of 10 kB that did not come before.
std::string flood_key() {
  static int number = 0;
  return std::to_string(++number) + long_key;
}

std::vector<std::string> flood(int rows) {
  std::vector<std::string> all;
  for (int i = 0; i < rows; ++i) all.push_back(flood_key());
  return all;
}

StepLines by_body(Values more = {}) {
  Values values = {{"by", "body"}, {"agg.n", "count()"}, {"agg.twice", "sum(2)"}};
  for (auto& each : more) values.push_back(std::move(each));
  return {"a", "aggregate", std::move(values)};
}

std::uint64_t left_out(Analysis& analysis, const std::string& what) {
  return analysis.pipeline().left_out().at(what);
}

/// Of the rows "KEY,N": the sum of N over all keys, and of one key.
std::pair<std::uint64_t, std::uint64_t> sums(const Results& rows, const std::string& key) {
  std::uint64_t all = 0;
  std::uint64_t its = 0;
  for (const std::string& row : rows) {
    const std::size_t comma = row.find(',');
    const std::uint64_t n = std::stoull(row.substr(comma + 1));
    all += n;
    if (row.substr(0, comma) == key) its += n;
  }
  return {all, its};
}

TEST_CASE("a budget knows its room, and shares give back what they took") {
  StateBudget budget(100);
  {
    StateBudget::Share one(&budget);
    one.set(60);
    StateBudget::Share other(&budget);
    other.set(70);
    CHECK(budget.room() == 0);
    one.set(10);
    CHECK(budget.room() == 20);
    const StateBudget::Share moved = std::move(one);
    CHECK(budget.used() == 80);
  }
  CHECK(budget.room() == 100);
}

TEST_CASE(
    "maxStateBytes: a flood of long keys in a batch goes to the others, known keys count on") {
  Analysis analysis({by_body({{"maxStateBytes", std::to_string(bytes_max)}})});
  for (int batch = 0; batch < 3; ++batch) {
    analysis.push({"known"});
    for (int i = 0; i < 10; ++i) {
      analysis.push(flood(100));
      analysis.push({"known"});
      CHECK(analysis.pipeline().state_bytes() <= bytes_max);
    }
    CHECK(analysis.pipeline().state_bytes() > bytes_max / 2);  // the bound is used
    const Results rows = analysis.tick();
    CHECK(sums(rows, "known") == std::pair<std::uint64_t, std::uint64_t>(1011, 11));
    const std::uint64_t others = sums(rows, "(other)").second;
    CHECK(others > 700);
    CHECK(left_out(analysis, "a rows beyond maxStateBytes") == others * (batch + 1));
    CHECK(left_out(analysis, "a rows of keys beyond maxKeys") == 0);
  }
}

TEST_CASE("maxStateBytes: a flood of short keys, of one column or more") {
  for (const std::string by : {"k", "k m"}) {
    Analysis analysis(
        {{"p", "parse", {{"format", "csv"}, {"fields", "k m:int"}}},
         {"a", "aggregate", {{"by", by}, {"agg.n", "count()"}, {"maxStateBytes", "500000"}}}});
    std::vector<std::string> lines = {"known,1"};
    for (int i = 0; i < 20'000; ++i) lines.push_back(std::to_string(i) + ",2");
    lines.push_back("known,1");
    analysis.push(lines);
    CHECK(analysis.pipeline().state_bytes() <= 500'000);
    CHECK(analysis.pipeline().state_bytes() > 180'000);
    const Results rows = analysis.tick();
    CHECK(rows.front() == (by == "k" ? "known,2" : "known,1,2"));
    CHECK(left_out(analysis, "a rows beyond maxStateBytes") == 20'000 - (rows.size() - 2));
  }
}

TEST_CASE("maxStateBytes: a state of long keys, and the same when the process ends in between") {
  const std::vector<StepLines> steps = {
      by_body({{"maxKeys", "1000000"}}),
      {"t",
       "state",
       {{"merge.n", "sum"}, {"merge.twice", "sum"}, {"maxStateBytes", std::to_string(bytes_max)}}}};
  Analysis through(steps);
  Analysis restarted(steps);
  std::uint64_t rows_pushed = 0;
  for (int batch = 0; batch < 12; ++batch) {
    std::vector<std::string> rows = flood(40);
    rows.insert(rows.begin(), "known");
    rows.emplace_back("known");
    rows_pushed += rows.size();
    const Results results = through.batch(rows);
    CHECK(through.pipeline().state_bytes() <= bytes_max);
    CHECK(sums(results, "known") ==
          std::pair<std::uint64_t, std::uint64_t>(rows_pushed, 2 * (batch + 1)));
    CHECK(sorted(restarted.batch(rows)) == sorted(results));
    restarted.restart();
    CHECK(restarted.pipeline().state_bytes() <= bytes_max);
  }
  CHECK(left_out(through, "t rows beyond maxStateBytes") > 200);
}

TEST_CASE("maxStateBytes: what a timeout forgets makes room, and its memory is given back") {
  Analysis analysis({by_body(),
                     {"t",
                      "state",
                      {{"merge.n", "sum"},
                       {"merge.twice", "sum"},
                       {"timeout", "2s"},
                       {"maxStateBytes", std::to_string(bytes_max)}}}});
  analysis.batch({"known"});
  for (int round = 0; round < 5; ++round) {
    analysis.batch(flood(300));
    CHECK(analysis.pipeline().state_bytes() <= bytes_max);
    analysis.batch({"known"});
    analysis.batch({"known"});
    const Results rows = analysis.batch({"known"});
    CHECK(sums(rows, "known").second == static_cast<std::uint64_t>(3 * round + 4));
    CHECK(rows.size() == 1);
    CHECK(analysis.pipeline().state_bytes() < 700'000);
  }
}

TEST_CASE("maxStateBytes: a state that was kept under a larger bound is there, and takes no more") {
  const auto steps = [](const std::string& bound) {
    return std::vector<StepLines>{
        by_body(),
        {"t", "state", {{"merge.n", "sum"}, {"merge.twice", "sum"}, {"maxStateBytes", bound}}}};
  };
  Analysis before(steps("100M"));
  before.batch(flood(200));
  before.restart();
  Analysis after(steps("64Ki"));
  REQUIRE(after.pipeline().fingerprint() == before.pipeline().fingerprint());
  REQUIRE(after.pipeline().load(before.kept().saved()).ok());
  CHECK(after.batch({"new", "newer"}).size() == 201);
  CHECK(left_out(after, "t rows beyond maxStateBytes") == 2);
}

TEST_CASE("maxStateBytes: values of collect that there is no room for are left out, rows count") {
  Analysis analysis({{"p", "parse", {{"format", "csv"}, {"fields", "k v"}}},
                     {"a",
                      "aggregate",
                      {{"by", "k"},
                       {"agg.n", "count()"},
                       {"agg.all", "collect(v, 1000000)"},
                       {"maxStateBytes", "300000"}}}});
  for (int i = 0; i < 200; ++i) {
    analysis.push({"a," + std::to_string(100 + i) + long_key, "b,x"});
    CHECK(analysis.pipeline().state_bytes() <= 300'000);
  }
  const Results rows = analysis.tick();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].starts_with("a,200,\"[100k"));
  CHECK(rows[1].starts_with("b,200,\"[x, x"));
  const auto kept = static_cast<std::uint64_t>(std::count(rows[0].begin(), rows[0].end(), ' ')) + 1;
  const auto kept_short =
      static_cast<std::uint64_t>(std::count(rows[1].begin(), rows[1].end(), ' ')) + 1;
  CHECK(kept > 5);
  CHECK(kept < 30);
  CHECK(left_out(analysis, "a values beyond maxStateBytes") == 400 - kept - kept_short);
  CHECK(left_out(analysis, "a rows beyond maxStateBytes") == 0);
}

TEST_CASE("maxStateBytes: texts and sketches of known keys do not outgrow it either") {
  const auto [function, bound] =
      GENERATE(Bounded("last(v)", 400'000), Bounded("max(v)", 400'000), Bounded("first(v)", 63'000),
               Bounded("distinct(v)", 90'000), Bounded("quantile(n, 0.5)", 400'000));
  Analysis analysis({{"p", "parse", {{"format", "csv"}, {"fields", "k v n:double"}}},
                     {"a",
                      "aggregate",
                      {{"by", "k"},
                       {"agg.n", "count()"},
                       {"agg.f", function},
                       {"maxStateBytes", std::to_string(bound)}}}});
  std::mt19937_64 random(3);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> lines;
    for (int key = 0; key < 200; ++key) {
      const std::string larger(1, static_cast<char>('A' + round));
      const std::string text(static_cast<std::size_t>(round) * 40, 'v');
      lines.push_back(std::to_string(key) + "," + larger + std::to_string(random()) + text + "," +
                      std::to_string(std::ldexp(1.0, round * 4)));
    }
    analysis.push(lines);
    CHECK(analysis.pipeline().state_bytes() <= bound);
  }
  CHECK(left_out(analysis, "a values beyond maxStateBytes") > 100);
  const Results rows = analysis.tick();
  CHECK(rows.size() == 200);
  CHECK(std::all_of(rows.begin(), rows.end(),
                    [](const auto& row) { return row.find(",60,") != std::string::npos; }));
}

TEST_CASE("maxStateBytes: a piece of a window that slides leaves room for the next ones") {
  Analysis analysis({{"w", "window", {{"length", "4s"}, {"slide", "1s"}}},
                     by_body({{"maxStateBytes", std::to_string(bytes_max)}})});
  for (int batch = 0; batch < 12; ++batch) {
    analysis.push({"known"});
    analysis.push(flood(400));
    analysis.push({"known"});
    CHECK(analysis.pipeline().state_bytes() <= bytes_max);
    const auto windows = static_cast<std::uint64_t>(std::min(batch + 1, 4));
    CHECK(sums(analysis.tick(), "known") == std::pair(402 * windows, 2 * windows));
  }
}

TEST_CASE("maxStateBytes: rows of very many times do not make more pieces than there is room for") {
  Analysis analysis(
      {{"p", "parse", {{"format", "csv"}, {"fields", "t:int k"}}},
       {"w", "window", {{"length", "1s"}, {"time", "event"}, {"timestamp", "t"}, {"delay", "1d"}}},
       {"a", "aggregate", {{"by", "k"}, {"agg.n", "count()"}, {"maxStateBytes", "300000"}}}});
  std::vector<std::string> lines;
  for (int i = 0; i < 3000; ++i) lines.push_back(std::to_string(epoch - i * 1000) + ",a");
  analysis.push(lines);
  analysis.push({std::to_string(epoch) + ",a"});
  CHECK(analysis.pipeline().state_bytes() <= 300'000);
  const std::uint64_t refused = left_out(analysis, "a rows beyond maxStateBytes");
  CHECK(refused > 2000);
  analysis.tick();
  analysis.restart();
  analysis.push({std::to_string(epoch + 2 * 86'400'000) + ",z"});
  CHECK(left_out(analysis, "a rows of the future") == 1);
}

TEST_CASE("maxStateBytes: sessions that there is no room for are left out, open ones go on") {
  Analysis analysis(
      {{"p", "parse", {{"format", "csv"}, {"fields", "t:int k"}}},
       {"w",
        "window",
        {{"kind", "session"}, {"gap", "10s"}, {"time", "event"}, {"timestamp", "t"}}},
       {"a",
        "aggregate",
        {{"by", "k"}, {"agg.n", "count()"}, {"maxStateBytes", std::to_string(bytes_max)}}}});
  const std::string now = std::to_string(epoch) + ",";
  analysis.push({now + "known"});
  for (int i = 0; i < 10; ++i) {
    std::vector<std::string> lines;
    for (const std::string& key : flood(100)) lines.push_back(now + key);
    analysis.push(lines);
    analysis.push({now + "known"});
    CHECK(analysis.pipeline().state_bytes() <= bytes_max);
  }
  analysis.tick();
  analysis.restart();
  const Results rows = analysis.batch({std::to_string(epoch + 60'000) + ",z"});
  CHECK(std::count(rows.begin(), rows.end(),
                   std::to_string(epoch) + "," + std::to_string(epoch + 10'000) + ",known,11") ==
        1);
  CHECK(analysis.pipeline().state_bytes() <= bytes_max);
}

TEST_CASE("maxStateBytes: one key does not have more sessions than there is room for") {
  Analysis analysis(
      {{"p", "parse", {{"format", "csv"}, {"fields", "t:int k"}}},
       {"w",
        "window",
        {{"kind", "session"},
         {"gap", "1s"},
         {"time", "event"},
         {"timestamp", "t"},
         {"delay", "1d"}}},
       {"a", "aggregate", {{"by", "k"}, {"agg.n", "count()"}, {"maxStateBytes", "100000"}}}});
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> lines;
    for (int i = 0; i < 200; ++i) {
      lines.push_back(std::to_string(epoch - (round * 200 + i) * 5000) + ",a");
    }
    analysis.push(lines);
    CHECK(analysis.pipeline().state_bytes() <= 130'000);
  }
  CHECK(left_out(analysis, "a rows without room for a session") > 2000);
}

TEST_CASE("maxStateBytes: the memory of short keys that a timeout forgets is given back, too") {
  Analysis analysis(
      {by_body(), {"t", "state", {{"merge.n", "sum"}, {"merge.twice", "sum"}, {"timeout", "2s"}}}});
  analysis.batch({"known"});
  std::vector<std::string> keys;
  for (int i = 0; i < 40'000; ++i) keys.push_back(std::to_string(i));
  analysis.batch(keys);
  for (int i = 0; i < 2; ++i) analysis.batch({"known"});
  CHECK(analysis.batch({"known"}) == Results{"known,4,8"});
  for (int i = 0; i < 4; ++i) analysis.batch({"known"});  // tables of batches shrink by and by
  CHECK(analysis.pipeline().state_bytes() < 500'000);
}

TEST_CASE("maxStateBytes: windows of rows without room are as if their rows had not come") {
  Analysis analysis(
      {{"w", "window", {{"kind", "count"}, {"rows", "1000"}, {"slideRows", "1"}}},
       {"a", "aggregate", {{"by", "body"}, {"agg.n", "count()"}, {"maxStateBytes", "100000"}}}});
  std::uint64_t refused = 0;
  for (int i = 0; i < 200; ++i) {
    std::vector<std::string> lines;
    for (int key = 0; key < 30; ++key) lines.push_back("key" + std::to_string(key));
    analysis.batch(lines);
    CHECK(analysis.pipeline().state_bytes() <= 130'000);
    const std::uint64_t now = left_out(analysis, "a rows beyond maxStateBytes");
    CHECK(now - refused <= 30);
    refused = now;
  }
  CHECK(refused > 1000);
}

TEST_CASE("maxStateBytes: rows that wait for their order") {
  for (const std::string type : {"sort", "top"}) {
    INFO(type);
    StepLines step{"t", type, {{"order", "-value"}, {"maxStateBytes", "100000"}}};
    if (type == "top") step.values.emplace_back("n", "1000000");
    Analysis analysis({{"p", "parse", {{"format", "text"}, {"fields", "value"}}}, step});
    std::vector<std::string> lines;
    for (int i = 0; i < 1000; ++i)
      lines.push_back(std::to_string(1000 + i) + std::string(1000, 'x'));
    for (std::uint64_t batch = 1; batch <= 2; ++batch) {
      const Results results = analysis.batch(lines);
      // What came first is there, in its order, and the next batch has as much room.
      REQUIRE(results.size() > 50);
      REQUIRE(results.size() < 100);
      CHECK(results.back() == lines.front());
      CHECK(results.front() == lines[results.size() - 1]);
      CHECK(left_out(analysis, "t rows beyond maxStateBytes") == batch * (1000 - results.size()));
    }
  }
}

TEST_CASE("maxStateBytes: a short list takes longer rows only where they have room") {
  Analysis analysis({{"p", "parse", {{"format", "csv"}, {"fields", "n:int value"}}},
                     {"t", "top", {{"order", "-n"}, {"n", "3"}, {"maxStateBytes", "70000"}}}});
  std::vector<std::string> lines{"1,a", "2,b", "3,c"};
  lines.push_back("4," + std::string(60000, 'd'));  // instead of 1
  lines.push_back("5," + std::string(60000, 'e'));  // no room beside it
  lines.push_back("6,f");                           // instead of 2
  CHECK(analysis.batch(lines) == Results{"6,f", lines[3], "3,c"});
  CHECK(left_out(analysis, "t rows beyond maxStateBytes") == 1);
}

}  // namespace
}  // namespace sluice::analytics

// What Spark Streaming gives for the same batches is in the suites it is tested with
// (BasicOperationsSuite, MapWithStateSuite, WindowOperationsSuite); the vectors here are theirs.
#include "analytics/pipeline.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/support/pipelines.h"

namespace sluice::analytics {
namespace {

using Batches = std::vector<std::vector<std::string>>;
using ResultsByBatch = std::vector<Results>;

/// What each batch gives, in an order of its own: Spark promises none.
ResultsByBatch run(Analysis& analysis, const Batches& batches, bool restarts = false) {
  ResultsByBatch all;
  for (const auto& batch : batches) {
    all.push_back(sorted(analysis.batch(batch)));
    if (restarts) analysis.restart();
  }
  return all;
}

/// Also when every batch is worked on by a process of its own.
void check(const std::vector<StepLines>& steps, const Batches& batches,
           const ResultsByBatch& expected, const Analysis::Options& options = {}) {
  Analysis through(steps, options);
  CHECK(run(through, batches) == expected);
  Analysis restarted(steps, options);
  CHECK(run(restarted, batches, true) == expected);
}

/// The batches at which there is anything: Spark has no batch where a window does not end.
ResultsByBatch without_empty(const ResultsByBatch& all) {
  ResultsByBatch some;
  for (const Results& each : all) {
    if (!each.empty()) some.push_back(each);
  }
  return some;
}

void check_windows(const std::vector<StepLines>& steps, const Batches& batches,
                   const ResultsByBatch& expected) {
  Analysis through(steps);
  CHECK(without_empty(run(through, batches)) == expected);
  Analysis restarted(steps);
  CHECK(without_empty(run(restarted, batches, true)) == expected);
}

const StepLines texts{"p", "parse", {{"format", "text"}, {"fields", "value"}}};
const StepLines ints{"p", "parse", {{"format", "text"}, {"fields", "value:int"}}};
const StepLines counted{"c", "aggregate", {{"by", "value"}, {"agg.n", "count()"}}};

StepLines window(const std::string& length, const std::string& slide) {
  return {"w", "window", {{"length", length}, {"slide", slide}}};
}

StepLines total(const std::string& call) { return {"a", "aggregate", {{"agg.result", call}}}; }

const Batches a_a_b{{"a", "a", "b"}, {"", ""}, {}};

// ---- Spark: one batch

TEST_CASE("Spark: groupByKey") {
  check({texts,
         {"one", "map", {{"set.one", "1"}}},
         {"g", "aggregate", {{"by", "value"}, {"agg.all", "collect(one)"}}}},
        a_a_b, {{"a,\"[1, 1]\"", "b,[1]"}, {"\"\",\"[1, 1]\""}, {}});
}

TEST_CASE("Spark: reduceByKey, and the empty text is a key") {
  check({texts,
         {"one", "map", {{"set.one", "1"}}},
         {"r", "aggregate", {{"by", "value"}, {"agg.n", "sum(one)"}}}},
        a_a_b, {{"a,2", "b,1"}, {"\"\",2"}, {}});
}

TEST_CASE("Spark: reduce") {
  check({ints, total("sum(value)")},
        {{"1", "2", "3", "4"}, {"5", "6", "7", "8"}, {"9", "10", "11", "12"}},
        {{"10"}, {"26"}, {"42"}});
}

TEST_CASE("Spark: count of an empty batch is 0") {
  check({texts, total("count()")}, {{}, {"1"}, {"1", "2"}, {"1", "2", "3"}, {"1", "2", "3", "4"}},
        {{"0"}, {"1"}, {"2"}, {"3"}, {"4"}});
}

TEST_CASE("Spark: countByValue") {
  check({ints, counted}, {{"1"}, {"1", "1", "1"}, {"1", "2"}, {"1", "1", "2", "2"}},
        {{"1,1"}, {"1,3"}, {"1,1", "2,1"}, {"1,2", "2,2"}});
}

TEST_CASE("Spark: mapValues behind reduceByKey") {
  check({texts, counted, {"m", "map", {{"set.n", "n + 10"}}}}, a_a_b,
        {{"a,12", "b,11"}, {"\"\",12"}, {}});
}

TEST_CASE("Spark: flatMapValues behind reduceByKey, by a text that is cut") {
  check({texts,
         counted,
         {"m", "map", {{"set.both", "concat(text(n), ',', text(n + 10))"}, {"drop", "n"}}},
         {"s", "split", {{"from", "both"}, {"on", ","}, {"as", "n"}}}},
        a_a_b, {{"a,12", "a,2", "b,1", "b,11"}, {"\"\",12", "\"\",2"}, {}});
}

TEST_CASE("Spark: union, by one output of two branches") {
  const Analysis::Options both{.outputs = {"same", "more"}};
  check({ints,
         {"same", "map", {{"set.value", "value"}, {"input", "p"}}},
         {"more", "map", {{"set.value", "value + 4"}, {"input", "p"}}}},
        {{"1", "2", "3", "4"}, {"101", "102", "103", "104"}, {}},
        {{"1", "2", "3", "4", "5", "6", "7", "8"},
         {"101", "102", "103", "104", "105", "106", "107", "108"},
         {}},
        both);
}

// ---- Spark: state

std::vector<StepLines> with_state(std::vector<std::pair<std::string, std::string>> values) {
  values.emplace_back("merge.n", "sum");
  return {texts, counted, {"s", "state", std::move(values)}};
}

const Batches more_and_less{{"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b"}, {"a"}, {}};

TEST_CASE("Spark: updateStateByKey gives all keys at every batch") {
  check(with_state({}), more_and_less,
        {{"a,1"},
         {"a,2", "b,1"},
         {"a,3", "b,2", "c,1"},
         {"a,4", "b,3", "c,1"},
         {"a,5", "b,3", "c,1"},
         {"a,5", "b,3", "c,1"}});
}

TEST_CASE("Spark: updateStateByKey with something to begin with") {
  const Analysis::Options options{.initial = {"s", "a,1\r\nc,2\n"}};
  check(with_state({}), more_and_less,
        {{"a,2", "c,2"},
         {"a,3", "b,1", "c,2"},
         {"a,4", "b,2", "c,3"},
         {"a,5", "b,3", "c,3"},
         {"a,6", "b,3", "c,3"},
         {"a,6", "b,3", "c,3"}},
        options);
}

TEST_CASE("Spark: updateStateByKey that drops keys after two idle batches") {
  check(with_state({{"timeout", "2s"}}), {{"a", "b"}, {}, {"a", "c", "a"}, {"c"}, {}, {}},
        {{"a,1", "b,1"}, {"a,1", "b,1"}, {"a,3", "c,1"}, {"a,3", "c,2"}, {"c,2"}, {}});
}

TEST_CASE("Spark: mapWithState gives the keys that came") {
  check(with_state({{"mode", "changes"}}),
        {{}, {"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b"}, {"a"}, {}},
        {{}, {"a,1"}, {"a,2", "b,1"}, {"a,3", "b,2", "c,1"}, {"a,4", "b,3"}, {"a,5"}, {}});
}

TEST_CASE("Spark: the snapshots of mapWithState") {
  check(with_state({}), {{}, {"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b"}, {"a"}, {}},
        {{},
         {"a,1"},
         {"a,2", "b,1"},
         {"a,3", "b,2", "c,1"},
         {"a,4", "b,3", "c,1"},
         {"a,5", "b,3", "c,1"},
         {"a,5", "b,3", "c,1"}});
}

TEST_CASE("Spark: mapWithState gives a key once more when its time is over") {
  Batches batches{{"a", "b", "c"}, {"a", "b"}, {"a"}, {}, {}, {"a"}};
  ResultsByBatch expected{
      {"a,1", "b,1", "c,1"}, {"a,2", "b,2"}, {"a,3"}, {"c,1"}, {"b,2"}, {"a,4"}};
  for (int i = 5; i < 25; ++i) {
    batches.push_back({"a"});
    expected.push_back({"a," + std::to_string(i)});
  }
  check(with_state({{"mode", "changes"}, {"timeout", "3s"}}), batches, expected);
}

TEST_CASE("what a state begins with must be records of its input") {
  Analysis analysis(with_state({}));
  const Status status = analysis.pipeline().begin_with("s", "a,1\nb,x\n");
  CHECK_FALSE(status.ok());
  CHECK(status.message().find("line 2") != std::string::npos);
}

// ---- Spark: windows

const Batches zero_to_five{{"0"}, {"1"}, {"2"}, {"3"}, {"4"}, {"5"}};
const Batches zero_to_five_and_nothing{{"0"}, {"1"}, {"2"}, {"3"}, {"4"}, {"5"}, {}, {}};

TEST_CASE("Spark: windows of two batches at every batch, partial ones at the start") {
  check({ints, window("2s", "1s"), total("collect(value)")}, zero_to_five,
        {{"[0]"}, {"\"[0, 1]\""}, {"\"[1, 2]\""}, {"\"[2, 3]\""}, {"\"[3, 4]\""}, {"\"[4, 5]\""}});
}

TEST_CASE("Spark: windows that do not overlap") {
  const ResultsByBatch expected{{}, {"\"[0, 1]\""}, {}, {"\"[2, 3]\""}, {}, {"\"[4, 5]\""}};
  check({ints, window("2s", "2s"), total("collect(value)")}, zero_to_five, expected);
  check({ints, {"w", "window", {{"length", "2s"}}}, total("collect(value)")}, zero_to_five,
        expected);
}

TEST_CASE("Spark: windows of four batches at every other one") {
  check(
      {ints, window("4s", "2s"), total("collect(value)")}, zero_to_five_and_nothing,
      {{}, {"\"[0, 1]\""}, {}, {"\"[0, 1, 2, 3]\""}, {}, {"\"[2, 3, 4, 5]\""}, {}, {"\"[4, 5]\""}});
}

TEST_CASE("Spark: windows with gaps between them") {
  check({ints, window("2s", "3s"), total("collect(value)")}, zero_to_five,
        {{}, {}, {"\"[1, 2]\""}, {}, {}, {"\"[4, 5]\""}});
}

TEST_CASE("Spark: reduceByWindow") {
  const Batches batches{{"1"}, {"2"}, {"3"}, {"4"}, {"5"}, {"6"}, {}, {}};
  check_windows({ints, window("4s", "2s"), total("sum(value)")}, batches,
                {{"3"}, {"10"}, {"18"}, {"11"}});
}

TEST_CASE("Spark: reduceByKeyAndWindow, without the zeros of the inverse function") {
  Batches batches = more_and_less;
  batches.insert(batches.end(), more_and_less.begin(), more_and_less.end());
  check({texts, window("2s", "1s"), counted}, batches,
        {{"a,1"},
         {"a,2", "b,1"},
         {"a,2", "b,2", "c,1"},
         {"a,2", "b,2", "c,1"},
         {"a,2", "b,1"},
         {"a,1"},
         {"a,1"},
         {"a,2", "b,1"},
         {"a,2", "b,2", "c,1"},
         {"a,2", "b,2", "c,1"},
         {"a,2", "b,1"},
         {"a,1"}});
}

TEST_CASE("Spark: a key that leaves the window is gone") {
  check({texts, window("2s", "1s"), counted}, {{"a"}, {"a"}, {}, {}},
        {{"a,1"}, {"a,2"}, {"a,1"}, {}});
}

TEST_CASE("Spark: countByWindow") {
  check({texts, window("2s", "1s"), total("count()")}, {{"1"}, {"1"}, {"1", "2"}, {"1"}, {}, {}},
        {{"1"}, {"2"}, {"3"}, {"3"}, {"1"}, {"0"}});
}

TEST_CASE("Spark: countByValueAndWindow") {
  check({texts, window("2s", "1s"), counted}, {{"a"}, {"b", "b"}, {"a", "b"}},
        {{"a,1"}, {"a,1", "b,2"}, {"a,1", "b,3"}});
}

TEST_CASE("windows end at multiples of their slide since 1970, whenever the first batch begins") {
  const std::vector<StepLines> steps{ints, window("4s", "2s"), total("collect(value)")};
  Analysis analysis(steps, {.begin_ms = 1'699'999'981'000});
  CHECK(run(analysis, zero_to_five) ==
        ResultsByBatch{{"[0]"}, {}, {"\"[0, 1, 2]\""}, {}, {"\"[1, 2, 3, 4]\""}, {}});
  const std::vector<StepLines> later{
      ints,
      {"w", "window", {{"length", "4s"}, {"slide", "2s"}, {"offset", "1s"}}},
      total("collect(value)")};
  Analysis shifted(later);
  CHECK(run(shifted, zero_to_five) ==
        ResultsByBatch{{"[0]"}, {}, {"\"[0, 1, 2]\""}, {}, {"\"[1, 2, 3, 4]\""}, {}});
}

// ---- wiring

TEST_CASE("branches get the same rows") {
  const std::vector<StepLines> steps{
      {"words", "split", {{"on", "space"}}},
      {"counts", "aggregate", {{"by", "word"}, {"agg.n", "count()"}}},
      {"often", "having", {{"where", "n > 1"}}},
      {"all", "aggregate", {{"input", "words"}, {"agg.n", "count()"}}},
      {"seldom", "having", {{"input", "counts"}, {"where", "n = 1"}}}};
  Analysis analysis(steps, {.outputs = {"often", "all", "seldom"}});
  CHECK(analysis.pipeline().ends() == std::vector<std::string>{"often", "all", "seldom"});
  CHECK(analysis.batch({"a b a", "c"}) == Results{"a,2", "4", "b,1", "c,1"});
  CHECK(analysis.batch({"a"}) == Results{"1", "a,1"});
  CHECK_FALSE(analysis.pipeline().keeps_state());
}

TEST_CASE("a window is taken by the branches behind it, through steps that look at each row") {
  const std::vector<StepLines> steps{ints,
                                     window("2s", "1s"),
                                     {"even", "filter", {{"where", "value % 2 = 0"}}},
                                     {"evens", "aggregate", {{"agg.n", "count()"}}},
                                     {"all", "aggregate", {{"input", "w"}, {"agg.n", "count()"}}},
                                     {"now", "aggregate", {{"input", "p"}, {"agg.n", "count()"}}}};
  Analysis analysis(steps, {.outputs = {"evens", "all", "now"}});
  CHECK(analysis.batch({"1", "2"}) == Results{"1", "2", "2"});
  CHECK(analysis.batch({"4", "6", "7"}) == Results{"3", "5", "3"});
  CHECK(analysis.batch({}) == Results{"2", "3", "0"});
}

TEST_CASE("without steps the results are the events") {
  Analysis analysis(std::vector<StepLines>{});
  CHECK(analysis.pipeline().ends() == std::vector<std::string>{""});
  CHECK(analysis.batch({"one", "two, three"}) == Results{"one", "\"two, three\""});
}

TEST_CASE("top takes the first by its order, those that came first among equals") {
  const std::vector<StepLines> steps{{"p", "parse", {{"format", "csv"}, {"fields", "k n:int"}}},
                                     {"t", "top", {{"n", "3"}, {"order", "-n"}}}};
  Analysis analysis(steps);
  CHECK(analysis.batch({"a,1", "b,3", "c,2", "d,3", "e,2", "f,2"}) == Results{"b,3", "d,3", "c,2"});
  CHECK(analysis.batch({"z,1", "y,1"}) == Results{"z,1", "y,1"});
  CHECK(analysis.batch({}).empty());
  Analysis two({steps[0], {"t", "top", {{"n", "4"}, {"order", "-n k"}}}});
  CHECK(two.batch({"f,2", "e,2", "b,3", "c,2", "d,3", "a,9"}) ==
        Results{"a,9", "b,3", "d,3", "c,2"});
}

TEST_CASE("sort orders all rows of a batch, nulls last, and limit takes the first") {
  const StepLines parse{"p", "parse", {{"format", "csv"}, {"fields", "k n:int"}}};
  Analysis sorting({parse, {"s", "sort", {{"order", "n -k"}}}});
  CHECK(sorting.batch({"a,2", "b,", "c,1", "d,2"}) == Results{"c,1", "d,2", "a,2", "b,"});
  Analysis limited({parse, {"l", "limit", {{"n", "2"}}}});
  CHECK(limited.batch({"a,2", "b,3", "c,1"}) == Results{"a,2", "b,3"});
  CHECK(limited.batch({"d,2"}) == Results{"d,2"});
}

TEST_CASE("more rows than fit into one chunk are sorted, limited and counted") {
  std::vector<std::string> bodies;
  for (int i = 0; i < 1000; ++i) bodies.push_back(std::to_string(i * 7 % 1000));
  Analysis analysis(
      {ints, counted, {"s", "sort", {{"order", "-value"}}}, {"l", "limit", {{"n", "600"}}}});
  const Results rows = analysis.batch(bodies);
  REQUIRE(rows.size() == 600);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    REQUIRE(rows[i] == std::to_string(999 - i) + ",1");
  }
}

TEST_CASE("map sets columns in the order of the file, then renames, then drops") {
  const std::vector<StepLines> steps{
      {"p", "parse", {{"format", "csv"}, {"fields", "a:int b:int c"}}},
      {"m",
       "map",
       {{"set.z", "a + b"},
        {"set.a", "z * 10"},
        {"set.y", "a + 1"},
        {"rename.a", "b"},
        {"rename.b", "a"},
        {"drop", "c z"}}}};
  Analysis analysis(steps);
  const Step* const step = analysis.pipeline().step("m");
  REQUIRE(step != nullptr);
  CHECK(step->schema() ==
        Schema({{"b", ColumnType::Int}, {"a", ColumnType::Int}, {"y", ColumnType::Int}}, true));
  CHECK(analysis.batch({"1,2,x", "3,4,y"}) == Results{"30,2,31", "70,4,71"});
}

TEST_CASE("headers are read in front of an aggregation, and kept columns stay") {
  const std::vector<StepLines> steps{
      {"s", "split", {{"on", "space"}}},
      {"f", "filter", {{"where", "word != 'x'"}}},
      {"m", "map", {{"set.host", "header('host')"}}},
      {"a", "aggregate", {{"by", "host word"}, {"agg.n", "count()"}}}};
  Analysis analysis(steps);
  analysis.push({"a x b", "a"}, {{"host", "h1"}});
  analysis.push({"a x"}, {{"host", "h2"}});
  analysis.push({"b"}, {{"other", "h2"}});
  CHECK(sorted(analysis.tick()) == Results{",b,1", "h1,a,2", "h1,b,1", "h2,a,1"});
}

TEST_CASE("records that cannot be read are counted, and left out or kept as nulls") {
  StepLines parse = ints;
  Analysis dropping({parse, total("count()")});
  CHECK(dropping.batch({"1", "x", "3"}) == Results{"2"});
  CHECK(dropping.pipeline().left_out().at("p bad records") == 1);
  parse.values.emplace_back("onError", "keep");
  Analysis keeping({parse});
  CHECK(keeping.batch({"1", "x", "3"}) == Results{"1", "", "3"});
  CHECK(keeping.pipeline().left_out().at("p bad records") == 1);
}

TEST_CASE("keys beyond maxKeys are counted in one") {
  Analysis analysis(
      {texts, {"a", "aggregate", {{"by", "value"}, {"agg.n", "count()"}, {"maxKeys", "2"}}}});
  CHECK(sorted(analysis.batch({"a", "b", "c", "a", "d"})) == Results{"(other),2", "a,2", "b,1"});
  CHECK(analysis.pipeline().left_out().at("a rows of keys beyond maxKeys") == 2);
}

// ---- event time

/// The clock of the tests below begins here; records have times in seconds behind it.
constexpr std::int64_t clock_ms = 1'699'999'980'000;

std::string at(std::int64_t seconds, const std::string& key) {
  return std::to_string(clock_ms + seconds * 1000) + "," + key;
}

/// A result of at()'s records: "0-10 a,2".
std::string in(std::int64_t from, std::int64_t to, const std::string& rest) {
  return std::to_string(clock_ms + from * 1000) + "," + std::to_string(clock_ms + to * 1000) + "," +
         rest;
}

std::vector<StepLines> by_event_time(std::vector<std::pair<std::string, std::string>> values) {
  values.emplace_back("time", "event");
  values.emplace_back("timestamp", "t");
  return {{"p", "parse", {{"format", "csv"}, {"fields", "t:int k"}}},
          {"w", "window", std::move(values)},
          {"a", "aggregate", {{"by", "k"}, {"agg.n", "count()"}}}};
}

std::uint64_t left_out(Analysis& analysis, const std::string& what) {
  return analysis.pipeline().left_out().at(what);
}

TEST_CASE("event time: windows are passed on when the watermark reaches their end") {
  check(by_event_time({{"length", "10s"}, {"delay", "5s"}}),
        {{at(1, "a"), at(2, "b"), at(9, "a")}, {at(14, "a")}, {at(15, "b")}, {}, {at(40, "a")}},
        {{}, {}, {in(0, 10, "a,2"), in(0, 10, "b,1")}, {}, {in(10, 20, "a,1"), in(10, 20, "b,1")}});
}

TEST_CASE("event time: rows out of order within the delay give the same") {
  const std::vector<StepLines> steps =
      by_event_time({{"length", "4s"}, {"slide", "2s"}, {"delay", "6s"}});
  std::vector<std::pair<std::int64_t, std::string>> rows;
  for (std::int64_t second = 0; second < 60; ++second) {
    for (int i = 0; i < 3; ++i) rows.emplace_back(second, std::string(1, "abc"[second * i % 3]));
  }
  const auto results_of = [&](bool restarts) {
    Analysis analysis(steps);
    Results all;
    for (std::size_t i = 0; i < rows.size(); i += 9) {
      for (std::size_t j = i; j < std::min(i + 9, rows.size()); ++j) {
        analysis.push({at(rows[j].first, rows[j].second)});
      }
      const Results some = analysis.tick();
      all.insert(all.end(), some.begin(), some.end());
      if (restarts) analysis.restart();
    }
    analysis.push({at(100, "end")});
    const Results rest = analysis.tick();
    all.insert(all.end(), rest.begin(), rest.end());
    CHECK(left_out(analysis, "a late rows") == 0);
    return sorted(all);
  };
  const Results in_order = results_of(false);
  CHECK(in_order.size() > 60);
  CHECK(results_of(true) == in_order);
  std::mt19937_64 random(5);
  for (std::size_t i = 0; i + 5 < rows.size(); i += 5) {
    std::shuffle(rows.begin() + static_cast<std::ptrdiff_t>(i),
                 rows.begin() + static_cast<std::ptrdiff_t>(i + 5), random);
  }
  CHECK(results_of(false) == in_order);
  CHECK(results_of(true) == in_order);
}

TEST_CASE("event time: rows whose windows were passed on are late, and counted") {
  Analysis analysis(by_event_time({{"length", "10s"}, {"delay", "0"}}));
  CHECK(analysis.batch({at(5, "a"), at(20, "a"), at(6, "a")}) == Results{in(0, 10, "a,2")});
  CHECK(left_out(analysis, "a late rows") == 0);  // the watermark moves between batches only
  CHECK(analysis.batch({at(7, "a"), at(9, "b"), at(21, "b")}).empty());
  CHECK(left_out(analysis, "a late rows") == 2);
  CHECK(analysis.batch({at(30, "c")}) == Results{in(20, 30, "a,1"), in(20, 30, "b,1")});
}

TEST_CASE("event time: whether a row is late does not depend on what else its window had") {
  const std::string late = GENERATE("drop", "update");
  Analysis analysis(by_event_time({{"length", "10s"}, {"late", late}}));
  CHECK(analysis.batch({at(5, "a"), at(35, "a")}) == Results{in(0, 10, "a,1")});
  analysis.restart();
  // The windows 10-20 and 20-30 were empty, and are over; the last one may still be updated.
  const Results again = late == "update" ? Results{in(20, 30, "b,1")} : Results{};
  CHECK(analysis.batch({at(15, "b"), at(25, "b"), at(31, "a")}) == again);
  CHECK(left_out(analysis, "a late rows") == (late == "update" ? 1 : 2));
  CHECK(analysis.batch({at(40, "c")}) == Results{in(30, 40, "a,2")});
}

TEST_CASE("event time: rows of the future and rows without a time are counted") {
  Analysis analysis(by_event_time({{"length", "10s"}, {"maxFuture", "1m"}}));
  CHECK(analysis.batch({at(1, "a")}).empty());
  CHECK(analysis.batch({at(1000, "x"), ",y", at(2, "a"), at(61, "b")}) ==
        Results{in(0, 10, "a,2")});
  CHECK(left_out(analysis, "a rows of the future") == 1);
  CHECK(left_out(analysis, "a rows without a time") == 1);
  CHECK(left_out(analysis, "a late rows") == 0);
  CHECK(left_out(analysis, "p bad records") == 0);
}

TEST_CASE("event time: the rows of the first batch are not of the future") {
  Analysis analysis(by_event_time({{"length", "10s"}}));
  CHECK(analysis.batch({at(0, "a"), at(10, "b")}) == Results{in(0, 10, "a,1")});
  CHECK(left_out(analysis, "a rows of the future") == 0);
  analysis.restart();
  CHECK(analysis.batch({at(20, "a")}) == Results{in(10, 20, "b,1")});
  CHECK(left_out(analysis, "a rows of the future") == 0);
}

TEST_CASE("event time: a time that no clock says costs its own row only") {
  Analysis analysis(
      {{"p", "parse", {{"format", "csv"}, {"fields", "t:int word"}}},
       {"w", "window", {{"length", "1s"}, {"slide", "1d"}, {"time", "event"}, {"timestamp", "t"}}},
       {"a", "aggregate", {{"by", "word"}, {"agg.n", "count()"}}}});
  analysis.tick();
  for (const char* const time : {"-9223372036854775808", "-1", "9223372036854775807"}) {
    analysis.push({std::string(time) + ",x"});
  }
  analysis.tick();
  CHECK(left_out(analysis, "a rows without a time") == 2);
  CHECK(left_out(analysis, "a rows of the future") == 1);
}

TEST_CASE("event time: without a word about it the time is that of the header") {
  Analysis analysis({{"w", "window", {{"length", "10s"}, {"time", "event"}}},
                     {"s", "split", {{"on", "space"}}},
                     {"a", "aggregate", {{"by", "word"}, {"agg.n", "count()"}}}});
  CHECK(analysis.tick().empty());
  analysis.push({"a b", "a"}, {{"timestamp", std::to_string(clock_ms + 3000)}});
  analysis.push({"a"}, {{"timestamp", "soon"}});
  analysis.push({"a"}, {{"timestamp", std::to_string(clock_ms + 10'000)}});
  CHECK(sorted(analysis.tick()) == Results{in(0, 10, "a,2"), in(0, 10, "b,1")});
  CHECK(left_out(analysis, "a rows without a time") == 1);
}

TEST_CASE("event time: rows between two windows are in none") {
  Analysis analysis(by_event_time({{"length", "2s"}, {"slide", "3s"}}));
  CHECK(analysis.tick().empty());
  Results all;
  for (std::int64_t second = 0; second < 10; ++second) {
    for (const std::string& row : analysis.batch({at(second, "k")})) all.push_back(row);
  }
  CHECK(all == Results{in(1, 3, "k,2"), in(4, 6, "k,2"), in(7, 9, "k,2")});
  CHECK(left_out(analysis, "a late rows") == 0);
}

TEST_CASE("event time: late rows make their windows be passed on again") {
  Analysis analysis(by_event_time({{"length", "10s"}, {"late", "update"}}));
  CHECK(analysis.tick().empty());
  CHECK(analysis.batch({at(5, "a"), at(12, "b")}) == Results{in(0, 10, "a,1")});
  analysis.restart();
  CHECK(analysis.batch({at(6, "a"), at(7, "c")}) == Results{in(0, 10, "a,2"), in(0, 10, "c,1")});
  CHECK(analysis.batch({at(20, "b")}) == Results{in(10, 20, "b,1")});  // 0-10 had its 10 s
  CHECK(analysis.batch({at(8, "a")}).empty());
  CHECK(left_out(analysis, "a late rows") == 1);
}

TEST_CASE("event time: a window that is passed on again has all that it had") {
  // Panes of 2 s, windows of two of them. The pane 0-2 is in the window 0-4 only, 2-4 also in 2-6.
  Analysis analysis(by_event_time({{"length", "4s"}, {"slide", "2s"}, {"late", "update"}}));
  CHECK(analysis.tick().empty());
  CHECK(analysis.batch({at(1, "a"), at(3, "a"), at(5, "a"), at(8, "x")}) ==
        Results{in(-2, 2, "a,1"), in(0, 4, "a,2"), in(2, 6, "a,2"), in(4, 8, "a,1")});
  // The window 0-4 had its time, 2-6 has not.
  CHECK(analysis.batch({at(3, "a")}) == Results{in(2, 6, "a,3")});
}

TEST_CASE("event time: a window is passed on once a batch, however many late rows it has") {
  Analysis analysis(by_event_time({{"length", "4s"}, {"slide", "2s"}, {"late", "update"}}));
  CHECK(analysis.tick().empty());
  CHECK(analysis.batch({at(1, "a"), at(3, "a"), at(4, "x")}) ==
        Results{in(-2, 2, "a,1"), in(0, 4, "a,2")});
  const Results again = analysis.batch({at(1, "a"), at(3, "a")});
  CHECK(std::count(again.begin(), again.end(), in(0, 4, "a,4")) == 1);
}

// ---- restarts

/// Random words, the same whenever it is asked for the same.
Batches random_batches(std::uint64_t seed, std::size_t count, bool with_times) {
  std::mt19937_64 random(seed);
  Batches batches(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t rows = random() % 3 == 0 ? 0 : random() % 40;
    for (std::uint64_t row = 0; row < rows; ++row) {
      const auto word = static_cast<std::int64_t>(random() % 30);
      const std::string key = std::string(static_cast<std::size_t>(word), 'k');
      const auto second = static_cast<std::int64_t>(i) - static_cast<std::int64_t>(random() % 12);
      batches[i].push_back(with_times ? at(second, key) : key);
    }
  }
  return batches;
}

const std::vector<std::pair<std::string, std::string>> all_functions{
    {"by", "k"},
    {"agg.n", "count()"},
    {"agg.sum", "sum(v)"},
    {"agg.least", "min(v)"},
    {"agg.most", "max(t)"},
    {"agg.avg", "avg(v)"},
    {"agg.first", "first(t)"},
    {"agg.last", "last(t)"},
    {"agg.all", "collect(v, 5)"},
    {"agg.different", "distinct(v)"},
    {"agg.q", "quantile(v, 0.9)"}};

TEST_CASE("windows give the same when the process ends after every batch") {
  const std::string length = GENERATE("1s", "2s", "4s", "6s");
  const std::string slide = GENERATE("1s", "2s", "3s");
  const std::vector<StepLines> steps{
      {"p", "parse", {{"format", "text"}, {"fields", "t"}}},
      {"m", "map", {{"set.k", "substr(t, 1, 3)"}, {"set.v", "len(t)"}}},
      window(length, slide),
      {"a", "aggregate", all_functions}};
  const Batches batches = random_batches(1, 40, false);
  Analysis through(steps);
  const ResultsByBatch expected = run(through, batches);
  CHECK(through.pipeline().keeps_state());
  Analysis restarted(steps);
  CHECK(run(restarted, batches, true) == expected);
}

TEST_CASE("windows of event time give the same when the process ends after every batch") {
  const std::string late = GENERATE("drop", "update");
  Analysis::Options options;
  auto steps = by_event_time({{"length", "6s"}, {"slide", "2s"}, {"delay", "4s"}, {"late", late}});
  const Batches batches = random_batches(2, 60, true);
  Analysis through(steps);
  through.tick();
  const ResultsByBatch expected = run(through, batches);
  Analysis restarted(steps);
  restarted.tick();
  CHECK(run(restarted, batches, true) == expected);
}

TEST_CASE("a state gives the same when the process ends after every batch") {
  const std::string mode = GENERATE("running", "changes");
  const std::string timeout = GENERATE("0", "3s");
  const std::vector<StepLines> steps{
      {"p", "parse", {{"format", "text"}, {"fields", "t"}}},
      {"m", "map", {{"set.v", "len(t)"}}},
      {"a",
       "aggregate",
       {{"by", "t"}, {"agg.n", "count()"}, {"agg.least", "min(v)"}, {"agg.last", "last(t)"}}},
      {"s",
       "state",
       {{"mode", mode},
        {"timeout", timeout},
        {"merge.n", "sum"},
        {"merge.least", "min"},
        {"merge.last", "last"}}}};
  const Batches batches = random_batches(3, 60, false);
  Analysis through(steps);
  const ResultsByBatch expected = run(through, batches);
  Analysis restarted(steps);
  CHECK(run(restarted, batches, true) == expected);
}

TEST_CASE("what is saved is only what there is: it goes when its windows and keys go") {
  Analysis windows({texts, window("2s", "1s"), counted});
  for (int i = 0; i < 50; ++i) {
    windows.batch({"key " + std::to_string(i)});
    windows.restart();
    REQUIRE(windows.kept().saved().size() <= 4);
  }
  Analysis states(with_state({{"timeout", "2s"}}));
  for (int i = 0; i < 50; ++i) {
    states.batch({"key " + std::to_string(i)});
    states.restart();
    REQUIRE(states.kept().saved().size() <= 3);
  }
}

TEST_CASE("a state of many keys and long ones is saved in pieces and read again") {
  std::vector<std::string> bodies;
  for (int i = 0; i < 3000; ++i) {
    bodies.push_back(std::string(static_cast<std::size_t>(i % 2000), 'k') + std::to_string(i));
  }
  Analysis states(with_state({{"timeout", "2s"}}));
  const Results first = sorted(states.batch(bodies));
  CHECK(first.size() == 3000);
  states.restart();
  CHECK(sorted(states.batch({})) == first);
  states.restart();
  CHECK(states.batch({"one"}) == Results{"one,1"});
  states.restart();
  CHECK(states.kept().saved().size() == 1);
  Analysis windows({texts, window("3s", "1s"), counted});
  CHECK(sorted(windows.batch(bodies)) == first);
  windows.restart();
  CHECK(sorted(windows.batch({})) == first);
  windows.restart();
  CHECK(sorted(windows.batch({})) == first);
  windows.restart();
  CHECK(windows.batch({}).empty());
}

TEST_CASE("a pipeline refuses what another one saved") {
  Analysis analysis(with_state({}));
  CHECK_FALSE(analysis.pipeline().load({{"without a step", "x"}}).ok());
  CHECK_FALSE(analysis.pipeline().load({{"other/0/0", "x"}}).ok());
  CHECK_FALSE(analysis.pipeline().load({{"s/0/0", "x"}}).ok());
  CHECK_FALSE(analysis.pipeline().load({{"s/300/0", ""}}).ok());
  Analysis windows({texts, window("2s", "1s"), counted});
  CHECK_FALSE(windows.pipeline().load({{"c/p/x/0", ""}}).ok());
  CHECK_FALSE(windows.pipeline().load({{"c/times", "1 2"}}).ok());
  CHECK_FALSE(windows.pipeline().load({{"c/p/1000/0", "x"}}).ok());
}

TEST_CASE("the fingerprint tells steps apart whose state cannot be shared") {
  Analysis two_seconds({texts, window("2s", "1s"), counted});
  Analysis again({texts, window("2s", "1s"), counted});
  Analysis four_seconds({texts, window("4s", "1s"), counted});
  CHECK(two_seconds.pipeline().fingerprint() == again.pipeline().fingerprint());
  CHECK(two_seconds.pipeline().fingerprint() != four_seconds.pipeline().fingerprint());
  Analysis nothing({texts, counted});
  CHECK(nothing.pipeline().fingerprint().empty());
}

// ---- findings

void check_finding(const std::vector<StepLines>& steps, const std::string& key,
                   const std::string& hint) {
  const std::vector<Finding> findings = findings_of(steps);
  REQUIRE(findings.size() == 1);
  INFO(findings[0].message << "; " << findings[0].hint);
  CHECK(findings[0].severity == Severity::Error);
  CHECK(findings[0].key == key);
  CHECK(findings[0].hint.find(hint) != std::string::npos);
}

TEST_CASE("a column that is not there is a finding with a hint") {
  const std::string hint = "did you mean 'value'?";
  check_finding({texts, {"a", "aggregate", {{"by", "valeu"}, {"agg.n", "count()"}}}}, "steps.a.by",
                hint);
  check_finding({texts, {"a", "aggregate", {{"agg.n", "max(valeu)"}}}}, "steps.a.agg.n", hint);
  check_finding({texts, {"f", "filter", {{"where", "valeu = 'x'"}}}}, "steps.f.where", hint);
  check_finding({texts, {"m", "map", {{"set.x", "valeu"}}}}, "steps.m.set.x", hint);
  check_finding({texts, {"m", "map", {{"rename.valeu", "x"}}}}, "steps.m.rename.valeu", hint);
  check_finding({texts, {"m", "map", {{"drop", "valeu"}}}}, "steps.m.drop", hint);
  check_finding({texts, {"t", "top", {{"order", "-valeu"}}}}, "steps.t.order", hint);
  check_finding({texts, {"s", "split", {{"from", "valeu"}}}}, "steps.s.from", hint);
  check_finding({texts, {"s", "state", {{"merge.valeu", "last"}}}}, "steps.s.merge.valeu", hint);
  check_finding({texts, {"s", "split", {{"from", "quite other"}}}}, "steps.s.from",
                "columns here: value");
}

TEST_CASE("a step that is not there, or comes later, is a finding with a hint") {
  StepLines lines = texts;
  lines.name = "lines";
  StepLines step = counted;
  step.values.emplace_back("input", "line");
  check_finding({lines, step}, "steps.c.input", "did you mean 'lines'?");
  step.values.back().second = "c";
  check_finding({lines, step}, "steps.c.input", "");
}

TEST_CASE("windows that are not made of whole batches are findings") {
  const auto with = [](std::vector<std::pair<std::string, std::string>> values) {
    return std::vector<StepLines>{texts, {"w", "window", std::move(values)}, counted};
  };
  const std::string hint = "whole batches";
  check_finding(with({{"length", "1500"}}), "steps.w.length", hint);
  check_finding(with({{"length", "2s"}, {"slide", "500"}}), "steps.w.slide", hint);
  check_finding(with({{"length", "2s"}, {"offset", "1500ms"}}), "steps.w.offset", hint);
  // Of event time they need not be.
  Analysis analysis(by_event_time({{"length", "1500"}}));
  CHECK(analysis.tick().empty());
  check_finding(by_event_time({{"length", "1d"}, {"slide", "1001"}}), "steps.w.slide", "multiple");
}

TEST_CASE("windows in places where they mean nothing are findings") {
  const StepLines one = window("2s", "1s");
  StepLines other = one;
  other.name = "v";
  check_finding({texts, one}, "steps.w.type", "aggregation");
  check_finding({texts, one, {"f", "filter", {{"where", "value != ''"}}}}, "steps.w.type",
                "aggregation");
  check_finding({texts, one, other, counted}, "steps.v.type", "behind an aggregation");
  check_finding({texts, one, {"t", "top", {{"order", "value"}}}}, "steps.w.type", "aggregation");
}

TEST_CASE("an aggregation or a state that cannot be is a finding") {
  check_finding({texts, {"a", "aggregate", {{"by", "value"}}}}, "steps.a.agg", "agg.n = count()");
  check_finding({texts, {"a", "aggregate", {{"agg.n", "summ(value)"}}}}, "steps.a.agg.n", "'sum'");
  check_finding({texts, {"a", "aggregate", {{"agg.n", "sum(value)"}}}}, "steps.a.agg.n", "int(x)");
  check_finding({texts, {"a", "aggregate", {{"by", "value"}, {"agg.value", "count()"}}}},
                "steps.a.agg.value", "");
  check_finding({texts, counted, {"s", "state", {{"merge.n", "count"}}}}, "steps.s.merge.n", "sum");
  check_finding({texts, counted, {"s", "state"}}, "steps.s.merge", "merge.n = sum");
  check_finding({texts, {"f", "filter", {{"where", "value"}}}}, "steps.f.where", "compare");
  auto timed = by_event_time({{"length", "2s"}});
  timed[1].values.back().second = "k";
  check_finding(timed, "steps.w.timestamp", "");
}

}  // namespace
}  // namespace sluice::analytics

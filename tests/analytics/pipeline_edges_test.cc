// What steps do where histories are unusual: time that jumps, state that ends, bodies of many
// lines.
#include "tests/catch.h"
#include "tests/support/pipelines.h"

namespace sluice::analytics {
namespace {

const std::vector<StepLines> words_per_window = {
    {"s", "split", {{"on", "space"}}},
    {"w", "window", {{"length", "4s"}, {"slide", "2s"}}},
    {"a", "aggregate", {{"by", "word"}, {"agg.n", "count()"}}}};

TEST_CASE("a state without a key begins anew when its time was over") {
  Analysis analysis({{"p", "parse", {{"format", "text"}, {"fields", "n:int"}}},
                     {"a", "aggregate", {{"agg.n", "sum(n)"}}},
                     {"h", "having", {{"where", "n is not null"}}},
                     {"t", "state", {{"merge.n", "sum"}, {"timeout", "2s"}}}});
  CHECK(analysis.batch({"3"}) == Results{"3"});
  CHECK(analysis.batch({}) == Results{"3"});
  CHECK(analysis.batch({}).empty());
  CHECK(analysis.batch({"4"}) == Results{"4"});
}

TEST_CASE("a line feed within a body separates no words that a blank separates") {
  for (const bool by_rows : {false, true}) {
    std::vector<StepLines> steps = {{"s", "split", {{"on", "space"}}}};
    if (by_rows) steps.insert(steps.begin(), {"f", "filter", {{"where", "body != 'x'"}}});
    Analysis analysis(steps);
    CHECK(analysis.batch({"a\nb c", "d"}) == Results{"\"a\nb\"", "c", "d"});
  }
}

TEST_CASE("headers behind a step that holds rows back are a finding") {
  const auto findings =
      findings_of({{"t", "top", {{"order", "body"}}}, {"m", "map", {{"set.h", "header('host')"}}}});
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].key == "steps.m.set.h");
}

TEST_CASE("batches that were skipped make no windows of their own") {
  Analysis analysis(words_per_window);
  CHECK(analysis.batch({"a"}).empty());
  CHECK(analysis.batch({"b"}) == Results{"a,1", "b,1"});
  // Ten seconds pass in one batch.
  analysis.push({"c"});
  CHECK(analysis.skip(10) == Results{"c,1"});
  CHECK(analysis.batch({"d"}).empty());
  CHECK(analysis.batch({}) == Results{"c,1", "d,1"});
}

TEST_CASE("a window that was open when the agent went down is shown without what comes now") {
  Analysis analysis({{"s", "split", {{"on", "space"}}},
                     {"w", "window", {{"length", "4s"}}},
                     {"a", "aggregate", {{"by", "word"}, {"agg.n", "count()"}}}});
  CHECK(analysis.batch({"a"}).empty());
  analysis.restart_later(60);
  analysis.push({"b"});
  CHECK(analysis.tick() == Results{"a,1"});
  CHECK(analysis.batch({}).empty());
  CHECK(analysis.batch({}) == Results{"b,1"});
}

TEST_CASE("records that cannot be read are rows for whoever wants them, with their headers") {
  for (const std::string keep : {"drop", "keep"}) {
    Analysis analysis(
        {{"p", "parse", {{"format", "csv"}, {"fields", "n:int k"}, {"onError", keep}}},
         {"c", "aggregate", {{"agg.n", "count(n)"}}},
         {"h", "map", {{"input", "p.bad"}, {"set.host", "header('host')"}}},
         {"b", "aggregate", {{"input", "p.bad"}, {"by", "body"}, {"agg.n", "count()"}}}},
        {.outputs = {"c", "h", "p.bad", "b"}});
    analysis.push({"1,a", "x,b", "2,c", "y,d", "x,b"}, {{"host", "web1"}});
    CHECK(analysis.tick() == Results{"2", "\"x,b\",web1", "\"y,d\",web1", "\"x,b\",web1", "\"x,b\"",
                                     "\"y,d\"", "\"x,b\"", "\"x,b\",2", "\"y,d\",1"});
    CHECK(analysis.pipeline().left_out().at("p bad records") == 3);
    CHECK(analysis.batch({"3,a"}) == Results{"1"});
    CHECK(analysis.pipeline().ends() == std::vector<std::string>{"c", "h", "b"});
  }
  const auto findings = findings_of({{"s", "split", {}}, {"m", "map", {{"input", "s.bad"}}}});
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].key == "steps.m.input");
}

TEST_CASE("the clock goes on within a batch: rows of now are not of the future") {
  Analysis analysis(
      {{"p", "parse", {{"format", "csv"}, {"fields", "t:int k"}}},
       {"w",
        "window",
        {{"length", "1s"}, {"time", "event"}, {"timestamp", "t"}, {"maxFuture", "0"}}},
       {"a", "aggregate", {{"by", "k"}, {"agg.n", "count()"}}}});
  analysis.push({std::to_string(analysis.now_ms() + 900) + ",x",
                 std::to_string(analysis.now_ms() + 1100) + ",x"});
  analysis.tick();
  CHECK(analysis.pipeline().left_out().at("a rows of the future") == 1);
}

}  // namespace
}  // namespace sluice::analytics

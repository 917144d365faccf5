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

/// Records of a time, a key and a value, in windows of event time.
std::vector<StepLines> in_event_time(std::vector<std::pair<std::string, std::string>> window) {
  window.emplace_back("time", "event");
  window.emplace_back("timestamp", "t");
  return {{"p", "parse", {{"format", "csv"}, {"fields", "t:int k v"}}},
          {"w", "window", std::move(window)},
          {"a", "aggregate", {{"by", "k"}, {"agg.n", "count()"}}}};
}

TEST_CASE("late rows are rows for whoever wants them, as they came, with their headers") {
  using Window = std::vector<std::pair<std::string, std::string>>;
  const Window window = GENERATE(Window{{"length", "10s"}},
                                 Window{{"length", "10s"}, {"late", "update"}, {"updateFor", "0"}},
                                 Window{{"length", "10s"}, {"late", "channel"}},
                                 Window{{"kind", "session"}, {"gap", "1s"}, {"late", "channel"}});
  auto steps = in_event_time(window);
  steps.push_back(
      {"m", "map", {{"input", "a.late"}, {"set.host", "header('host')"}, {"drop", "t"}}});
  steps.push_back({"b", "aggregate", {{"input", "a.late"}, {"by", "v"}, {"agg.n", "count()"}}});
  Analysis analysis(steps, {.outputs = {"a.late", "m", "b"}});
  const std::string early = std::to_string(analysis.now_ms());
  const std::string now = std::to_string(analysis.now_ms() + 20'000);
  analysis.push({early + ",a,1", now + ",a,2"}, {{"host", "web1"}});
  CHECK(analysis.tick().empty());
  analysis.restart();
  analysis.push({now + ",b,3", early + ",c,4", early + ",,5", now + ",d,6"}, {{"host", "web1"}});
  CHECK(analysis.tick() ==
        Results{early + ",c,4", early + ",\"\",5", "c,4,web1", "\"\",5,web1", "4,1", "5,1"});
  CHECK(analysis.pipeline().left_out().at("a late rows") == 2);
  CHECK(analysis.pipeline().ends() == std::vector<std::string>{"a", "m", "b"});
  analysis.push({early + ",e,7"});  // all rows of a chunk
  CHECK(analysis.tick() == Results{early + ",e,7", "e,7,", "7,1"});
}

TEST_CASE("rows are late by the time that they carry only, and behind an aggregation only") {
  const auto finding = [](const std::vector<StepLines>& steps) {
    const auto findings = findings_of(steps);
    REQUIRE(findings.size() == 1);
    return findings[0].key;
  };
  const StepLines reader{"m", "map", {{"input", "a.late"}}};
  const StepLines counts{"a", "aggregate", {{"agg.n", "count()"}}};
  CHECK(finding({{"w", "window", {{"length", "2s"}}}, counts, reader}) == "steps.m.input");
  CHECK(finding({{"w", "window", {{"kind", "session"}, {"gap", "2s"}}}, counts, reader}) ==
        "steps.m.input");
  CHECK(finding({counts, reader}) == "steps.m.input");
  auto steps = in_event_time({{"length", "10s"}});
  for (const std::string input : {"w.late", "a.bad", "p.late", "a.", "late"}) {
    steps.push_back({"m", "map", {{"input", input}}});
    CHECK(finding(steps) == "steps.m.input");
    steps.pop_back();
  }
}

const StepLines values{"p", "parse", {{"format", "text"}, {"fields", "value"}}};
const StepLines counted{"c", "aggregate", {{"by", "value"}, {"agg.n", "count()"}}};

TEST_CASE("Spark: reduceByKeyAndWindow with the inverse function keeps keys as zeros") {
  const std::vector<StepLines> steps = {
      values, {"w", "window", {{"length", "2s"}, {"slide", "1s"}, {"keepZero", "true"}}}, counted};
  std::vector<std::vector<std::string>> batches{{"a"},      {"a", "b"}, {"a", "b", "c"},
                                                {"a", "b"}, {"a"},      {}};
  batches.insert(batches.end(), {{"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b"}, {"a"}, {}});
  const std::vector<Results> expected = {{"a,1"},
                                         {"a,2", "b,1"},
                                         {"a,2", "b,2", "c,1"},
                                         {"a,2", "b,2", "c,1"},
                                         {"a,2", "b,1", "c,0"},
                                         {"a,1", "b,0", "c,0"},
                                         {"a,1", "b,0", "c,0"},
                                         {"a,2", "b,1", "c,0"},
                                         {"a,2", "b,2", "c,1"},
                                         {"a,2", "b,2", "c,1"},
                                         {"a,2", "b,1", "c,0"},
                                         {"a,1", "b,0", "c,0"}};
  for (const bool restarts : {false, true}) {
    Analysis analysis(steps);
    for (std::size_t i = 0; i < batches.size(); ++i) {
      CHECK(sorted(analysis.batch(batches[i])) == expected[i]);
      if (restarts) analysis.restart();
    }
  }
}

TEST_CASE("keepZero: keys stay where nothing comes any more, in the order in which they came") {
  const std::string length = GENERATE("2s", "1s");
  Analysis analysis(
      {values,
       {"w", "window", {{"length", length}, {"slide", "1s"}, {"keepZero", "true"}}},
       {"a", "aggregate", {{"by", "value"}, {"agg.n", "count()"}, {"maxKeys", "3"}}}});
  CHECK(analysis.batch({}).empty());
  CHECK(analysis.batch({"b", "a"}) == Results{"b,1", "a,1"});
  analysis.restart();
  analysis.batch({"c"});
  analysis.batch({"d"});  // no room to remember this one
  analysis.batch({});
  analysis.restart();
  CHECK(analysis.batch({}) == Results{"b,0", "a,0", "c,0"});
  CHECK(analysis.batch({"a"}) == Results{"b,0", "a,1", "c,0"});
}

TEST_CASE("keepZero means something for windows of processing time only") {
  for (auto window : std::vector<std::vector<std::pair<std::string, std::string>>>{
           {{"length", "2s"}, {"time", "event"}, {"keepZero", "true"}},
           {{"kind", "session"}, {"gap", "2s"}, {"keepZero", "true"}},
           {{"kind", "count"}, {"rows", "2"}, {"keepZero", "true"}}}) {
    const auto findings = findings_of({values, {"w", "window", std::move(window)}, counted});
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].key == "steps.w.keepZero");
  }
}

TEST_CASE("windows of processing time are counted from an origin, as Spark's from its start") {
  // Spark (WindowOperationsSuite): windows of four batches at every other one, whenever it starts.
  const std::int64_t begin_ms = 1'699'999'980'000 + 1250;
  Analysis analysis({values, {"w", "window", {{"length", "4s"}, {"slide", "2s"}}}, counted},
                    {.begin_ms = begin_ms, .origin_ms = begin_ms});
  std::vector<Results> all;
  for (const std::string value : {"0", "1", "2", "3", "4", "5"}) {
    all.push_back(sorted(analysis.batch({value})));
    analysis.restart();
  }
  CHECK(
      all ==
      std::vector<Results>{
          {}, {"0,1", "1,1"}, {}, {"0,1", "1,1", "2,1", "3,1"}, {}, {"2,1", "3,1", "4,1", "5,1"}});
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

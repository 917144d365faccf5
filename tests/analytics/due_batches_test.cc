// Behind a window, a batch in which none ends is none.
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/support/pipelines.h"

namespace sluice::analytics {
namespace {

using Batches = std::vector<std::vector<std::string>>;
using ResultsByBatch = std::vector<Results>;

/// Of the batches that are some behind the steps. In others nothing may come.
ResultsByBatch run_due(Analysis& analysis, const Batches& batches, bool restarts) {
  ResultsByBatch due;
  for (const auto& batch : batches) {
    const Results results = sorted(analysis.batch(batch));
    if (analysis.due()) due.push_back(results);
    if (!analysis.due()) CHECK(results.empty());
    if (restarts) analysis.restart();
  }
  return due;
}

/// Also when every batch is worked on by a process of its own.
void check_due(const std::vector<StepLines>& steps, const Batches& batches,
               const ResultsByBatch& expected) {
  Analysis through(steps);
  CHECK(run_due(through, batches, false) == expected);
  Analysis restarted(steps);
  CHECK(run_due(restarted, batches, true) == expected);
}

const StepLines texts{"p", "parse", {{"format", "text"}, {"fields", "value"}}};
const StepLines counted{"c", "aggregate", {{"by", "value"}, {"agg.n", "count()"}}};
const StepLines total{"a", "aggregate", {{"agg.result", "count()"}}};

StepLines window(const std::string& length, const std::string& slide) {
  return {"w", "window", {{"length", length}, {"slide", slide}}};
}

TEST_CASE("Spark: behind a window there are batches only when one ends, empty ones too") {
  const Batches batches{{"a"}, {"a", "b"}, {}, {}, {}, {}, {"b"}, {}};
  check_due({texts, window("4s", "2s"), counted}, batches,
            {{"a,2", "b,1"}, {"a,2", "b,1"}, {}, {"b,1"}});
  // A count that stands behind it has a zero then, and none between; state passes on its keys then.
  check_due({texts, window("2s", "2s"), counted, total}, batches, {{"2"}, {"0"}, {"0"}, {"1"}});
  const StepLines state{"s", "state", {{"merge.n", "sum"}}};
  check_due({texts, window("2s", "2s"), counted, state}, batches,
            {{"a,2", "b,1"}, {"a,2", "b,1"}, {"a,2", "b,1"}, {"a,2", "b,2"}});
  const StepLines top{"t", "top", {{"n", "1"}, {"order", "-n value"}}};
  check_due({texts, window("3s", "3s"), counted, top}, batches, {{"a,2"}, {}});
}

TEST_CASE("a state behind a window forgets keys in batches in which one ends") {
  check_due({texts,
             window("2s", "2s"),
             counted,
             {"s", "state", {{"merge.n", "sum"}, {"mode", "changes"}, {"timeout", "3s"}}}},
            {{"a"}, {}, {}, {}, {}, {}, {}, {}}, {{"a,1"}, {}, {"a,1"}, {}});
}

TEST_CASE("what a state behind a window begins with is saved before a window ends") {
  // What has a timeout is saved with its time; a key counts as if it came in the first batch.
  for (const bool forgets : {false, true}) {
    StepLines state{"s", "state", {{"merge.n", "sum"}}};
    if (forgets) state.values.emplace_back("timeout", "1h");
    for (const int restarted : {0, 1, 2, 3, 4}) {
      INFO(forgets << ", restarted behind batch " << restarted);
      Analysis analysis({texts, window("3s", "3s"), counted, state},
                        {.initial = {"s", "a,1\nc,5\n"}});
      for (int batch = 1; batch <= 6; ++batch) {
        const Results results = analysis.batch({"a"});
        if (batch == 3) CHECK(sorted(results) == Results{"a,4", "c,5"});
        if (batch == 6) CHECK(sorted(results) == Results{"a,7", "c,5"});
        if (restarted == 0) analysis.keep();
        if (batch == restarted) analysis.restart();
      }
    }
  }
}

TEST_CASE("a window that ended while no batch did has its batch later") {
  Analysis analysis({texts, window("2s", "2s"), counted});
  analysis.push({"a"});
  CHECK(analysis.skip(4) == Results{"a,1"});
  CHECK(analysis.due());
  CHECK(analysis.skip(3).empty());
  CHECK(analysis.due());
  CHECK(analysis.tick().empty());
  CHECK(analysis.due());
  CHECK(analysis.tick().empty());
  CHECK_FALSE(analysis.due());
  analysis.restart_later(5);
  CHECK(analysis.tick().empty());
  CHECK(analysis.due());
}

TEST_CASE("windows of other kinds have their results whenever they are there") {
  Analysis rows({texts,
                 window("4s", "4s"),
                 counted,
                 {"w2", "window", {{"kind", "session"}, {"gap", "1s"}}},
                 {"a2", "aggregate", {{"by", "value"}, {"agg.n", "count()"}}}});
  std::size_t found = 0;
  for (const auto& batch : Batches{{"a"}, {}, {}, {}, {}, {}}) {
    found += rows.batch(batch).size();
    CHECK(rows.due());
  }
  CHECK(found == 1);
}

}  // namespace
}  // namespace sluice::analytics

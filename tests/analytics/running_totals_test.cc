// Running totals of many keys, against plain maps: what is passed on, and what a next process
// knows.
#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/support/pipelines.h"
#include "tests/support/seeds.h"

namespace sluice::analytics {
namespace {

const StepLines parsed{"p", "parse", {{"format", "csv"}, {"fields", "key n:int x:double"}}};

StepLines state(std::vector<std::pair<std::string, std::string>> values) {
  return {"s", "state", std::move(values)};
}

/// Lines "kI,N,X" of so many keys; some numbers are not there.
std::vector<std::string> lines_of(std::mt19937_64& random, std::size_t keys, std::size_t count) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    // Some keys have a place in their slots, others are too long for that.
    const std::uint64_t key = random() % keys;
    std::string line = (key % 7 == 0 ? "a-key-of-many-bytes-" : "k") + std::to_string(key) + ",";
    if (random() % 16 != 0) line += std::to_string(static_cast<int>(random() % 40) - 20);
    line += ",";
    if (random() % 16 != 0) line += std::to_string(random() % 8);
    lines.push_back(std::move(line));
  }
  return lines;
}

// ---- top

TEST_CASE("a top list has the first rows of the same list sorted, whatever it is sorted by") {
  const StepLines grouped{"a",
                          "aggregate",
                          {{"by", "key"},
                           {"agg.rows", "count()"},
                           {"agg.sum", "sum(n)"},
                           {"agg.most", "max(x)"},
                           {"agg.first", "first(key)"}}};
  const StepLines total = state({{"merge.rows", "sum"},
                                 {"merge.sum", "sum"},
                                 {"merge.most", "max"},
                                 {"merge.first", "first"}});
  const std::vector<std::string> orders = {"-rows", "rows key",   "-sum key", "sum",  "-most key",
                                           "most",  "-first",     "first",    "-key", "key",
                                           "-most", "-rows -key", "-sum"};
  for (const std::string& order : orders) {
    INFO(order);
    std::mt19937_64 random(17);
    for (const bool running : {false, true}) {
      std::vector<StepLines> steps{parsed, grouped};
      if (running) steps.push_back(total);
      std::vector<StepLines> sorting = steps;
      sorting.push_back({"t", "sort", {{"order", order}}});
      steps.push_back({"t", "top", {{"n", "25"}, {"order", order}}});
      Analysis top(steps);
      Analysis sort(sorting);
      for (int batch = 0; batch < 3; ++batch) {
        const auto lines = lines_of(random, 3000, 4000);
        Results expected = sort.batch(lines);
        REQUIRE(expected.size() > 1500);
        expected.resize(25);
        CHECK(top.batch(lines) == expected);
      }
    }
  }
}

// ---- parts

TEST_CASE("totals are the same when a sink has rest between its events, and less is left to do") {
  const std::vector<StepLines> steps{parsed,
                                     {"a",
                                      "aggregate",
                                      {{"by", "key"},
                                       {"agg.rows", "count()"},
                                       {"agg.numbers", "count(n)"},
                                       {"agg.sum", "sum(n)"},
                                       {"agg.least", "min(x)"},
                                       {"agg.most", "max(n)"},
                                       {"agg.first", "first(n)"},
                                       {"agg.last", "last(x)"}}}};
  for (const std::string mode : {"running", "changes"}) {
    std::vector<StepLines> all = steps;
    all.push_back(state({{"mode", mode},
                         {"merge.rows", "sum"},
                         {"merge.numbers", "sum"},
                         {"merge.sum", "sum"},
                         {"merge.least", "min"},
                         {"merge.most", "max"},
                         {"merge.first", "first"},
                         {"merge.last", "last"}}));
    Analysis busy(all);
    Analysis rests(all);
    std::mt19937_64 random(3);
    const auto known = lines_of(random, 4000, 5000);
    CHECK(rests.batch(known) == busy.batch(known));
    for (int batch = 0; batch < 4; ++batch) {
      for (int part = 0; part < 3; ++part) {
        const auto lines = lines_of(random, 4000, 5000);
        busy.push(lines);
        rests.push(lines);
        const std::uint64_t before = rests.pipeline().keys();
        rests.rest();
        // The total knew most of them; the aggregation begins anew.
        CHECK(rests.pipeline().keys() < before);
      }
      CHECK(rests.pipeline().keys() < busy.pipeline().keys());
      CHECK(rests.tick() == busy.tick());
    }
  }
}

TEST_CASE("what would not be the same in parts is put together at the end of the batch") {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  const auto rests = [](const Pairs& aggregates, const Pairs& merges, Analysis::Options options) {
    StepLines grouped{"a", "aggregate", {{"by", "key"}}};
    grouped.values.insert(grouped.values.end(), aggregates.begin(), aggregates.end());
    Analysis analysis({parsed, grouped, state(merges)}, std::move(options));
    std::mt19937_64 random(4);
    analysis.batch(lines_of(random, 4000, 5000));
    analysis.push(lines_of(random, 4000, 5000));
    const std::uint64_t before = analysis.pipeline().keys();
    analysis.rest();
    return analysis.pipeline().keys() != before;
  };
  CHECK(rests({{"agg.n", "count()"}}, {{"merge.n", "sum"}}, {}));
  // The order of additions would show.
  CHECK_FALSE(rests({{"agg.n", "sum(x)"}}, {{"merge.n", "sum"}}, {}));
  // The largest count of a batch is no largest count of parts.
  CHECK_FALSE(rests({{"agg.n", "count()"}}, {{"merge.n", "max"}}, {}));
  CHECK_FALSE(rests({{"agg.n", "avg(n)"}}, {{"merge.n", "last"}}, {}));
  CHECK_FALSE(rests({{"agg.n", "max(n)"}}, {{"merge.n", "last"}}, {}));
  // A count that is part of the key of the state.
  CHECK_FALSE(rests({{"agg.n", "count()"}, {"agg.m", "max(n)"}}, {{"merge.m", "max"}}, {}));
  // Somebody else looks at the aggregation.
  CHECK_FALSE(rests({{"agg.n", "count()"}}, {{"merge.n", "sum"}}, {.outputs = {"a", "s"}}));
}

// ---- what is saved

/// What the state should know of a key.
struct Total {
  std::int64_t n = 0;
  std::int64_t came_ms = 0;
};

TEST_CASE("totals with a timeout live on in the next process, in changes and as a whole") {
  constexpr std::int64_t timeout_ms = 3000;
  for (std::uint64_t seed = 0; seed < seeds(10); ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const bool forgets = seed % 2 == 0;
    // A text of its own memory, beside a number.
    std::vector<std::pair<std::string, std::string>> values{{"merge.n", "sum"},
                                                            {"merge.w", "last"}};
    if (forgets) values.emplace_back("timeout", "3s");
    Analysis analysis(
        {parsed,
         {"a", "aggregate", {{"by", "key"}, {"agg.n", "count()"}, {"agg.w", "last(key)"}}},
         state(std::move(values))});
    std::map<std::string, Total> totals;
    for (int batch = 0; batch < 30; ++batch) {
      const std::size_t keys = random() % 2 == 0 ? 200 : 3000;
      const auto lines = lines_of(random, keys, random() % 2000);
      const Results results = sorted(analysis.batch(lines));
      for (const std::string& line : lines) {
        Total& total = totals[line.substr(0, line.find(','))];
        ++total.n;
        total.came_ms = analysis.now_ms();
      }
      if (forgets) {
        std::erase_if(totals, [&](const auto& each) {
          return analysis.now_ms() - each.second.came_ms >= timeout_ms;
        });
      }
      Results expected;
      for (const auto& [key, total] : totals) {
        expected.push_back(key + "," + std::to_string(total.n) + "," + key);
      }
      expected = sorted(std::move(expected));
      REQUIRE(results == expected);
      // Now and then several batches are saved together.
      if (random() % 4 == 0) continue;
      analysis.keep();
      if (random() % 4 == 0) analysis.restart();
    }
    // Both ways of saving were used.
    const auto is_change = [](const auto& each) {
      return each.first.find("/d") != each.first.npos;
    };
    const SavedState& saved = analysis.kept().saved();
    const auto changes = std::count_if(saved.begin(), saved.end(), is_change);
    CHECK(changes > 0);
    CHECK(changes < static_cast<std::ptrdiff_t>(saved.size()));
  }
}

TEST_CASE("a total of all rows lives on in the next process, whole and as a change") {
  Analysis analysis(
      {parsed, {"a", "aggregate", {{"agg.n", "count()"}}}, state({{"merge.n", "sum"}})});
  std::mt19937_64 random(6);
  for (int batch = 1; batch <= 4; ++batch) {
    CHECK(analysis.batch(lines_of(random, 10, 5)) == Results{std::to_string(batch * 5)});
    analysis.keep();
    analysis.restart();
  }
}

TEST_CASE("a timeout may be another one, but states with and without one are told apart") {
  const auto fingerprint = [](std::vector<std::pair<std::string, std::string>> values) {
    values.emplace_back("merge.n", "sum");
    Analysis analysis(
        {parsed, {"a", "aggregate", {{"by", "key"}, {"agg.n", "count()"}}}, state(values)});
    return analysis.pipeline().fingerprint();
  };
  // Such a state has a time behind each of its keys, which another one would take for a key.
  CHECK(fingerprint({}) != fingerprint({{"timeout", "3s"}}));
  CHECK(fingerprint({}) == fingerprint({{"timeout", "0"}}));
  CHECK(fingerprint({{"timeout", "3s"}}) == fingerprint({{"timeout", "1h"}}));
  CHECK(fingerprint({}) == fingerprint({{"mode", "changes"}, {"maxKeys", "5"}}));
}

TEST_CASE("what a save has of a key is as small as a number once the key is saved") {
  Analysis analysis({parsed,
                     {"a", "aggregate", {{"by", "key"}, {"agg.n", "count()"}}},
                     state({{"merge.n", "sum"}})});
  const std::string key(100, 'k');
  analysis.batch(std::vector<std::string>(3, key + ",1,1"));
  analysis.keep();
  analysis.batch({key + ",1,1"});
  analysis.keep();
  const SavedState& saved = analysis.kept().saved();
  REQUIRE(saved.size() == 2);
  CHECK(saved.begin()->second.size() > key.size());
  CHECK(std::prev(saved.end())->second.size() < 5);
}

TEST_CASE("saved totals that are damaged are refused") {
  Analysis analysis({parsed,
                     {"a", "aggregate", {{"by", "key"}, {"agg.n", "count()"}}},
                     state({{"merge.n", "sum"}, {"timeout", "3s"}})});
  std::mt19937_64 random(1);
  for (int batch = 0; batch < 3; ++batch) {
    analysis.batch(lines_of(random, 50, 40));
    analysis.keep();
  }
  const SavedState saved = analysis.kept().saved();
  for (const auto& [key, value] : saved) {
    INFO(key);
    for (std::size_t bytes = 1; bytes < value.size(); ++bytes) {
      SavedState cut = saved;
      cut[key].resize(bytes);
      Analysis next({parsed,
                     {"a", "aggregate", {{"by", "key"}, {"agg.n", "count()"}}},
                     state({{"merge.n", "sum"}, {"timeout", "3s"}})});
      const Status loaded = next.pipeline().load(cut);
      // A value may be cut between two keys; all else is seen.
      if (!loaded.ok()) CHECK_THAT(loaded.message(), Catch::Matchers::Contains("cannot be read"));
    }
    if (key.find("/d") != key.npos) {
      SavedState elsewhere = saved;
      elsewhere[key][0] = 126;  // a place that no key of its shard has
      Analysis next({parsed,
                     {"a", "aggregate", {{"by", "key"}, {"agg.n", "count()"}}},
                     state({{"merge.n", "sum"}, {"timeout", "3s"}})});
      CHECK_FALSE(next.pipeline().load(elsewhere).ok());
    }
    // Of another shard: "s/SHARD/PIECE". (The places of a change may be there as well.)
    SavedState moved = saved;
    moved.extract(key);
    const std::string shard = key.substr(2, key.find('/', 2) - 2);
    const std::string next_shard = std::to_string((std::stoul(shard) + 1) % 256);
    moved["s/" + next_shard + key.substr(2 + shard.size())] = value;
    Analysis other({parsed,
                    {"a", "aggregate", {{"by", "key"}, {"agg.n", "count()"}}},
                    state({{"merge.n", "sum"}, {"timeout", "3s"}})});
    if (key.find("/d") == key.npos) CHECK_FALSE(other.pipeline().load(moved).ok());
    SavedState renamed = saved;
    renamed[key + "x"] = value;
    Analysis next({parsed,
                   {"a", "aggregate", {{"by", "key"}, {"agg.n", "count()"}}},
                   state({{"merge.n", "sum"}, {"timeout", "3s"}})});
    CHECK_FALSE(next.pipeline().load(renamed).ok());
  }
}

}  // namespace
}  // namespace sluice::analytics

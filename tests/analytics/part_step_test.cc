// Windows that each key has of its own: sessions, and windows of so many rows.
#include "analytics/part_step.h"

#include <map>
#include <random>

#include "tests/catch.h"
#include "tests/support/pipelines.h"
#include "tests/support/seeds.h"

namespace sluice::analytics {
namespace {

constexpr std::int64_t epoch = 1'699'999'980'000;  // when an Analysis begins

std::vector<StepLines> sessions(std::vector<std::pair<std::string, std::string>> more,
                                const std::string& function = "count()") {
  std::vector<std::pair<std::string, std::string>> window = {
      {"kind", "session"}, {"gap", "10s"}, {"time", "event"}, {"timestamp", "t"}};
  for (auto& each : more) window.push_back(std::move(each));  // the later one holds
  return {{"p", "parse", {{"format", "csv"}, {"fields", "t:int k v"}}},
          {"w", "window", std::move(window)},
          {"a", "aggregate", {{"by", "k"}, {"agg.n", function}}}};
}

/// Seconds behind the begin.
std::string row(int second, const std::string& key, const std::string& value = "x") {
  return std::to_string(epoch + second * 1000) + "," + key + "," + value;
}
std::string session(int begin, int end, const std::string& rest) {
  return std::to_string(epoch + begin * 1000) + "," + std::to_string(epoch + end * 1000) + "," +
         rest;
}

TEST_CASE("sessions: rows within the gap are one, a key's own, passed on behind its end") {
  Analysis analysis(sessions({}));
  CHECK(analysis.batch({row(0, "a"), row(10, "a"), row(5, "b")}).empty());
  CHECK(analysis.batch({row(16, "c")}) == Results{session(5, 15, "b,1")});
  CHECK(analysis.batch({row(21, "a")}) == Results{session(0, 20, "a,2")});
  CHECK(analysis.batch({row(60, "d")}) == Results{session(21, 31, "a,1"), session(16, 26, "c,1")});
  CHECK(analysis.batch({}).empty());
}

TEST_CASE("sessions are passed on when the watermark has reached their end, not only behind it") {
  Analysis analysis(sessions({}));
  CHECK(analysis.batch({row(0, "a")}).empty());
  CHECK(analysis.batch({row(9, "b")}).empty());
  CHECK(analysis.batch({row(10, "b")}) == Results{session(0, 10, "a,1")});
}

TEST_CASE("sessions: what was late before a restart is so behind it") {
  Analysis analysis(sessions({}));
  analysis.batch({row(0, "a")});
  CHECK(analysis.batch({row(100, "b")}) == Results{session(0, 10, "a,1")});
  analysis.restart();
  CHECK(analysis.batch({row(0, "a"), row(90, "c")}).empty());
  CHECK(analysis.pipeline().left_out().at("a late rows") == 2);
}

TEST_CASE("sessions: of keys whose sessions are over nothing is left") {
  Analysis analysis(sessions({}));
  std::vector<std::string> lines;
  for (int i = 0; i < 1000; ++i) lines.push_back(row(0, "k" + std::to_string(i)));
  analysis.batch(lines);
  CHECK(analysis.pipeline().keys() == 1000);
  analysis.restart();
  CHECK(analysis.batch({row(100, "z")}).size() == 1000);
  CHECK(analysis.pipeline().keys() == 1);
  analysis.restart();
  std::size_t kept = 0;
  for (const auto& [key, value] : analysis.kept().saved()) kept += key == "a/times" ? 0 : 1;
  CHECK(kept == 1);
}

TEST_CASE("sessions: a row between two joins them, with what both had seen") {
  Analysis analysis(sessions({{"delay", "1m"}}, "collect(v, 10)"));
  analysis.push({row(0, "a", "1"), row(20, "a", "3")});
  analysis.push({row(10, "a", "2"), row(40, "a", "5")});
  CHECK(analysis.tick().empty());
  analysis.restart();
  CHECK(analysis.batch({row(30, "a", "4"), row(70, "b")}).empty());
  CHECK(analysis.batch({row(200, "c")}) ==
        Results{session(0, 50, "a,\"[1, 2, 3, 4, 5]\""), session(70, 80, "b,[x]")});
}

TEST_CASE("sessions: late rows, those of the future and those without a time are counted") {
  Analysis analysis(sessions({{"maxFuture", "1h"}}));
  analysis.batch({row(100, "a")});
  CHECK(analysis.batch({row(90, "b"), row(91, "c"), row(9000, "d"), ",e,x"}).empty());
  const auto counts = analysis.pipeline().left_out();
  CHECK(counts.at("a late rows") == 1);  // 90 + 10 <= 100
  CHECK(counts.at("a rows of the future") == 1);
  CHECK(counts.at("a rows without a time") == 1);
  CHECK(sorted(analysis.batch({row(120, "z")})) ==
        Results{session(91, 101, "c,1"), session(100, 110, "a,1")});
}

TEST_CASE("sessions by processing time end when their key was silent for the gap") {
  Analysis analysis({{"w", "window", {{"kind", "session"}, {"gap", "2s"}}},
                     {"a", "aggregate", {{"by", "body"}, {"agg.n", "count()"}}}});
  CHECK(analysis.batch({"a", "a", "b"}).empty());
  CHECK(analysis.batch({"a"}).empty());
  CHECK(analysis.batch({}) == Results{session(0, 2, "b,1")});
  analysis.restart();
  CHECK(analysis.batch({}) == Results{session(0, 3, "a,3")});
  CHECK(analysis.batch({}).empty());
  CHECK(analysis.kept().saved().count("a/0/0") == 0);
}

TEST_CASE("sessions: no more than maxKeys are open") {
  auto steps = sessions({});
  steps.back().values.emplace_back("maxKeys", "3");
  Analysis analysis(steps);
  CHECK(analysis.batch({row(0, "a"), row(20, "a"), row(40, "a"), row(60, "a")}) ==
        Results{session(0, 10, "a,1"), session(20, 30, "a,1"), session(40, 50, "a,1")});
  // There is room again for as many as have gone.
  CHECK(analysis.batch({row(100, "b")}).empty());
  CHECK(analysis.batch({row(200, "c")}) == Results{session(100, 110, "b,1")});
  CHECK(analysis.pipeline().left_out().at("a rows without room for a session") == 1);
}

TEST_CASE(
    "sessions: rows of keys without room are counted once for the key, once for the session") {
  auto steps = sessions({{"delay", "1m"}});
  steps.back().values.emplace_back("maxKeys", "2");
  Analysis analysis(steps);
  analysis.batch({row(0, "a"), row(0, "b"), row(0, "c"), row(0, "d"), row(1, "a")});
  CHECK(analysis.pipeline().left_out().at("a rows of keys beyond maxKeys") == 2);
  CHECK(analysis.pipeline().left_out().at("a rows without room for a session") == 2);
}

TEST_CASE("rows belong to the time when they come, also when the last batch ended long ago") {
  Analysis by_event(sessions({{"maxFuture", "1s"}}));
  by_event.batch({row(0, "a")});
  by_event.push_later(std::chrono::hours(2), {row(7000, "b")});
  CHECK(by_event.pipeline().left_out().at("a rows of the future") == 0);
  Analysis by_clock({{"w", "window", {{"kind", "session"}, {"gap", "2s"}}},
                     {"a", "aggregate", {{"by", "body"}, {"agg.n", "count()"}}}});
  by_clock.batch({"a"});
  by_clock.push_later(std::chrono::seconds(60), {"a"});
  CHECK(by_clock.skip(61) == Results{session(0, 2, "a,1")});
  CHECK(by_clock.skip(3) == Results{session(61, 63, "a,1")});
}

/// Sessions of all rows, as they would be if all were known at once.
std::map<std::string, std::vector<std::string>> sessions_of(
    const std::vector<std::pair<int, std::string>>& rows) {
  std::map<std::string, std::vector<int>> times;
  for (const auto& [time, key] : rows) times[key].push_back(time);
  std::map<std::string, std::vector<std::string>> all;
  for (auto& [key, its] : times) {
    std::sort(its.begin(), its.end());
    for (std::size_t i = 0; i < its.size();) {
      std::size_t end = i + 1;
      while (end < its.size() && its[end] - its[end - 1] <= 10) ++end;
      all[key].push_back(session(its[i], its[end - 1] + 10, key + "," + std::to_string(end - i)));
      i = end;
    }
  }
  return all;
}

TEST_CASE("sessions: rows in any order within the delay, with restarts, are those of the rows") {
  for (unsigned seed = 1; seed <= seeds(60); ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto draw = [&](unsigned below) { return static_cast<int>(random() % below); };
    Analysis analysis(sessions({{"delay", "60s"}}));
    std::vector<std::pair<int, std::string>> rows;
    Results found;
    for (int batch = 0; batch < 30; ++batch) {
      std::vector<std::string> lines;
      for (int i = draw(8); i > 0; --i) {
        // At most 60 s behind the latest one, which is at most 10 s ahead of the batch.
        rows.emplace_back(batch * 10 + draw(50) - 40 + 40, std::string(1, "abc"[draw(3)]));
        lines.push_back(row(rows.back().first, rows.back().second));
      }
      const Results some = analysis.batch(lines);
      found.insert(found.end(), some.begin(), some.end());
      if (draw(4) == 0) analysis.restart();
    }
    const Results last = analysis.batch({row(3000, "end")});
    found.insert(found.end(), last.begin(), last.end());
    Results wanted;
    for (const auto& [key, its] : sessions_of(rows)) {
      wanted.insert(wanted.end(), its.begin(), its.end());
    }
    CHECK(sorted(found) == sorted(wanted));
    CHECK(analysis.pipeline().left_out().at("a late rows") == 0);
  }
}

std::vector<StepLines> counted(const std::string& rows, const std::string& slide,
                               const std::string& function = "collect(body, 100)") {
  std::vector<std::pair<std::string, std::string>> window = {{"kind", "count"}, {"rows", rows}};
  if (!slide.empty()) window.emplace_back("slideRows", slide);
  return {{"m", "map", {{"set.k", "substr(body, 1, 1)"}}},
          {"w", "window", std::move(window)},
          {"a", "aggregate", {{"by", "k"}, {"agg.all", function}}}};
}

TEST_CASE("windows of rows are a key's own, and go over batches and restarts") {
  Analysis analysis(counted("3", ""));
  CHECK(analysis.batch({"a1", "b1", "a2"}).empty());
  CHECK(analysis.batch({}).empty());
  analysis.restart();
  CHECK(analysis.batch({"a3", "a4", "b2", "b3", "a5", "a6"}) ==
        Results{"a,\"[a1, a2, a3]\"", "b,\"[b1, b2, b3]\"", "a,\"[a4, a5, a6]\""});
  CHECK(analysis.batch({}).empty());
}

TEST_CASE("windows of rows that slide") {
  Analysis overlapping(counted("4", "2"));
  CHECK(overlapping.batch({"a1", "a2", "a3", "a4", "a5", "a6", "a7"}) ==
        Results{"a,\"[a1, a2]\"", "a,\"[a1, a2, a3, a4]\"", "a,\"[a3, a4, a5, a6]\""});
  overlapping.restart();
  CHECK(overlapping.batch({"a8"}) == Results{"a,\"[a5, a6, a7, a8]\""});
  Analysis gaps(counted("2", "3"));
  CHECK(gaps.batch({"a1", "a2", "a3", "a4", "a5", "a6", "a7"}) ==
        Results{"a,\"[a2, a3]\"", "a,\"[a5, a6]\""});
}

TEST_CASE("windows of rows equal those that are cut out of all rows") {
  for (unsigned seed = 1; seed <= seeds(60); ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const std::uint64_t length = 1 + random() % 7;
    const std::uint64_t slide = 1 + random() % 7;
    Analysis analysis(counted(std::to_string(length), std::to_string(slide), "last(body)"));
    std::map<char, std::vector<std::string>> rows;
    Results wanted;
    Results found;
    for (int batch = 0; batch < 12; ++batch) {
      std::vector<std::string> lines;
      for (std::uint64_t i = random() % 40; i > 0; --i) {
        const char key = "ab"[random() % 2];
        auto& its = rows[key];
        its.push_back(std::string(1, key) + std::to_string(its.size()));
        lines.push_back(its.back());
        if (its.size() % slide == 0) wanted.push_back(std::string(1, key) + "," + its.back());
      }
      const Results some = analysis.batch(lines);
      found.insert(found.end(), some.begin(), some.end());
      if (random() % 3 == 0) analysis.restart();
    }
    CHECK(found == wanted);
  }
}

TEST_CASE("windows of one row without a key, and what is saved of them stays small") {
  Analysis analysis({{"w", "window", {{"kind", "count"}, {"rows", "1000"}, {"slideRows", "100"}}},
                     {"a", "aggregate", {{"agg.n", "count()"}}}});
  const std::vector<std::string> lines(250, "x");
  Results all;
  for (int batch = 0; batch < 20; ++batch) {
    const Results some = analysis.batch(lines);
    all.insert(all.end(), some.begin(), some.end());
    analysis.restart();
  }
  REQUIRE(all.size() == 50);
  CHECK(all[0] == "100");
  CHECK(all[9] == "1000");
  CHECK(all[49] == "1000");
  std::size_t bytes = 0;
  for (const auto& [key, value] : analysis.kept().saved()) bytes += key.size() + value.size();
  CHECK(bytes < 100);
}

TEST_CASE("rows between two windows of rows leave nothing behind") {
  Analysis analysis(counted("2", "100000", "count()"));
  const std::vector<std::string> lines(1000, "a");
  for (int batch = 0; batch < 99; ++batch) CHECK(analysis.batch(lines).empty());
  CHECK(analysis.pipeline().state_bytes() < 50'000);
  CHECK(analysis.batch(lines) == Results{"a,2"});
}

TEST_CASE("windows of rows that were passed on, and sessions that were joined, leave nothing") {
  Analysis windows(counted("4", "2", "count()"));
  const std::vector<std::string> same(1000, "a");
  for (int batch = 0; batch < 40; ++batch) CHECK(windows.batch(same).size() == 500);
  CHECK(windows.pipeline().state_bytes() < 50'000);
  auto steps = sessions({{"delay", "1h"}, {"gap", "10ms"}, {"maxFuture", "1d"}});
  steps.back().values.emplace_back("maxKeys", "10");
  Analysis joined(steps);
  std::vector<std::string> lines;
  for (int i = 0; i < 20'000; ++i) {
    // The second row of each pair is between the first one and all before it.
    for (const int time : {i * 20 + 20, i * 20 + 10}) {
      lines.push_back(std::to_string(epoch + time) + ",a,x");
    }
  }
  joined.push(lines);
  CHECK(joined.pipeline().state_bytes() < 50'000);
  CHECK(joined.pipeline().left_out().at("a rows without room for a session") == 0);
  CHECK(joined.batch({row(10'000, "z")}).size() == 1);
}

TEST_CASE("very many sessions of a key end at once") {
  Analysis analysis(sessions({{"gap", "1ms"}}));
  std::vector<std::string> lines;
  for (int i = 0; i < 20'000; ++i) {
    lines.push_back(std::to_string(epoch - 1'000'000 + i * 10) + ",a,x");
  }
  analysis.push(lines);
  CHECK(analysis.tick().size() == 19'999);
}

TEST_CASE("windows of a key: what does not fit is a finding") {
  const auto finding = [](std::vector<std::pair<std::string, std::string>> window) {
    const auto findings = findings_of(
        {{"w", "window", std::move(window)}, {"a", "aggregate", {{"agg.n", "count()"}}}});
    REQUIRE(findings.size() == 1);
    return findings[0].key;
  };
  CHECK(finding({}) == "steps.w.length");
  CHECK(finding({{"kind", "session"}}) == "steps.w.gap");
  CHECK(finding({{"kind", "session"}, {"gap", "1s"}, {"slide", "1s"}}) == "steps.w.slide");
  CHECK(finding({{"kind", "count"}, {"rows", "5"}, {"time", "event"}}) == "steps.w.time");
  CHECK(finding({{"length", "5s"}, {"rows", "5"}}) == "steps.w.rows");
  CHECK(finding({{"kind", "session"}, {"gap", "1s"}, {"time", "event"}, {"late", "update"}}) ==
        "steps.w.late");
  CHECK(finding({{"kind", "count"}}) == "steps.w.rows");
  CHECK(finding({{"kind", "count"}, {"rows", "100003"}, {"slideRows", "2"}}) ==
        "steps.w.slideRows");
  CHECK(finding({{"kind", "session"}, {"gap", "1s"}, {"time", "event"}, {"timestamp", "body"}}) ==
        "steps.w.timestamp");
}

TEST_CASE("state that was not saved by such a step is refused") {
  for (const auto& steps : {sessions({}), counted("3", "")}) {
    for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
             {"a/x", "1"}, {"a/0/0", "1"}, {"a/300/0", ""}, {"a/0/0", std::string(40, '\xff')}}) {
      std::vector<Finding> findings;
      const auto pipeline = Pipeline::make(settings_of(steps), {}, findings);
      REQUIRE(pipeline != nullptr);
      CHECK_FALSE(pipeline->load({{key, value}}).ok());
    }
  }
}

}  // namespace
}  // namespace sluice::analytics

#include "core/store/accepted_origins.h"

#include <random>
#include <set>

#include "core/store/store.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/power_cut.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::TempDirectory;

constexpr OriginId a{1, 1};
constexpr OriginId b{2, 2};
constexpr std::int64_t day_ms = 24 * 3600 * 1000;

/// A store, and one channel's accepted origins in it.
class Rig {
 public:
  explicit Rig(AcceptedOrigins::Limits limits = {}) : limits_(limits), accepted(7, limits) {
    auto opened = Store::open({.path = directory_.path("store"), .free_bytes_min = 1 << 20});
    REQUIRE(opened.ok());
    store = *std::move(opened);
  }

  AcceptedOrigins::Verdict accept(const Provenance& row, std::int64_t now_ms = 1) {
    StoreBatch batch = store->batch();
    auto verdict = accepted.accept(row, now_ms, batch);
    REQUIRE(store->write(batch).ok());
    return verdict;
  }
  /// What a start would read.
  std::vector<OriginRange> read_again() const {
    AcceptedOrigins again(7, limits_);
    REQUIRE(again.read(*store).ok());
    return again.ranges();
  }

 private:
  const TempDirectory directory_;
  const AcceptedOrigins::Limits limits_;

 public:
  std::unique_ptr<Store> store;
  AcceptedOrigins accepted;
};

Provenance range(OriginId id, std::uint64_t begin, std::uint64_t end) {
  return Provenance::dense(id, begin, static_cast<std::uint32_t>(end - begin));
}

TEST_CASE("a range is new once, and a gap in front of it stays open") {
  Rig rig;
  CHECK(rig.accept(range(a, 100, 200)).all);
  CHECK(rig.accept(range(b, 100, 200)).all);
  CHECK(rig.accept(range(a, 0, 50)).all);  // of a sender that spreads its load: not below a mark
  const auto verdict = rig.accept(range(a, 40, 120));
  CHECK_FALSE(verdict.all);
  REQUIRE(verdict.fresh.size() == 50);
  CHECK(verdict.fresh.front() == 10);
  CHECK(verdict.fresh.back() == 59);
  CHECK(verdict.left.covered() == std::vector<OriginRange>{{a, 50, 100}});
  CHECK(verdict.left.origin(0) == Origin{a, 50});
  CHECK(rig.accept(range(a, 0, 200)).fresh.empty());
  CHECK(rig.accepted.ranges() == std::vector<OriginRange>{{a, 0, 200}, {b, 100, 200}});
  CHECK(rig.read_again() == rig.accepted.ranges());
}

TEST_CASE("two of one row may be doubles of each other") {
  Rig rig;
  const Provenance row =
      Provenance::concat({{range(a, 0, 3), 3}, {Provenance(), 2}, {range(a, 1, 5), 4}});
  const auto verdict = rig.accept(row);
  CHECK_FALSE(verdict.all);
  CHECK(verdict.fresh == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 7, 8});
  CHECK(verdict.left.origin(3) == Origin{});
  CHECK(verdict.left.origin(5) == Origin{a, 3});
  CHECK(rig.read_again() == std::vector<OriginRange>{{a, 0, 5}});
}

TEST_CASE("what interceptors dropped is answered for as well") {
  Rig rig;
  CHECK(rig.accept(range(a, 0, 10).select({2, 5})).all);
  CHECK(rig.accept(range(a, 0, 10).select({2, 5})).fresh.empty());
  CHECK(rig.accept(range(a, 8, 12).select({0, 1, 2})).fresh == std::vector<std::uint32_t>{2});
}

TEST_CASE("random rows against a plain set, with refusals, repairs and starts") {
  std::mt19937_64 random(Catch::rngSeed());
  Rig rig;
  std::set<std::pair<OriginId, std::uint64_t>> plain;
  for (int step = 0; step < 3000; ++step) {
    const OriginId id = random() % 2 == 0 ? a : b;
    const std::uint64_t begin = random() % 500;
    const std::uint64_t end = begin + 1 + random() % 40;
    const Provenance row = range(id, begin, end);
    const auto verdict = rig.accept(row);
    std::vector<std::uint32_t> fresh;
    for (std::uint64_t s = begin; s < end; ++s) {
      if (!plain.contains({id, s})) fresh.push_back(static_cast<std::uint32_t>(s - begin));
    }
    CHECK(verdict.all == (fresh.size() == row.size()));
    if (!verdict.all) REQUIRE(verdict.fresh == fresh);
    if (random() % 3 == 0) {
      rig.accepted.undo(verdict.added);
      StoreBatch batch = rig.store->batch();
      REQUIRE(rig.accepted.repair(*rig.store, batch).ok());
      REQUIRE(rig.store->write(batch).ok());
    } else {
      for (std::uint64_t s = begin; s < end; ++s) plain.emplace(id, s);
    }
    if (step % 50 == 0) {
      REQUIRE(rig.read_again() == rig.accepted.ranges());
      for (std::uint64_t s = 0; s < 560; ++s) {
        REQUIRE(rig.accepted.accepted({a, s}) == plain.contains({a, s}));
        REQUIRE(rig.accepted.accepted({b, s}) == plain.contains({b, s}));
      }
    }
    if (random() % 100 == 0) REQUIRE(rig.accepted.read(*rig.store).ok());
    if (random() % 300 == 0) {
      plain.clear();
      std::vector<OriginRange> all = rig.accepted.ranges();
      rig.accepted.undo(all);
      StoreBatch batch = rig.store->batch();
      REQUIRE(rig.accepted.repair(*rig.store, batch).ok());
      REQUIRE(rig.store->write(batch).ok());
    }
  }
}

TEST_CASE(
    "beyond the limit the lowest are forgotten, which is said only when they may come again") {
  const CapturedLog log;
  Rig rig({.ranges_max = 3});
  for (std::uint64_t i = 0; i < 3; ++i) rig.accept(range(a, i * 10, i * 10 + 5));
  rig.accepted.settled_below(a, 5);
  rig.accept(range(a, 30, 35));
  CHECK(rig.accepted.forgotten_early() == 0);
  CHECK(rig.accepted.ranges().front() == OriginRange{a, 10, 15});
  rig.accept(range(a, 40, 45));
  CHECK(rig.accepted.forgotten_early() == 1);
  CHECK(log.text().find("the oldest are forgotten") != std::string::npos);
  CHECK(rig.accept(range(a, 10, 15)).all);  // forgetting may double, it never loses
  CHECK(rig.read_again() == rig.accepted.ranges());
}

TEST_CASE(
    "an id that fell silent forgets what is settled after a day, and the rest after a month") {
  Rig rig;
  rig.accept(range(a, 0, 10), 1);
  rig.accept(range(a, 20, 30), 1);
  rig.accepted.settled_below(a, 15);
  rig.accept(range(b, 0, 1), day_ms - 10);
  CHECK(rig.accepted.ranges().size() == 3);
  rig.accept(range(b, 1, 2), day_ms + 61'000);
  CHECK(rig.accepted.ranges() == std::vector<OriginRange>{{a, 20, 30}, {b, 0, 2}});
  rig.accept(range(b, 2, 3), 31 * day_ms);
  CHECK(rig.accepted.ranges() == std::vector<OriginRange>{{b, 0, 3}});
  CHECK(rig.read_again() == rig.accepted.ranges());
}

TEST_CASE("a row that this release does not know is refused") {
  Rig rig;
  StoreBatch batch = rig.store->batch();
  batch.put_row("accepted/7/zz", "x");
  REQUIRE(rig.store->write(batch).ok());
  const Status status = rig.accepted.read(*rig.store);
  CHECK(status.code() == Code::Reject);
  CHECK(status.message().find("accepted/7/zz") != std::string::npos);
}

}  // namespace
}  // namespace sluice

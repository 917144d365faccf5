#include "core/event/origin_ranges.h"

#include <random>
#include <set>
#include <utility>
#include <vector>

#include "tests/catch.h"

namespace sluice {
namespace {

constexpr OriginId a{1, 1};
constexpr OriginId b{2, 2};

TEST_CASE("origin ranges: a set of numbers does the same") {
  std::mt19937 random(GENERATE(1, 2, 3, 4, 5));
  const auto below = [&](std::uint64_t n) { return random() % n; };
  OriginRanges ranges;
  std::set<std::pair<OriginId, std::uint64_t>> model;
  for (int step = 0; step < 2000; ++step) {
    const std::uint64_t begin = below(200);
    const OriginRange range{below(2) == 0 ? a : b, begin, begin + 1 + below(20)};
    const bool adds = below(2) == 0;
    for (std::uint64_t i = range.begin; i < range.end; ++i) {
      if (adds) {
        model.emplace(range.id, i);
      } else {
        model.erase({range.id, i});
      }
    }
    if (adds) {
      ranges.add(range);
    } else {
      ranges.remove(range);
    }
    std::size_t events = 0;
    std::size_t count = 0;
    bool apart = true;
    OriginRange last;
    ranges.for_each([&](const OriginRange& each) {
      apart = apart && (each.id != last.id || each.begin > last.end);
      events += each.end - each.begin;
      last = each;
      ++count;
    });
    REQUIRE(apart);
    REQUIRE(count == ranges.size());
    REQUIRE(events == model.size());
    const Origin asked{below(2) == 0 ? a : b, below(230)};
    REQUIRE(ranges.contains(asked) == model.contains({asked.id, asked.sequence}));
    REQUIRE(ranges.empty() == model.empty());
    const auto first = model.lower_bound({range.id, range.begin});
    OriginRanges others;
    others.add(range);
    REQUIRE(ranges.intersects(others) ==
            (first != model.end() && first->first == range.id && first->second < range.end));
  }
  auto again = OriginRanges::decode(ranges.encode());
  REQUIRE(again.ok());
  CHECK(*again == ranges);
}

TEST_CASE("origin ranges: what a row covers, as few ranges") {
  const Provenance row = Provenance::concat({{Provenance::dense(a, 10, 5).select({0, 1, 4}), 3},
                                             {Provenance(), 2},
                                             {Provenance::dense(b, 7, 2), 2}});
  const OriginRanges origins = OriginRanges::of(row);
  CHECK(origins.size() == 2);
  CHECK(origins.contains({a, 11}));
  CHECK(origins.contains({a, 12}));
  CHECK_FALSE(origins.contains({a, 15}));
  CHECK(origins.contains({a, 14}));
  CHECK(origins.contains({b, 8}));
  CHECK_FALSE(origins.contains({}));
}

TEST_CASE("origin ranges: what of a row is not among them") {
  const Provenance row = Provenance::concat(
      {{Provenance::dense(a, 10, 4), 4}, {Provenance(), 1}, {Provenance::dense(b, 0, 2), 2}});
  OriginRanges set;
  CHECK(events_not_in(set, row, 7).size() == 7);
  set.add({a, 11, 13});
  set.add({b, 0, 1});
  CHECK(events_not_in(set, row, 7) == std::vector<std::uint32_t>{0, 3, 4, 6});
  // Events of which nothing is known are new.
  CHECK(events_not_in(set, {}, 2) == std::vector<std::uint32_t>{0, 1});
}

TEST_CASE("origin ranges: damaged bytes are refused") {
  OriginRanges ranges;
  ranges.add({a, 5, 700});
  ranges.add({a, 900, 901});
  const std::string bytes = ranges.encode();
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    CHECK(OriginRanges::decode(bytes.substr(0, cut)).code() == Code::Reject);
  }
  CHECK(OriginRanges::decode(std::string(16, 'x') +
                             "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x05")
            .code() == Code::Reject);
}

}  // namespace
}  // namespace sluice

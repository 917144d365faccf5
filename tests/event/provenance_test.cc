#include "core/event/provenance.h"

#include <string>

#include "tests/catch.h"

namespace sluice {
namespace {

constexpr OriginId a{1, 1};
constexpr OriginId b{2, 2};

TEST_CASE("events without an origin stay so beside others, until they are numbered") {
  const Provenance known = Provenance::dense(a, 100, 3);
  const Provenance unknown;
  const Provenance mixed = Provenance::concat({{unknown, 2}, {known, 3}, {unknown, 1}});
  REQUIRE(mixed.size() == 6);
  CHECK(mixed.origin(0) == Origin{});
  CHECK(mixed.origin(2) == Origin{a, 100});
  CHECK(mixed.covered() == std::vector<OriginRange>{{a, 100, 103}});

  const Provenance numbered = mixed.numbered(b, 1000, 6);
  CHECK(numbered.origin(1) == Origin{b, 1001});
  CHECK(numbered.origin(4) == Origin{a, 102});
  CHECK(numbered.origin(5) == Origin{b, 1005});
  CHECK(numbered.covered() ==
        std::vector<OriginRange>{{b, 1000, 1002}, {a, 100, 103}, {b, 1005, 1006}});

  const Provenance slice = mixed.slice(1, 2).select({0, 1}).numbered(b, 50, 2);
  CHECK(slice.origin(0) == Origin{b, 50});
  CHECK(slice.origin(1) == Origin{a, 100});
  CHECK_FALSE(Provenance::concat({{unknown, 2}, {unknown, 1}}).known());
}

TEST_CASE("neighbours that go on where the last one ends are one run") {
  const Provenance whole = Provenance::concat({{Provenance::dense(a, 0, 3), 3},
                                               {Provenance::dense(a, 3, 4), 4},
                                               {Provenance::dense(b, 7, 1), 1}});
  CHECK(whole.runs().size() == 2);
  CHECK(whole.origin(6) == Origin{a, 6});
  CHECK(whole.origin(7) == Origin{b, 7});
  // Behind a run that answers for more than its events, the next ones are not its own.
  const Provenance gap = Provenance::concat(
      {{Provenance::dense(a, 0, 3).select({0}), 1}, {Provenance::dense(a, 3, 2), 2}});
  CHECK(gap.origin(1) == Origin{a, 3});
  CHECK(gap.covered() == std::vector<OriginRange>{{a, 0, 5}});
}

TEST_CASE("what was dense stays short when it is cut") {
  const Provenance dense = Provenance::dense(a, 0, 100'000);
  CHECK(dense.slice(10, 50'000).encode().size() < 64);
  CHECK(Provenance::dense(a, 0, 3).select({0, 1, 2}).encode().size() < 64);
}

TEST_CASE("parts for several channels are not doubles of each other") {
  const Provenance whole = Provenance::dense(a, 5, 2);
  const Provenance one = whole.for_channel("one");
  const Provenance two = whole.for_channel("two");
  CHECK(one.origin(1).sequence == 6);
  CHECK(one.origin(0).id != two.origin(0).id);
  CHECK(one.origin(0).id == whole.for_channel("one").origin(0).id);
  CHECK(one.origin(0).id == part_of(a, "one"));
  CHECK_FALSE(Provenance().for_channel("one").known());
}

TEST_CASE("damaged origins are refused") {
  const auto refused = [](std::string bytes) {
    return Provenance::decode(bytes).status().code() == Code::Reject;
  };
  const std::string good = Provenance::dense(a, 10, 5).select({1, 3}).encode();
  REQUIRE(Provenance::decode(good).ok());
  CHECK(refused(good.substr(0, good.size() - 1)));
  const std::size_t first_sequence = good.size() - 16;
  const auto with = [&](std::size_t at, char value) {
    std::string bytes = good;
    bytes[at] = value;
    return bytes;
  };
  CHECK(refused(with(first_sequence, 13)));      // not ascending
  CHECK(refused(with(first_sequence, 9)));       // before the range
  CHECK(refused(with(first_sequence + 8, 15)));  // behind it
  CHECK(refused(with(16, 40)));                  // begins behind its end
  CHECK(refused(with(32, 3)));                   // more events than sequences
  CHECK(Provenance::decode(
            Provenance::concat({{Provenance(), 2}, {Provenance::dense(a, 1, 1), 1}}).encode())
            ->size() == 3);
}

}  // namespace
}  // namespace sluice

// Who gets the next batch: rounds, room, and what is bound to a member.

#include "sinks/dealer.h"

#include <vector>

#include "tests/catch.h"
#include "tests/support/batches.h"

namespace sluice {
namespace {

using Next = Dealer::Next;
using std::chrono::seconds;

/// A dealer of three members, and what its owner does with it.
struct Rig {
  explicit Rig(std::unique_ptr<SinkProcessor> processor, std::uint32_t in_flight_max = 1,
               milliseconds patience = milliseconds(0))
      : dealer(std::move(processor), std::vector<Dealer::Member>(3, {in_flight_max, patience}),
               clock) {}

  Taken::Pieces events(std::uint64_t first, std::uint32_t count) {
    return {{.sequence = first, .batch = numbered(pool, first, count)}};
  }
  Dealer::Deal deal_to(std::uint32_t member) { return dealer.deal({.member = member}); }
  /// The member that got it.
  std::uint32_t deal_next() {
    const auto next = dealer.next();
    REQUIRE(next.has_value());
    last = deal_to(*next);
    return *next;
  }
  void fail(const Dealer::Deal& deal, bool may_have_arrived = false, std::uint64_t first = 0) {
    dealer.failed(deal, events(first, 10), may_have_arrived);
  }

  SlabPool pool{64 * 1024, keep_no_free_slabs};
  ManualClock clock;
  Dealer dealer;
  Dealer::Deal last;
};

std::unique_ptr<SinkProcessor> failover() { return make_failover_processor(3, seconds(30)); }
std::unique_ptr<SinkProcessor> balance() { return make_load_balance_processor(3, {}); }

TEST_CASE("a round goes through those that are left, and then there is a pause") {
  Rig rig(balance());
  CHECK(rig.deal_next() == 0);
  rig.fail(rig.last);
  CHECK(rig.dealer.settle() == Next::AtOnce);
  CHECK(rig.deal_next() == 1);
  rig.fail(rig.last);
  CHECK(rig.dealer.settle() == Next::AtOnce);
  CHECK(rig.deal_next() == 2);
  rig.fail(rig.last);
  CHECK_FALSE(rig.dealer.exhausted());
  CHECK(rig.dealer.settle() == Next::Pause);
  CHECK(rig.dealer.exhausted());
  CHECK_FALSE(rig.dealer.next().has_value());
  rig.dealer.new_round();
  CHECK(rig.deal_next() == 1);  // one round, one turn, as in Flume
}

TEST_CASE("a success ends the round, so that who failed has its turn again") {
  Rig rig(balance());
  CHECK(rig.deal_next() == 0);
  rig.fail(rig.last);
  CHECK(rig.dealer.settle() == Next::AtOnce);
  CHECK(rig.deal_next() == 1);
  rig.dealer.succeeded(rig.last);
  std::vector<std::uint32_t> turns;
  for (int i = 0; i < 3; ++i) {
    turns.push_back(rig.deal_next());
    rig.dealer.succeeded(rig.last);
  }
  CHECK(turns == std::vector<std::uint32_t>{1, 2, 0});
}

TEST_CASE("what was offered before a failure says nothing about who failed") {
  Rig rig(balance());
  const auto first = rig.deal_to(0);
  const auto second = rig.deal_to(1);
  rig.fail(first);
  rig.dealer.succeeded(second);
  CHECK(rig.dealer.settle() == Next::AtOnce);
  for (int i = 0; i < 2; ++i) {
    CHECK(rig.dealer.next() != 0);
    rig.deal_next();
  }
}

TEST_CASE("several failures of one incident are one penalty") {
  Rig rig(failover(), 4);
  std::vector<Dealer::Deal> deals;
  for (int i = 0; i < 4; ++i) deals.push_back(rig.deal_to(0));
  for (const auto& deal : deals) rig.fail(deal);
  CHECK(rig.dealer.settle() == Next::AtOnce);
  CHECK(rig.deal_next() == 1);
  rig.dealer.succeeded(rig.last);
  rig.clock.advance(seconds(2));
  CHECK(rig.dealer.next() == 1);
  rig.clock.advance(milliseconds(1));
  CHECK(rig.dealer.next() == 0);
}

TEST_CASE(
    "deliveries in flight: each member has its own bound, and failover waits for the others") {
  Rig spread(balance(), 2);
  std::vector<std::uint32_t> turns;
  for (int i = 0; i < 6; ++i) turns.push_back(spread.deal_next());
  CHECK(turns == std::vector<std::uint32_t>{0, 1, 2, 0, 1, 2});
  CHECK_FALSE(spread.dealer.next().has_value());
  CHECK_FALSE(spread.dealer.exhausted());
  spread.dealer.succeeded({.member = 1});
  CHECK(spread.dealer.next() == 1);  // 0 is the next in turn, and full

  Rig one(failover(), 2);
  CHECK(one.deal_next() == 0);
  CHECK(one.deal_next() == 0);
  CHECK_FALSE(one.dealer.next().has_value());  // the others stand by
  one.fail(one.last);
  one.dealer.succeeded({.member = 0});
  CHECK(one.dealer.settle() == Next::AtOnce);
  CHECK(one.deal_next() == 1);
  const auto second = one.last;
  one.dealer.succeeded(second);
  CHECK(one.deal_next() == 1);
  one.clock.advance(seconds(3));
  CHECK_FALSE(one.dealer.next().has_value());  // 0 has cooled down, and 1 is not done
  one.dealer.succeeded(one.last);
  CHECK(one.dealer.next() == 0);
}

TEST_CASE("one that cannot be opened has failed, one that never can is not asked again") {
  Rig rig(failover());
  rig.dealer.failed_to_open(0);
  CHECK(rig.dealer.settle() == Next::AtOnce);
  rig.dealer.leave_out(1);
  CHECK(rig.dealer.next() == 2);
  rig.dealer.failed_to_open(2);
  CHECK(rig.dealer.settle() == Next::Pause);
  rig.dealer.new_round();
  CHECK_FALSE(rig.dealer.next().has_value());
  rig.clock.advance(seconds(3));
  CHECK(rig.dealer.next() == 0);
}

TEST_CASE("what may have arrived goes to the same member until its patience is over") {
  Rig rig(failover(), 1, seconds(20));
  CHECK(rig.deal_next() == 0);
  rig.fail(rig.last, true);
  for (int i = 0; i < 4; ++i) {
    CHECK(rig.dealer.settle() == Next::Pause);
    rig.dealer.new_round();
    REQUIRE(rig.dealer.next() == 0);
    const Dealer::Share share = rig.dealer.share(rig.events(0, 10), 0);
    CHECK(share.bound);
    const auto deal = rig.dealer.deal(share);
    rig.clock.advance(seconds(5));
    rig.fail(deal, false);  // refused: but it may have arrived the first time
  }
  CHECK(rig.dealer.settle() == Next::AtOnce);
  CHECK(rig.deal_next() == 1);
  CHECK_FALSE(rig.dealer.share(rig.events(0, 10), 1).bound);
}

TEST_CASE("what certainly did not arrive moves on at once") {
  Rig rig(failover(), 1, seconds(20));
  CHECK(rig.deal_next() == 0);
  rig.fail(rig.last, false);
  CHECK(rig.dealer.settle() == Next::AtOnce);
  CHECK(rig.deal_next() == 1);
}

TEST_CASE("without patience what may have arrived moves on at once") {
  Rig rig(failover());
  CHECK(rig.deal_next() == 0);
  rig.fail(rig.last, true);
  CHECK(rig.dealer.settle() == Next::AtOnce);
  CHECK(rig.deal_next() == 1);
}

TEST_CASE("a success of a delivery from before does not end the patience, one from after does") {
  Rig rig(failover(), 2, seconds(20));
  const auto first = rig.deal_to(0);
  const auto second = rig.deal_to(0);
  rig.fail(first, true);
  rig.dealer.succeeded(second);
  CHECK(rig.dealer.settle() == Next::Pause);
  rig.clock.advance(seconds(15));
  const auto again = rig.dealer.deal(rig.dealer.share(rig.events(0, 5), 0));
  rig.dealer.succeeded(again);
  const auto rest = rig.dealer.deal(rig.dealer.share(rig.events(5, 5), 0));
  CHECK(rest.bound);
  rig.clock.advance(seconds(15));
  rig.fail(rest, false, 5);
  CHECK(rig.dealer.settle() == Next::Pause);  // its patience began anew
  rig.clock.advance(seconds(20));
  rig.fail(rig.dealer.deal(rig.dealer.share(rig.events(5, 5), 0)), false, 5);
  CHECK(rig.dealer.settle() == Next::AtOnce);
}

TEST_CASE("what is bound stays so when something between fails for certain") {
  Rig rig(balance(), 2, seconds(20));
  const auto first = rig.deal_to(0);
  const auto second = rig.deal_to(0);
  rig.fail(first, true, 0);
  rig.fail(second, true, 10);
  CHECK(rig.dealer.settle() == Next::Pause);
  const auto again = rig.dealer.deal(rig.dealer.share(rig.events(0, 10), 0));
  CHECK(again.bound);
  rig.dealer.succeeded(again, rig.events(0, 10));
  // Another reader gives events back that nobody bound.
  const auto between = rig.dealer.deal({.member = 0, .events = 5, .bound = false});
  rig.fail(between, false, 5);
  CHECK(rig.dealer.settle() == Next::Pause);
  const Dealer::Share share = rig.dealer.share(rig.events(10, 10), 1);
  CHECK(share.member == 0);
  CHECK(share.bound);
  // Nothing is bound any more: a certain failure moves on at once.
  rig.dealer.succeeded(rig.dealer.deal(share), rig.events(10, 10));
  rig.fail(rig.deal_to(0), false, 20);
  CHECK(rig.dealer.settle() == Next::AtOnce);
}

TEST_CASE("a batch is cut where what is bound to a member begins or ends") {
  Rig rig(balance(), 2, seconds(20));
  const auto to_0 = rig.deal_to(0);
  const auto to_1 = rig.deal_to(1);
  const auto to_2 = rig.deal_to(2);
  rig.fail(to_1, true, 10);
  rig.fail(to_0, false, 0);
  rig.fail(to_2, true, 20);
  CHECK(rig.dealer.settle() == Next::Pause);
  const auto expect = [&](std::uint64_t first, std::uint32_t member, std::uint32_t events,
                          bool bound) {
    const Dealer::Share share =
        rig.dealer.share({{.sequence = first, .batch = numbered(rig.pool, first, 5)},
                          {.sequence = first + 5, .batch = numbered(rig.pool, first + 5, 100)}},
                         0);
    CHECK(share.member == member);
    CHECK(share.events == events);
    CHECK(share.bound == bound);
  };
  expect(0, 0, 10, false);
  expect(8, 0, 2, false);
  expect(10, 1, 10, true);
  expect(17, 1, 3, true);
  expect(20, 2, 10, true);
  expect(29, 2, 1, true);
  expect(30, 0, 105, false);
  expect(15, 0, 105, false);  // somebody else had them meanwhile
}

}  // namespace
}  // namespace sluice

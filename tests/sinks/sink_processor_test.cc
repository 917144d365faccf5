// Flume's arithmetic of sink groups, line by line.

#include "sinks/sink_processor.h"

#include <algorithm>
#include <map>
#include <vector>

#include "tests/catch.h"

namespace sluice {
namespace {

using Order = std::vector<std::uint32_t>;
using std::chrono::minutes;
using std::chrono::seconds;

const SteadyTime start = SteadyTime(std::chrono::hours(1));
constexpr milliseconds moment{1};

Order order_of(SinkProcessor& processor, SteadyTime now) {
  const auto order = processor.order(now);
  return {order.begin(), order.end()};
}

TEST_CASE("penalties double from 2 s up to their bound") {
  CHECK(sink_penalty(1, seconds(30)) == seconds(2));
  CHECK(sink_penalty(2, seconds(30)) == seconds(4));
  CHECK(sink_penalty(4, seconds(30)) == seconds(16));
  CHECK(sink_penalty(5, seconds(30)) == seconds(30));
  CHECK(sink_penalty(1, milliseconds(300)) == milliseconds(300));
  CHECK(sink_penalty(16, std::chrono::hours(100)) == seconds(65536));
  CHECK(sink_penalty(4'000'000, std::chrono::hours(100)) == std::chrono::hours(100));
}

TEST_CASE("a single sink is always the next") {
  const auto single = make_single_processor();
  single->failed(0, start);
  CHECK(order_of(*single, start) == Order{0});
  CHECK_FALSE(single->spreads());
}

TEST_CASE("failover: the best that works comes first, and those behind it in order") {
  const auto failover = make_failover_processor(3, seconds(30));
  CHECK_FALSE(failover->spreads());
  CHECK(order_of(*failover, start) == Order{0, 1, 2});
  failover->dealt();
  failover->succeeded(0);
  CHECK(order_of(*failover, start) == Order{0, 1, 2});
  failover->failed(0, start);
  CHECK(order_of(*failover, start) == Order{1, 2});
  failover->failed(1, start);
  failover->failed(2, start);
  CHECK(order_of(*failover, start).empty());
  CHECK(failover->all_failed() == "All sinks failed to process, nothing left to failover to");
}

TEST_CASE(
    "failover: one that has cooled down is tried first, and each failure doubles its penalty") {
  const auto failover = make_failover_processor(2, seconds(30));
  SteadyTime now = start;
  for (const int penalty_s : {2, 4, 8, 16, 30, 30}) {
    failover->failed(0, now);
    CHECK(order_of(*failover, now + seconds(penalty_s)) == Order{1});  // not before it is over
    now += seconds(penalty_s) + moment;
    CHECK(order_of(*failover, now) == Order{0, 1});
  }
}

TEST_CASE("failover: a success brings it back without failures, an empty take changes nothing") {
  const auto failover = make_failover_processor(2, seconds(30));
  failover->failed(1, start);
  failover->failed(1, start + seconds(3));
  const SteadyTime cooled = start + seconds(3) + seconds(4) + moment;
  // The worse one is tried before the better that works, as often as it is asked for.
  for (int i = 0; i < 5; ++i) CHECK(order_of(*failover, cooled) == Order{1, 0});
  failover->succeeded(1);
  CHECK(order_of(*failover, cooled) == Order{0, 1});
  failover->failed(1, cooled);
  CHECK(order_of(*failover, cooled + seconds(2)) == Order{0});
  CHECK(order_of(*failover, cooled + seconds(2) + moment) == Order{1, 0});
}

TEST_CASE("failover: of several that have cooled down the one that did first is tried first") {
  const auto failover = make_failover_processor(3, seconds(30));
  failover->failed(1, start);
  failover->failed(0, start + seconds(1));
  CHECK(order_of(*failover, start + seconds(20)) == Order{1, 0, 2});
}

TEST_CASE("failover: maxpenalty 0 lets every sink be tried again after the round") {
  const auto failover = make_failover_processor(1, milliseconds(0));
  failover->failed(0, start);
  CHECK(order_of(*failover, start).empty());
  CHECK(order_of(*failover, start + moment) == Order{0});
}

TEST_CASE("load_balance: each is the first in its turn, and the others follow it") {
  const auto balance = make_load_balance_processor(3, {});
  CHECK(balance->spreads());
  for (int round = 0; round < 3; ++round) {
    for (const Order& expected : {Order{0, 1, 2}, Order{1, 2, 0}, Order{2, 0, 1}}) {
      CHECK(order_of(*balance, start) == expected);
      CHECK(order_of(*balance, start) == expected);  // to ask is not to deal
      balance->dealt();
    }
  }
}

TEST_CASE("load_balance: without backoff one that fails keeps its turn") {
  const auto balance = make_load_balance_processor(2, {});
  balance->failed(0, start);
  balance->failed(0, start);
  CHECK(order_of(*balance, start) == Order{0, 1});
  CHECK(balance->all_failed() == "All configured sinks have failed");
}

TEST_CASE("load_balance: with backoff one that fails is out, and its failures add up") {
  const auto balance = make_load_balance_processor(2, {.backoff = true});
  SteadyTime now = start;
  for (const int penalty_s : {2, 4, 8, 16, 30, 30}) {
    balance->failed(0, now);
    CHECK(order_of(*balance, now + seconds(penalty_s)) == Order{1});
    now += seconds(penalty_s) + moment;
    CHECK(order_of(*balance, now).size() == 2);
    balance->succeeded(0);  // what it delivers between does not count
  }
  balance->failed(0, now);
  balance->failed(1, now);
  CHECK(order_of(*balance, now).empty());
}

TEST_CASE("load_balance: a failure an hour after the last time out begins anew") {
  for (const bool within : {true, false}) {
    const auto balance = make_load_balance_processor(2, {.backoff = true});
    balance->failed(0, start);
    balance->failed(0, start + seconds(3));  // out for 4 s
    const SteadyTime later = start + seconds(3) + seconds(4) + minutes(60) - milliseconds(within);
    balance->failed(0, later);
    CHECK(order_of(*balance, later + seconds(2) + moment).size() == (within ? 1 : 2));
    CHECK(order_of(*balance, later + seconds(8)).size() == (within ? 1 : 2));
    CHECK(order_of(*balance, later + seconds(8) + moment).size() == 2);
  }
}

TEST_CASE("load_balance: no more than 16 failures in a row are counted") {
  const auto balance =
      make_load_balance_processor(1, {.backoff = true, .out_max = std::chrono::hours(1000)});
  SteadyTime now = start;
  for (int i = 0; i < 40; ++i) balance->failed(0, now);
  CHECK(order_of(*balance, now + seconds(65536)).empty());
  CHECK(order_of(*balance, now + seconds(65536) + moment) == Order{0});
}

TEST_CASE("load_balance: maxTimeOut bounds the time out") {
  const auto balance =
      make_load_balance_processor(2, {.backoff = true, .out_max = milliseconds(300)});
  balance->failed(0, start);
  CHECK(order_of(*balance, start + milliseconds(300)) == Order{1});
  CHECK(order_of(*balance, start + milliseconds(301)).size() == 2);
}

TEST_CASE("load_balance: the turn counts among those that are not out") {
  const auto balance = make_load_balance_processor(3, {.backoff = true});
  balance->failed(1, start);
  Order firsts;
  for (int i = 0; i < 4; ++i) {
    firsts.push_back(order_of(*balance, start)[0]);
    balance->dealt();
  }
  CHECK(firsts == Order{0, 2, 0, 2});
}

TEST_CASE("load_balance: at random every order comes about as often") {
  const auto balance = make_load_balance_processor(3, {.random = true, .seed = Catch::rngSeed()});
  std::map<Order, int> orders;
  constexpr int rounds = 6000;
  for (int i = 0; i < rounds; ++i) {
    ++orders[order_of(*balance, start)];
    balance->dealt();
  }
  CHECK(orders.size() == 6);
  for (const auto& [order, times] : orders) CHECK(std::abs(times - rounds / 6) < rounds / 24);
}

}  // namespace
}  // namespace sluice

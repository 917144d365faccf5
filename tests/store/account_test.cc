// What is out and what waits, against a plain set.

#include "core/store/account.h"

#include <algorithm>
#include <random>
#include <vector>

#include "tests/catch.h"

namespace sluice {
namespace {

TEST_CASE("an account says the same as a plain list of events") {
  const std::uint64_t seed = Catch::rngSeed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    Account account;
    account.next = 200;
    std::vector<bool> out(200, false);
    while (!std::all_of(out.begin(), out.end(), [](bool b) { return b; })) {
      const std::uint64_t begin = random() % 200;
      if (out[begin]) continue;
      std::uint64_t end = begin;
      const std::uint64_t most = 1 + random() % 20;
      while (end < 200 && !out[end] && end - begin < most) out[end++] = true;
      account.settle(begin, end);
      const auto waiting = static_cast<std::uint64_t>(std::count(out.begin(), out.end(), false));
      REQUIRE(account.stored_events() == waiting);
      const auto first = std::find(out.begin(), out.end(), false) - out.begin();
      REQUIRE(account.low == static_cast<std::uint64_t>(first));
      for (std::uint64_t i = 0; i < 200; ++i) REQUIRE(account.settled(i) == out[i]);
      const auto read = Account::decode(account.encode());
      REQUIRE(read.ok());
      REQUIRE(read.value() == account);
    }
    CHECK(account.above.empty());
  }
}

TEST_CASE("a damaged or newer account is refused") {
  Account account;
  account.next = 10;
  account.settle(3, 5);
  const std::string whole = account.encode();
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    CHECK(Account::decode(whole.substr(0, bytes)).code() == Code::Reject);
  }
  CHECK(Account::decode(whole + "12345678").code() == Code::Reject);
  std::string newer = whole;
  newer[0] = 2;
  CHECK(Account::decode(newer).status().message().find("newer") != std::string::npos);
}

TEST_CASE("the runs that wait are those between the ranges that are out") {
  Account account;
  account.next = 100;
  account.low = 10;
  account.above = {{20, 30}, {50, 60}};
  using Runs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  const auto runs = [&](std::uint64_t begin, std::uint64_t end) {
    Runs all;
    account.for_each_waiting(begin, end, [&](std::uint64_t from, std::uint64_t to) {
      all.emplace_back(from, to);
      return true;
    });
    return all;
  };
  CHECK(runs(0, 1000) == Runs{{10, 20}, {30, 50}, {60, 100}});
  CHECK(runs(15, 35) == Runs{{15, 20}, {30, 35}});
  CHECK(runs(20, 30).empty());
  CHECK(runs(25, 55) == Runs{{30, 50}});
  CHECK(runs(19, 20) == Runs{{19, 20}});
  CHECK(runs(30, 50) == Runs{{30, 50}});
  CHECK(runs(0, 10).empty());
  CHECK(runs(99, 200) == Runs{{99, 100}});
  int calls = 0;
  account.for_each_waiting(0, 1000, [&](auto, auto) { return ++calls < 2; });
  CHECK(calls == 2);
}

}  // namespace
}  // namespace sluice

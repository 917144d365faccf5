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
  const bool keeps = GENERATE(false, true);
  Account account;
  account.next = 10;
  account.settle(3, 5);
  if (keeps) account.kept = Kept{.low = 1, .marks = {{2, 3, 4, 5}}};
  const std::string whole = account.encode();
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    CHECK(Account::decode(whole.substr(0, bytes)).code() == Code::Reject);
  }
  CHECK(Account::decode(whole + "12345678").code() == Code::Reject);
  std::string newer = whole;
  newer[0] = 3;
  CHECK(Account::decode(newer).status().message().find("newer") != std::string::npos);
}

TEST_CASE("an account that keeps nothing is what the releases before retention wrote") {
  // Version, next, low, head frame, put bytes, out events and bytes, quarantined, one range.
  const std::uint64_t written[] = {1, 10, 2, 1, 300, 4, 40, 1, 7, 1, 5, 7};
  const std::string golden(reinterpret_cast<const char*>(written), sizeof written);
  const auto read = Account::decode(golden);
  REQUIRE(read.ok());
  CHECK(read.value().low == 2);
  CHECK(read.value().above == std::map<std::uint64_t, std::uint64_t>{{5, 7}});
  CHECK_FALSE(read.value().kept);
  CHECK(read.value().kept_events() == 0);
  CHECK(read.value().encode() == golden);
}

TEST_CASE("what is kept is read as it was written") {
  Account account;
  account.next = 10;
  account.put_bytes = 100;
  account.settle(0, 6);
  account.settle(7, 8);
  account.out_bytes = 70;
  account.head_frame = 5;
  account.kept = Kept{.low = 2, .dropped_events = 2, .dropped_bytes = 20, .marks = {}};
  account.kept->marks = {{3, -1, 3, 30}, {5, 1'700'000'000'000, 5, 50}};
  const auto read = Account::decode(account.encode());
  REQUIRE(read.ok());
  CHECK(read.value() == account);
  CHECK(read.value().kept_events() == 5);
  CHECK(read.value().kept_bytes() == 50);
}

TEST_CASE("the runs that are kept are those that are out, from where frames are kept") {
  Account account;
  account.next = 100;
  account.low = 10;
  account.above = {{20, 30}, {50, 60}};
  using Runs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  const auto runs = [&](std::uint64_t begin, std::uint64_t end) {
    Runs all;
    account.for_each_kept(begin, end, [&](std::uint64_t from, std::uint64_t to) {
      all.emplace_back(from, to);
      return true;
    });
    return all;
  };
  CHECK(runs(0, 1000).empty());
  account.kept = Kept{.low = 4};
  CHECK(runs(0, 1000) == Runs{{4, 10}, {20, 30}, {50, 60}});
  CHECK(runs(6, 25) == Runs{{6, 10}, {20, 25}});
  CHECK(runs(10, 20).empty());
  CHECK(runs(25, 27) == Runs{{25, 27}});
  CHECK(runs(60, 100).empty());
  int calls = 0;
  account.for_each_kept(0, 1000, [&](auto, auto) { return ++calls < 2; });
  CHECK(calls == 2);
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

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

}  // namespace
}  // namespace sluice

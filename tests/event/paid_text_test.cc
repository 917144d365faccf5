// Bytes that somebody pays for.

#include "core/event/paid_text.h"

#include "tests/catch.h"

namespace sluice {
namespace {

TEST_CASE("the account pays for what is held, not for what is used of it") {
  MemoryAccount account("a", 1 << 20);
  PaidText text(&account);
  CHECK(account.used_bytes() == 0);
  text.append("short");
  CHECK(account.used_bytes() == 0);  // it lies in the object itself
  text.append(std::string(1000, 'x'));
  CHECK(account.used_bytes() >= 1005);
  const std::uint64_t held = account.used_bytes();
  text.drop_front(1000);
  CHECK(text.view() == "xxxxx");
  CHECK(account.used_bytes() == held);
}

TEST_CASE("an empty text keeps a little and gives much back") {
  MemoryAccount account("a", 1 << 20);
  PaidText text(&account);
  text.append(std::string(1000, 'x'));
  text.clear();
  CHECK(account.used_bytes() >= 1000);
  text.append(std::string(100'000, 'y'));
  CHECK(account.used_bytes() >= 100'000);
  text.clear();
  CHECK(account.used_bytes() == 0);
}

TEST_CASE("what is handed out or destroyed is paid for no more") {
  MemoryAccount account("a", 1 << 20);
  {
    PaidText text(&account);
    text.append(std::string(1000, 'x'));
    CHECK(text.release() == std::string(1000, 'x'));
    CHECK(account.used_bytes() == 0);
    CHECK(text.empty());
    text.append(std::string(500, 'z'));
    CHECK(account.used_bytes() >= 500);
  }
  CHECK(account.used_bytes() == 0);
  PaidText free_of_charge(nullptr);
  free_of_charge.append(std::string(1000, 'x'));
  CHECK(free_of_charge.size() == 1000);
}

}  // namespace
}  // namespace sluice

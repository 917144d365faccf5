// The ways to say where a replay begins.

#include "agent/replay_from.h"

#include <string>

#include "tests/catch.h"

namespace sluice {
namespace {

constexpr std::int64_t now_ms = 1'763'721'005'250;  // 2025-11-21T10:30:05.250Z

std::int64_t time_of(std::string_view text) {
  const auto from = parse_replay_from(text, now_ms);
  REQUIRE(from.ok());
  REQUIRE(std::holds_alternative<FromTime>(from.value()));
  return std::get<FromTime>(from.value()).wall_ms;
}

TEST_CASE("a bare number is a sequence, everything else a time") {
  const auto from = parse_replay_from("1200", now_ms);
  REQUIRE(from.ok());
  CHECK(std::get<FromSequence>(from.value()).sequence == 1200);
  CHECK(time_of("@1763721005250") == now_ms);
  CHECK(time_of("2025-11-21T10:30:05.250Z") == now_ms);
  CHECK(time_of("2025-11-21T10:30:05") == now_ms - 250);
  CHECK(time_of("2025-11-21 10:30Z") == now_ms - 5250);
  CHECK(time_of("2025-11-21") == now_ms - ((10 * 60 + 30) * 60 + 5) * 1000 - 250);
  CHECK(time_of("2024-02-29") == 1'709'164'800'000);
  CHECK(time_of("-1h") == now_ms - 3'600'000);
  CHECK(time_of("-90s") == now_ms - 90'000);
}

TEST_CASE("what is neither is refused and quoted") {
  for (const std::string text : {"", "yesterday", "-5", "--1h", "1h", "@", "@x", "2025-13-01",
                                 "2025-02-30", "2025-11-21T24:00", "2025-11-21T10",
                                 "2025-11-21T10:30:05.25Z", "2025-11-21T10:30:05Zx", "12 00"}) {
    INFO(text);
    const auto from = parse_replay_from(text, now_ms);
    CHECK(from.code() == Code::Invalid);
  }
  CHECK(parse_replay_from("noon", now_ms).status().message().find("noon") != std::string::npos);
}

}  // namespace
}  // namespace sluice

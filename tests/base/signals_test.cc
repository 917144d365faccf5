// Signals as calls, and what a stranger's signal may not do.

#include "core/base/signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "tests/catch.h"
#include "tests/support/eventually.h"

namespace sluice {
namespace {

TEST_CASE("a watch hands on each of its signals and ends with its owner") {
  std::atomic<int> heard{0};
  {
    const SignalWatch watch({SIGTERM, SIGHUP}, [&](int signal) { heard += signal; });
    REQUIRE(::kill(::getpid(), SIGHUP) == 0);
    CHECK(eventually([&] { return heard == SIGHUP; }));
    REQUIRE(::kill(::getpid(), SIGTERM) == 0);
    CHECK(eventually([&] { return heard == SIGHUP + SIGTERM; }));
  }
}

TEST_CASE("a SIGUSR2 from outside does not end the watch") {
  std::atomic<int> heard{0};
  const SignalWatch watch({SIGTERM}, [&](int signal) { heard = signal; });
  REQUIRE(::kill(::getpid(), SIGUSR2) == 0);
  REQUIRE(::kill(::getpid(), SIGTERM) == 0);
  CHECK(eventually([&] { return heard == SIGTERM; }));
}

}  // namespace
}  // namespace sluice

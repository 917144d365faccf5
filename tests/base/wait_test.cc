// The one way our threads sleep.

#include "core/base/wait.h"

#include <atomic>
#include <thread>

#include "core/base/backoff.h"
#include "tests/catch.h"
#include "tests/support/eventually.h"

namespace sluice {
namespace {

struct Place {
  std::mutex mutex;
  std::condition_variable changed;
  bool ready = false;
};

TEST_CASE("a wait for what holds already returns at once") {
  Place place;
  place.ready = true;
  std::unique_lock lock(place.mutex);
  CHECK(wait_until(place.changed, lock, Deadline::in(milliseconds(0)), {},
                   [&] { return place.ready; }));
  CHECK(lock.owns_lock());
}

TEST_CASE("a wait ends with its deadline") {
  Place place;
  std::unique_lock lock(place.mutex);
  const auto begin = Clock::system().steady();
  CHECK_FALSE(wait_until(place.changed, lock, Deadline::in(milliseconds(20)), {},
                         [&] { return place.ready; }));
  CHECK(Clock::system().steady() - begin >= milliseconds(20));
  CHECK(lock.owns_lock());
}

TEST_CASE("a wait ends with a stop, also one that was requested before") {
  Place place;
  std::stop_source stop;
  std::atomic<int> ended{0};
  std::jthread waiter([&] {
    for (int i = 0; i < 2; ++i) {
      std::unique_lock lock(place.mutex);
      CHECK_FALSE(wait_until(place.changed, lock, Deadline::never(), stop.get_token(),
                             [&] { return place.ready; }));
      ++ended;
    }
  });
  stop.request_stop();
  CHECK(eventually([&] { return ended == 2; }));
}

TEST_CASE("stops and notifications that race never leave a waiter asleep") {
  for (int i = 0; i < 300; ++i) {
    Place place;
    std::stop_source stop;
    std::jthread waiter([&] {
      std::unique_lock lock(place.mutex);
      wait_until(place.changed, lock, Deadline::never(), stop.get_token(),
                 [&] { return place.ready; });
    });
    if (i % 2 == 0) {
      stop.request_stop();
    } else {
      const std::lock_guard lock(place.mutex);
      place.ready = true;
      place.changed.notify_one();
    }
  }
}

TEST_CASE("a backoff doubles up to its bound and begins again after a success") {
  Backoff backoff(milliseconds(100), milliseconds(350));
  CHECK(backoff.next() == milliseconds(100));
  CHECK(backoff.next() == milliseconds(200));
  CHECK(backoff.next() == milliseconds(350));
  CHECK(backoff.next() == milliseconds(350));
  backoff.reset();
  CHECK(backoff.next() == milliseconds(100));
}

TEST_CASE("a deadline says how much is left, never less than nothing") {
  CHECK(Deadline::never().left(milliseconds(7)) == milliseconds(7));
  CHECK_FALSE(Deadline::never().passed());
  CHECK(Deadline::in(milliseconds(-5)).left(milliseconds(7)) == milliseconds(0));
  CHECK(Deadline::in(milliseconds(-5)).passed());
  CHECK(Deadline::in(milliseconds(60'000)).left(milliseconds(7)) == milliseconds(7));
}

TEST_CASE("a deadline beyond the end of the clock is none") {
  CHECK(Deadline::in(milliseconds::max()).is_never());
  CHECK_FALSE(Deadline::in(std::chrono::hours(24 * 365 * 280)).passed());
}

}  // namespace
}  // namespace sluice

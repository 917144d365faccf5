#include "sinks/batch_clock.h"

#include "tests/catch.h"

namespace sluice {
namespace {

using std::chrono::seconds;

constexpr std::int64_t start = 1'700'000'000'000;

TEST_CASE("batches end at multiples of the interval, and are called by them") {
  ManualClock time;
  time.set_wall_ms(start + 700);
  BatchClock clock(seconds(2), time);
  clock.begin(0);
  CHECK_FALSE(clock.over());
  CHECK(clock.left() == milliseconds(1300));
  CHECK(clock.end_early() == start + 2000);
  time.advance(milliseconds(1299));
  CHECK_FALSE(clock.over());
  time.advance(milliseconds(1));
  CHECK(clock.over());
  CHECK(clock.left() == milliseconds(0));
  CHECK(clock.end() == start + 2000);
  clock.begin(start + 2000);
  CHECK(clock.end_early() == start + 4000);
  CHECK(clock.left() == milliseconds(2000));
}

TEST_CASE("a thread that comes late makes one batch of the time that has passed") {
  ManualClock time;
  time.set_wall_ms(start);
  BatchClock clock(seconds(2), time);
  clock.begin(0);
  time.advance(milliseconds(7100));
  CHECK(clock.end() == start + 6000);
  clock.begin(start + 6000);
  CHECK(clock.end_early() == start + 8000);
  CHECK(clock.left() == milliseconds(900));
}

TEST_CASE("names rise also when the clock is put back, and batches are not longer for it") {
  ManualClock time;
  time.set_wall_ms(start);
  BatchClock clock(seconds(2), time);
  clock.begin(0);
  time.advance(seconds(2));
  CHECK(clock.end() == start + 2000);
  time.set_wall_ms(start - 3'600'000);
  clock.begin(start + 2000);
  CHECK(clock.left() <= milliseconds(2000));
  CHECK(clock.end() == start + 4000);
  time.advance(clock.left());
  CHECK(clock.over());
  clock.begin(start + 4000);
  CHECK(clock.end() == start + 6000);
}

TEST_CASE("batches that are counted from a start have the interval from the first one on") {
  ManualClock time;
  time.set_wall_ms(start + 700);
  BatchClock clock(seconds(2), time);
  clock.count_from(start + 700);
  clock.begin(0);
  CHECK(clock.left() == milliseconds(2000));
  CHECK(clock.end_early() == start + 2700);
  time.advance(milliseconds(7100));
  CHECK(clock.end() == start + 6700);
  clock.begin(start + 6700);
  CHECK(clock.left() == milliseconds(900));
  // Put back before the start, and names go on.
  time.set_wall_ms(start - 1000);
  clock.begin(start + 6700);
  CHECK(clock.end_early() == start + 8700);
  CHECK(clock.left() <= milliseconds(2000));
  clock.begin(0);
  CHECK(clock.end_early() == start + 700);
}

TEST_CASE("a clock that is put forward makes no batches for the time between") {
  ManualClock time;
  time.set_wall_ms(start);
  BatchClock clock(seconds(2), time);
  clock.begin(0);
  time.set_wall_ms(start + 3'600'500);
  CHECK_FALSE(clock.over());
  time.advance(seconds(2));
  CHECK(clock.over());
  CHECK(clock.end() == start + 3'602'000);
}

}  // namespace
}  // namespace sluice

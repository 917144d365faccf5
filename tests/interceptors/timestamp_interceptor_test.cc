#include "tests/catch.h"
#include "tests/interceptors/interceptors.h"

namespace sluice {

extern const InterceptorType static_interceptor;
extern const InterceptorType timestamp_interceptor;

namespace {

using namespace testing;

TEST_CASE("timestamp: every event gets the batch's time in milliseconds") {
  SlabPool pool;
  ManualClock clock;
  clock.set_wall_ms(1'234'567'890'123);
  const auto interceptor = make_interceptor(timestamp_interceptor, {}, clock);
  const Batch first = interceptor->intercept(plain_batch(pool, 2));
  CHECK(value_of(first, 0, "timestamp") == "1234567890123");
  CHECK(value_of(first, 1, "timestamp") == "1234567890123");
  clock.advance(milliseconds(1));
  const Batch second = interceptor->intercept(plain_batch(pool, 1));
  CHECK(value_of(second, 0, "timestamp") == "1234567890124");
  CHECK(value_of(first, 0, "timestamp") == "1234567890123");
}

TEST_CASE("timestamp: the header's name can be chosen") {
  SlabPool pool;
  ManualClock clock;
  const auto interceptor = make_interceptor(timestamp_interceptor, {{"headerName", "ts"}}, clock);
  const Batch batch = interceptor->intercept(plain_batch(pool, 1));
  CHECK(value_of(batch, 0, "ts") == "1700000000000");
  CHECK(value_of(batch, 0, "timestamp").empty());
}

TEST_CASE("timestamp: replaces an existing one unless told to preserve it") {
  SlabPool pool;
  ManualClock clock;
  const Batch batch = batch_with(pool, {header("timestamp", "5"), ""});
  const Batch replaced = make_interceptor(timestamp_interceptor, {}, clock)->intercept(batch);
  CHECK(value_of(replaced, 0, "timestamp") == "1700000000000");
  const Batch preserved =
      make_interceptor(timestamp_interceptor, {{"preserveExisting", "true"}}, clock)
          ->intercept(batch);
  CHECK(value_of(preserved, 0, "timestamp") == "5");
  CHECK(value_of(preserved, 1, "timestamp") == "1700000000000");
}

TEST_CASE("timestamp: a later static header of that name wins only without preserveExisting") {
  SlabPool pool;
  ManualClock clock;
  const Batch stamped =
      make_interceptor(timestamp_interceptor, {}, clock)->intercept(plain_batch(pool, 1));
  const auto after = [&](const std::string& preserve) {
    return value_of(
        make_interceptor(static_interceptor,
                         {{"key", "timestamp"}, {"value", "0"}, {"preserveExisting", preserve}})
            ->intercept(stamped),
        0, "timestamp");
  };
  CHECK(after("true") == "1700000000000");
  CHECK(after("false") == "0");
}

}  // namespace
}  // namespace sluice

#include "tests/catch.h"
#include "tests/interceptors/interceptors.h"

namespace sluice {

extern const InterceptorType static_interceptor;

namespace {

using namespace testing;

std::unique_ptr<Interceptor> fixed(const std::string& key, const std::string& value,
                                   const std::string& preserve) {
  return make_interceptor(static_interceptor,
                          {{"key", key}, {"value", value}, {"preserveExisting", preserve}});
}

TEST_CASE("static: every event gets the header, with Flume's defaults") {
  SlabPool pool;
  const Batch before = plain_batch(pool, 3);
  const Batch after = make_interceptor(static_interceptor, {})->intercept(before);
  REQUIRE(after.size() == 3);
  for (std::uint32_t i = 0; i < 3; ++i) {
    CHECK(value_of(after, i, "key") == "value");
    CHECK(after.body(i) == std::to_string(i));
  }
  CHECK(before.without_headers());
}

TEST_CASE("static: an existing header is preserved unless preserveExisting is false") {
  SlabPool pool;
  const Batch batch = batch_with(pool, {header("dc", "own"), ""});
  const Batch preserved = fixed("dc", "new", "true")->intercept(batch);
  CHECK(value_of(preserved, 0, "dc") == "own");
  CHECK(value_of(preserved, 1, "dc") == "new");
  const Batch replaced = fixed("dc", "new", "false")->intercept(batch);
  CHECK(value_of(replaced, 0, "dc") == "new");
  CHECK(value_of(replaced, 1, "dc") == "new");
  CHECK(count_headers(replaced, 0) == 1);
}

TEST_CASE("static: a header given before is preserved, however it was given") {
  SlabPool pool;
  for (const std::string first : {"true", "false"}) {
    const Batch one = fixed("dc", "first", first)->intercept(plain_batch(pool, 2));
    const Batch two = fixed("dc", "second", "true")->intercept(one);
    CHECK(value_of(two, 1, "dc") == "first");
    CHECK(count_headers(two, 1) == 1);
    // Nothing hidden is left for whoever removes the first one.
    CHECK(two.fallback_headers().bytes() == one.fallback_headers().bytes());
  }
}

TEST_CASE("static: one that does not preserve wins over every header given before") {
  SlabPool pool;
  for (const std::string first : {"true", "false"}) {
    const Batch one = fixed("dc", "first", first)->intercept(plain_batch(pool, 2));
    const Batch two = fixed("dc", "second", "false")->intercept(one);
    CHECK(value_of(two, 0, "dc") == "second");
    CHECK(count_headers(two, 0) == 1);
    const Batch three = fixed("dc", "third", "true")->intercept(two);
    CHECK(value_of(three, 0, "dc") == "second");
  }
}

TEST_CASE("static: several headers stand side by side") {
  SlabPool pool;
  Batch batch = fixed("a", "1", "true")->intercept(plain_batch(pool, 1));
  batch = fixed("b", "2", "false")->intercept(batch);
  batch = fixed("c", "3", "true")->intercept(batch);
  batch = fixed("d", "4", "false")->intercept(batch);
  CHECK(value_of(batch, 0, "a") == "1");
  CHECK(value_of(batch, 0, "b") == "2");
  CHECK(value_of(batch, 0, "c") == "3");
  CHECK(value_of(batch, 0, "d") == "4");
  CHECK(count_headers(batch, 0) == 4);
}

TEST_CASE("static: batches with the same headers share one block") {
  SlabPool pool;
  const auto first = fixed("a", "1", "true");
  const auto second = fixed("b", "2", "true");
  const auto both = [&] { return second->intercept(first->intercept(plain_batch(pool, 1))); };
  const Batch one = both();
  const Batch two = both();
  CHECK(one.fallback_headers().bytes().data() == two.fallback_headers().bytes().data());
}

TEST_CASE("static: a batch with other headers is not taken for the last one") {
  SlabPool pool;
  const auto interceptor = fixed("b", "2", "true");
  const Batch with =
      interceptor->intercept(fixed("a", "1", "true")->intercept(plain_batch(pool, 1)));
  const Batch without = interceptor->intercept(plain_batch(pool, 1));
  const Batch other =
      interceptor->intercept(fixed("a", "9", "true")->intercept(plain_batch(pool, 1)));
  CHECK(value_of(with, 0, "a") == "1");
  CHECK(value_of(without, 0, "a").empty());
  CHECK(value_of(without, 0, "b") == "2");
  CHECK(value_of(other, 0, "a") == "9");
}

TEST_CASE("static: a slice gets the header and keeps its events") {
  SlabPool pool;
  const Batch slice = plain_batch(pool, 5).slice(2, 2);
  const Batch after = fixed("a", "1", "false")->intercept(slice);
  REQUIRE(after.size() == 2);
  CHECK(after.body(0) == "2");
  CHECK(value_of(after, 1, "a") == "1");
}

TEST_CASE("static: an empty batch passes") {
  CHECK(fixed("a", "1", "false")->intercept(Batch()).empty());
}

}  // namespace
}  // namespace sluice

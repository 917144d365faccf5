#include "tests/catch.h"
#include "tests/interceptors/interceptors.h"
#include "tests/support/batches.h"

namespace sluice {

extern const InterceptorType remove_header_interceptor;

namespace {

using namespace testing;

std::unique_ptr<Interceptor> removing(const std::map<std::string, std::string>& keys) {
  return make_interceptor(remove_header_interceptor, keys);
}

TestHeaders left(const std::map<std::string, std::string>& keys, const TestHeaders& own) {
  SlabPool pool;
  const Batch after = removing(keys)->intercept(batch_of(pool, {"body"}, own));
  CHECK(after.body(0) == "body");
  return headers_of(after[0]);
}

const TestHeaders some = {{"a", "1"}, {"b.x", "2"}, {"B.x", "3"}, {"c", "4"}};

TEST_CASE("remove_header: withName takes away the header of exactly this name") {
  CHECK(left({{"withName", "b.x"}}, some) == TestHeaders{{"a", "1"}, {"B.x", "3"}, {"c", "4"}});
  CHECK(left({{"withName", "b"}}, some) == some);
}

TEST_CASE("remove_header: fromList takes away several, whatever stands between them") {
  CHECK(left({{"fromList", "a ,  c"}}, some) == TestHeaders{{"b.x", "2"}, {"B.x", "3"}});
  CHECK(left({{"fromList", "a;c"}, {"fromListSeparator", ";"}}, some) ==
        TestHeaders{{"b.x", "2"}, {"B.x", "3"}});
  CHECK(left({{"fromList", "a,c"}, {"fromListSeparator", ";"}}, some) == some);
}

TEST_CASE("remove_header: a separator without width parts the characters, as in Java") {
  CHECK(left({{"fromList", "ac"}, {"fromListSeparator", "(?!^)"}}, some) ==
        TestHeaders{{"b.x", "2"}, {"B.x", "3"}});
}

TEST_CASE("remove_header: matching means the whole name") {
  CHECK(left({{"matching", "[bB]\\..*"}}, some) == TestHeaders{{"a", "1"}, {"c", "4"}});
  CHECK(left({{"matching", "b"}}, some) == some);
}

TEST_CASE("remove_header: all three together, and nothing configured changes nothing") {
  CHECK(left({{"withName", "a"}, {"fromList", "c,x"}, {"matching", "B.*"}}, some) ==
        TestHeaders{{"b.x", "2"}});
  CHECK(left({}, some) == some);
  CHECK(left({{"matching", ".*"}}, some).empty());
}

TEST_CASE("remove_header: nothing that was hidden comes to light") {
  SlabPool pool;
  const Batch batch =
      batch_of(pool, {"x", "y"}, {{"h", "own"}})
          .with_shared_headers(HeaderBlock(encoded({{"h", "imposed"}, {"i", "1"}})),
                               HeaderBlock(encoded({{"h", "fallback"}, {"f", "2"}})));
  const Batch after = removing({{"withName", "h"}})->intercept(batch);
  REQUIRE(after.size() == 2);
  CHECK(headers_of(after[1]) == TestHeaders{{"i", "1"}, {"f", "2"}});
  CHECK(value_of(batch, 0, "h") == "imposed");
}

TEST_CASE("remove_header: each event keeps its own others, also in a slice and a selection") {
  SlabPool pool;
  const Batch batch = batch_with(pool, {header("a", "1") + header("b", "1"), header("b", "2"), "",
                                        header("b", "4") + header("a", "4")});
  const auto interceptor = removing({{"withName", "a"}});
  const Batch whole = interceptor->intercept(batch);
  CHECK(value_of(whole, 0, "a").empty());
  CHECK(value_of(whole, 0, "b") == "1");
  CHECK(value_of(whole, 1, "b") == "2");
  CHECK(count_headers(whole, 2) == 0);
  CHECK(value_of(whole, 3, "b") == "4");
  const Batch slice = interceptor->intercept(batch.slice(2, 2));
  REQUIRE(slice.size() == 2);
  CHECK(count_headers(slice, 0) == 0);
  CHECK(value_of(slice, 1, "b") == "4");
  const Batch selected = whole.select({0, 3});
  CHECK(value_of(selected, 1, "b") == "4");
  CHECK(headers_of(selected.compact(pool)[0]) == TestHeaders{{"b", "1"}});
  CHECK(value_of(removing({{"withName", "b"}})->intercept(selected), 0, "b").empty());
}

TEST_CASE("remove_header: batches with the same shared headers share what is left") {
  SlabPool pool;
  const HeaderBlock shared(encoded({{"a", "1"}, {"b", "2"}}));
  const auto interceptor = removing({{"withName", "a"}});
  const auto next = [&] {
    return interceptor->intercept(plain_batch(pool, 1).with_shared_headers(shared, {}));
  };
  const Batch one = next();
  const Batch two = next();
  CHECK(one.imposed_headers().bytes().data() == two.imposed_headers().bytes().data());
  CHECK(headers_of(two[0]) == TestHeaders{{"b", "2"}});
  // And others are not taken for the last ones.
  const HeaderBlock other(encoded({{"a", "1"}, {"c", "3"}}));
  const Batch third = interceptor->intercept(plain_batch(pool, 1).with_shared_headers(other, {}));
  CHECK(headers_of(third[0]) == TestHeaders{{"c", "3"}});
  CHECK(interceptor->intercept(plain_batch(pool, 1)).without_headers());
}

TEST_CASE("remove_header: a batch that has none of them is shared") {
  SlabPool pool;
  const Batch batch = batch_with(pool, {header("b", "1")});
  const Batch after = removing({{"withName", "a"}})->intercept(batch);
  CHECK(after.own_headers(0).data() == batch.own_headers(0).data());
  CHECK(removing({{"withName", "a"}})->intercept(Batch()).empty());
}

TEST_CASE("remove_header: more names than it remembers are judged right") {
  SlabPool pool;
  const auto interceptor = removing({{"matching", "h\\d*7"}});
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "h" + std::to_string(i);
    const Batch after = interceptor->intercept(batch_with(pool, {header(name, "v")}));
    REQUIRE(value_of(after, 0, name).empty() == (i % 10 == 7));
  }
}

}  // namespace
}  // namespace sluice

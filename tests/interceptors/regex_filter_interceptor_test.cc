#include "tests/catch.h"
#include "tests/interceptors/interceptors.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"

namespace sluice {

extern const InterceptorType regex_filter_interceptor;

namespace {

using namespace testing;

std::vector<std::string> filtered(const std::map<std::string, std::string>& keys,
                                  const std::vector<std::string>& bodies) {
  SlabPool pool;
  return bodies_of(
      make_interceptor(regex_filter_interceptor, keys)->intercept(batch_of(pool, bodies)));
}

using Bodies = std::vector<std::string>;

TEST_CASE("regex_filter: keeps what holds the expression anywhere") {
  CHECK(filtered({{"regex", "ERR\\d"}}, {"x ERR1", "ERR", "ERR2 y", ""}) ==
        Bodies{"x ERR1", "ERR2 y"});
}

TEST_CASE("regex_filter: with excludeEvents it drops them") {
  CHECK(filtered({{"regex", "^#"}, {"excludeEvents", "true"}}, {"# c", "a#", "#", "b"}) ==
        Bodies{"a#", "b"});
}

TEST_CASE("regex_filter: Flume's default keeps everything, and so shares the batch") {
  SlabPool pool;
  const Batch batch = batch_of(pool, {"a", "", "b"});
  const Batch after = make_interceptor(regex_filter_interceptor, {})->intercept(batch);
  CHECK(bodies_of(after) == Bodies{"a", "", "b"});
  CHECK(after.body(0).data() == batch.body(0).data());
}

TEST_CASE("regex_filter: drops all, some and none in turn and keeps headers and receipts") {
  SlabPool pool;
  const auto interceptor = make_interceptor(regex_filter_interceptor, {{"regex", "[13579]$"}});
  for (int round = 0; round < 3; ++round) {
    const Batch batch = batch_of(pool, {"1", "2", "3", "4", "5"}, {{"h", "v"}});
    const Batch odd = interceptor->intercept(batch);
    CHECK(bodies_of(odd) == Bodies{"1", "3", "5"});
    CHECK(value_of(odd, 2, "h") == "v");
    CHECK(interceptor->intercept(batch_of(pool, {"2", "4"})).empty());
    CHECK(interceptor->intercept(batch_of(pool, {"7"})).size() == 1);
    CHECK(interceptor->intercept(Batch()).empty());
  }
}

TEST_CASE("regex_filter: what it cannot judge goes on, and that is said") {
  const std::string hard = std::string(40, 'a') + "b";
  for (const char* exclude : {"true", "false"}) {
    const CapturedLog log;
    CHECK(filtered({{"regex", "^(a+)+$"}, {"excludeEvents", exclude}}, {"c", hard}).back() == hard);
    CHECK(log.text().find("too many ways to match a body of 41 bytes") != std::string::npos);
  }
}

}  // namespace
}  // namespace sluice

#include <arpa/inet.h>

#include "core/base/host_name.h"
#include "tests/catch.h"
#include "tests/interceptors/interceptors.h"

namespace sluice {

extern const InterceptorType host_interceptor;

namespace {

using namespace testing;

TEST_CASE("host: every event gets this machine's address") {
  SlabPool pool;
  const Batch batch = make_interceptor(host_interceptor, {})->intercept(plain_batch(pool, 2));
  const std::string address = value_of(batch, 1, "host");
  CHECK(address == local_address());
  if (!address.empty()) {
    unsigned char bytes[16];
    const bool valid = ::inet_pton(AF_INET, address.c_str(), bytes) == 1 ||
                       ::inet_pton(AF_INET6, address.c_str(), bytes) == 1;
    CHECK(valid);
  }
}

TEST_CASE("host: useIP = false gives the name, and hostHeader names the header") {
  SlabPool pool;
  const Batch batch = make_interceptor(host_interceptor, {{"useIP", "false"}, {"hostHeader", "h"}})
                          ->intercept(plain_batch(pool, 1));
  CHECK(value_of(batch, 0, "h") == local_host_name());
  CHECK_FALSE(value_of(batch, 0, "h").empty());
}

TEST_CASE("host: replaces an existing header unless told to preserve it") {
  SlabPool pool;
  const Batch batch = batch_with(pool, {header("host", "edge7"), ""});
  const Batch replaced = make_interceptor(host_interceptor, {{"useIP", "false"}})->intercept(batch);
  CHECK(value_of(replaced, 0, "host") == local_host_name());
  const Batch preserved =
      make_interceptor(host_interceptor, {{"useIP", "false"}, {"preserveExisting", "true"}})
          ->intercept(batch);
  CHECK(value_of(preserved, 0, "host") == "edge7");
  CHECK(value_of(preserved, 1, "host") == local_host_name());
}

}  // namespace
}  // namespace sluice

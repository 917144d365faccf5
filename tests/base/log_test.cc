// What a record may hold.

#include "core/base/log.h"

#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

TEST_CASE("a record is one line and steers no terminal") {
  const testing::CapturedLog log;
  log::info("{}", "line\nfeed, tab\t, escape \x1B[31m, delete \x7F");
  CHECK(log.has("line\\nfeed, tab\t, escape \\x1B[31m, delete \\x7F"));
}

TEST_CASE("C1 controls are escaped, and letters of two bytes are not") {
  const testing::CapturedLog log;
  log::info("{}",
            "a\xC2\x9B"
            "31m \xC2\x80 and \xC3\x9C"
            "ber \xC2\xA0 \xC2");
  CHECK(
      log.has("a\\x9B31m \\x80 and \xC3\x9C"
              "ber \xC2\xA0 \xC2"));
}

}  // namespace
}  // namespace sluice

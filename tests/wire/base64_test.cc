#include "core/wire/base64.h"

#include "tests/catch.h"

namespace sluice {
namespace {

TEST_CASE("base64 is that of RFC 4648") {
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("fooba") == "Zm9vYmE=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string_view("\x00\xFF\xFB\xEF", 4)) == "AP/77w==");
}

}  // namespace
}  // namespace sluice

#include "core/base/name_pattern.h"

#include "tests/catch.h"

namespace sluice {
namespace {

TEST_CASE("a pattern matches whole names only") {
  const auto pattern = NamePattern::make(R"(.*\.log|x)");
  REQUIRE(pattern.ok());
  CHECK(pattern.value().matches("a.log"));
  CHECK(pattern.value().matches("x"));
  CHECK_FALSE(pattern.value().matches("a.log.1"));
  CHECK_FALSE(pattern.value().matches("xx"));
  CHECK_FALSE(pattern.value().matches(""));
}

TEST_CASE("a pattern that is none says where") {
  const auto pattern = NamePattern::make("a(b");
  CHECK(pattern.code() == Code::Invalid);
  CHECK(pattern.status().message().find("at character 4") != std::string::npos);
}

TEST_CASE("a pattern that would try for ever matches nothing") {
  const auto pattern = NamePattern::make("(a+)+b");
  REQUIRE(pattern.ok());
  CHECK_FALSE(pattern.value().matches(std::string(200, 'a')));
}

}  // namespace
}  // namespace sluice

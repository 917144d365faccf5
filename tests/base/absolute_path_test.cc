#include "core/base/absolute_path.h"

#include <filesystem>

#include "tests/catch.h"

namespace sluice {
namespace {

TEST_CASE("a relative path becomes absolute, and keeps its links and steps up") {
  const std::string here = std::filesystem::current_path().string();
  CHECK(absolute_path("a/b") == here + "/a/b");
  CHECK(absolute_path("./a/./b") == here + "/a/b");
  CHECK(absolute_path("../a") == here + "/../a");
  CHECK(absolute_path("/a/./b/") == "/a/./b/");
  CHECK(absolute_path("").empty());
}

}  // namespace
}  // namespace sluice

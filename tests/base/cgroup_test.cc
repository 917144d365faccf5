// The limits that control groups of both versions write into files.

#include "core/base/cgroup.h"

#include <filesystem>
#include <fstream>

#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

TEST_CASE("the memory limit of a version 2 group is read") {
  const testing::TempDirectory root;
  CHECK_FALSE(cgroup_memory_limit_bytes(root.path("")).has_value());
  std::ofstream(root.path("memory.max")) << "134217728\n";
  CHECK(cgroup_memory_limit_bytes(root.path("")) == 128U << 20);
  std::ofstream(root.path("memory.max")) << "max\n";
  CHECK_FALSE(cgroup_memory_limit_bytes(root.path("")).has_value());
}

TEST_CASE("the memory limit of a version 1 group is read") {
  const testing::TempDirectory root;
  std::filesystem::create_directory(root.path("memory"));
  std::ofstream(root.path("memory/memory.limit_in_bytes")) << "134217728\n";
  CHECK(cgroup_memory_limit_bytes(root.path("")) == 128U << 20);
  std::ofstream(root.path("memory/memory.limit_in_bytes")) << "9223372036854771712\n";
  CHECK_FALSE(cgroup_memory_limit_bytes(root.path("")).has_value());
}

}  // namespace
}  // namespace sluice

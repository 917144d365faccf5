#include "core/base/input_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

using testing::TempDirectory;

void write(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary | std::ios::app) << text;
}

TEST_CASE("a file is read from any place, and to its end only") {
  const TempDirectory directory;
  write(directory.path("f"), "0123456789");
  auto file = InputFiles::real().open(directory.path("f"));
  REQUIRE(file.ok());
  std::array<char, 8> bytes{};
  CHECK(*(*file)->read_at(0, bytes) == 8);
  CHECK(*(*file)->read_at(7, bytes) == 3);
  CHECK(std::string_view(bytes.data(), 3) == "789");
  CHECK(*(*file)->read_at(10, bytes) == 0);
}

TEST_CASE("a file keeps its identity under another name, and a new one has its own") {
  const TempDirectory directory;
  InputFiles& files = InputFiles::real();
  write(directory.path("a"), "x");
  const FileLook before = *files.look(directory.path("a"));
  CHECK(before.regular);
  CHECK(before.size_bytes == 1);
  std::filesystem::rename(directory.path("a"), directory.path("b"));
  write(directory.path("a"), "x");
  CHECK(files.look(directory.path("b"))->identity == before.identity);
  CHECK(files.look(directory.path("a"))->identity != before.identity);
  CHECK(files.look(directory.path("c")).code() == Code::Closed);
}

TEST_CASE("a directory is listed with the inodes of its names") {
  const TempDirectory directory;
  write(directory.path("a"), "");
  std::filesystem::create_symlink("a", directory.path("l"));
  auto entries = InputFiles::real().list(directory.path(""));
  REQUIRE(entries.ok());
  std::sort(entries->begin(), entries->end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  REQUIRE(entries->size() == 2);
  CHECK(entries.value()[0].inode == InputFiles::real().look(directory.path("a"))->identity.inode);
  CHECK_FALSE(entries.value()[0].symbolic_link);
  CHECK(entries.value()[1].symbolic_link);
  CHECK(InputFiles::real().list(directory.path("none")).code() == Code::Closed);
}

TEST_CASE("a hole is passed over") {
  const TempDirectory directory;
  write(directory.path("f"), "");
  std::filesystem::resize_file(directory.path("f"), 10 << 20);
  write(directory.path("f"), "x");
  auto file = InputFiles::real().open(directory.path("f"));
  REQUIRE(file.ok());
  const std::uint64_t data = (*file)->skip_hole(0);
  CHECK(data <= 10 << 20);
  std::filesystem::resize_file(directory.path("f"), 5);
  CHECK((*file)->skip_hole(3) <= 5);
}

}  // namespace
}  // namespace sluice

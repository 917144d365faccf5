#include "core/base/file_lock.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "core/base/file.h"
#include "core/base/input_file.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

TEST_CASE("a lock has one owner at a time, and leaves no file") {
  const testing::TempDirectory directory;
  const std::string path = directory.path("lock");
  {
    auto first = FileLock::take(path);
    REQUIRE(first.ok());
    CHECK(FileLock::take(path).code() == Code::Closed);
    const FileLock moved = std::move(*first);
    CHECK(FileLock::take(path).code() == Code::Closed);
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(FileLock::take(path).ok());
}

TEST_CASE("a lock file that a dead process has left is taken over") {
  const testing::TempDirectory directory;
  const std::string path = directory.path("lock");
  std::ofstream(path) << "";
  CHECK(FileLock::take(path).ok());
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a lock that cannot be made says why") {
  const auto lock = FileLock::take("/no/such/directory/lock");
  CHECK(lock.code() == Code::Retry);
  CHECK(lock.status().message().find("No such file") != std::string::npos);
}

TEST_CASE("a file is open for writing while somebody writes") {
  const testing::TempDirectory directory;
  const std::string path = directory.path("file");
  {
    std::ofstream file(path);
    file << "x" << std::flush;
    CHECK(is_open_for_writing(path));
  }
  CHECK_FALSE(is_open_for_writing(path));
  const std::ifstream reading(path);
  CHECK_FALSE(is_open_for_writing(path));
  CHECK_FALSE(is_open_for_writing(directory.path("none")));
}

TEST_CASE("a copy of an owner has his mode") {
  const testing::TempDirectory directory;
  const std::string from = directory.path("from");
  const std::string to = directory.path("to");
  std::ofstream(from) << "x";
  std::ofstream(to) << "y";
  REQUIRE(::chmod(from.c_str(), 0640) == 0);
  const bool is_root = ::geteuid() == 0;
  if (is_root) REQUIRE(::chown(from.c_str(), 12, 34) == 0);
  copy_owner(from, to);
  struct stat info {};
  REQUIRE(::stat(to.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0640);
  if (is_root) CHECK(info.st_uid == 12);
  if (is_root) CHECK(info.st_gid == 34);
  copy_owner(directory.path("none"), to);
}

TEST_CASE("a listing tells symbolic links from files") {
  const testing::TempDirectory directory;
  std::ofstream(directory.path("file")) << "x";
  REQUIRE(::symlink("file", (directory.path("link")).c_str()) == 0);
  const auto entries = InputFiles::real().list(directory.path(""));
  REQUIRE(entries.ok());
  CHECK(entries.value().size() == 2);
  for (const DirectoryEntry& entry : entries.value()) {
    CHECK(entry.symbolic_link == (entry.name == "link"));
  }
}

}  // namespace
}  // namespace sluice

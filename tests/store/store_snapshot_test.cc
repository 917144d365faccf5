// A look into a store that an agent works on.
// test: no-tsan

#include "core/store/store_snapshot.h"

#include <filesystem>
#include <fstream>

#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

using testing::TempDirectory;

void write(const std::string& path, const std::string& text, bool append = false) {
  std::ofstream(path, append ? std::ios::app : std::ios::trunc) << text;
}

/// A directory that looks like a database.
struct Directory {
  Directory() {
    write(directory.path("CURRENT"), "MANIFEST-000001\n");
    write(directory.path("MANIFEST-000001"), "manifest");
    write(directory.path("000002.log"), "log two");
    write(directory.path("000003.sst"), "table three");
    write(directory.path("LOCK"), "");
    write(directory.path("notes.txt"), "of somebody");
  }
  std::string path(const std::string& name) const { return directory.path(name); }
  TempDirectory directory;
};

std::string read(StoreSnapshot& files, const std::string& path) {
  std::string text;
  const auto status = rocksdb::ReadFileToString(&files, path, &text);
  if (status.IsPathNotFound()) return "not found";
  return status.ok() ? text : status.ToString();
}

TEST_CASE("a snapshot stays what it was while files grow, come and go") {
  const Directory store;
  StoreSnapshot files(rocksdb::FileSystem::Default());
  REQUIRE(files.take(store.path("")).ok());
  write(store.path("000002.log"), " and more", true);
  std::filesystem::remove(store.path("000003.sst"));
  write(store.path("000004.sst"), "four");
  CHECK(read(files, store.path("000002.log")) == "log two");
  CHECK(read(files, store.path("000003.sst")) == "table three");
  CHECK(read(files, store.path("000004.sst")) == "not found");
  CHECK(files.FileExists(store.path("000003.sst"), {}, nullptr).ok());
  CHECK(files.FileExists(store.path("000004.sst"), {}, nullptr).IsNotFound());
  std::vector<std::string> names;
  REQUIRE(files.GetChildren(store.path(""), {}, &names, nullptr).ok());
  CHECK(names ==
        std::vector<std::string>{"000002.log", "000003.sst", "CURRENT", "MANIFEST-000001"});
  CHECK(files.files() == 4);
  CHECK(files.bytes_of(".log") == 7);
  CHECK(files.last_log() == "000002.log");
}

TEST_CASE("a snapshot in which something changed meanwhile is taken again") {
  const Directory store;
  StoreSnapshot files(rocksdb::FileSystem::Default());
  const bool deleted = GENERATE(false, true);  // which may come late
  int looks = 0;
  // The log's content moves into a table, as a flush does it, behind the listing.
  const Status taken = files.take(store.path(""), [&] {
    if (++looks > 1) return;
    write(store.path("000004.sst"), "log two in a table");
    write(store.path("MANIFEST-000001"), " +4 -2", true);
    if (deleted) std::filesystem::remove(store.path("000002.log"));
  });
  REQUIRE(taken.ok());
  CHECK(looks == 2);
  CHECK(read(files, store.path("000004.sst")) == "log two in a table");
  CHECK(read(files, store.path("MANIFEST-000001")) == "manifest +4 -2");
  CHECK(read(files, store.path("000002.log")) == (deleted ? "not found" : "log two"));
}

TEST_CASE("a snapshot of what never stands still is given up") {
  const Directory store;
  StoreSnapshot files(rocksdb::FileSystem::Default());
  const Status taken =
      files.take(store.path(""), [&] { write(store.path("MANIFEST-000001"), "x", true); });
  CHECK(taken.code() == Code::Retry);
  CHECK(taken.message().find("try again") != std::string::npos);
}

TEST_CASE("nobody writes through a snapshot") {
  const Directory store;
  StoreSnapshot files(rocksdb::FileSystem::Default());
  REQUIRE(files.take(store.path("")).ok());
  std::unique_ptr<rocksdb::FSWritableFile> file;
  std::unique_ptr<rocksdb::FSRandomRWFile> both;
  rocksdb::FileLock* lock = nullptr;
  CHECK_FALSE(files.NewWritableFile(store.path("new"), {}, &file, nullptr).ok());
  CHECK_FALSE(files.ReopenWritableFile(store.path("new"), {}, &file, nullptr).ok());
  CHECK_FALSE(files.NewRandomRWFile(store.path("000002.log"), {}, &both, nullptr).ok());
  CHECK_FALSE(files.CreateDir(store.path("folder"), {}, nullptr).ok());
  CHECK_FALSE(files.CreateDirIfMissing(store.path("folder"), {}, nullptr).ok());
  CHECK_FALSE(files.DeleteFile(store.path("000002.log"), {}, nullptr).ok());
  CHECK_FALSE(files.RenameFile(store.path("000002.log"), store.path("x"), {}, nullptr).ok());
  CHECK_FALSE(files.LinkFile(store.path("000002.log"), store.path("x"), {}, nullptr).ok());
  CHECK_FALSE(files.LockFile(store.path("LOCK"), {}, &lock, nullptr).ok());
  CHECK_FALSE(std::filesystem::exists(store.path("new")));
}

}  // namespace
}  // namespace sluice

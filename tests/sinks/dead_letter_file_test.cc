// Lines of JSON in a file that is bounded, moved away, torn, and on a disk that runs full.

#include "sinks/dead_letter_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/fake_file_system.h"

namespace sluice {
namespace {

constexpr const char* path = "/state/dead-letters/a1.jsonl";

struct Rig {
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  FakeFileSystem files;
  ManualClock clock;
  DeadLetterFile file;

  explicit Rig(std::uint64_t bytes_max = 64 << 20)
      : file({.path = path, .bytes_max = bytes_max}, files, clock) {}

  Status keep(const std::vector<std::string>& bodies) {
    const Batch batch = batch_of(pool, bodies);
    Rejection rejection{"k1", "c1", "no such table", {}};
    for (std::uint32_t i = 0; i < batch.size(); ++i)
      rejection.letters.push_back({batch[i], i, 1, {}});
    Commit taking;
    return file.keep(rejection, taking);
  }
  /// The bodies of all lines; a line that is not JSON fails the test.
  std::vector<std::string> kept() const {
    std::vector<std::string> bodies;
    std::istringstream all(files.content());
    for (std::string line; std::getline(all, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      REQUIRE_FALSE(json.is_discarded());
      bodies.push_back(json["body"]);
    }
    return bodies;
  }
};

using Bodies = std::vector<std::string>;

TEST_CASE("a dead letter is a line of JSON with all that is known") {
  Rig rig;
  rig.clock.set_wall_ms(1'700'000'000'007);
  const Batch batch = batch_of(rig.pool, {"a \"b\"\n\xC3\xA9"}, {{"host", "h1"}, {"k", "v"}});
  Rejection rejection{"k1", "c1", "no such table", {}};
  rejection.letters.push_back({batch[0], 17, 3, Origin{{0xAB, 0x1}, 5}});
  Commit taking;
  REQUIRE(rig.file.keep(rejection, taking).ok());
  CHECK(rig.files.files().at(path) ==
        "{\"time\":\"2023-11-14T22:13:20.007Z\",\"sink\":\"k1\",\"reason\":\"no such table\","
        "\"attempts\":3,\"channel\":\"c1\",\"sequence\":17,"
        "\"origin\":\"00000000000000ab0000000000000001:5\","
        "\"headers\":{\"host\":\"h1\",\"k\":\"v\"},\"body\":\"a \\\"b\\\"\\n\xC3\xA9\"}\n");
  CHECK(taking.puts().empty());
}

TEST_CASE("what is no text is kept in base64") {
  Rig rig;
  const Batch batch = batch_of(rig.pool, {"\xFF\xFE"}, {{"raw", "\x80"}, {"fine", "x"}});
  Rejection rejection{"k1", "c1", "bad", {}};
  rejection.letters.push_back({batch[0], 0, 1, {}});
  Commit taking;
  REQUIRE(rig.file.keep(rejection, taking).ok());
  const auto json = nlohmann::json::parse(rig.files.content());
  CHECK(json["body_base64"] == "//4=");
  CHECK_FALSE(json.contains("body"));
  CHECK(json["headers"]["raw_base64"] == "gA==");
  CHECK(json["headers"]["fine"] == "x");
  CHECK_FALSE(json.contains("origin"));
}

TEST_CASE("a full file refuses, says which it is, and takes again once it was moved away") {
  Rig rig(1000);
  int kept = 0;
  Status status;
  while ((status = rig.keep({"one"})).ok()) ++kept;
  CHECK(kept > 3);
  CHECK(status.code() == Code::Retry);
  CHECK(status.message().find(path) != std::string::npos);
  CHECK(status.message().find("-Dsluice.dead.letter.limit") != std::string::npos);
  CHECK(rig.files.content().size() <= 1000);
  CHECK(rig.kept().size() == static_cast<std::size_t>(kept));
  REQUIRE(rig.files.rename(path, "/elsewhere").ok());
  CHECK(rig.keep({"two"}).ok());
  CHECK(rig.files.files().at(path).find("two") != std::string::npos);
}

TEST_CASE("an empty file takes a batch of any size, and a bound of 0 keeps nothing") {
  Rig rig(100);
  CHECK(rig.keep({std::string(5000, 'x')}).ok());
  CHECK(rig.keep({"y"}).code() == Code::Retry);
  Rig none(0);
  CHECK(none.keep({"x"}).code() == Code::Retry);
  CHECK(none.files.content().empty());
}

TEST_CASE("a torn last line is cut off before the next is written") {
  const testing::CapturedLog log;
  for (const std::size_t torn : {1U, 100U, 64U * 1024, 200'000U}) {
    Rig rig;
    REQUIRE(rig.keep({"one", "two"}).ok());
    const std::string whole = rig.files.content();
    rig.files.put_file(path, whole + std::string(torn, 'x'));
    REQUIRE(rig.keep({"three"}).ok());
    CHECK(rig.kept() == Bodies{"one", "two", "three"});
    CHECK(rig.files.content().starts_with(whole));
    CHECK(log.has("its " + std::to_string(torn) + " bytes are cut off"));
    // A file that is nothing but a torn line.
    rig.files.put_file(path, std::string(torn, 'x'));
    REQUIRE(rig.keep({"four"}).ok());
    CHECK(rig.kept() == Bodies{"four"});
  }
}

TEST_CASE("a disk that runs full tears no line and is gone on with") {
  Rig rig;
  REQUIRE(rig.keep({"one"}).ok());
  const std::string before = rig.files.content();
  for (const bool truncate_works : {true, false}) {
    rig.files.bytes_left(20);
    rig.files.truncate_works(truncate_works);
    CHECK(rig.keep({"two"}).code() == Code::Retry);
    if (truncate_works) CHECK(rig.files.content() == before);
    rig.files.truncate_works(true);
  }
  CHECK(rig.files.content() != before);  // torn, and not cut yet
  rig.files.bytes_left(UINT64_MAX / 2);
  REQUIRE(rig.keep({"two"}).ok());
  CHECK(rig.kept() == Bodies{"one", "two"});
}

TEST_CASE("what cannot be synced is not kept, and what is kept is synced with its name") {
  Rig rig;
  REQUIRE(rig.keep({"one"}).ok());
  CHECK(rig.files.syncs() == 2);  // the file and its directory
  REQUIRE(rig.keep({"two"}).ok());
  CHECK(rig.files.syncs() == 3);
  rig.files.sync_works(false);
  CHECK(rig.keep({"three"}).code() == Code::Retry);
  CHECK(rig.kept() == Bodies{"one", "two"});
  rig.files.sync_works(true);
  // Another agent found the file: whether its name was ever synced it cannot know.
  DeadLetterFile next({.path = path}, rig.files, rig.clock);
  const Batch batch = batch_of(rig.pool, {"four"});
  Rejection rejection{"k1", "c1", "", {}};
  rejection.letters.push_back({batch[0], 0, 1, {}});
  Commit taking;
  REQUIRE(next.keep(rejection, taking).ok());
  CHECK(rig.files.syncs() == 5);
}

TEST_CASE("on a real disk the directory is made and the file is for the agent alone") {
  const testing::TempDirectory directory;
  const std::string real = directory.path("state/dead-letters/a1.jsonl");
  DeadLetterFile file({.path = real}, FileSystem::real(), Clock::system());
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const Batch batch = batch_of(pool, {"one"});
  Rejection rejection{"k1", "c1", "", {}};
  rejection.letters.push_back({batch[0], 0, 1, {}});
  Commit taking;
  const auto lines = [&] {
    std::ifstream content(real);
    return std::count(std::istreambuf_iterator<char>(content), {}, '\n');
  };
  REQUIRE(file.keep(rejection, taking).ok());
  struct stat info {};
  REQUIRE(::stat(real.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  std::ofstream(real, std::ios::app) << "{\"torn";
  REQUIRE(file.keep(rejection, taking).ok());
  CHECK(lines() == 2);
  std::filesystem::rename(real, real + ".old");
  REQUIRE(file.keep(rejection, taking).ok());
  CHECK(lines() == 1);
}

}  // namespace
}  // namespace sluice

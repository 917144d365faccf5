#include "sources/spool_directory.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/catch.h"
#include "tests/support/pipeline.h"
#include "tests/support/spool.h"

namespace sluice {

extern const SourceType spooldir_source;

namespace {

namespace fs = std::filesystem;
using testing::Pipeline;
using testing::Spool;
using Lines = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

/// Runs the source until all is put away. What it reads, sorted.
Lines read_once(const Spool& spool, std::size_t events, Values more = {}) {
  more.insert({"recursiveDirectorySearch", "true"});
  Pipeline::Options options;
  options.once = true;
  Pipeline pipeline(spooldir_source, spool.settings(std::move(more)), std::move(options));
  REQUIRE(pipeline.start().ok());
  Lines lines = pipeline.read(events);
  REQUIRE(pipeline.wait_finished());
  for (std::string& body : pipeline.read_rest()) lines.push_back(std::move(body));
  std::sort(lines.begin(), lines.end());
  return lines;
}

// Which files of a tree of directories the source reads.

TEST_CASE("spooldir: a symbolic link to a directory is not gone into, one to a file is a file") {
  const Spool spool;
  fs::create_directory(spool.path("sub"));
  spool.put("sub/a", "one\n");
  fs::create_directory_symlink(".", spool.path("loop"));
  fs::create_directory_symlink("..", spool.path("sub/up"));
  const testing::TempDirectory elsewhere;
  std::ofstream(elsewhere.path("b")) << "two\n";
  std::ofstream(elsewhere.path("c")) << "not here\n";
  fs::create_symlink(elsewhere.path("b"), spool.path("b"));
  fs::create_directory_symlink(elsewhere.path(""), spool.path("elsewhere"));
  const Values tracked{{"trackingPolicy", "tracker_dir"}};
  CHECK(read_once(spool, 2, tracked) == Lines{"one", "two"});
  CHECK(read_once(spool, 0, tracked).empty());
}

TEST_CASE("spooldir: directories are read however deep they lie") {
  const Spool spool;
  std::string path;
  for (int depth = 0; depth < 40; ++depth) {
    path += "d/";
    fs::create_directory(spool.path(path));
  }
  spool.put(path + "a", "one\n");
  CHECK(read_once(spool, 1) == Lines{"one"});
}

TEST_CASE("spooldir: ignorePattern is for directories too, includePattern is not") {
  const Spool spool;
  for (const char* const name : {"tmpdir", "tmpdir/deeper", "logs"}) {
    fs::create_directory(spool.path(name));
  }
  spool.put("tmpdir/b.log", "no\n");
  spool.put("tmpdir/deeper/c.log", "no\n");
  spool.put("logs/d.log", "one\n");
  spool.put("logs/tmp.log", "no\n");
  CHECK(read_once(spool, 1, {{"ignorePattern", "tmp.*"}, {"includePattern", R"(.*\.log)"}}) ==
        Lines{"one"});
  CHECK(fs::exists(spool.path("tmpdir/b.log")));
}

TEST_CASE("spooldir: its own tracker directory is not read, wherever it lies") {
  const Spool spool;
  const std::string tracker = GENERATE("tracker", "./sub/../sub/tracker/", "linked", ".");
  CAPTURE(tracker);
  fs::create_directories(spool.path("sub/tracker"));
  fs::create_directory_symlink("sub/tracker", spool.path("linked"));
  spool.put("sub/a", "one\n");
  // As other sources, a write that was cut off and a file that was no list leave them there.
  fs::create_directories(spool.path(tracker));
  for (const char* const name : {"sluice-r2-positions.json", "sluice-x1-ignored.json.new",
                                 "sluice-x1-positions.json.unreadable"}) {
    std::ofstream(spool.path(tracker) + "/" + name) << "no\n";
  }
  const Values settings{{"trackerDir", tracker}};
  CHECK(read_once(spool, 1, settings) == Lines{"one"});
  CHECK(fs::exists(spool.path(tracker) + "/sluice-x1-positions.json"));
  CHECK(read_once(spool, 0, settings).empty());
  CHECK(fs::exists(spool.path(tracker) + "/sluice-x1-positions.json"));
  // Nobody else's name is hidden.
  spool.put("sluice-app.log", "two\n");
  spool.put("sub/sluice-r2-positions.json", "three\n");
  CHECK(read_once(spool, 2, settings) == Lines{"three", "two"});
}

}  // namespace
}  // namespace sluice

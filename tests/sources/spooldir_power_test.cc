// Power cuts behind a store: a file that was put away must not come back without its position.

#include <algorithm>
#include <filesystem>
#include <random>

#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/pipeline.h"
#include "tests/support/source_rig.h"
#include "tests/support/spool.h"
#include "tests/support/unsynced_names.h"

namespace sluice {

extern const SourceType spooldir_source;

namespace {

namespace fs = std::filesystem;
using testing::CapturedLog;
using testing::Pipeline;
using testing::Spool;
using testing::TempDirectory;
using testing::UnsyncedNames;
using Lines = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

/// A dozen files in two directories; their lines, sorted.
Lines fill(const Spool& spool) {
  Lines written;
  fs::create_directory(spool.path("sub"));
  for (int file = 0; file < 12; ++file) {
    std::string text;
    for (int i = 0; i < 5; ++i) {
      written.push_back(std::to_string(100 * file + i));
      text += written.back() + "\n";
    }
    spool.put((file % 2 == 0 ? "f" : "sub/f") + std::to_string(file), text, 60 - file);
  }
  std::sort(written.begin(), written.end());
  return written;
}

TEST_CASE("spooldir: behind a store a power cut repeats nothing of files that were put away") {
  const CapturedLog log;
  const Values policy = GENERATE(Values{}, Values{{"deletePolicy", "immediate"}},
                                 Values{{"trackingPolicy", "tracker_dir"}});
  std::mt19937_64 random(Catch::rngSeed());
  for (int run = 0; run < 8; ++run) {
    const Spool spool;
    const TempDirectory attic;
    UnsyncedNames files(attic.path(""));
    const Lines written = fill(spool);
    Values values = policy;
    values.insert(
        {{"spoolDir", spool.path("")}, {"pollDelay", "1"}, {"recursiveDirectorySearch", "true"}});
    const auto settings = test_settings(*spooldir_source.info, "source r1", values);
    LateCommitter store({.seed = Catch::rngSeed() + 3});
    Lines arrived;
    const auto collect = [&](Lines bodies) {
      for (std::string& body : bodies) arrived.push_back(std::move(body));
    };
    for (int start = 0; start < 4; ++start) {
      const bool last = start == 3;
      files.cut_at(last ? UINT64_MAX : 1 + random() % 25);
      SourceRig::Options options;
      options.files = &files;
      SourceRig rig(spooldir_source, settings, std::move(options), &store);
      if (!rig.open().ok()) {
        REQUIRE(files.is_cut());
        files.lose_unsynced();
        continue;
      }
      rig.start();
      const auto is_over = [&] {
        if (files.is_cut()) return true;
        return !store.note("spooldir/r1/files") &&
               arrived.size() + rig.channel().size_events() >= written.size();
      };
      REQUIRE(testing::wait_for(is_over));
      rig.stop();
      collect(rig.take(rig.channel().size_events()));
      files.lose_unsynced();  // at the latest, the power fails here
    }
    std::sort(arrived.begin(), arrived.end());
    REQUIRE(arrived == written);
    CHECK_FALSE(store.note("spooldir/r1/files"));
  }
}

TEST_CASE("spooldir: one sync is for all files that are put away in a turn") {
  const Spool spool;
  const TempDirectory attic;
  UnsyncedNames files(attic.path(""));
  constexpr std::size_t count = 40;
  for (std::size_t i = 0; i < count; ++i) spool.put(std::to_string(i), "line\n");
  Pipeline::Options options;
  options.files = &files;
  const auto settings = spool.settings({{"pollDelay", "3600000"}});
  Pipeline pipeline(spooldir_source, settings, std::move(options));
  REQUIRE(pipeline.start().ok());
  REQUIRE(
      testing::wait_for([&] { return pipeline.channel.counters().stored.events.get() == count; }));
  const std::uint64_t before = files.syncs();
  CHECK(pipeline.read(count).size() == count);
  for (std::size_t i = 0; i < count; ++i) {
    CHECK(spool.wait_for_file(std::to_string(i) + ".COMPLETED"));
  }
  pipeline.stop();
  CHECK(files.syncs() - before < count / 4);
}

TEST_CASE("spooldir: a directory that cannot be synced keeps the positions, and is said") {
  const CapturedLog log;
  const Spool spool;
  const TempDirectory attic;
  UnsyncedNames files(attic.path(""));
  spool.put("a", "one\n");
  const auto settings = test_settings(*spooldir_source.info, "source r1",
                                      {{"spoolDir", spool.path("")}, {"pollDelay", "1"}});
  LateCommitter store({.seed = 1});
  SourceRig::Options options;
  options.files = &files;
  SourceRig rig(spooldir_source, settings, std::move(options), &store);
  REQUIRE(rig.open().ok());
  files.refuse_syncs_of(spool.path(""));
  rig.start();
  CHECK(rig.take(1) == Lines{"one"});
  CHECK(log.wait_for_text("the positions of 1 delivered files are kept meanwhile (failure 1)"));
  CHECK(store.note("spooldir/r1/files"));
  files.refuse_syncs_of("");
  CHECK(testing::wait_for([&] { return !store.note("spooldir/r1/files"); }));
  rig.stop();
  CHECK(fs::exists(spool.path("a.COMPLETED")));
}

}  // namespace
}  // namespace sluice

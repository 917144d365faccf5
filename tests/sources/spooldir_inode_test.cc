// Files that get the inode of one that somebody has deleted, as ext4 does it at once.

#include <chrono>
#include <filesystem>
#include <functional>

#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/faulty_files.h"
#include "tests/support/pipeline.h"
#include "tests/support/spool.h"

namespace sluice {

extern const SourceType spooldir_source;

namespace {

namespace fs = std::filesystem;
using testing::BadInput;
using testing::CapturedLog;
using testing::Pipeline;
using testing::Spool;
using testing::wait_for;
using Lines = std::vector<std::string>;

/// All files have one inode, and each name its own time of birth.
class OneInode final : public InputFiles {
 public:
  explicit OneInode(InputFiles& files) : files_(files) {}

  Result<std::unique_ptr<InputFile>> open(const std::string& path) override {
    return files_.open(path);
  }
  Result<FileLook> look(const std::string& path) override {
    auto look = files_.look(path);
    if (!look.ok() || !look->regular) return look;
    look->identity.inode = 1;
    look->identity.birth_ns = static_cast<std::int64_t>(std::hash<std::string>()(path) >> 1U);
    return look;
  }
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override {
    return files_.list(directory);
  }
  Status make_directories(const std::string& directory) override {
    return files_.make_directories(directory);
  }

 private:
  InputFiles& files_;
};

TEST_CASE("spooldir: a file that was deleted before it was delivered leaves its inode to another") {
  const Spool spool;
  OneInode input(InputFiles::real());
  Pipeline::Options options;
  options.input = &input;
  Pipeline pipeline(spooldir_source, spool.settings(), std::move(options));
  REQUIRE(pipeline.start().ok());
  const auto wait_until_read = [&](std::uint64_t events) {
    return wait_for([&] { return pipeline.channel.counters().put.events.get() == events; });
  };
  spool.put("a", "one\n");
  REQUIRE(wait_until_read(1));
  fs::remove(spool.path("a"));
  spool.put("b", "two\n");
  REQUIRE(wait_until_read(2));
  fs::remove(spool.path("b"));
  spool.put("c", "three\n");
  REQUIRE(wait_until_read(3));
  CHECK(fs::exists(spool.path("c")));
  CHECK(pipeline.read(3) == Lines{"one", "two", "three"});
  CHECK(spool.wait_for_file("c.COMPLETED"));
  spool.put("d", "four\n");
  CHECK(pipeline.read(1) == Lines{"four"});
  CHECK(spool.wait_for_file("d.COMPLETED"));
  pipeline.stop();
  CHECK(pipeline.channel.counters().put.events.get() == 4);
}

TEST_CASE("spooldir: a file that cannot be opened rests, whoever had its inode before") {
  const CapturedLog log;
  const Spool spool;
  BadInput bad;
  OneInode input(bad);
  Pipeline::Options options;
  options.input = &input;
  Pipeline pipeline(spooldir_source, spool.settings({{"ignorePattern", ".*COMPLETED"}}),
                    std::move(options));
  spool.put("old.COMPLETED", "");
  spool.put("old", "one\n");
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"one"});
  REQUIRE(log.wait_for_text("the name was used for two files"));  // so it stays known
  fs::remove(spool.path("old"));
  bad.break_at("new", 0);
  const auto begun = std::chrono::steady_clock::now();
  spool.put("new", "two\n");
  REQUIRE(wait_for([&] { return pipeline.counters.read_failures.get() >= 6; }));
  // 10 ms, 20 ms, 40 ms and so on, of which a part may be left out by chance.
  CHECK(std::chrono::steady_clock::now() - begun > std::chrono::milliseconds(50));
  CHECK(log.has("/new: cannot read new: Input/output error (5); it is tried again"));
  bad.mend();
  CHECK(pipeline.read(1) == Lines{"two"});
  CHECK(spool.wait_for_file("new.COMPLETED"));
}

}  // namespace
}  // namespace sluice

// Files that are held back, or cannot be read, in the scan that decides where they begin.

#include "sources/file_follower.h"

#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/fake_input_files.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using Pieces = std::vector<std::string>;

FileFollower::Options options_with(bool skip_to_end) {
  FileFollower::Options options;
  options.name = "source x1";
  options.groups.push_back({"g", "/logs", *NamePattern::make(R"(app\.log(\.\d+)?)")});
  options.skip_to_end = skip_to_end;
  return options;
}

/// Files in memory, and a follower of which all that it hands out is read at once.
struct Followed {
  explicit Followed(bool skip_to_end) : follower(options_with(skip_to_end), files, clock) {}

  void append(const std::string& path, std::string_view text) {
    auto node = files.find(path);
    files.append(node ? node : files.create(path), text);
  }
  Pieces scan() {
    CHECK(follower.scan().ok());
    Pieces read;
    while (FileGeneration* const generation = follower.next()) {
      std::string piece(generation->size_seen - generation->offset(), '\0');
      REQUIRE(generation->file->read_at(generation->offset(), piece).ok());
      generation->advance(piece);
      follower.at_end(*generation, generation->offset());
      read.push_back(std::move(piece));
    }
    return read;
  }
  /// Until what is held back has been quiet for long enough.
  Pieces scan_on() {
    Pieces read;
    for (int i = 0; i < 5; ++i) {
      for (std::string& piece : scan()) read.push_back(std::move(piece));
      clock.advance(milliseconds(1000));
    }
    return read;
  }

  FakeInputFiles files;
  ManualClock clock;
  FileFollower follower;
};

TEST_CASE("skipToEnd: of two files that begin alike neither is read from its beginning") {
  Followed logs(true);
  logs.append("/logs/app.log", "old\n");
  logs.append("/logs/app.log.1", "old\n");
  CHECK(logs.scan().empty());
  CHECK(logs.follower.holds_back());
  logs.append("/logs/app.log.1", "new\n");
  CHECK(logs.scan_on() == Pieces{"new\n"});
  logs.append("/logs/app.log.2", "later\n");
  CHECK(logs.scan_on() == Pieces{"later\n"});
}

TEST_CASE("skipToEnd: what cannot be opened in the first scan is not read from its beginning") {
  Followed logs(true);
  if (GENERATE(false, true)) logs.append("/logs/app.log.1", "another\n");
  logs.append("/logs/app.log", "old\n");
  logs.files.broken = {"/logs/app.log"};
  CHECK(logs.scan_on().empty());
  logs.append("/logs/app.log", "new\n");
  CHECK(logs.scan_on().empty());
  logs.files.broken.clear();
  CHECK(logs.scan_on() == Pieces{"new\n"});
  const auto& generations = logs.follower.generations();
  for (const auto& [number, generation] : generations) {
    CHECK(generation->at.mark.tail_bytes == generation->offset());
    CHECK(generation->at.head.bytes > 0);
  }
}

TEST_CASE("skipToEnd: what was made anew before it could be opened is read from its beginning") {
  Followed logs(true);
  logs.append("/logs/app.log", "old and long\n");
  logs.files.broken = {"/logs/app.log"};
  CHECK(logs.scan_on().empty());
  if (GENERATE(false, true)) {
    logs.files.truncate(logs.files.find("/logs/app.log"));
  } else {
    logs.files.remove("/logs/app.log");
    CHECK(logs.scan().empty());
  }
  logs.append("/logs/app.log", "new\n");
  logs.files.broken.clear();
  CHECK(logs.scan_on() == Pieces{"new\n"});
}

TEST_CASE("a file that goes before it could ever be opened is said to be lost") {
  const CapturedLog log;
  Followed logs(false);
  logs.append("/logs/app.log", "some\n");
  logs.files.broken = {"/logs/app.log"};
  CHECK(logs.scan_on().empty());
  const bool truncated = GENERATE(false, true);
  if (truncated) {
    logs.files.truncate(logs.files.find("/logs/app.log"));
  } else {
    logs.files.remove("/logs/app.log");
  }
  CHECK(logs.scan_on().empty());
  CHECK(logs.follower.lost_bytes() == 5);
  CHECK(log.has("before its last 5 bytes could be read; they are lost (5 since the start)"));
}

TEST_CASE("a file of which one store has nothing is known by what another has of it") {
  Followed before(false);
  std::string text(3000, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i * i % 23);
  before.append("/logs/app.log", text);
  CHECK(before.scan() == Pieces{text});
  FilePosition known = before.follower.generations().begin()->second->at;
  known.furthest = known.mark;
  known.mark = {};
  const auto file = before.files.find("/logs/app.log");
  const std::string how = GENERATE("as it was", "grown", "shorter", "others behind the head");
  INFO(how);
  if (how == "grown") before.files.append(file, "more\n");
  if (how == "shorter" || how == "others behind the head") {
    before.files.truncate(file);
    before.files.append(file, text.substr(0, 2000));
    if (how != "shorter") before.files.append(file, std::string(2000, '-'));
  }
  FileFollower after(options_with(false), before.files, before.clock);
  after.restore({known});
  CHECK(after.scan().ok());
  REQUIRE(after.generations().size() == 1);
  const FileGeneration& found = *after.generations().begin()->second;
  CHECK((found.at.id == known.id) == (how == "as it was" || how == "grown"));
  CHECK(found.offset() == 0);
}

}  // namespace
}  // namespace sluice

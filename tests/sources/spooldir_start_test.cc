// What a spooling directory source finds when it starts for the first time: Flume's position, and
// files that shall be ignored.

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "sources/flume_tracker.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/compressed.h"
#include "tests/support/pipeline.h"
#include "tests/support/spool.h"

namespace sluice {

extern const SourceType spooldir_source;

namespace {

namespace fs = std::filesystem;
using testing::CapturedLog;
using testing::Pipeline;
using testing::Spool;
using Lines = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

std::string avro_long(std::int64_t value) {
  auto left = static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
  std::string bytes;
  for (; left > 0x7F; left >>= 7) bytes += static_cast<char>((left & 0x7F) | 0x80);
  return bytes + static_cast<char>(left);
}
std::string avro_text(const std::string& text) {
  return avro_long(static_cast<std::int64_t>(text.size())) + text;
}

/// As Flume's DurablePositionTracker makes it: create() with the metadata in the order of a Java
/// HashMap, then append(), sync() and flush() of each position, so each has a block of its own.
class FlumeMeta {
 public:
  explicit FlumeMeta(const std::string& file) {
    bytes = "Obj\x01" + avro_long(3) + avro_text("file") + avro_text(file) +
            avro_text("avro.codec") + avro_text("null") + avro_text("avro.schema") +
            avro_text(R"({"type":"record","name":"TransferStateFileMeta",)"
                      R"("namespace":"org.apache.flume.serialization",)"
                      R"("fields":[{"name":"offset","type":"long"}]})") +
            avro_long(0) + sync_;
  }
  FlumeMeta& store(std::int64_t offset) {
    const std::string datum = avro_long(offset);
    bytes += avro_long(1) + avro_long(static_cast<std::int64_t>(datum.size())) + datum + sync_;
    return *this;
  }
  std::string bytes;

 private:
  const std::string sync_ = "0123456789abcdef";
};

/// A spooling directory in which Flume has worked.
struct FlumeSpool : Spool {
  void meta(const std::string& bytes) const {
    fs::create_directories(path(".flumespool"));
    std::ofstream(path(".flumespool/.flumespool-main.meta"), std::ios::binary) << bytes;
  }
  Result<std::optional<FlumeTracker>> tracker() const {
    return read_flume_tracker(InputFiles::real(), path(".flumespool/.flumespool-main.meta"));
  }
};

Lines read_once(const Spool& spool, std::size_t events, Values more = {}) {
  Pipeline::Options options;
  options.once = true;
  Pipeline pipeline(spooldir_source, spool.settings(std::move(more)), std::move(options));
  REQUIRE(pipeline.start().ok());
  Lines lines = pipeline.read(events);
  REQUIRE(pipeline.wait_finished());
  for (std::string& body : pipeline.read_rest()) lines.push_back(std::move(body));
  return lines;
}

TEST_CASE("Flume's tracker: the last whole record counts, whatever a crash left behind it") {
  const FlumeSpool spool;
  CHECK_FALSE(*spool.tracker());
  spool.meta("");
  CHECK_FALSE(*spool.tracker());
  const std::string whole = FlumeMeta("/s/a").store(0).store(70).store(300).bytes;
  const std::string more = FlumeMeta("/s/a").store(0).store(70).store(300).store(100'000).bytes;
  for (std::size_t bytes = whole.size(); bytes < more.size(); ++bytes) {
    spool.meta(more.substr(0, bytes));
    CHECK((*spool.tracker())->offset == 300);
    CHECK((*spool.tracker())->path == "/s/a");
  }
  spool.meta(more);
  CHECK((*spool.tracker())->offset == 100'000);
  for (const std::string& bad : {std::string("no avro"), more.substr(0, 40)}) {
    spool.meta(bad);
    CHECK(spool.tracker().code() == Code::Reject);
  }
}

TEST_CASE("spooldir: the file that Flume had begun goes on where Flume stopped, once") {
  const CapturedLog log;
  const FlumeSpool spool;
  spool.put("a", "one\ntwo\nthree\n", 60);
  spool.put("b", "four\n");
  spool.meta(FlumeMeta(spool.path("a")).store(0).store(4).store(8).bytes);
  CHECK(read_once(spool, 2) == Lines{"three", "four"});
  CHECK(log.has("/a is read on at byte 8, where Flume stopped"));
  CHECK(fs::exists(spool.path("a.COMPLETED")));
  // Flume's file is still there, and says nothing about another one of the name.
  spool.put("a2", "five\nsix\n");
  fs::remove(spool.path("a.COMPLETED"));
  fs::rename(spool.path("a2"), spool.path("a"));
  CHECK(read_once(spool, 2) == Lines{"five", "six"});
}

TEST_CASE("spooldir: a file that Flume had read to its end is put away") {
  const FlumeSpool spool;
  spool.put("a", "one\n");
  spool.meta(FlumeMeta(spool.path("a")).store(4).bytes);
  CHECK(read_once(spool, 0).empty());
  CHECK(fs::exists(spool.path("a.COMPLETED")));
}

TEST_CASE("spooldir: Flume's position in a blob is one in its bytes") {
  const FlumeSpool spool;
  spool.put("a", "0123456789");
  spool.meta(FlumeMeta(spool.path("a")).store(4).bytes);
  CHECK(read_once(spool, 2, {{"deserializer", "BLOB"}, {"deserializer.maxBlobLength", "4"}}) ==
        Lines{"4567", "89"});
}

TEST_CASE("spooldir: a position of Flume's that is none in the content is said, and not used") {
  const CapturedLog log;
  const FlumeSpool spool;
  const std::string text = GENERATE(std::string("one\n"), testing::gzip("one\n"));
  spool.put("a", text);
  spool.meta(FlumeMeta(spool.path("a")).store(text == "one\n" ? 5 : 4).bytes);
  CHECK(read_once(spool, 1) == Lines{"one"});
  CHECK(log.has("is no place in its content; the file that Flume had begun is read from its"));
}

TEST_CASE("spooldir: a tracker of Flume's that is damaged, or names no file, holds up nothing") {
  const CapturedLog log;
  const FlumeSpool spool;
  spool.put("a", "one\n");
  const bool damaged = GENERATE(false, true);
  spool.meta(damaged ? "Obj\x01 damaged" : FlumeMeta(spool.path("gone")).store(4).bytes);
  CHECK(read_once(spool, 1) == Lines{"one"});
  CHECK(log.has("the file that Flume had begun is read from its beginning") == damaged);
}

TEST_CASE("spooldir: a position counts when its device has another number since") {
  const CapturedLog log;
  const Spool spool;
  spool.put("a", "one\ntwo\n\xFF\n");
  // Set aside at the third line, it keeps its position.
  CHECK(read_once(spool, 2, {{"decodeErrorPolicy", "FAIL"}}) == Lines{"one", "two"});
  const std::string positions = spool.path(".flumespool/sluice-x1-positions.json");
  std::stringstream text;
  text << std::ifstream(positions).rdbuf();
  const std::regex device(R"("1 ([0-9a-f]{32}) \d+ )");
  REQUIRE(std::regex_search(text.str(), device));
  std::ofstream(positions) << std::regex_replace(text.str(), device, "\"1 $1 424242 ");
  CHECK(read_once(spool, 1, {{"decodeErrorPolicy", "REPLACE"}}) == Lines{"\uFFFD"});
}

const Values ignoring{{"ignoreExisting", "true"}};

TEST_CASE("spooldir: ignoreExisting leaves what was there at the first start alone for good") {
  const CapturedLog log;
  const Spool spool;
  spool.put("old", "no\n", 60);
  spool.put("older", "no\n", 600);
  {
    Pipeline pipeline(spooldir_source, spool.settings(ignoring));
    REQUIRE(pipeline.start().ok());
    CHECK(log.has("2 files that are there are ignored"));
    spool.put("new", "one\n", 3600);  // its age says nothing
    spool.put(".hidden", "no\n");
    CHECK(pipeline.read(1) == Lines{"one"});
    CHECK(spool.wait_for_file("new.COMPLETED"));
  }
  // What comes while nobody runs is read by the next start. Another name makes no other file.
  spool.put("meanwhile", "two\n");
  fs::rename(spool.path("old"), spool.path("renamed"));
  CHECK(read_once(spool, 1, ignoring) == Lines{"two"});
  CHECK(read_once(spool, 0, ignoring).empty());
  CHECK(fs::exists(spool.path("renamed")));
  CHECK(fs::exists(spool.path("older")));
  CHECK(read_once(spool, 2) == Lines{"no", "no"});  // without the option they are files as any
}

TEST_CASE("spooldir: ignoreExisting reads a file on that was begun") {
  const FlumeSpool spool;
  spool.put("a", "one\ntwo\n");
  spool.put("b", "no\n");
  spool.meta(FlumeMeta(spool.path("a")).store(4).bytes);
  CHECK(read_once(spool, 1, ignoring) == Lines{"two"});
  CHECK(fs::exists(spool.path("b")));
}

TEST_CASE("spooldir: a list of ignored files that cannot be read stays down, and is shown") {
  const Spool spool;
  spool.put("a", "no\n");
  CHECK(read_once(spool, 0, ignoring).empty());
  std::ofstream(spool.path(".flumespool/sluice-x1-ignored.json")) << "[{";
  Pipeline pipeline(spooldir_source, spool.settings(ignoring));
  const Status status = pipeline.start();
  CHECK(status.code() == Code::Invalid);
  CHECK(status.message().find("sluice-x1-ignored.json") != std::string::npos);
  CHECK(status.message().find("remove it to ignore what is there now") != std::string::npos);
}

}  // namespace
}  // namespace sluice

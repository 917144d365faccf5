// Files that the configuration names by relative paths: what is said of them is absolute, and what
// was kept of them under a relative path still counts.

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/pipeline.h"
#include "tests/support/spool.h"

namespace sluice {

extern const SourceType spooldir_source;
extern const SourceType taildir_source;

namespace {

namespace fs = std::filesystem;
using testing::CapturedLog;
using testing::Pipeline;
using testing::TempDirectory;
using Values = std::map<std::string, std::string>;

/// A working directory of its own, for as long as it lives.
class WorkingDirectory {
 public:
  WorkingDirectory() : before_(fs::current_path()) { fs::current_path(directory_.path("")); }
  ~WorkingDirectory() { fs::current_path(before_); }
  WorkingDirectory(const WorkingDirectory&) = delete;
  WorkingDirectory& operator=(const WorkingDirectory&) = delete;

  std::string path(const std::string& name) const { return directory_.path(name); }
  static void append(const std::string& name, std::string_view text) {
    std::ofstream(name, std::ios::binary | std::ios::app) << text;
  }
  static std::string content(const std::string& name) {
    std::stringstream text;
    text << std::ifstream(name, std::ios::binary).rdbuf();
    return text.str();
  }
  /// As a release wrote it that kept paths as the configuration spelt them.
  void make_relative(const std::string& name) const {
    std::string text = content(name);
    const std::string prefix = path("");
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(prefix, at)) != std::string::npos; ++found) {
      text.erase(at, prefix.size());
    }
    REQUIRE(found > 0);
    fs::remove(name);
    append(name, text);
  }

 private:
  const TempDirectory directory_;
  const fs::path before_;
};

/// Runs the source until it has read all. Each event: its body and its only header.
std::vector<std::string> read_once(const SourceType& type, const Values& settings,
                                   std::size_t events) {
  Pipeline::Options options;
  options.once = true;
  Pipeline pipeline(type, settings, std::move(options));
  REQUIRE(pipeline.start().ok());
  std::vector<std::string> all;
  const auto note = [&](const Event& event) {
    all.push_back(std::string(event.body) + " " + headers_of(event).at(0).second);
  };
  pipeline.take(events, note);
  REQUIRE(pipeline.wait_finished());
  pipeline.take(pipeline.channel.counters().stored.events.get(), note);
  return all;
}

TEST_CASE("TAILDIR: a relative path is absolute in headers and positions, and old ones count") {
  const CapturedLog log;
  const WorkingDirectory here;
  fs::create_directory("logs");
  WorkingDirectory::append("logs/app.log", "one\n");
  const Values settings{{"filegroups", "g"},
                        {"filegroups.g", GENERATE(R"(logs/app\.log)", R"(./logs/app\.log)")},
                        {"positionFile", "positions.json"},
                        {"fileHeader", "true"}};
  const std::string path = here.path("logs/app.log");
  CHECK(read_once(taildir_source, settings, 1) == std::vector{"one " + path});
  CHECK(WorkingDirectory::content("positions.json").find("\"file\":\"" + path + "\"") !=
        std::string::npos);
  here.make_relative("positions.json");
  WorkingDirectory::append("logs/app.log", "two\n");
  CHECK(read_once(taildir_source, settings, 1) == std::vector{"two " + path});
  CHECK_FALSE(log.has("the position file is not written"));
}

TEST_CASE("spooldir: a relative path is absolute in headers and positions, and old ones count") {
  const CapturedLog log;
  const WorkingDirectory here;
  fs::create_directory("spool");
  WorkingDirectory::append("spool/a", "one\ntwo\n\xFF\n");
  Values settings{{"spoolDir", GENERATE("spool", "./spool/")},
                  {"pollDelay", "10"},
                  {"fileHeader", "true"},
                  {"decodeErrorPolicy", "FAIL"}};
  const std::string path = here.path("spool/a");
  // Set aside at the third line, it keeps its position.
  CHECK(read_once(spooldir_source, settings, 2) == std::vector{"one " + path, "two " + path});
  const std::string positions = "spool/.flumespool/sluice-x1-positions.json";
  CHECK(WorkingDirectory::content(positions).find("\"file\":\"" + path + "\"") !=
        std::string::npos);
  here.make_relative(positions);
  settings["decodeErrorPolicy"] = "REPLACE";
  CHECK(read_once(spooldir_source, settings, 1) == std::vector{"\uFFFD " + path});
  CHECK(fs::exists("spool/a.COMPLETED"));
}

}  // namespace
}  // namespace sluice

// Files that cannot be read, and directories that cannot be written, for a while: only they wait,
// and nothing is lost or doubled.

#include <filesystem>
#include <fstream>

#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/faulty_files.h"
#include "tests/support/pipeline.h"
#include "tests/support/spool.h"

namespace sluice {

extern const SourceType spooldir_source;
extern const SourceType taildir_source;

namespace {

namespace fs = std::filesystem;
using testing::BadInput;
using testing::CapturedLog;
using testing::Pipeline;
using testing::ReadOnlyFiles;
using testing::Spool;
using testing::TempDirectory;
using testing::wait_for;
using Lines = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

Pipeline::Options options_with(BadInput& input, bool once = false) {
  Pipeline::Options options;
  options.input = &input;
  options.once = once;
  return options;
}

std::string numbered(int from, int to, Lines& lines) {
  std::string text;
  for (int i = from; i < to; ++i) {
    lines.push_back(std::to_string(i) + std::string(60, '.'));
    text += lines.back() + "\n";
  }
  return text;
}

/// Waits until reads have failed some more times.
bool wait_for_failures(const BadInput& input) {
  const std::uint64_t before = input.failures();
  return wait_for([&] { return input.failures() >= before + 3; });
}

class Logs {
 public:
  std::string path(const std::string& name) const { return directory_.path(name); }
  Values settings() const {
    return {{"filegroups", "g"},
            {"filegroups.g", path(R"(app\.log(\.\d+)?)")},
            {"positionFile", path("positions.json")},
            {"writePosInterval", "1"},
            {"maxBackoffSleep", "20"}};
  }
  void append(const std::string& name, std::string_view text) const {
    std::ofstream(path(name), std::ios::binary | std::ios::app) << text;
  }

 private:
  const TempDirectory directory_;
};

TEST_CASE("TAILDIR: a file that cannot be read waits, and is read on when it can") {
  // The whole file, or only what is behind its position.
  const std::uint64_t bad_from = GENERATE(0, 8);
  CAPTURE(bad_from);
  const CapturedLog log;
  const Logs logs;
  BadInput input;
  logs.append("app.log", "one\ntwo\n");
  Pipeline pipeline(taildir_source, logs.settings(), options_with(input));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(2) == Lines{"one", "two"});
  input.break_at("app.log", bad_from);
  logs.append("app.log", "three\n");
  logs.append("app.log.1", "other\n");
  CHECK(pipeline.read(1) == Lines{"other"});
  REQUIRE(wait_for_failures(input));
  CHECK(log.has("cannot read app.log: Input/output error (5); the file waits and is tried again"));
  CHECK(wait_for([&] { return pipeline.counters.read_failures.get() > 0; }));
  CHECK(pipeline.channel.counters().put.events.get() == 3);
  logs.append("app.log.1", "more\n");
  CHECK(pipeline.read(1) == Lines{"more"});
  input.mend();
  CHECK(pipeline.read(1) == Lines{"three"});
  logs.append("app.log", "four\n");
  CHECK(pipeline.read(1) == Lines{"four"});
  CHECK(log.wait_for_text("app.log can be read again, after"));
  pipeline.stop();
  CHECK(pipeline.channel.counters().put.events.get() == 6);
}

TEST_CASE("TAILDIR: a file that cannot be read at the start is read on from its position") {
  const Logs logs;
  BadInput input;
  logs.append("app.log", "one\n");
  {
    Pipeline pipeline(taildir_source, logs.settings(), options_with(input, true));
    REQUIRE(pipeline.start().ok());
    CHECK(pipeline.read(1) == Lines{"one"});
    REQUIRE(pipeline.wait_finished());
  }
  // It cannot be compared either, under its old name or another.
  const bool renamed = GENERATE(false, true);
  CAPTURE(renamed);
  const std::string name = renamed ? "app.log.7" : "app.log";
  fs::rename(logs.path("app.log"), logs.path(name));
  logs.append(name, "two\n");
  input.break_at(name, 0);
  Pipeline again(taildir_source, logs.settings(), options_with(input));
  REQUIRE(again.start().ok());
  REQUIRE(wait_for_failures(input));
  input.mend();
  CHECK(again.read(1) == Lines{"two"});
  again.stop();
  CHECK(again.channel.counters().put.events.get() == 1);
}

TEST_CASE("TAILDIR: a new file that cannot be read is not begun, for it may be a copy") {
  const Logs logs;
  BadInput input;
  logs.append("app.log", "one\ntwo\n");
  Pipeline pipeline(taildir_source, logs.settings(), options_with(input));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(2) == Lines{"one", "two"});
  input.break_at("app.log.1", 0);
  fs::copy(logs.path("app.log"), logs.path("app.log.1"));
  REQUIRE(wait_for_failures(input));
  input.mend();
  logs.append("app.log.2", "other\n");
  CHECK(pipeline.read(1) == Lines{"other"});
  // The copy that logrotate made is recognised by now, or will be: nothing comes twice.
  fs::resize_file(logs.path("app.log"), 0);
  logs.append("app.log", "three\n");
  CHECK(pipeline.read(1) == Lines{"three"});
  pipeline.stop();
  CHECK(pipeline.channel.counters().put.events.get() == 4);
}

TEST_CASE("TAILDIR: a deleted file that cannot be read is kept open until it can") {
  const Logs logs;
  BadInput input;
  logs.append("app.log", "one\n");
  Pipeline pipeline(taildir_source, logs.settings(), options_with(input));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"one"});
  fs::rename(logs.path("app.log"), logs.path("hidden"));
  logs.append("app.log.1", "other\n");
  CHECK(pipeline.read(1) == Lines{"other"});  // the scan has seen that the name went
  input.break_at("app.log", 0);
  logs.append("hidden", "two\n");
  fs::remove(logs.path("hidden"));
  REQUIRE(wait_for_failures(input));
  input.mend();
  CHECK(pipeline.read(1) == Lines{"two"});
}

TEST_CASE("TAILDIR: what cannot be read and is deleted meanwhile comes when it can be read") {
  const Logs logs;
  BadInput input;
  logs.append("app.log", "one\n");
  Pipeline pipeline(taildir_source, logs.settings(), options_with(input));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"one"});
  input.break_at("app.log", GENERATE(0, 4));
  logs.append("app.log", "two\n");
  REQUIRE(wait_for_failures(input));  // while it has its name
  fs::remove(logs.path("app.log"));
  REQUIRE(wait_for_failures(input));
  input.mend();
  CHECK(pipeline.read(1) == Lines{"two"});
}

TEST_CASE("TAILDIR: what cannot be read and is truncated meanwhile is said to be lost") {
  const CapturedLog log;
  const Logs logs;
  BadInput input;
  logs.append("app.log", "one\n");
  Pipeline pipeline(taildir_source, logs.settings(), options_with(input));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"one"});
  input.break_at("app.log", 4);
  logs.append("app.log", "two\n");
  REQUIRE(wait_for_failures(input));
  fs::resize_file(logs.path("app.log"), 0);
  CHECK(log.wait_for_text("app.log was truncated before its last 4 bytes could be read"));
  input.mend();
  logs.append("app.log", "three\n");
  CHECK(pipeline.read(1) == Lines{"three"});
}

TEST_CASE("spooldir: a file that cannot be read waits, and is read on when it can") {
  const std::uint64_t bad_from = GENERATE(0, 1'500'000);
  CAPTURE(bad_from);
  const CapturedLog log;
  const Spool spool;
  BadInput input;
  Lines written;
  spool.put("bad", numbered(0, 30'000, written), 60);
  spool.put("good", "end\n");
  input.break_at("bad", bad_from);
  Lines arrived;
  {
    Pipeline pipeline(spooldir_source, spool.settings(), options_with(input));
    REQUIRE(pipeline.start().ok());
    while (arrived.empty() || arrived.back() != "end") {
      for (std::string& body : pipeline.read(1)) arrived.push_back(std::move(body));
      REQUIRE_FALSE(arrived.empty());
    }
    arrived.pop_back();
    CHECK(arrived.empty() == (bad_from == 0));
    CHECK(spool.wait_for_file("good.COMPLETED"));
    REQUIRE(wait_for_failures(input));
    CHECK(
        log.has("/bad: cannot read bad: Input/output error (5); it is tried again, the other "
                "files are read on (failure 1)"));
    CHECK(pipeline.counters.read_failures.get() > 0);
    if (GENERATE(false, true)) {  // within one life of the source, or in the next
      input.mend();
      for (std::string& body : pipeline.read(written.size() - arrived.size())) {
        arrived.push_back(std::move(body));
      }
      CHECK(log.wait_for_text("/bad is in order again, after"));
    }
  }
  Pipeline again(spooldir_source, spool.settings(), options_with(input));
  REQUIRE(again.start().ok());
  if (arrived.size() < written.size()) REQUIRE(wait_for_failures(input));
  input.mend();
  for (std::string& body : again.read(written.size() - arrived.size())) {
    arrived.push_back(std::move(body));
  }
  CHECK(spool.wait_for_file("bad.COMPLETED"));
  again.stop();
  CHECK(again.read_rest().empty());
  CHECK((arrived == written));
}

TEST_CASE("spooldir: with --once a file that cannot be read is left for the next time") {
  const Spool spool;
  BadInput input;
  spool.put("bad", "one\n");
  input.break_at("bad", 0);
  Pipeline pipeline(spooldir_source, spool.settings(), options_with(input, true));
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.result.ok());
  CHECK(fs::exists(spool.path("bad")));
}

TEST_CASE("spooldir: what cannot be put away waits, and nothing of it comes twice") {
  const Values policy = GENERATE(Values{}, Values{{"deletePolicy", "immediate"}},
                                 Values{{"trackingPolicy", "tracker_dir"}});
  const CapturedLog log;
  const Spool spool;
  ReadOnlyFiles files(spool.path(""));
  Pipeline::Options options;
  options.files = &files;
  Pipeline pipeline(spooldir_source, spool.settings(policy), std::move(options));
  REQUIRE(pipeline.start().ok());
  files.refuses = true;
  spool.put("a", "one\n", 60);
  CHECK(pipeline.read(1) == Lines{"one"});
  REQUIRE(wait_for([&] { return files.refusals > 3; }));
  CHECK(log.has("Read-only file system (30); it is tried again, the other files are read on"));
  spool.put("b", "two\n");
  CHECK(pipeline.read(1) == Lines{"two"});
  CHECK(fs::exists(spool.path("a")));
  REQUIRE(log.wait_for_text("/b: cannot change"));
  files.refuses = false;
  CHECK(log.wait_for_text("/a is in order again, after"));
  CHECK(log.wait_for_text("/b is in order again, after"));
  const bool tracks = policy.contains("trackingPolicy");
  CHECK(fs::exists(spool.path("a")) == tracks);
  CHECK(fs::exists(spool.path("a.COMPLETED")) == policy.empty());
  CHECK(fs::exists(spool.path(".flumespool/a.COMPLETED")) == tracks);
  spool.put("c", "three\n");
  CHECK(pipeline.read(1) == Lines{"three"});
  pipeline.stop();
  CHECK(pipeline.channel.counters().put.events.get() == 3);
}

TEST_CASE("spooldir: of a directory that is never written only tracker_dir can read") {
  const Spool spool;
  const TempDirectory elsewhere;
  spool.put("a", "one\n");
  ReadOnlyFiles files(spool.path(""));
  files.refuses = true;
  Pipeline::Options options;
  options.files = &files;
  for (const Values& policy : {Values{}, Values{{"deletePolicy", "immediate"}}}) {
    Values settings = spool.settings(policy);
    settings["trackerDir"] = elsewhere.path("tracker");
    Pipeline pipeline(spooldir_source, settings, options);
    const Status status = pipeline.start();
    CHECK(status.code() == Code::Retry);
    CHECK(status.message().find("Read-only file system") != std::string::npos);
  }
  const std::uint64_t before = files.refusals;
  options.once = true;
  const auto tracked = spool.settings(
      {{"trackerDir", elsewhere.path("tracker")}, {"trackingPolicy", "tracker_dir"}});
  for (const Lines& lines : {Lines{"one"}, Lines{}}) {
    Pipeline pipeline(spooldir_source, tracked, options);
    REQUIRE(pipeline.start().ok());
    CHECK(pipeline.read(lines.size()) == lines);
    REQUIRE(pipeline.wait_finished());
    CHECK(pipeline.read_rest().empty());
  }
  CHECK(files.refusals == before);  // it did not even try
  CHECK(fs::exists(elsewhere.path("tracker/a.COMPLETED")));
  CHECK(fs::exists(spool.path("a")));
}

TEST_CASE("spooldir: what could not be put away the next start puts away and does not read") {
  const Spool spool;
  const TempDirectory elsewhere;
  const auto settings = spool.settings({{"trackerDir", elsewhere.path("tracker")}});
  ReadOnlyFiles files(spool.path(""));
  const auto options = [&](bool once) {
    Pipeline::Options with;
    with.files = &files;
    with.once = once;
    return with;
  };
  spool.put("a", "one\n");
  {
    Pipeline pipeline(spooldir_source, settings, options(true));
    REQUIRE(pipeline.start().ok());
    files.refuses = true;
    CHECK(pipeline.read(1) == Lines{"one"});
    REQUIRE(pipeline.wait_finished());  // --once does not wait for it
  }
  Pipeline refused(spooldir_source, settings, options(false));
  const Status status = refused.start();
  CHECK(status.code() == Code::Retry);
  CHECK(status.message().find("Read-only file system") != std::string::npos);
  refused.stop();
  files.refuses = false;
  Pipeline again(spooldir_source, settings, options(false));
  REQUIRE(again.start().ok());
  CHECK(spool.wait_for_file("a.COMPLETED"));
  again.stop();
  CHECK(again.channel.counters().put.events.get() == 0);
}

}  // namespace
}  // namespace sluice

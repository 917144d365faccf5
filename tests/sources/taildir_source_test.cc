#include <sys/inotify.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "sources/position_file.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/moved_clock.h"
#include "tests/support/pipeline.h"
#include "tests/support/source_rig.h"

namespace sluice {

extern const SourceType taildir_source;

namespace {

namespace fs = std::filesystem;
using testing::CapturedLog;
using testing::Pipeline;
using testing::TempDirectory;
using testing::wait_for;
using Lines = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

/// A directory of logs, and the settings of a source that follows them.
class Logs {
 public:
  std::string path(const std::string& name) const { return directory_.path(name); }
  Values settings(Values more = {}) const {
    more.insert({{"filegroups", "g"},
                 {"filegroups.g", path(R"(app\.log(\.\d+)?)")},
                 {"positionFile", path("positions.json")},
                 {"writePosInterval", "1"}});
    return more;
  }
  void append(const std::string& name, std::string_view text) const {
    std::ofstream(path(name), std::ios::binary | std::ios::app) << text;
  }
  void rename(const std::string& from, const std::string& to) const {
    fs::rename(path(from), path(to));
  }
  std::uint64_t size(const std::string& name) const { return fs::file_size(path(name)); }
  std::string positions() const {
    std::ifstream file(path("positions.json"));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool wait_for_position(std::uint64_t offset) const {
    const std::string wanted = "\"pos\":" + std::to_string(offset) + ",";
    return wait_for([&] { return positions().find(wanted) != std::string::npos; });
  }

 private:
  const TempDirectory directory_;
};

/// What is in the files when the source has caught up and ended.
Lines read_once(const Values& settings) {
  Pipeline pipeline(taildir_source, settings, {.once = true});
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.result.ok());
  return pipeline.read_rest();
}

TEST_CASE("TAILDIR: short lines come to the last one, though the file does not grow") {
  for (const std::size_t line_bytes : {1U, 3U, 9U, 14U, 30U}) {
    const Logs logs;
    constexpr std::size_t count = 60'000;
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text.append(line_bytes, 'x').push_back('\n');
    logs.append("app.log", text);
    CHECK(read_once(logs.settings()).size() == count);
  }
}

TEST_CASE("TAILDIR: lines are events as they come, and an unfinished one waits") {
  const Logs logs;
  logs.append("app.log", "one\ntwo\nunfini");
  Pipeline pipeline(taildir_source, logs.settings());
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(2) == Lines{"one", "two"});
  logs.append("app.log", "shed\n");
  CHECK(pipeline.read(1) == Lines{"unfinished"});
  logs.append("other.txt", "no\n");
  logs.append("app.log.1", "new\n");
  CHECK(pipeline.read(1) == Lines{"new"});
}

TEST_CASE("TAILDIR: a renamed file is read on under its new name, and only once") {
  const Logs logs;
  logs.append("app.log", "one\n");
  Pipeline pipeline(taildir_source, logs.settings());
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"one"});
  logs.rename("app.log", "app.log.1");
  logs.append("app.log.1", "two\n");
  logs.append("app.log", "three\n");
  Lines lines = pipeline.read(2);
  std::sort(lines.begin(), lines.end());
  CHECK(lines == Lines{"three", "two"});
  logs.rename("app.log", "hidden");
  logs.append("hidden", "four\n");
  CHECK(pipeline.read(1) == Lines{"four"});
}

TEST_CASE("TAILDIR: copytruncate repeats nothing and loses nothing") {
  const Logs logs;
  logs.append("app.log", "one\ntwo\n");
  Pipeline pipeline(taildir_source, logs.settings());
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(2) == Lines{"one", "two"});
  fs::copy(logs.path("app.log"), logs.path("app.log.1"));
  fs::resize_file(logs.path("app.log"), 0);
  logs.append("app.log", "three\n");
  CHECK(pipeline.read(1) == Lines{"three"});
  logs.append("app.log", "four\n");
  CHECK(pipeline.read(1) == Lines{"four"});
}

TEST_CASE("TAILDIR: a writer that does not append leaves a hole, which is no line") {
  const Logs logs;
  logs.append("app.log", "one\ntwo\n");
  Pipeline pipeline(taildir_source, logs.settings());
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(2) == Lines{"one", "two"});
  fs::resize_file(logs.path("app.log"), 0);
  fs::resize_file(logs.path("app.log"), 100'000);
  logs.append("app.log", "three\n");
  CHECK(pipeline.read(1) == Lines{"three"});
}

TEST_CASE("TAILDIR: hard and symbolic links to one file are one file") {
  const Logs logs;
  logs.append("app.log", "one\n");
  fs::create_hard_link(logs.path("app.log"), logs.path("app.log.1"));
  fs::create_symlink(logs.path("app.log"), logs.path("app.log.2"));
  CHECK(read_once(logs.settings()) == Lines{"one"});
}

TEST_CASE("TAILDIR: what a symbolic link leads to outside the directory is followed") {
  const Logs logs;
  const Logs elsewhere;
  elsewhere.append("target", "one\n");
  fs::create_symlink(elsewhere.path("target"), logs.path("app.log"));
  Pipeline pipeline(taildir_source, logs.settings());
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"one"});
  elsewhere.append("target", "two\n");
  CHECK(pipeline.read(1) == Lines{"two"});
}

TEST_CASE("TAILDIR: a position moves only when the sinks have committed") {
  const Logs logs;
  logs.append("app.log", "one\ntwo\n");
  {
    Pipeline pipeline(taildir_source, logs.settings());
    REQUIRE(pipeline.start().ok());
    REQUIRE(wait_for([&] { return pipeline.channel.counters().stored.events.get() == 2; }));
    REQUIRE(logs.wait_for_position(0));
  }
  CHECK(logs.positions().find("\"pos\":0,") != std::string::npos);
  {
    Pipeline again(taildir_source, logs.settings());
    REQUIRE(again.start().ok());
    CHECK(again.read(2) == Lines{"one", "two"});
    CHECK(logs.wait_for_position(8));
  }
  logs.append("app.log", "three\n");
  CHECK(read_once(logs.settings()) == Lines{"three"});
}

TEST_CASE("TAILDIR: what was not committed is read again, with another batch size too") {
  const Logs logs;
  Lines written;
  for (int i = 0; i < 20; ++i) {
    written.push_back(std::to_string(i));
    logs.append("app.log", written.back() + "\n");
  }
  for (const std::string batch_size : {"7", "3", "100"}) {
    Pipeline pipeline(taildir_source, logs.settings({{"batchSize", batch_size}}));
    REQUIRE(pipeline.start().ok());
    REQUIRE(wait_for([&] { return pipeline.channel.counters().stored.events.get() == 20; }));
    if (batch_size != "100") continue;
    CHECK(pipeline.read(20) == written);
    CHECK(logs.wait_for_position(logs.size("app.log")));
  }
  CHECK(read_once(logs.settings()).empty());
}

TEST_CASE("TAILDIR: line feeds on every edge of the reads and of the slabs") {
  const Logs logs;
  Lines written;
  std::string text;
  for (const std::size_t edge :
       {std::size_t{8} << 10, std::size_t{64} << 10, std::size_t{512} << 10}) {
    for (std::size_t bytes = edge - 3; bytes <= edge + 3; ++bytes) {
      // The line feed is byte number `bytes` behind a multiple of the edge.
      const std::size_t place = (text.size() / edge + 1) * edge + (bytes - edge);
      written.emplace_back(place - text.size(), static_cast<char>('a' + bytes % 26));
      text += written.back() + "\n";
    }
  }
  logs.append("app.log", text);
  CHECK((read_once(logs.settings()) == written));
}

TEST_CASE("TAILDIR: files that are there are read in the order in which they were written") {
  const Logs logs;
  const auto now = fs::file_time_type::clock::now();
  for (const auto& [name, age] :
       {std::pair("app.log", 10), std::pair("app.log.1", 30), std::pair("app.log.2", 20)}) {
    logs.append(name, name + std::string("\n"));
    fs::last_write_time(logs.path(name), now - std::chrono::seconds(age));
  }
  CHECK(read_once(logs.settings()) == Lines{"app.log.1", "app.log.2", "app.log"});
}

TEST_CASE("TAILDIR: what sinks commit after the source has ended moves the position too") {
  const Logs logs;
  logs.append("app.log", "one\n");
  CHECK(read_once(logs.settings()) == Lines{"one"});
  CHECK(logs.positions().find("\"pos\":4,") != std::string::npos);
  CHECK(read_once(logs.settings()).empty());
}

TEST_CASE("TAILDIR: a file that was rotated while the agent was down is read on") {
  const Logs logs;
  logs.append("app.log", "one\n");
  CHECK(read_once(logs.settings()) == Lines{"one"});
  logs.append("app.log", "two\n");
  logs.rename("app.log", "app.log.1");
  logs.append("app.log", "three\n");
  CHECK(read_once(logs.settings()) == Lines{"two", "three"});
  logs.append("app.log", "four\n");
  logs.rename("app.log", "old-app");
  CHECK(read_once(logs.settings()) == Lines{"four"});
}

TEST_CASE("TAILDIR: Flume's position file is read") {
  const Logs logs;
  logs.append("app.log", "one\ntwo\n");
  logs.append("app.log.1", "three\n");
  const auto inode = [&](const std::string& name) {
    return std::to_string(InputFiles::real().look(logs.path(name))->identity.inode);
  };
  logs.append("positions.json", "[{\"inode\":" + inode("app.log") + ",\"pos\":4,\"file\":\"" +
                                    logs.path("app.log") + "\"},{\"inode\":" + inode("app.log.1") +
                                    ",\"pos\":6,\"file\":\"" + logs.path("app.log.1") + "\"}]");
  CHECK(read_once(logs.settings()) == Lines{"two"});
  CHECK(read_once(logs.settings()).empty());
}

TEST_CASE("TAILDIR: a position file that is none is said and kept aside") {
  const CapturedLog log;
  const Logs logs;
  logs.append("app.log", "one\n");
  logs.append("positions.json", "[{\"inode\":1,\"pos\":");
  CHECK(read_once(logs.settings()) == Lines{"one"});
  CHECK(log.has("cannot be read: it is no list of positions; files are read from their beginning"));
  CHECK(fs::exists(logs.path("positions.json.unreadable")));
}

TEST_CASE("TAILDIR: skipToEnd begins at the end of what is there, and only of that") {
  const Logs logs;
  logs.append("app.log", "old\n");
  Pipeline pipeline(taildir_source, logs.settings({{"skipToEnd", "true"}}));
  REQUIRE(pipeline.start().ok());
  REQUIRE(logs.wait_for_position(4));
  logs.append("app.log", "new\n");
  logs.append("app.log.1", "other\n");
  Lines lines = pipeline.read(2);
  std::sort(lines.begin(), lines.end());
  CHECK(lines == Lines{"new", "other"});
}

TEST_CASE("TAILDIR: headers of the group, of the file and of the offset") {
  const Logs logs;
  logs.append("app.log", "one\r\ntwo\n");
  Pipeline pipeline(taildir_source, logs.settings({{"fileHeader", "true"},
                                                   {"fileHeaderKey", "path"},
                                                   {"headers.g.kind", "web"},
                                                   {"headers.h.kind", "db"},
                                                   {"byteOffsetHeader", "true"}}));
  REQUIRE(pipeline.start().ok());
  std::vector<std::string> seen;
  pipeline.take(2, [&](const Event& event) {
    std::string all(event.body);
    for (const auto& [name, value] : headers_of(event)) {
      all.append(" ").append(name).append("=").append(value);
    }
    seen.push_back(all);
  });
  const std::string shared = " path=" + logs.path("app.log") + " kind=web";
  CHECK(seen == std::vector<std::string>{"one byteoffset=0" + shared, "two byteoffset=5" + shared});
}

TEST_CASE("TAILDIR: carriage returns before a line feed go, unless they are to stay") {
  const Logs logs;
  logs.append("app.log", "a\r\nb\n\r\nc\rd\r\r\n");
  CHECK(read_once(logs.settings()) == Lines{"a", "b", "", "c\rd\r"});
  fs::remove(logs.path("positions.json"));
  CHECK(read_once(logs.settings({{"trimCR", "false"}})) == Lines{"a\r", "b", "\r", "c\rd\r\r"});
}

TEST_CASE("TAILDIR: a line of any length arrives, and one beyond maxLineLength in pieces") {
  const Logs logs;
  const std::string wide(3'000'000, 'w');
  logs.append("app.log", "a\n" + wide + "\nb\n" + std::string(2500, 'x') + "\n");
  CHECK(read_once(logs.settings()) == Lines{"a", wide, "b", std::string(2500, 'x')});
  fs::remove(logs.path("positions.json"));
  fs::resize_file(logs.path("app.log"), 0);
  logs.append("app.log", "a\n" + std::string(2500, 'x') + "\nb\n");
  CHECK(read_once(logs.settings({{"maxLineLength", "1024"}})) ==
        Lines{"a", std::string(1024, 'x'), std::string(1024, 'x'), std::string(452, 'x'), "b"});
}

TEST_CASE("TAILDIR: a long line that grows in small pieces arrives whole") {
  const Logs logs;
  Pipeline pipeline(taildir_source, logs.settings());
  REQUIRE(pipeline.start().ok());
  std::string line;
  for (int i = 0; i < 200; ++i) {
    const std::string piece(2000, static_cast<char>('a' + i % 26));
    line += piece;
    logs.append("app.log", piece);
  }
  logs.append("app.log", "\nend\n");
  CHECK(pipeline.read(2) == Lines{line, "end"});
}

TEST_CASE("TAILDIR: a long unfinished line that grows by much at once arrives whole") {
  const Logs logs;
  // One read a turn: what is read once more with more room must not end it.
  const bool one_read = GENERATE(false, true);
  Values settings = logs.settings();
  if (one_read) settings["maxBatchCount"] = "1";
  Pipeline pipeline(taildir_source, settings);
  REQUIRE(pipeline.start().ok());
  for (int i = 0; i < 5; ++i) {
    const std::string half(200'000, 'x');
    const std::string more(500'000 * i, 'y');
    logs.append("app.log", "begin\n" + half);
    CHECK(pipeline.read(1) == Lines{"begin"});
    logs.append("app.log", more + "\nend\n");
    const Lines rest = pipeline.read(2);
    REQUIRE(rest.size() == 2);
    CHECK(rest[0].size() == half.size() + more.size());
    CHECK(rest[1] == "end");
  }
}

TEST_CASE("TAILDIR: many files, each with a few lines, through a small channel") {
  const Logs logs;
  constexpr int files = 2000;
  for (int i = 0; i < files; ++i) {
    logs.append("app.log." + std::to_string(i), std::to_string(i) + "\nmore\nlines\n");
  }
  Pipeline::Options options;
  options.channel = {{.name = "c1", .capacity_events = 100}};
  Pipeline pipeline(taildir_source, logs.settings({{"writePosInterval", "1000"}}),
                    std::move(options));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(3 * files).size() == 3 * files);
  logs.append("app.log.77", "late\n");
  CHECK(pipeline.read(1) == Lines{"late"});
}

/// The system's, which counts how often it is asked: once a turn of the source.
class CountedWatch final : public DirectoryWatch {
 public:
  static inline std::atomic<std::uint64_t> waits{0};
  Status add(const std::string& directory) override { return watch_->add(directory); }
  Changes wait(Deadline deadline, const std::stop_token& stop) override {
    ++waits;
    return watch_->wait(deadline, stop);
  }
  static std::unique_ptr<DirectoryWatch> make() { return std::make_unique<CountedWatch>(); }

 private:
  const std::unique_ptr<DirectoryWatch> watch_ = DirectoryWatch::make();
};

TEST_CASE("TAILDIR: a deleted file's unfinished line is an event when its time is over") {
  const Logs logs;
  logs.append("app.log", "one\nunfinished");
  MovedClock clock;
  Pipeline::Options options;
  options.clock = &clock;
  options.make_watch = CountedWatch::make;
  // A clock that moves during a look would make that a long one.
  const auto advance = [&](int ms) {
    const std::uint64_t before = CountedWatch::waits;
    REQUIRE(wait_for([&] { return CountedWatch::waits >= before + 3; }));
    clock.advance(milliseconds(ms));
  };
  Pipeline pipeline(taildir_source,
                    logs.settings({{"idleTimeout", "60000"}, {"maxBackoffSleep", "20"}}),
                    std::move(options));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"one"});
  logs.append("app.log", "!");
  fs::remove(logs.path("app.log"));
  // Whoever has found the new file has seen that the other one is gone.
  logs.append("app.log.1", "other\n");
  CHECK(pipeline.read(1) == Lines{"other"});
  advance(59'999);
  logs.append("app.log.1", "more\n");
  CHECK(pipeline.read(1) == Lines{"more"});
  advance(1);
  CHECK(pipeline.read(1) == Lines{"unfinished!"});
  pipeline.stop();
  CHECK(pipeline.channel.counters().put.events.get() == 4);
}

/// Tells of nothing; counts how often it is asked and does not let anybody wait.
class BlindWatch final : public DirectoryWatch {
 public:
  static inline std::atomic<std::uint64_t> adds{0};   ///< One a look, with one directory.
  static inline std::atomic<std::uint64_t> waits{0};  ///< One a turn of the source.
  Status add(const std::string&) override {
    ++adds;
    return Retry("this system tells of nothing");
  }
  Changes wait(Deadline /*deadline*/, const std::stop_token& /*stop*/) override {
    ++waits;
    std::this_thread::yield();
    return {};
  }
  static std::unique_ptr<DirectoryWatch> make() { return std::make_unique<BlindWatch>(); }
};

TEST_CASE("TAILDIR: without a watch each look waits longer, and what comes makes it short again") {
  const Logs logs;
  const CapturedLog log;
  MovedClock clock;
  Pipeline::Options options;
  options.clock = &clock;
  options.make_watch = BlindWatch::make;
  Pipeline pipeline(taildir_source,
                    logs.settings({{"backoffSleepIncrement", "1000"}, {"maxBackoffSleep", "2500"}}),
                    std::move(options));
  BlindWatch::adds = 0;
  REQUIRE(pipeline.start().ok());
  // Three turns: everything that can happen at this time has happened.
  const auto settle = [] {
    const std::uint64_t before = BlindWatch::waits;
    REQUIRE(wait_for([&] { return BlindWatch::waits >= before + 3; }));
  };
  const auto looks_after = [&](int wait_ms) {
    settle();
    const std::uint64_t before = BlindWatch::adds;
    clock.advance(milliseconds(wait_ms - 1));
    settle();
    CHECK(BlindWatch::adds == before);
    clock.advance(milliseconds(1));
    settle();
    CHECK(BlindWatch::adds == before + 1);
  };
  for (const int wait_ms : {1000, 2000, 2500, 2500}) {
    CAPTURE(wait_ms);
    looks_after(wait_ms);
  }
  logs.append("app.log", "one\n");
  looks_after(2500);
  CHECK(pipeline.read(1) == Lines{"one"});
  looks_after(1000);
  looks_after(2000);
}

TEST_CASE("TAILDIR: maxBatchCount is how many reads a file has before the next one's turn") {
  // Lines that lie before the first one of the other file.
  const auto first_turn = [](const std::string& reads) {
    const Logs logs;
    for (const std::string name : {"app.log", "app.log.1"}) {
      const std::string line = name + std::string(500, '.') + "\n";
      std::string text;
      for (int i = 0; i < 10'000; ++i) text += line;
      logs.append(name, text);
    }
    const Lines lines = read_once(logs.settings({{"maxBatchCount", reads}}));
    REQUIRE(lines.size() == 20'000);
    const auto other = [&](const std::string& line) { return line != lines.front(); };
    return std::find_if(lines.begin(), lines.end(), other) - lines.begin();
  };
  // Reads are of several sizes, by what room there is.
  const auto two = first_turn("2");
  CHECK(first_turn("1") < two);
  CHECK(two < first_turn("5"));
}

TEST_CASE("TAILDIR: a pattern that is none stays down, and is shown") {
  const Logs logs;
  Values settings = logs.settings();
  settings["filegroups.g"] = logs.path("app.(log");
  Pipeline pipeline(taildir_source, settings);
  const Status status = pipeline.start();
  CHECK(status.code() == Code::Invalid);
  CHECK(status.message().find("'app.(log' is no regular expression") != std::string::npos);
}

TEST_CASE("TAILDIR: a directory that comes late is found") {
  const CapturedLog log;
  const Logs logs;
  Values settings = logs.settings({{"maxBackoffSleep", "50"}});
  settings["filegroups.g"] = logs.path("late/.*");
  Pipeline pipeline(taildir_source, settings);
  REQUIRE(pipeline.start().ok());
  REQUIRE(log.wait_for_text("cannot list"));
  fs::create_directory(logs.path("late"));
  logs.append("late/x", "one\n");
  CHECK(pipeline.read(1) == Lines{"one"});
}

/// The limit that the calls of inotify have reached; 0: none.
std::atomic<int> inotify_limit{0};
std::unique_ptr<DirectoryWatch> limited_watch() {
  const auto init = [](int flags) {
    errno = EMFILE;
    return inotify_limit == EMFILE ? -1 : ::inotify_init1(flags);
  };
  const auto add = [](int inotify, const char* path, std::uint32_t mask) {
    errno = ENOSPC;
    return inotify_limit == ENOSPC ? -1 : ::inotify_add_watch(inotify, path, mask);
  };
  return DirectoryWatch::make({init, add});
}

TEST_CASE("TAILDIR: without inotify files are looked at, until the system tells of them again") {
  const int limit = GENERATE(EMFILE, ENOSPC);
  CAPTURE(limit);
  const CapturedLog log;
  const Logs logs;
  logs.append("app.log", "one\n");
  inotify_limit = limit;
  Pipeline::Options options;
  options.make_watch = limited_watch;
  Pipeline pipeline(taildir_source, logs.settings({{"maxBackoffSleep", "40"}}), std::move(options));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"one"});
  CHECK(log.wait_for_text(limit == EMFILE ? "raise fs.inotify.max_user_instances"
                                          : "raise fs.inotify.max_user_watches"));
  CHECK(log.has("meanwhile files are looked at every 40 ms"));
  logs.append("app.log", "two\n");
  CHECK(pipeline.read(1) == Lines{"two"});
  logs.rename("app.log", "app.log.1");
  logs.append("app.log", "three\n");
  CHECK(pipeline.read(1) == Lines{"three"});
  inotify_limit = 0;
  CHECK(log.wait_for_text("the system tells of changes in all directories now"));
  logs.append("app.log", "four\n");
  CHECK(pipeline.read(1) == Lines{"four"});
}

Settings rig_settings(const Logs& logs) {
  return test_settings(*taildir_source.info, "source r1",
                       {{"filegroups", "g"},
                        {"filegroups.g", logs.path(R"(app\.log(\.\d+)?)")},
                        {"positionFile", logs.path("positions.json")}});
}

TEST_CASE("TAILDIR: behind a store the position goes with the events, exactly once") {
  const Logs logs;
  LateCommitter store({.seed = Catch::rngSeed() + 1, .refusals = 0.1});
  std::vector<std::string> arrived;
  std::vector<std::string> written;
  for (int round = 0; round < 5; ++round) {
    SourceRig rig(taildir_source, rig_settings(logs), {}, &store);
    REQUIRE(rig.open().ok());
    rig.start();
    for (int i = 0; i < 50; ++i) {
      written.push_back(std::to_string(round * 100 + i));
      logs.append("app.log", written.back() + "\n");
    }
    // Stopped somewhere in the middle: what is committed stays, and nothing else counts.
    for (auto& body : rig.take(10)) arrived.push_back(std::move(body));
    rig.stop();
    for (auto& body : rig.take(rig.channel().size_events())) arrived.push_back(std::move(body));
    if (round == 2) logs.rename("app.log", "app.log.1");
    fs::remove(logs.path("positions.json"));  // a report, no more
  }
  SourceRig rest(taildir_source, rig_settings(logs), {}, &store);
  REQUIRE(rest.open().ok());
  rest.start();
  for (auto& body : rest.take(written.size() - arrived.size())) arrived.push_back(std::move(body));
  rest.stop();
  CHECK(rest.channel().size_events() == 0);
  CHECK(arrived == written);
}

TEST_CASE("TAILDIR: a time behind a memory channel, between two behind a store, repeats nothing") {
  const Logs logs;
  LateCommitter store({.seed = Catch::rngSeed() + 1});
  const auto read = [&](LateCommitter* committer, const std::string& line) {
    logs.append("app.log", line + "\n");
    SourceRig rig(taildir_source, rig_settings(logs), {}, committer);
    REQUIRE(rig.open().ok());
    rig.start();
    auto bodies = rig.take(1);
    CHECK(bodies == Lines{line});
    rig.stop();
    CHECK(rig.channel().size_events() == 0);
  };
  read(&store, "one");
  read(nullptr, "two");
  read(nullptr, "three");
  read(&store, "four");
}

TEST_CASE("TAILDIR: lines of a stack trace are one event, the last one after its time") {
  const Logs logs;
  const Values settings =
      logs.settings({{"multiline.startPattern", R"(^\d)"}, {"multiline.timeout", "30"}});
  logs.append("app.log", "1 one\r\n at a\r\n at b\r\n2 two\n");
  Pipeline pipeline(taildir_source, settings);
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(2) == Lines{"1 one\r\n at a\r\n at b", "2 two"});
  logs.append("app.log", "3 three\n at c\n at unfini");
  CHECK(pipeline.read(1) == Lines{"3 three\n at c"});
  logs.append("app.log", "shed\n");
  CHECK(pipeline.read(1) == Lines{" at unfinished"});
  CHECK(logs.wait_for_position(logs.size("app.log")));
}

TEST_CASE("TAILDIR: a position never stands within a joined event") {
  const Logs logs;
  const Values settings =
      logs.settings({{"multiline.startPattern", R"(^\d)"}, {"multiline.timeout", "1h"}});
  logs.append("app.log", "1 one\n at a\n2 two\n at b\n");
  {
    Pipeline pipeline(taildir_source, settings);
    REQUIRE(pipeline.start().ok());
    CHECK(pipeline.read(1) == Lines{"1 one\n at a"});
    CHECK(logs.wait_for_position(std::string("1 one\n at a\n").size()));
  }
  logs.append("app.log", " at c\n3 three\n");
  Pipeline again(taildir_source, settings);
  REQUIRE(again.start().ok());
  CHECK(again.read(1) == Lines{"2 two\n at b\n at c"});
}

TEST_CASE("TAILDIR: rotation ends a group") {
  const Logs logs;
  const Values settings =
      logs.settings({{"multiline.startPattern", R"(^\d)"}, {"multiline.timeout", "30"}});
  Pipeline pipeline(taildir_source, settings);
  logs.append("app.log", "1 one\n at a\n");
  logs.rename("app.log", "app.log.1");
  logs.append("app.log", " at b\n2 two\n at c\n");
  REQUIRE(pipeline.start().ok());
  Lines events = pipeline.read(3);
  std::sort(events.begin(), events.end());
  CHECK(events == Lines{" at b", "1 one\n at a", "2 two\n at c"});
}

TEST_CASE("TAILDIR: with --once the last group is waited for") {
  const Logs logs;
  logs.append("app.log", "1 one\n at a\n");
  CHECK(read_once(logs.settings({{"multiline.startPattern", R"(^\d)"},
                                 {"multiline.timeout", "50"}})) == Lines{"1 one\n at a"});
}

TEST_CASE("TAILDIR: a start pattern that is none is said") {
  const Logs logs;
  Pipeline pipeline(taildir_source, logs.settings({{"multiline.startPattern", "("}}));
  const Status status = pipeline.start();
  CHECK(status.code() == Code::Invalid);
  CHECK(status.message().find("multiline.startPattern") != std::string::npos);
}

}  // namespace
}  // namespace sluice

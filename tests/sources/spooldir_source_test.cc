#include <filesystem>
#include <fstream>

#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/compressed.h"
#include "tests/support/pipeline.h"
#include "tests/support/source_rig.h"
#include "tests/support/spool.h"

namespace sluice {

extern const SourceType spooldir_source;

namespace {

namespace fs = std::filesystem;
using testing::CapturedLog;
using testing::Pipeline;
using testing::Spool;
using testing::wait_for;
using Lines = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

TEST_CASE("spooldir: lines are events, and a delivered file gets the suffix") {
  const Spool spool;
  spool.put("b", "three\nfour");
  spool.put("a", "one\r\ntwo\n", 60);
  Pipeline pipeline(spooldir_source, spool.settings());
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(4) == Lines{"one\r", "two", "three", "four"});
  CHECK(spool.wait_for_file("a.COMPLETED"));
  CHECK(spool.wait_for_file("b.COMPLETED"));
  spool.put("c", "five\n");
  CHECK(pipeline.read(1) == Lines{"five"});
}

TEST_CASE("spooldir: the line feed behind a last line without one outlives the next file") {
  const Spool spool;
  // Long enough that a channel keeps it where it was read.
  const std::string line(150'000, 'x');
  spool.put("a", line, 60);
  spool.put("b", "three\n");
  Pipeline pipeline(spooldir_source, spool.settings({{"deserializer.maxLineLength", "1000000"}}));
  REQUIRE(pipeline.start().ok());
  REQUIRE(wait_for([&] { return pipeline.channel.counters().stored.events.get() == 2; }));
  std::string text;
  pipeline.take(2, [&](const Event& event) {
    text.append(event.body.data(), event.body.size() + 1);  // what sinks write of a batch of lines
  });
  CHECK(text == line + "\nthree\n");
}

TEST_CASE("spooldir: a file is put away only when the sinks have committed it") {
  const Spool spool;
  spool.put("a", "one\ntwo\n");
  {
    Pipeline pipeline(spooldir_source, spool.settings());
    REQUIRE(pipeline.start().ok());
    REQUIRE(wait_for([&] { return pipeline.channel.counters().stored.events.get() == 2; }));
    pipeline.stop();
    CHECK(fs::exists(spool.path("a")));
  }
  Pipeline again(spooldir_source, spool.settings());
  REQUIRE(again.start().ok());
  CHECK(again.read(2) == Lines{"one", "two"});
  CHECK(spool.wait_for_file("a.COMPLETED"));
}

TEST_CASE(
    "spooldir: a file that grows until it is put away is set aside, and its tail is not lost") {
  const CapturedLog log;
  const Spool spool;
  spool.put("grown", "one\n", 60);
  spool.put("good", "two\n");
  {
    Pipeline pipeline(spooldir_source, spool.settings());
    REQUIRE(pipeline.start().ok());
    // Read to their ends, and not delivered yet.
    REQUIRE(wait_for([&] { return pipeline.channel.counters().stored.events.get() == 2; }));
    std::ofstream(spool.path("grown"), std::ios::app) << "more\n";
    CHECK(pipeline.read(2) == Lines{"one", "two"});
    CHECK(spool.wait_for_file("good.COMPLETED"));
    CHECK(
        log.wait_for_text("grown is set aside until the next start: it has changed since it was"));
    CHECK(fs::exists(spool.path("grown")));
  }
  Pipeline again(spooldir_source, spool.settings());
  REQUIRE(again.start().ok());
  CHECK(again.read(1) == Lines{"more"});
  CHECK(spool.wait_for_file("grown.COMPLETED"));
}

TEST_CASE("spooldir: a name that was used before is set aside, the rest goes on") {
  const CapturedLog log;
  const Spool spool;
  spool.put("used.COMPLETED", "");
  spool.put("used", "one\n", 60);
  spool.put("good", "two\n");
  Pipeline pipeline(spooldir_source, spool.settings());
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(2) == Lines{"one", "two"});
  CHECK(spool.wait_for_file("good.COMPLETED"));
  CHECK(log.wait_for_text("the name was used for two files"));
  CHECK(fs::exists(spool.path("used")));
}

TEST_CASE("spooldir: a file that changes while it is read is set aside") {
  const CapturedLog log;
  const Spool spool;
  std::string many;
  for (int i = 0; i < 200; ++i) many += std::to_string(i) + "\n";
  spool.put("grows", many, 60);
  Pipeline::Options options;
  options.channel = {{.name = "c1", .capacity_events = 10}};
  Pipeline pipeline(spooldir_source, spool.settings(), std::move(options));
  REQUIRE(pipeline.start().ok());
  REQUIRE(wait_for([&] { return pipeline.channel.counters().stored.events.get() == 10; }));
  std::ofstream(spool.path("grows"), std::ios::app) << "more\n";
  spool.put("good", "two\n");
  CHECK(pipeline.read(202).back() == "two");
  CHECK(log.wait_for_text("grows is set aside until the next start: it has changed"));
}

TEST_CASE("spooldir: deletePolicy, tracker directory, recursion, patterns, order") {
  const Spool spool;
  fs::create_directory(spool.path("sub"));
  fs::create_directory(spool.path(".hidden"));
  spool.put("sub/deep.log", "deep\n", 10);
  spool.put(".hidden/x.log", "hidden\n");
  spool.put("young.log", "young\n");
  spool.put("old.log", "old\n", 100);
  spool.put("tmp.log", "ignored\n");
  spool.put("notes.txt", "not included\n");
  Pipeline::Options options;
  options.once = true;
  // --once ends when all is put away, so somebody must take the events.
  options.channel = {{.name = "c1", .capacity_events = 100}};
  const auto settings = spool.settings({{"recursiveDirectorySearch", "true"},
                                        {"includePattern", R"(.*\.log)"},
                                        {"ignorePattern", "tmp.*"},
                                        {"consumeOrder", "youngest"},
                                        {"trackingPolicy", "tracker_dir"}});
  Pipeline pipeline(spooldir_source, settings, std::move(options));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(3) == Lines{"young", "deep", "old"});
  REQUIRE(pipeline.wait_finished());
  CHECK(fs::exists(spool.path(".flumespool/sub/deep.log.COMPLETED")));
  CHECK(fs::exists(spool.path("old.log")));
  Pipeline nothing(spooldir_source, settings, {.once = true});
  REQUIRE(nothing.start().ok());
  REQUIRE(nothing.wait_finished());
  CHECK(nothing.read_rest().empty());
}

TEST_CASE("spooldir: consumeOrder random is an order of its own, and leaves nothing out") {
  const Spool spool;
  Lines names;
  for (int i = 100; i < 130; ++i) {
    names.push_back(std::to_string(i));
    spool.put(names.back(), names.back() + "\n", 1000 - i);
  }
  Pipeline pipeline(spooldir_source, spool.settings({{"consumeOrder", "random"}}));
  REQUIRE(pipeline.start().ok());
  Lines lines = pipeline.read(names.size());
  CHECK(lines != names);
  CHECK(lines != Lines(names.rbegin(), names.rend()));
  std::sort(lines.begin(), lines.end());
  CHECK(lines == names);
}

TEST_CASE("spooldir: deletePolicy immediate removes what was delivered") {
  const Spool spool;
  spool.put("a", "one\n");
  spool.put("empty", "");
  Pipeline pipeline(spooldir_source, spool.settings({{"deletePolicy", "immediate"}}));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"one"});
  CHECK(wait_for([&] { return !fs::exists(spool.path("a")) && !fs::exists(spool.path("empty")); }));
}

TEST_CASE("spooldir: files of one age come by their names, whichever age is first") {
  const auto now = fs::file_time_type::clock::now();
  for (const std::string order : {"oldest", "youngest"}) {
    const Spool spool;
    for (const char* const name : {"c", "a", "d", "b"}) {
      spool.put(name, name + std::string("\n"));
      fs::last_write_time(spool.path(name), now);
    }
    Pipeline pipeline(spooldir_source, spool.settings({{"consumeOrder", order}}));
    REQUIRE(pipeline.start().ok());
    CHECK(pipeline.read(4) == Lines{"a", "b", "c", "d"});
  }
}

TEST_CASE("spooldir: a file without a byte is put away like any other, and once") {
  for (const std::string tracking : {"rename", "tracker_dir"}) {
    const Spool spool;
    spool.put("empty", "", 60);
    spool.put("full", "one\n");
    const auto settings = spool.settings({{"trackingPolicy", tracking}});
    Pipeline::Options options;
    options.once = true;
    Pipeline pipeline(spooldir_source, settings, std::move(options));
    REQUIRE(pipeline.start().ok());
    CHECK(pipeline.read(1) == Lines{"one"});
    REQUIRE(pipeline.wait_finished());
    CHECK(pipeline.read_rest().empty());
    const std::string done = tracking == "rename" ? "" : ".flumespool/";
    CHECK(fs::exists(spool.path(done + "empty.COMPLETED")));
    CHECK(fs::exists(spool.path(done + "full.COMPLETED")));
    CHECK(fs::exists(spool.path("empty")) == (tracking != "rename"));
  }
}

TEST_CASE("spooldir: a full channel holds the source up and does not end it") {
  const Spool spool;
  std::string many;
  for (int i = 0; i < 50; ++i) many += std::to_string(i) + "\n";
  spool.put("many", many, 60);
  Pipeline::Options options;
  options.channel = {{.name = "c1", .capacity_events = 10}};
  Pipeline pipeline(spooldir_source, spool.settings(), std::move(options));
  REQUIRE(pipeline.start().ok());
  REQUIRE(wait_for([&] { return pipeline.channel.counters().put_waits.get() > 0; }));
  CHECK(pipeline.channel.size_events() == 10);
  CHECK(pipeline.read(50).back() == "49");
  spool.put("next", "next\n");
  CHECK(pipeline.read(1) == Lines{"next"});
  CHECK(spool.wait_for_file("many.COMPLETED"));
}

TEST_CASE("spooldir: long lines are cut as Flume cuts them") {
  const Spool spool;
  spool.put("a", std::string(5000, 'x') + "\nend\n");
  Pipeline pipeline(spooldir_source, spool.settings());
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(4) ==
        Lines{std::string(2048, 'x'), std::string(2048, 'x'), std::string(904, 'x'), "end"});
}

TEST_CASE("spooldir: a blob is a file, or pieces of it") {
  const Spool spool;
  const std::string bytes = std::string("\0\n", 2) + std::string(700'000, 'b');
  spool.put("a", bytes, 60);
  spool.put("b", "0123456789");
  Pipeline whole(spooldir_source,
                 spool.settings({{"deserializer", "BLOB"}, {"includePattern", "a"}}));
  REQUIRE(whole.start().ok());
  CHECK(whole.read(1) == Lines{bytes});
  whole.stop();
  Pipeline pieces(spooldir_source, spool.settings({{"deserializer", "BLOB"},
                                                   {"includePattern", "b"},
                                                   {"deserializer.maxBlobLength", "4"}}));
  REQUIRE(pieces.start().ok());
  CHECK(pieces.read(3) == Lines{"0123", "4567", "89"});
}

TEST_CASE("spooldir: headers with the path and the name") {
  const Spool spool;
  spool.put("a", "one\n");
  Pipeline pipeline(spooldir_source,
                    spool.settings({{"fileHeader", "true"}, {"basenameHeader", "true"}}));
  REQUIRE(pipeline.start().ok());
  TestHeaders headers;
  pipeline.take(1, [&](const Event& event) { headers = headers_of(event); });
  CHECK(headers == TestHeaders{{"file", spool.path("a")}, {"basename", "a"}});
  CHECK(spool.wait_for_file("a.COMPLETED"));
  pipeline.stop();
  spool.put("b", "two\n");
  Pipeline renamed(spooldir_source, spool.settings({{"fileHeader", "true"},
                                                    {"fileHeaderKey", "path"},
                                                    {"basenameHeader", "true"},
                                                    {"basenameHeaderKey", "name"}}));
  REQUIRE(renamed.start().ok());
  renamed.take(1, [&](const Event& event) { headers = headers_of(event); });
  CHECK(headers == TestHeaders{{"path", spool.path("b")}, {"name", "b"}});
}

TEST_CASE(
    "spooldir: a directory that is not there is tried again, a deserializer that is not is said") {
  Pipeline pipeline(spooldir_source, {{"spoolDir", "/no/such/directory"}});
  CHECK(pipeline.start().code() == Code::Retry);
  pipeline.stop();
  const Spool spool;
  Pipeline own(spooldir_source, spool.settings({{"deserializer", "com.example.My$Builder"}}));
  CHECK(own.start().code() == Code::Invalid);
}

TEST_CASE("spooldir: behind a store each line is there exactly once, over restarts") {
  const Spool spool;
  LateCommitter store({.seed = Catch::rngSeed() + 2, .refusals = 0.1});
  std::vector<std::string> arrived;
  std::vector<std::string> written;
  for (int file = 0; file < 6; ++file) {
    std::string text;
    for (int i = 0; i < 300; ++i) {
      written.push_back(std::to_string(file * 1000 + i));
      text += written.back() + "\n";
    }
    spool.put("f" + std::to_string(file), text, 60 - file);
  }
  const auto settings = test_settings(*spooldir_source.info, "source r1",
                                      {{"spoolDir", spool.path("")}, {"pollDelay", "10"}});
  while (arrived.size() < written.size()) {
    SourceRig::Options options;
    options.channel.capacity_events = 50;
    SourceRig rig(spooldir_source, settings, std::move(options), &store);
    REQUIRE(rig.open().ok());
    rig.start();
    const std::size_t some = std::min<std::size_t>(400, written.size() - arrived.size());
    for (auto& body : rig.take(some)) arrived.push_back(std::move(body));
    rig.stop();
    for (auto& body : rig.take(rig.channel().size_events())) arrived.push_back(std::move(body));
  }
  CHECK(arrived == written);
}

TEST_CASE("spooldir: lines of a stack trace are one event") {
  const Spool spool;
  spool.put("a", " first\nS one\n at a\n at b\nS two\n at c", 60);
  spool.put("b", " at d\nS three\n");
  Pipeline pipeline(spooldir_source, spool.settings({{"multiline.startPattern", "^S"}}));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(5) ==
        Lines{" first", "S one\n at a\n at b", "S two\n at c", " at d", "S three"});
  CHECK(spool.wait_for_file("b.COMPLETED"));
  Pipeline blobs(spooldir_source,
                 spool.settings({{"multiline.startPattern", "^S"}, {"deserializer", "BLOB"}}));
  CHECK(blobs.start().code() == Code::Invalid);
}

TEST_CASE("spooldir: joined events have bounds, in lines, bytes and the channel's transactions") {
  const Spool spool;
  std::string text = "S\n";
  for (int i = 0; i < 1200; ++i) text += "line\n";
  spool.put("a", text);
  Pipeline::Options options;
  options.channel = {{.name = "c1", .capacity_events = 2}};
  Pipeline pipeline(spooldir_source, spool.settings({{"multiline.startPattern", "^S"}}),
                    std::move(options));
  REQUIRE(pipeline.start().ok());
  const Lines events = pipeline.read(3);
  REQUIRE(events.size() == 3);
  CHECK(std::count(events[0].begin(), events[0].end(), '\n') == 499);
  CHECK(std::count(events[2].begin(), events[2].end(), '\n') == 200);
  CHECK(events[0] + "\n" + events[1] + "\n" + events[2] + "\n" == text);
}

TEST_CASE("spooldir: gzip and zstd files are read as what is in them") {
  const Spool spool;
  spool.put("a.gz", testing::gzip("one\ntwo\n") + testing::gzip("three"), 60);
  spool.put("b.zst", testing::zstd("four\nfive\n"), 50);
  Pipeline pipeline(spooldir_source, spool.settings());
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(5) == Lines{"one", "two", "three", "four", "five"});
  CHECK(spool.wait_for_file("b.zst.COMPLETED"));
  pipeline.stop();
  const std::string bytes = testing::gzip("six\n");
  spool.put("c.gz", bytes);
  Pipeline plain(spooldir_source,
                 spool.settings({{"compression", "none"}, {"deserializer.maxLineLength", "1000"}}));
  REQUIRE(plain.start().ok());
  CHECK(plain.read(1).front().starts_with("\x1f\x8b\x08"));
}

TEST_CASE("spooldir: blobs are files as they are, unless compression is asked for") {
  const Spool spool;
  const std::string text(700'000, 'b');
  spool.put("a", testing::gzip(text));
  Pipeline plain(spooldir_source, spool.settings({{"deserializer", "BLOB"}}));
  REQUIRE(plain.start().ok());
  CHECK(plain.read(1) == Lines{testing::gzip(text)});
  CHECK(spool.wait_for_file("a.COMPLETED"));
  plain.stop();
  spool.put("b", testing::gzip(text));
  Pipeline content(spooldir_source,
                   spool.settings({{"deserializer", "BLOB"}, {"compression", "auto"}}));
  REQUIRE(content.start().ok());
  CHECK(content.read(1) == Lines{text});
}

TEST_CASE("spooldir: a damaged archive costs itself, and what could be read is delivered") {
  const CapturedLog log;
  const Spool spool;
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i * 7919) + "\n";
  const std::string whole = testing::gzip(text);
  spool.put("torn.gz", whole.substr(0, whole.size() / 2), 60);
  spool.put("good", "end\n");
  Lines events;
  {
    Pipeline pipeline(spooldir_source, spool.settings());
    REQUIRE(pipeline.start().ok());
    while (events.empty() || events.back() != "end") {
      for (std::string& body : pipeline.read(1)) events.push_back(std::move(body));
      REQUIRE_FALSE(events.empty());
    }
    CHECK(spool.wait_for_file("good.COMPLETED"));
  }
  events.pop_back();
  CHECK(events.size() > 10'000);
  CHECK(
      log.has("torn.gz is set aside until the next start: its compressed content ends too early"));
  std::string joined;
  for (const std::string& body : events) joined += body + "\n";
  joined.pop_back();
  CHECK(text.starts_with(joined));
  // The next start repeats nothing of it.
  spool.put("more", "end\n");
  Pipeline again(spooldir_source, spool.settings());
  REQUIRE(again.start().ok());
  CHECK(again.read(1) == Lines{"end"});
}

TEST_CASE("spooldir: behind a store each line of an archive is there exactly once") {
  const Spool spool;
  LateCommitter store({.seed = Catch::rngSeed() + 5, .refusals = 0.1});
  Lines arrived;
  Lines written;
  std::string text;
  for (int i = 0; i < 60'000; ++i) {
    written.push_back(std::to_string(i));
    text += written.back() + "\n";
  }
  spool.put("a.gz", testing::gzip(text));
  const auto settings = test_settings(*spooldir_source.info, "source r1",
                                      {{"spoolDir", spool.path("")}, {"pollDelay", "10"}});
  for (int starts = 0; arrived.size() < written.size() && starts < 100; ++starts) {
    SourceRig::Options options;
    options.channel.capacity_events = 500;
    SourceRig rig(spooldir_source, settings, std::move(options), &store);
    REQUIRE(rig.open().ok());
    rig.start();
    const std::size_t some = std::min<std::size_t>(9000, written.size() - arrived.size());
    for (auto& body : rig.take(some)) arrived.push_back(std::move(body));
    rig.stop();
    for (auto& body : rig.take(rig.channel().size_events())) arrived.push_back(std::move(body));
  }
  CHECK(arrived == written);
}

std::string shared_file(const std::string& name) {
  const char* const shared = std::getenv("SLUICE_SHARED");
  std::ifstream file(std::string(shared != nullptr ? shared : "../shared") + "/data/" + name,
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// "ab\n" as "a\0b\0\n\0", or the other way round.
std::string utf16(std::string_view ascii, bool little) {
  std::string text;
  for (const char c : ascii) text += little ? std::string{c, '\0'} : std::string{'\0', c};
  return text;
}

TEST_CASE("spooldir: files of another charset become UTF-8") {
  const Spool spool;
  spool.put("a", "\xC4\xE3\xBA\xC3\n\nplain\r\n\xCA\xC0\xBD\xE7", 60);
  Pipeline pipeline(spooldir_source, spool.settings({{"inputCharset", "GBK"}}));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(4) == Lines{"你好", "", "plain\r", "世界"});
  CHECK(spool.wait_for_file("a.COMPLETED"));
  pipeline.stop();
  spool.put("b", "caf\xE9\n");
  Pipeline latin(spooldir_source, spool.settings({{"inputCharset", "ISO-8859-1"}}));
  REQUIRE(latin.start().ok());
  CHECK(latin.read(1) == Lines{"café"});
}

TEST_CASE("spooldir: outputCharset lets its own charset pass, and another one is warned of") {
  const std::string text = "\xC4\xE3\xBA\xC3";
  const Spool spool;
  spool.put("a", text + "\n");
  const CapturedLog log;
  const std::string warned = "deserializer.outputCharset = Big5 has no effect: events are UTF-8";
  {
    Pipeline same(spooldir_source,
                  spool.settings({{"inputCharset", "GBK"}, {"deserializer.outputCharset", "gbk"}}));
    REQUIRE(same.start().ok());
    CHECK(same.read(1) == Lines{text});
    CHECK(spool.wait_for_file("a.COMPLETED"));
    CHECK_FALSE(log.has("outputCharset"));
  }
  spool.put("b", text + "\n");
  Pipeline third(spooldir_source,
                 spool.settings({{"inputCharset", "GBK"}, {"deserializer.outputCharset", "Big5"}}));
  REQUIRE(third.start().ok());
  CHECK(third.read(1) == Lines{"你好"});
  CHECK(log.has(warned));
}

TEST_CASE("spooldir: a real GBK file is what the C library makes of it") {
  const std::string gbk = shared_file("loongcollector-gbk.txt");
  if (gbk.empty()) return;  // the shared data is not there
  const Spool spool;
  spool.put("a", gbk);
  Pipeline pipeline(spooldir_source, spool.settings({{"inputCharset", "GB18030"}}));
  REQUIRE(pipeline.start().ok());
  const Lines lines = pipeline.read(3);
  CHECK(lines.front().starts_with("iLogtail 为可观测场景而生，拥有的轻量级"));
}

TEST_CASE("spooldir: UTF-16 in either order, with its mark, is cut at its own line feeds") {
  const Spool spool;
  // U+0A0A and U+0A00 have the bytes of a line feed within.
  const std::string tricky = std::string("\x0A\x0A\x0A\x00", 4);
  spool.put("a", "\xFF\xFE" + utf16("one\ntwo", true), 60);
  spool.put("b", "\xFE\xFF" + utf16("three\n", false) + tricky + utf16("\nfour\n", false), 50);
  spool.put("c", utf16("five\n", false), 40);
  Pipeline pipeline(spooldir_source, spool.settings({{"inputCharset", "UTF-16"}}));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(6) == Lines{"one", "two", "three", "\u0A0A\u0A00", "four", "five"});
  CHECK(spool.wait_for_file("c.COMPLETED"));
  pipeline.stop();
  spool.put("d", utf16("S six\n at\nS seven\n", true));
  Pipeline little(spooldir_source,
                  spool.settings({{"inputCharset", "utf-16le"}, {"multiline.startPattern", "^S"}}));
  REQUIRE(little.start().ok());
  CHECK(little.read(2) == Lines{"S six\n at", "S seven"});
}

TEST_CASE("spooldir: decodeErrorPolicy FAIL sets a file aside at the line, behind what is good") {
  const CapturedLog log;
  const Spool spool;
  spool.put("bad",
            "good\nb\xFF\xFF"
            "d\nnever\n",
            60);
  spool.put("other", "end\n");
  const auto settings = spool.settings({{"inputCharset", "GBK"}});
  {
    Pipeline pipeline(spooldir_source, settings);
    REQUIRE(pipeline.start().ok());
    CHECK(pipeline.read(2) == Lines{"good", "end"});
    CHECK(spool.wait_for_file("other.COMPLETED"));
    CHECK(log.has("bad is set aside until the next start: the line at byte 5"));
  }
  // What was delivered is not delivered again, and another policy reads the rest.
  Pipeline replacing(spooldir_source,
                     spool.settings({{"inputCharset", "GBK"}, {"decodeErrorPolicy", "REPLACE"}}));
  REQUIRE(replacing.start().ok());
  CHECK(replacing.read(2) == Lines{"b\uFFFD\uFFFDd", "never"});
  CHECK(spool.wait_for_file("bad.COMPLETED"));
  replacing.stop();
  spool.put("more", "\xC4\xE3x\xFF\n\xC4");
  Pipeline ignoring(spooldir_source,
                    spool.settings({{"inputCharset", "GBK"}, {"decodeErrorPolicy", "IGNORE"}}));
  REQUIRE(ignoring.start().ok());
  CHECK(ignoring.read(2) == Lines{"你x", ""});
}

TEST_CASE("spooldir: a long line of another charset is cut between its characters") {
  const Spool spool;
  std::string gbk;
  for (int i = 0; i < 1000; ++i) gbk += "a\xC4\xE3";
  spool.put("a", gbk + "\nend\n");
  Pipeline pipeline(spooldir_source, spool.settings({{"inputCharset", "GBK"},
                                                     {"deserializer.maxLineLength", "100"}}));
  REQUIRE(pipeline.start().ok());
  std::string joined;
  Lines lines;
  while (lines.empty() || lines.back() != "end") {
    for (std::string& body : pipeline.read(1)) lines.push_back(std::move(body));
    REQUIRE_FALSE(lines.empty());
    if (lines.back() != "end") joined += lines.back();
  }
  std::string wanted;
  for (int i = 0; i < 1000; ++i) wanted += "a你";
  CHECK(joined == wanted);
}

TEST_CASE("spooldir: UTF-8 passes as it is, or as decodeErrorPolicy wants it") {
  const std::string line =
      "b\xFF"
      "d \xE4\xBD\xA0";
  const Spool spool;
  const auto read = [&](const std::string& name, Values settings) {
    spool.put(name, line + "\n");
    Pipeline pipeline(spooldir_source, spool.settings(std::move(settings)));
    REQUIRE(pipeline.start().ok());
    const Lines lines = pipeline.read(1);
    CHECK(spool.wait_for_file(name + ".COMPLETED"));
    return lines;
  };
  CHECK(read("a", {}) == Lines{line});
  CHECK(read("b", {{"decodeErrorPolicy", "REPLACE"}}) == Lines{"b\uFFFDd 你"});
  CHECK(read("c", {{"decodeErrorPolicy", "IGNORE"}}) == Lines{"bd 你"});
  CHECK(read("d", {{"inputCharset", "us-ascii"}, {"decodeErrorPolicy", "IGNORE"}}) == Lines{"bd "});
  const CapturedLog log;
  spool.put("e", line + "\n");
  Pipeline failing(spooldir_source, spool.settings({{"decodeErrorPolicy", "FAIL"}}));
  REQUIRE(failing.start().ok());
  CHECK(testing::wait_for([&] { return log.has("e is set aside until the next start"); }));
}

TEST_CASE("spooldir: a charset that nobody knows is said") {
  const Spool spool;
  Pipeline unknown(spooldir_source, spool.settings({{"inputCharset", "no-such-charset"}}));
  const Status status = unknown.start();
  CHECK(status.code() == Code::Invalid);
  CHECK(status.message().find("no-such-charset") != std::string::npos);
}

TEST_CASE("spooldir: behind a store each decoded line is there exactly once, over restarts") {
  const Spool spool;
  LateCommitter store({.seed = Catch::rngSeed() + 7, .refusals = 0.1});
  Lines arrived;
  Lines written;
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    written.push_back("第" + std::to_string(i) + "行");
    text += "\xB5\xDA" + std::to_string(i) + "\xD0\xD0\n";
  }
  spool.put("a.gz", testing::gzip(text));
  const auto settings =
      test_settings(*spooldir_source.info, "source r1",
                    {{"spoolDir", spool.path("")}, {"pollDelay", "10"}, {"inputCharset", "GBK"}});
  for (int starts = 0; arrived.size() < written.size() && starts < 100; ++starts) {
    SourceRig::Options options;
    options.channel.capacity_events = 50;
    SourceRig rig(spooldir_source, settings, std::move(options), &store);
    REQUIRE(rig.open().ok());
    rig.start();
    const std::size_t some = std::min<std::size_t>(400, written.size() - arrived.size());
    for (auto& body : rig.take(some)) arrived.push_back(std::move(body));
    rig.stop();
    for (auto& body : rig.take(rig.channel().size_events())) arrived.push_back(std::move(body));
  }
  CHECK(arrived == written);
}

}  // namespace
}  // namespace sluice

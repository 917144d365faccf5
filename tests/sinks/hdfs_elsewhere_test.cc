// The hdfs sink with files that lie elsewhere: gathered here, there only when they are complete,
// and there once, whatever breaks and whose answer is lost.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sinks/file_book.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/hdfs_model.h"
#include "tests/support/seeds.h"

namespace sluice {
namespace {

using namespace testing;

constexpr const char* remote = "hdfs://nn:8020/out/";

TEST_CASE("nothing is seen elsewhere before a file is complete, and then all of it") {
  FakeStorage storage;
  Driven it({{"hdfs.rollCount", "2"}}, &storage);
  REQUIRE(it.deliver({"a", "b"}).status.ok());
  it.sink().tend();
  CHECK(storage.files().empty());
  REQUIRE(it.deliver({"c"}).status.ok());
  it.sink().tend();
  CHECK(storage.files() == std::map<std::string, std::string>{
                               {remote + std::string("FlumeData.1700000000001"), "a\nb\n"}});
  it.sink().close();
  CHECK(storage.files().size() == 2);
  // Neither spools nor files in use are left here.
  for (const std::string& name : it.names()) CHECK(name.find(".spool") == name.npos);
}

TEST_CASE("a name that is taken elsewhere keeps its file") {
  FakeStorage storage;
  storage.put(remote + std::string("FlumeData.1700000000001"), "another's");
  Driven it({}, &storage);
  REQUIRE(it.deliver({"a"}).status.ok());
  it.sink().close();
  CHECK(storage.files() == std::map<std::string, std::string>{
                               {remote + std::string("FlumeData.1700000000001"), "another's"},
                               {remote + std::string("FlumeData.1700000000002"), "a\n"}});
}

TEST_CASE("two agents with the same names do not meet while they write") {
  FakeStorage storage;
  Driven one({}, &storage);
  Driven other({{"hdfs.emptyInUseSuffix", "true"}}, &storage);
  REQUIRE(one.deliver({"a"}).status.ok());
  REQUIRE(other.deliver({"b"}).status.ok());
  one.sink().close();
  other.sink().close();
  std::string all;
  for (const auto& [name, content] : storage.files()) all += content;
  CHECK(all == "a\nb\n");
}

TEST_CASE("what waits for a file system that is away is bounded") {
  FakeStorage storage;
  storage.working_percent(0);
  Driven it({{"hdfs.rollCount", "1"}, {"hdfs.backlogSize", "3"}}, &storage);
  REQUIRE(it.deliver({"aa"}).status.ok());
  REQUIRE(it.deliver({"bb"}).status.ok());
  it.sink().tend();
  REQUIRE(it.deliver({"cc"}).status.ok());
  it.sink().tend();
  const Delivery refused = it.deliver({"dd"});
  CHECK(refused.status.code() == Code::Retry);
  INFO(refused.status.message());
  CHECK(refused.status.message().find("wait") != std::string::npos);
  storage.working_percent(100);
  it.clock.advance(milliseconds(180'000));
  it.sink().tend();
  CHECK(it.deliver({"dd"}).status.ok());
  it.sink().close();
  CHECK(storage.files().size() == 4);
}

TEST_CASE("what could not be sent before the end is sent by the next agent") {
  FakeStorage storage;
  Driven it({{"hdfs.rollCount", "1"}}, &storage);
  storage.working_percent(0);
  REQUIRE(it.deliver({"a"}).status.ok());
  it.sink().close();
  storage.working_percent(100);
  it.start();
  it.sink().tend();
  it.sink().close();
  std::string all;
  for (const auto& [name, content] : storage.files()) {
    if (!name.ends_with(".tmp")) all += content;
  }
  CHECK(all == "a\n");
}

TEST_CASE("threads send several files at once, and close waits for them") {
  FakeStorage storage;
  Driven it({{"hdfs.rollCount", "1"}, {"hdfs.threadsPoolSize", "3"}}, &storage);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(it.deliver({std::to_string(i)}).status.ok());
    it.sink().tend();
  }
  it.sink().close();
  std::set<std::string> seen;
  for (const auto& [name, content] : storage.files()) seen.insert(content);
  CHECK(seen.size() == 50);
}

TEST_CASE("a file of another file system stays in the book, and is said") {
  FakeFileSystem files;
  ManualClock clock;
  SinkCounters counters;
  files.put_file("/state/hdfs/k1.files", "");
  const auto book = make_journal_book(files, "/state/hdfs/k1.files");
  REQUIRE(book->read().ok());
  REQUIRE(book->begin(std::vector<BookedFile>{{0, "hdfs://old:8020/a.tmp", "hdfs://old:8020/a",
                                               "/state/s.spool", "plain"}})
              .ok());
  files.put_file("/state/s.spool", "a\n");
  FakeStorage storage;
  CapturedLog log;
  const auto sink =
      make_sink(hdfs_settings(), {counters, files, clock, nullptr, "/state"}, &storage);
  REQUIRE(sink->open({}).ok());
  sink->tend();
  sink->close();
  CHECK(storage.files().empty());
  CHECK(log.text().find("hdfs://old:8020/a was left") != std::string::npos);
  CHECK(files.files().at("/state/s.spool") == "a\n");
  const auto again = make_journal_book(files, "/state/hdfs/k1.files")->read();
  REQUIRE(again.ok());
  CHECK(again.value().size() == 1);
}

TEST_CASE("buckets with one directory under two names do not write over each other") {
  FakeStorage storage;
  Driven it({{"hdfs.path", "/out/%{h}"}}, &storage);
  BatchBuilder builder(it.pool, EventHeaders::Own);
  builder.renew(4096);
  REQUIRE(builder.append("one", encoded({{"h", "x"}})));
  REQUIRE(builder.append("two", encoded({{"h", "x/"}})));
  REQUIRE(it.deliver(builder.seal()).status.ok());
  it.sink().close();
  std::set<std::string> contents;
  for (const auto& [name, content] : storage.files()) contents.insert(content);
  CHECK(contents == std::set<std::string>{"one\n", "two\n"});
}

TEST_CASE("what is in a spool that is not there is not forgotten") {
  FakeFileSystem files;
  ManualClock clock;
  SinkCounters counters;
  SmallStore store(files);
  FakeStorage storage;
  const auto book = make_note_book(store, "hdfs/k1/", "/state/hdfs/k1");
  REQUIRE(book->read().ok());
  REQUIRE(book->begin(std::vector<BookedFile>{{0, "hdfs://nn:8020/out/a.1.tmp",
                                               "hdfs://nn:8020/out/a.1",
                                               "/state/hdfs/k1/t-1-0.spool", "plain", 4}})
              .ok());
  for (const bool there : {false, true}) {
    // Another state directory, into which somebody has moved what was in the old one.
    if (there) files.put_file("/moved/hdfs/k1/t-1-0.spool", "abc\nnot delivered");
    CapturedLog log;
    const auto sink =
        make_sink(hdfs_settings(), {counters, files, clock, &store, "/moved"}, &storage);
    REQUIRE(sink->open({}).ok());
    sink->close();
    CHECK(log.has("is not there, and 4 bytes were delivered into it") == !there);
  }
  CHECK(storage.files() == std::map<std::string, std::string>{{"hdfs://nn:8020/out/a.1", "abc\n"}});
}

TEST_CASE("an address in a header is part of a path here") {
  Driven it({{"hdfs.path", "/out/%{url}"}, {"hdfs.fileType", "DataStream"}});
  Driven compressed({{"hdfs.path", "/out/%{url}"},
                     {"hdfs.fileType", "CompressedStream"},
                     {"hdfs.codeC", "gzip"}});
  for (Driven* const each : {&it, &compressed}) {
    REQUIRE(each->deliver({"a"}, {{"url", "hdfs://x/y"}}).status.ok());
    each->sink().close();
    REQUIRE(each->names().size() == 1);
    CHECK(each->names().front().find("/out/hdfs://x/y/FlumeData.1700000000001") == 0);
    CHECK_FALSE(each->names().front().ends_with(".tmp"));
  }
}

TEST_CASE("files that are kept for another cluster are none of those that are open") {
  FakeFileSystem files;
  ManualClock clock;
  SinkCounters counters;
  SlabPool pool(64 * 1024);
  SmallStore store(files);
  FakeStorage storage;
  const auto book = make_note_book(store, "hdfs/k1/", "/state/hdfs/k1");
  REQUIRE(book->read().ok());
  std::vector<BookedFile> old;
  for (std::uint32_t i = 0; i < 9; ++i) {
    const std::string name = "hdfs://old:8020/" + std::to_string(i);
    old.push_back(
        {i, name + ".tmp", name, "/state/hdfs/k1/" + std::to_string(i) + ".spool", "plain", 4});
  }
  REQUIRE(book->begin(old).ok());
  const Settings settings = hdfs_settings({{"hdfs.path", "/out/%{n}"}, {"hdfs.maxOpenFiles", "3"}});
  const auto durable = make_sink(settings, {counters, files, clock, &store, "/state"}, &storage);
  REQUIRE(durable->open({}).ok());
  class Ignored final : public DeliveryListener {
   public:
    void delivered(std::uint32_t, Delivery delivery) override { CHECK(delivery.status.ok()); }
  } ignored;
  for (int i = 0; i < 5; ++i) {
    const Batch batch = batch_of(pool, {"x"}, {{"n", std::to_string(i)}});
    durable->deliver(batch, {}, DeliveryDone(ignored, 0));
    durable->hurry();
  }
  CHECK(store.note("hdfs/k1/0").value_or("").find("old:8020") != std::string::npos);
}

void check_all_there_once(const Model& model, bool leaves_none) {
  std::map<std::uint64_t, int> seen;
  for (const auto& [path, content] : model.output()) {
    INFO(path << ": " << content);
    if (path.ends_with(".tmp")) {
      REQUIRE_FALSE(leaves_none);
      continue;
    }
    for (const std::string& each : lines_of(content)) {
      CHECK(path.find("/out/" + std::to_string(std::stoull(each) % 3) + "/") == 0);
      ++seen[std::stoull(each)];
    }
  }
  CHECK(seen.size() == model.put_so_far());
  for (const auto& [number, times] : seen) CHECK(times == 1);
}

TEST_CASE("every event is in a file elsewhere once, whatever dies, breaks off and gets lost") {
  for (std::uint64_t seed = 1; seed <= seeds(200); ++seed) {
    INFO("seed " << seed);
    const Settings settings = hdfs_settings({{"hdfs.path", "/out/%{n}"},
                                             {"hdfs.rollCount", "7"},
                                             {"hdfs.rollInterval", "2"},
                                             {"hdfs.threadsPoolSize", seed % 4 == 0 ? "3" : "0"}});
    Model model(settings, seed, true);
    // Files of calls that come late belong to nobody.
    const bool late = seed % 2 == 0;
    if (late) model.storage.calls_come_late();
    live_and_die(model);
    check_all_there_once(model, !late);
  }
}

}  // namespace
}  // namespace sluice

// Files in directories by time and header: when they begin and end, what they are called, and that
// every event is in one of them once, whatever breaks in between.

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "sinks/catalog.h"
#include "tests/catch.h"
#include "tests/support/hdfs_model.h"
#include "tests/support/late_committer.h"
#include "tests/support/seeds.h"
#include "tests/support/sink_rig.h"

namespace sluice {
namespace {

using namespace testing;

const std::string start_ms = "1700000000000";  // 14 November 2023 22:13:20 UTC
/// The n-th name of a bucket that began at the start.
std::string numbered_name(int n) { return "FlumeData." + std::to_string(1'700'000'000'000 + n); }
const std::string first = numbered_name(1);

TEST_CASE(
    "a file has a name of its own while it is written, and its final one when it is complete") {
  Driven it;
  REQUIRE(it.deliver({"a", "b"}).status.ok());
  CHECK(it.names() == std::vector<std::string>{"/out/" + first + ".tmp"});
  CHECK(it.files.content() == "a\nb\n");
  CHECK(it.files.paths() == std::set<std::string>{"/out"});
  it.sink().close();
  CHECK(it.names() == std::vector<std::string>{"/out/" + first});
  CHECK(it.files.content() == "a\nb\n");
}

TEST_CASE("names have all the parts that the file says") {
  Driven it({{"hdfs.path", "file:///data/"},
             {"hdfs.filePrefix", "%{host}-log"},
             {"hdfs.fileSuffix", ".txt"},
             {"hdfs.inUsePrefix", "_"},
             {"hdfs.inUseSuffix", ".part"}});
  REQUIRE(it.deliver({"a"}, {{"host", "web1"}}).status.ok());
  CHECK(it.names().front() == "/data/_web1-log.1700000000001.txt.part");
  it.sink().close();
  CHECK(it.names().front() == "/data/web1-log.1700000000001.txt");
  Driven bare({{"hdfs.emptyInUseSuffix", "true"}, {"hdfs.inUseSuffix", ".part"}});
  REQUIRE(bare.deliver({"a"}).status.ok());
  CHECK(bare.names().front() == "/out/" + first);
  bare.sink().close();
  CHECK(bare.file("/out/" + first) == "a\n");
}

TEST_CASE("serializers write what Flume's write into a DataStream") {
  Driven headers({{"serializer", "header_and_text"}});
  REQUIRE(headers.deliver({"b"}, {{"k", "v"}, {"l", ""}}).status.ok());
  CHECK(headers.files.content() == "{k=v, l=} b\n");
  Driven joined({{"serializer.appendNewline", "false"}});
  REQUIRE(joined.deliver({"a", "b"}).status.ok());
  CHECK(joined.files.content() == "ab");
}

TEST_CASE("events go to the directories of their headers and their time") {
  Driven it({{"hdfs.path", "/out/%{host}/%H%M"}, {"hdfs.timeZone", "UTC"}});
  REQUIRE(it.deliver({"a"}, {{"host", "x"}, {"timestamp", start_ms}}).status.ok());
  REQUIRE(it.deliver({"b"}, {{"host", "y"}, {"timestamp", start_ms}}).status.ok());
  REQUIRE(it.deliver({"c"}, {{"host", "x"}, {"timestamp", "1700000060000"}}).status.ok());
  REQUIRE(it.deliver({"d"}, {{"host", "x"}, {"timestamp", start_ms}}).status.ok());
  CHECK(it.file("/out/x/2213/" + first + ".tmp") == "a\nd\n");
  CHECK(it.file("/out/y/2213/" + first + ".tmp") == "b\n");
  CHECK(it.file("/out/x/2214/" + first + ".tmp") == "c\n");
}

TEST_CASE("one batch may fill files of several buckets") {
  Driven it({{"hdfs.path", "/out/%{n}"}});
  BatchBuilder builder(it.pool, EventHeaders::Own);
  builder.renew(4096);
  for (int i = 0; i < 9; ++i) {
    REQUIRE(builder.append(std::to_string(i), encoded({{"n", std::to_string(i % 3)}})));
  }
  REQUIRE(it.deliver(builder.seal()).status.ok());
  CHECK(it.file("/out/0/" + first + ".tmp") == "0\n3\n6\n");
  CHECK(it.file("/out/1/" + first + ".tmp") == "1\n4\n7\n");
  CHECK(it.file("/out/2/" + first + ".tmp") == "2\n5\n8\n");
}

TEST_CASE("an event that belongs nowhere is rejected and the others are written") {
  Driven it({{"hdfs.path", "/out/%Y"}});
  BatchBuilder builder(it.pool, EventHeaders::Own);
  builder.renew(4096);
  for (int i = 0; i < 4; ++i) {
    const std::string own = i % 2 == 0 ? encoded({{"timestamp", start_ms}}) : "";
    REQUIRE(builder.append(std::to_string(i), own));
  }
  const Delivery outcome = it.deliver(builder.seal());
  CHECK(outcome.status.ok());
  CHECK(outcome.rejected == std::vector<std::uint32_t>{1, 3});
  CHECK(outcome.rejected_because.find("timestamp") != std::string::npos);
  CHECK(it.files.content() == "0\n2\n");
  // A batch of nothing else makes no file.
  CHECK(it.deliver({"x", "y"}).rejected.size() == 2);
  CHECK(it.names().size() == 1);
}

TEST_CASE("counts are exact, within a batch and over batches") {
  Driven it({{"hdfs.rollCount", "4"}});
  REQUIRE(it.deliver(numbered(it.pool, 0, 3)).status.ok());
  REQUIRE(it.deliver(numbered(it.pool, 3, 7)).status.ok());
  it.sink().tend();
  CHECK(it.file("/out/" + numbered_name(1)) == "0\n1\n2\n3\n");
  // As in Flume the last event that fits does not end it, the next one does.
  CHECK(it.file("/out/" + numbered_name(2)) == "4\n5\n6\n7\n");
  CHECK(it.file("/out/" + numbered_name(3) + ".tmp") == "8\n9\n");
}

TEST_CASE("sizes are of bodies, without headers and line feeds") {
  Driven it({{"hdfs.rollSize", "10"}, {"serializer", "header_and_text"}});
  REQUIRE(it.deliver({"12345", "6789", "0", "next"}, {{"h", "long enough"}}).status.ok());
  it.sink().tend();
  CHECK(it.file("/out/" + numbered_name(1)) ==
        "{h=long enough} 12345\n{h=long enough} 6789\n{h=long enough} 0\n");
  CHECK(it.file("/out/" + numbered_name(2) + ".tmp") == "{h=long enough} next\n");
}

TEST_CASE("a file ends after its interval, with and without new events") {
  Driven it({{"hdfs.rollInterval", "30"}});
  REQUIRE(it.deliver({"a"}).status.ok());
  it.clock.advance(milliseconds(29'999));
  it.sink().tend();
  CHECK(it.file("/out/" + first + ".tmp") == "a\n");
  it.clock.advance(milliseconds(1));
  it.sink().tend();
  CHECK(it.file("/out/" + first) == "a\n");
  // The next file has a number of its own, from the clock.
  REQUIRE(it.deliver({"b"}).status.ok());
  CHECK(it.file("/out/FlumeData.1700000030001.tmp") == "b\n");
  it.clock.advance(milliseconds(30'000));
  REQUIRE(it.deliver({"c"}).status.ok());  // before anybody has looked at the clock
  it.sink().tend();
  CHECK(it.file("/out/FlumeData.1700000030001") == "b\n");
  CHECK(it.file("/out/FlumeData.1700000030002.tmp") == "c\n");
}

TEST_CASE("a file without new events ends after the idle timeout") {
  Driven it({{"hdfs.idleTimeout", "20"}, {"hdfs.path", "/out/%{n}"}});
  REQUIRE(it.deliver({"a"}, {{"n", "1"}}).status.ok());
  REQUIRE(it.deliver({"b"}, {{"n", "2"}}).status.ok());
  it.clock.advance(milliseconds(15'000));
  REQUIRE(it.deliver({"c"}, {{"n", "1"}}).status.ok());
  it.clock.advance(milliseconds(5'000));
  it.sink().tend();
  CHECK(it.file("/out/1/" + first + ".tmp") == "a\nc\n");
  CHECK(it.file("/out/2/" + first) == "b\n");
  it.clock.advance(milliseconds(15'000));
  it.sink().tend();
  CHECK(it.file("/out/1/" + first) == "a\nc\n");
}

TEST_CASE("the file that was written longest ago is finished when too many are open") {
  Driven it({{"hdfs.maxOpenFiles", "2"}, {"hdfs.path", "/out/%{n}"}});
  for (const char* n : {"1", "2", "1", "3"}) {
    REQUIRE(it.deliver({n}, {{"n", n}}).status.ok());
    it.sink().tend();
  }
  CHECK(it.file("/out/2/" + first) == "2\n");
  CHECK(it.file("/out/1/" + first + ".tmp") == "1\n1\n");
  CHECK(it.file("/out/3/" + first + ".tmp") == "3\n");
}

TEST_CASE("names that are taken keep their files") {
  Driven it({{"hdfs.rollCount", "1"}});
  it.files.put_file("/out/" + numbered_name(1), "old\n");
  it.files.put_file("/out/" + numbered_name(2) + ".tmp", "other's\n");
  REQUIRE(it.deliver({"a"}).status.ok());
  CHECK(it.file("/out/" + numbered_name(3) + ".tmp") == "a\n");
  // Somebody takes the name while the file is written.
  it.files.put_file("/out/" + numbered_name(3), "late\n");
  it.sink().close();
  CHECK(it.file("/out/" + numbered_name(1)) == "old\n");
  CHECK(it.file("/out/" + numbered_name(2) + ".tmp") == "other's\n");
  CHECK(it.file("/out/" + numbered_name(3)) == "late\n");
  CHECK(it.file("/out/" + numbered_name(4)) == "a\n");
}

TEST_CASE("a full disk leaves nothing of a batch in any of its files") {
  Driven it({{"hdfs.path", "/out/%{n}"}, {"hdfs.rollCount", "3"}});
  const auto batch = [&](int from) {
    BatchBuilder builder(it.pool, EventHeaders::Own);
    builder.renew(4096);
    for (int i = from; i < from + 10; ++i) {
      REQUIRE(builder.append(std::to_string(i), encoded({{"n", std::to_string(i % 2)}})));
    }
    return builder.seal();
  };
  REQUIRE(it.deliver(batch(10)).status.ok());
  it.sink().tend();
  const std::string before = it.files.content();
  for (std::uint64_t bytes = 0; bytes < 30; ++bytes) {
    it.files.bytes_left(bytes);
    CHECK(it.deliver(batch(20)).status.code() == Code::Retry);
    CHECK(it.files.content() == before);
  }
  it.files.bytes_left(UINT64_MAX / 2);
  REQUIRE(it.deliver(batch(20)).status.ok());
  it.sink().close();
  for (const auto& [path, content] : it.files.files()) {
    INFO(path << " " << content);
    CHECK(std::count(content.begin(), content.end(), '\n') <= 3);
    CHECK_FALSE(path.ends_with(".tmp"));
  }
  CHECK(it.file("/out/0/" + numbered_name(2)) == "16\n18\n20\n");
  CHECK(it.names().size() == 8);
}

TEST_CASE("a torn tail that cannot be cut off holds the file back until it can") {
  Driven it;
  REQUIRE(it.deliver({"a"}).status.ok());
  it.files.bytes_left(3);
  it.files.truncate_works(false);
  CHECK(it.deliver({"bb", "cc"}).status.code() == Code::Retry);
  it.files.bytes_left(UINT64_MAX / 2);
  CHECK(it.deliver({"bb", "cc"}).status.code() == Code::Retry);
  it.files.truncate_works(true);
  REQUIRE(it.deliver({"bb", "cc"}).status.ok());
  CHECK(it.files.content() == "a\nbb\ncc\n");
}

TEST_CASE("a file that cannot be finished is tried again, and the others are not held up") {
  Driven it({{"hdfs.rollCount", "1"}, {"hdfs.retryInterval", "60"}});
  REQUIRE(it.deliver({"a"}).status.ok());
  REQUIRE(it.deliver({"b"}).status.ok());
  it.files.rename_works(false);
  it.sink().tend();
  it.files.rename_works(true);
  it.sink().tend();
  CHECK(it.file("/out/" + first + ".tmp") == "a\n");
  REQUIRE(it.deliver({"c"}).status.ok());
  it.sink().tend();
  CHECK(it.file("/out/" + numbered_name(2)) == "b\n");
  it.clock.advance(milliseconds(60'000));
  it.sink().tend();
  CHECK(it.file("/out/" + first) == "a\n");
}

TEST_CASE("a file that somebody took away while it was written is given up") {
  Driven it({{"hdfs.rollInterval", "1"}});
  REQUIRE(it.deliver({"a"}).status.ok());
  REQUIRE(it.files.remove("/out/" + first + ".tmp").ok());
  it.clock.advance(milliseconds(1000));
  it.sink().tend();
  REQUIRE(it.deliver({"b"}).status.ok());
  it.sink().close();
  CHECK(it.files.content() == "b\n");
}

// ---- Exactly once

Settings model_settings() {
  return hdfs_settings(
      {{"hdfs.path", "/out/%{n}"}, {"hdfs.rollCount", "7"}, {"hdfs.rollInterval", "2"}});
}

TEST_CASE("every event is in a file once, whatever dies and is refused in between") {
  for (std::uint64_t seed = 1; seed <= seeds(400); ++seed) {
    INFO("seed " << seed);
    Model model(model_settings(), seed);
    live_and_die(model);
    check_once(model, lines_of);
  }
}

TEST_CASE("at the start what does not count is cut, and what was left gets its final name") {
  Model model(model_settings(), 1);
  model.put(5);
  while (model.committed.size() < 5) model.step();
  model.put(5);
  for (int i = 0; i < 3; ++i) model.step();
  model.crash(false);
  REQUIRE(model.start());
  std::string all;
  for (const auto& [path, content] : model.files.files()) {
    CHECK_FALSE(path.ends_with(".tmp"));
    all += content;
  }
  CHECK(static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n')) ==
        model.committed.size());
}

/// Keeps what ended, so that the test says when it is committed.
class Kept final : public DeliveryListener {
 public:
  void delivered(std::uint32_t, Delivery delivery) override {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::move(delivery));
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return all_.size();
  }
  void tell(std::size_t i, const Status& status) {
    const std::lock_guard lock(mutex_);
    CHECK(all_.at(i).status.ok());
    all_[i].committed(status);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Delivery> all_;
};

TEST_CASE("events that come again before their commit is known to be refused are not doubled") {
  FakeFileSystem files;
  LateCommitter store({.together = 1});
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SinkCounters counters;
  const auto sink = find_type(sink_types(), "hdfs")
                        ->make(hdfs_settings(), {counters, files, Clock::system(), &store});
  REQUIRE(sink->open({}).ok());
  Kept kept;
  const Batch batch = numbered(pool, 0, 3);
  sink->deliver(batch, {}, DeliveryDone(kept, 0));
  sink->hurry();
  REQUIRE(kept.size() == 1);
  std::atomic<bool> again{false};
  std::jthread runner([&] {
    again = true;
    sink->deliver(batch, {}, DeliveryDone(kept, 0));
    sink->hurry();
  });
  // Time enough to be in there, where it waits.
  REQUIRE(eventually([&] { return again.load(); }));
  for (int i = 0; i < 10'000; ++i) std::this_thread::yield();
  kept.tell(0, Retry("refused"));
  runner.join();
  REQUIRE(kept.size() == 2);
  kept.tell(1, {});
  sink->close();
  CHECK(files.content() == "0\n1\n2\n");
}

TEST_CASE("a directory that somebody has removed holds up nobody else") {
  FakeFileSystem files;
  LateCommitter store({.together = 1});
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SinkCounters counters;
  const auto sink = find_type(sink_types(), "hdfs")
                        ->make(hdfs_settings({{"hdfs.path", "/out/%{d}"}}),
                               {counters, files, Clock::system(), &store});
  REQUIRE(sink->open({}).ok());
  class Outcome final : private DeliveryListener {
   public:
    Status of(Sink& to, const Batch& batch) {
      to.deliver(batch, {}, DeliveryDone(*this, 0));
      to.hurry();
      if (delivery_.committed) delivery_.committed({});
      return delivery_.status;
    }

   private:
    void delivered(std::uint32_t, Delivery delivery) override { delivery_ = std::move(delivery); }
    Delivery delivery_;
  } outcome;
  files.sync_works(false);
  CHECK_FALSE(outcome.of(*sink, batch_of(pool, {"a"}, {{"d", "gone"}})).ok());
  files.sync_works(true);
  files.remove_directory("/out/gone");
  CHECK(outcome.of(*sink, batch_of(pool, {"b"}, {{"d", "here"}})).message() == "");
  // Nor when a file of another one is complete.
  CHECK(outcome.of(*sink, batch_of(pool, {"c"}, {{"d", "gone too"}})).ok());
  files.remove_directory("/out/gone too");
  sink->close();
  REQUIRE(files.files().size() == 1);
  CHECK(files.files().begin()->first.ends_with(".tmp") == false);
  CHECK(files.content() == "b\n");
}

TEST_CASE("with a runner and commits that come late or are refused") {
  for (const double refusals : {0.0, 0.2}) {
    FakeFileSystem files;
    LateCommitter store({.seed = 3, .refusals = refusals});
    SlabPool pool{64 * 1024, keep_no_free_slabs};
    MemoryChannel channel(roomy_channel(), pool);
    SinkCounters counters;
    const auto sink = find_type(sink_types(), "hdfs")
                          ->make(hdfs_settings({{"hdfs.rollCount", "50"}}),
                                 {counters, files, Clock::system(), &store});
    SinkRunner runner({.name = "sink k1",
                       .committer = &store,
                       .backoff_first = milliseconds(1),
                       .backoff_max = milliseconds(5)},
                      channel, *sink, counters);
    std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
    for (std::uint64_t i = 0; i < 2000; i += 10) REQUIRE(put(channel, numbered(pool, i, 10)));
    channel.close();
    thread.join();
    std::vector<std::uint64_t> numbers;
    for (const auto& [path, content] : files.files()) {
      CHECK_FALSE(path.ends_with(".tmp"));
      std::size_t begin = 0;
      for (std::size_t end = content.find('\n'); end != content.npos;
           end = content.find('\n', begin)) {
        numbers.push_back(std::stoull(content.substr(begin, end - begin)));
        begin = end + 1;
      }
    }
    std::sort(numbers.begin(), numbers.end());
    REQUIRE(numbers.size() == 2000);
    for (std::uint64_t i = 0; i < 2000; ++i) CHECK(numbers[i] == i);
  }
}

// ---- What `check` says

std::string findings(Values values) {
  std::string all;
  const Settings settings = hdfs_settings(values);
  for (const Finding& each : settings.info().judge(settings)) {
    if (each.severity == Severity::Error) all += each.key + ": " + each.message + "\n";
  }
  return all;
}

TEST_CASE("what cannot work is an error when the file is read") {
  CHECK(findings({}).empty());
  CHECK(findings({{"hdfs.path", "hdfs://nn:8020/flume/%Y-%m-%d"}}).empty());
  CHECK(findings({{"hdfs.path", "hdfs:///flume"}}).find("fs.defaultFS") != std::string::npos);
  CHECK(findings({{"hdfs.path", "hdfs://nn/flume/%H:%M"}}).find("colon") != std::string::npos);
  CHECK(findings({{"hdfs.path", "hdfs://nn/x"}, {"hdfs.webhdfs", "ftp://nn"}}).find("ftp://nn") !=
        std::string::npos);
  CHECK(findings({{"hdfs.path", "hdfs://nn/x"}, {"hdfs.kerberosPrincipal", "flume/_HOST@X"}})
            .find("hdfs.kerberosPrincipal") == 0);
  CHECK(findings({{"hdfs.path", "hdfs://nn/x"}, {"hdfs.kerberosKeytab", "/k"}})
            .find("hdfs.kerberosKeytab") == 0);
  CHECK(findings({{"hdfs.path", "s3a://bucket/x"}}).find("s3a") != std::string::npos);
  CHECK(findings({{"hdfs.path", "/x/%[host]"}}).find("%[host]") != std::string::npos);
  CHECK(findings({{"hdfs.timeZone", "Mars/Olympus"}}).find("Mars/Olympus") != std::string::npos);
  CHECK(findings({{"hdfs.round", "true"}, {"hdfs.roundUnit", "hour"}, {"hdfs.roundValue", "30"}})
            .find("hdfs.roundValue") == 0);
  CHECK(findings({{"hdfs.codeC", "gzip"}}).find("hdfs.codeC") == 0);
  CHECK(findings({{"hdfs.fileType", "CompressedStream"}}).find("hdfs.codeC") == 0);
  CHECK(findings({{"hdfs.fileType", "SequenceFile"}, {"hdfs.codeC", "lzo"}}).find("hdfs.codeC") ==
        0);
  CHECK(findings({{"hdfs.fileType", "SequenceFile"}, {"hdfs.writeFormat", "org.x.Y"}})
            .find("hdfs.writeFormat") == 0);
  CHECK(findings({{"hdfs.fileType", "SequenceFile"}, {"hdfs.writeFormat", "TEXT"}}).empty());
  CHECK(findings({{"hdfs.path", "relative/file:x"}}).empty());
}

TEST_CASE("sinks whose names are alike keep what they know of their files apart") {
  FakeFileSystem files;
  ManualClock clock;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  struct Listener final : DeliveryListener {
    void delivered(std::uint32_t, Delivery delivery) override { CHECK(delivery.status.ok()); }
  } listener;
  std::vector<std::unique_ptr<SinkCounters>> counters;
  std::vector<std::unique_ptr<Sink>> sinks;
  const std::vector<std::string> names{"a/b", "a_b", "a%2fb", "a", "a.files", ".."};
  for (const std::string& name : names) {
    const SinkType* const type = find_type(sink_types(), "hdfs");
    const Settings settings("sink " + name, name, *type->info,
                            {{"hdfs.path", {"/out", {}, 0}},
                             {"hdfs.fileType", {"CompressedStream", {}, 0}},
                             {"hdfs.codeC", {"gzip", {}, 0}}});
    counters.push_back(std::make_unique<SinkCounters>());
    sinks.push_back(type->make(settings, {*counters.back(), files, clock, nullptr, "/state"}));
    REQUIRE(sinks.back()->open({}).ok());
    sinks.back()->deliver(batch_of(pool, {"event"}), {}, DeliveryDone(listener, 0));
  }
  std::set<std::string> journals;
  std::set<std::string> spools;
  for (const auto& [path, content] : files.files()) {
    if (path.ends_with(".files")) journals.insert(path);
    if (path.ends_with(".spool")) spools.insert(path.substr(0, path.rfind('/')));
  }
  CHECK(journals == std::set<std::string>{"/state/hdfs/a%2fb.files", "/state/hdfs/a_b.files",
                                          "/state/hdfs/a%252fb.files", "/state/hdfs/a.files",
                                          "/state/hdfs/a%2efiles.files",
                                          "/state/hdfs/%2e%2e.files"});
  CHECK(spools.size() == names.size());
  for (const std::string& spool : spools) CHECK(journals.count(spool) == 0);
  for (const auto& sink : sinks) sink->close();
}

}  // namespace
}  // namespace sluice

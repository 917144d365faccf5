// Files that roll, on a disk that runs full and tears writes.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sinks/catalog.h"
#include "tests/catch.h"
#include "tests/support/sink_rig.h"

namespace sluice {
namespace {

using Values = std::initializer_list<std::pair<std::string, std::string>>;

std::unique_ptr<SinkRig> file_roll(FileSystem& files, Values more = {},
                                   const Clock& clock = Clock::system()) {
  const SinkType* const type = find_type(sink_types(), "file_roll");
  std::map<std::string, Settings::Value, std::less<>> values;
  values["sink.directory"] = {"/out", {}, 0};
  for (const auto& [key, value] : more) values[key] = {value, {}, 0};
  return std::make_unique<SinkRig>(*type, Settings("sink k1", "k1", *type->info, values), files,
                                   clock);
}

/// Delivers a batch without a runner, so that the test owns the thread and the clock.
class Directly final : private DeliveryListener {
 public:
  Status deliver(Sink& sink, const Batch& batch) {
    sink.deliver(batch, {}, DeliveryDone(*this, 0));
    return outcome_.status;
  }

 private:
  void delivered(std::uint32_t, Delivery delivery) override { outcome_ = std::move(delivery); }
  Delivery outcome_;
};

TEST_CASE("bodies are lines in one file") {
  FakeFileSystem files;
  const auto rig = file_roll(files);
  rig->put_numbers(0, 100);
  REQUIRE(put(rig->channel(), batch_of(rig->pool(), {"own", ""}, {{"k", "v"}})));
  rig->start();
  rig->drain();
  CHECK(files.files().size() == 1);
  CHECK(files.content() == number_lines(0, 100) + "own\n\n");
}

TEST_CASE("serializers write what Flume's write") {
  FakeFileSystem files;
  const auto with_headers = file_roll(files, {{"sink.serializer", "header_and_text"}});
  REQUIRE(
      put(with_headers->channel(), batch_of(with_headers->pool(), {"b"}, {{"k", "v"}, {"l", ""}})));
  with_headers->start();
  with_headers->drain();
  CHECK(files.content() == "{k=v, l=} b\n");
  FakeFileSystem bare;
  const auto joined = file_roll(bare, {{"sink.serializer.appendNewline", "false"}});
  joined->put_numbers(0, 10);
  joined->start();
  joined->drain();
  CHECK(bare.content() == "0123456789");
}

TEST_CASE("a file is begun by time, by size and by count") {
  ManualClock clock;
  Directly directly;
  {
    FakeFileSystem files;
    const auto rig = file_roll(files, {{"sink.rollInterval", "30"}}, clock);
    REQUIRE(rig->sink().open({}).ok());
    REQUIRE(directly.deliver(rig->sink(), numbered(rig->pool(), 0, 1)).ok());
    clock.advance(milliseconds(29'999));
    rig->sink().tend();
    CHECK(files.files().size() == 1);
    clock.advance(milliseconds(1));
    rig->sink().tend();
    CHECK(files.files().size() == 2);
    clock.advance(milliseconds(40'000));
    rig->sink().tend();
    CHECK(files.files().size() == 2);  // an empty one is kept
  }
  {
    FakeFileSystem files;
    const auto rig = file_roll(files, {{"sink.rollSize", "20"}}, clock);
    REQUIRE(rig->sink().open({}).ok());
    for (std::uint64_t i = 0; i < 6; ++i) {
      REQUIRE(directly.deliver(rig->sink(), numbered(rig->pool(), i, 1, 9)).ok());
    }
    CHECK(files.files().size() == 3);
  }
}

TEST_CASE("a count that begins files is exact, whatever lies together in the channel") {
  FakeFileSystem files;
  const auto rig = file_roll(files, {{"sink.rollCount", "7"}, {"sink.rollInterval", "0"}});
  REQUIRE(put(rig->channel(), batch_of(rig->pool(), std::vector<std::string>(21, ""))));
  REQUIRE(put(rig->channel(), numbered(rig->pool(), 10, 14)));
  rig->start();
  // Takes of a live sink end anywhere.
  for (std::uint64_t i = 0; i < 7; ++i) {
    REQUIRE(put(rig->channel(), numbered(rig->pool(), 100 + 5 * i, 5)));
    REQUIRE(rig->delivered(40 + 5 * i));
  }
  rig->drain();
  CHECK(files.files().size() == 10);
  for (const auto& [path, content] : files.files()) {
    CHECK(std::count(content.begin(), content.end(), '\n') == 7);
  }
}

TEST_CASE("what went into a full file is not written again when the next one cannot be begun") {
  FakeFileSystem files;
  const auto rig = file_roll(files, {{"sink.rollCount", "4"}, {"sink.rollInterval", "0"}});
  files.bytes_left(9);  // the first file and half an event of the second
  REQUIRE(put(rig->channel(), numbered(rig->pool(), 0, 8)));
  rig->start();
  REQUIRE(eventually([&] { return rig->counters().failures.get() >= 2; }));
  CHECK(rig->counters().delivered.events.get() == 4);
  files.bytes_left(UINT64_MAX / 2);
  REQUIRE(rig->delivered(8));
  rig->drain();
  CHECK(files.content() == number_lines(0, 8));
}

TEST_CASE("two sinks in one directory never share a file, not even an empty one") {
  FakeFileSystem files;
  const ManualClock clock;
  const auto one = file_roll(files, {}, clock);
  const auto other = file_roll(files, {}, clock);
  REQUIRE(one->sink().open({}).ok());
  REQUIRE(other->sink().open({}).ok());
  Directly directly;
  files.bytes_left(10);
  REQUIRE(directly.deliver(one->sink(), numbered(one->pool(), 0, 2)).ok());
  // The disk is full now, and what the other sink wrote in part is cut off.
  CHECK_FALSE(directly.deliver(other->sink(), numbered(other->pool(), 100, 5)).ok());
  REQUIRE(directly.deliver(one->sink(), numbered(one->pool(), 2, 3)).ok());
  CHECK(files.files().size() == 2);
  CHECK(files.content() == number_lines(0, 5));
}

TEST_CASE(
    "a full disk tears nothing and doubles nothing, and delivery goes on when there is room") {
  FakeFileSystem files;
  const auto rig = file_roll(files);
  files.bytes_left(1003);
  rig->put_numbers(0, 1000);
  rig->start();
  REQUIRE(eventually([&] { return rig->counters().failures.get() >= 3; }));
  CHECK_FALSE(rig->healthy());
  files.bytes_left(UINT64_MAX / 2);
  REQUIRE(rig->delivered(1000));
  rig->drain();
  CHECK(files.content() == number_lines(0, 1000));
}

TEST_CASE("where the torn tail cannot be cut off a fresh file is begun and no line is lost") {
  FakeFileSystem files;
  const auto rig = file_roll(files);
  files.bytes_left(17);
  files.truncate_works(false);
  rig->put_numbers(0, 50);
  rig->start();
  REQUIRE(eventually([&] { return rig->counters().failures.get() >= 1; }));
  files.bytes_left(UINT64_MAX / 2);
  REQUIRE(rig->delivered(50));
  rig->drain();
  CHECK(files.files().size() >= 2);
  CHECK(files.content().find(number_lines(0, 50)) != std::string::npos);
}

TEST_CASE("a directory that is not there is waited for") {
  FakeFileSystem files;
  files.directory_is_there(false);
  const auto rig = file_roll(files);
  rig->put_numbers(0, 10);
  rig->start();
  REQUIRE(eventually([&] { return rig->counters().failures.get() >= 2; }));
  files.directory_is_there(true);
  REQUIRE(rig->delivered(10));
  rig->drain();
  CHECK(files.content() == number_lines(0, 10));
}

TEST_CASE("files that exist already are left alone") {
  FakeFileSystem files;
  ManualClock clock;
  const std::string taken = "/out/" + std::to_string(clock.wall_ms()) + "-1";
  {
    auto file = files.create(taken, true);
    iovec piece{const_cast<char*>("old\n"), 4};
    REQUIRE(file.value()->append({&piece, 1}).ok());
  }
  const auto rig = file_roll(files, {}, clock);
  REQUIRE(rig->sink().open({}).ok());
  Directly directly;
  REQUIRE(directly.deliver(rig->sink(), numbered(rig->pool(), 0, 2)).ok());
  CHECK(files.files().at(taken) == "old\n");
  CHECK(files.files().size() == 2);
}

TEST_CASE("names have prefix, extension and the time of the roll") {
  FakeFileSystem files;
  ManualClock clock;
  const auto rig = file_roll(files,
                             {{"sink.pathManager", "rolltime"},
                              {"sink.pathManager.prefix", "log-"},
                              {"sink.pathManager.extension", "txt"}},
                             clock);
  REQUIRE(rig->sink().open({}).ok());
  const std::string name = files.files().begin()->first;
  CHECK(name.starts_with("/out/log-2023"));
  CHECK(name.ends_with("-1.txt"));
  CHECK(name.size() == std::string("/out/log-20231114221320-1.txt").size());
}

TEST_CASE("on the machine's own file system") {
  char path[] = "/tmp/sluice-file-roll-XXXXXX";
  REQUIRE(::mkdtemp(path) != nullptr);
  const SinkType* const type = find_type(sink_types(), "file_roll");
  {
    SinkRig rig(*type, test_settings(*type->info, "sink k1", {{"sink.directory", path}}));
    rig.put_numbers(0, 500);
    rig.start();
    rig.drain();
  }
  std::string content;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    std::ifstream file(entry.path());
    content.append(std::istreambuf_iterator<char>(file), {});
  }
  std::filesystem::remove_all(path);
  CHECK(content == number_lines(0, 500));
}

}  // namespace
}  // namespace sluice

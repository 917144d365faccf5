// A channel that is looked at: beside its agent, behind it, and damaged.

#include "channels/channel_reader.h"

#include <map>

#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/eventually.h"
#include "tests/support/flipped_bits.h"
#include "tests/support/looked_at.h"
#include "tests/support/memory_channels.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::flip_bit;
using testing::largest_file;
using testing::TempDirectory;

/// An agent's side of a store.
struct Worked {
  explicit Worked(const std::string& path, std::uint64_t memtable_bytes = 32 << 20)
      : store({.path = path, .memtable_bytes = memtable_bytes, .free_bytes_min = 1 << 20}, {}) {
    const Status opened = channel.open();
    if (!opened.ok()) FAIL(opened.message());
  }
  void put_all(std::uint64_t events, std::uint32_t a_batch, std::size_t bytes_min = 0) {
    for (std::uint64_t first = 0; first < events; first += a_batch) {
      REQUIRE(put(channel, numbered(pool, first, a_batch, bytes_min)));
    }
  }

  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SharedStore store;
  DurableChannel channel{stored_channel("c1", 0), store, pool};
};

/// Names, sizes and times of everything in a directory.
std::map<std::string, std::pair<std::uint64_t, std::filesystem::file_time_type>> content(
    const std::string& path) {
  std::map<std::string, std::pair<std::uint64_t, std::filesystem::file_time_type>> all;
  all["."] = {0, std::filesystem::last_write_time(path)};
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    std::error_code gone;  // by the agent, meanwhile
    all[entry.path().filename().string()] = {entry.file_size(gone), entry.last_write_time(gone)};
  }
  return all;
}

/// 40 frames of 5 events in one table, and the agent gone.
void fill_tables(const std::string& path) {
  {
    Worked agent(path);
    agent.put_all(200, 5, 4000);
  }
  // What is recovered from the log is written to a table before anything else.
  { const Worked again(path); }
  REQUIRE_FALSE(largest_file(path, ".sst").empty());
}

}  // namespace

TEST_CASE("what waits is seen once and in order, beside the agent and behind it") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  {
    Worked agent(path);
    agent.put_all(50, 10);
    CHECK(look_at(path, "c1").sequences == counted(0, 50));
    commit(take_now(agent.channel, 13));
    const LookedAt seen = look_at(path, "c1");
    CHECK(seen.sequences == counted(13, 50));
    CHECK(seen.bodies.front() == "13");
    CHECK(seen.bodies.back() == "49");
    CHECK(seen.damage.empty());
  }
  CHECK(look_at(path, "c1").sequences == counted(13, 50));
  Worked again(path);
  CHECK(numbers_of(take_now(again.channel, 1000).batch()) == counted(13, 50));
}

TEST_CASE("what is out ahead of its turn is not seen, and what a sink holds is") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Worked agent(path);
  agent.put_all(30, 10);
  Taken held = take_now(agent.channel, 7);
  commit(take_now(agent.channel, 5));  // 7 to 11: the end of a frame and the begin of the next
  std::vector<std::uint64_t> wanted = counted(0, 7);
  for (const std::uint64_t sequence : counted(12, 30)) wanted.push_back(sequence);
  CHECK(look_at(path, "c1").sequences == wanted);
  commit(std::move(held));
  CHECK(look_at(path, "c1").sequences == counted(12, 30));
}

TEST_CASE("a part begins and ends within frames") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Worked agent(path);
  agent.put_all(100, 10);
  commit(take_now(agent.channel, 5));
  CHECK(look_at(path, "c1", 0, 3).sequences.empty());
  CHECK(look_at(path, "c1", 0, 8).sequences == counted(5, 8));
  CHECK(look_at(path, "c1", 37, 62).sequences == counted(37, 62));
  CHECK(look_at(path, "c1", 40, 50).sequences == counted(40, 50));
  CHECK(look_at(path, "c1", 99).sequences == counted(99, 100));
  CHECK(look_at(path, "c1", 100).sequences.empty());
  CHECK(look_at(path, "c1", 5000).sequences.empty());
}

TEST_CASE("of a part those frames are told that hold it") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Worked agent(path);
  agent.put_all(100, 10);
  const auto store = StoreReader::open(path);
  REQUIRE(store.ok());
  ChannelReader reader(*store.value(), 0, store.value()->account(0).value(), agent.pool);
  std::vector<std::uint64_t> frames;
  const auto on_frame = [&](const ChannelReader::StoredFrame& frame) {
    frames.push_back(frame.first);
    return true;
  };
  REQUIRE(reader.for_each_frame(37, 55, on_frame, [](auto) { return true; }).ok());
  CHECK(frames == std::vector<std::uint64_t>{30, 40, 50});
  const auto before = store.value()->frame_before(0, 37);
  REQUIRE(before.ok());
  CHECK(before.value() == 30);
}

TEST_CASE("headers and origins are those that a sink would get") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Worked agent(path);
  REQUIRE(put(agent.channel, batch_of(agent.pool, {"one", "two"}, {{"host", "h"}, {"k", ""}})));
  const LookedAt seen = look_at(path, "c1");
  CHECK(seen.bodies == std::vector<std::string>{"one", "two"});
  CHECK(seen.headers[1] == TestHeaders{{"host", "h"}, {"k", ""}});
  CHECK(seen.origins[1] == Origin{part_of(agent.store.store().opening(), "c1"), 1});
}

TEST_CASE("what the agent deletes can be read until the reader is gone") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Worked agent(path, 64 << 10);
  agent.put_all(200, 5, 4000);
  REQUIRE(eventually([&] { return !largest_file(path, ".sst").empty(); }));
  const auto store = StoreReader::open(path);
  REQUIRE(store.ok());
  const auto before = content(path);
  for (Taken taken = take_now(agent.channel); !taken.empty(); taken = take_now(agent.channel)) {
    commit(std::move(taken));
  }
  const auto gone = [&] {
    const auto now = content(path);
    return std::any_of(before.begin(), before.end(),
                       [&](const auto& file) { return !now.contains(file.first); });
  };
  for (int round = 0; round < 100 && !gone(); ++round) {
    agent.put_all(100, 5, 4000);
    while (!take_now(agent.channel).empty()) commit(take_now(agent.channel));
  }
  REQUIRE(gone());
  const LookedAt seen = look_at(*store.value(), "c1");
  CHECK(seen.sequences == counted(0, 200));
  CHECK(seen.damage.empty());
}

TEST_CASE("looking leaves nothing behind") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  fill_tables(path);
  const auto before = content(path);
  CHECK(look_at(path, "c1").sequences == counted(0, 200));
  CHECK(content(path) == before);
}

TEST_CASE("a bit of a table costs only the frames that it hits") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  fill_tables(path);
  const std::string table = largest_file(path, ".sst");
  flip_bit(table, std::filesystem::file_size(table) / 2);
  const LookedAt seen = look_at(path, "c1");
  REQUIRE(seen.damage.size() == 1);
  const auto [begin, end] = seen.damage.front();
  CHECK(end - begin == 5);
  CHECK(begin % 5 == 0);
  CHECK(seen.why.find("checksum mismatch") != std::string::npos);
  std::vector<std::uint64_t> wanted = counted(0, begin);
  for (const std::uint64_t sequence : counted(end, 200)) wanted.push_back(sequence);
  CHECK(seen.sequences == wanted);
}

TEST_CASE("a frame that its checksum does not fit, or that is not there, costs what was in it") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  {
    Worked agent(path);
    agent.put_all(50, 10);
    const Batch batch_in_slab = numbered(agent.pool, 20, 10);
    Frame bad = encode_frame(batch_in_slab, {});
    bad.head[9] = static_cast<char>(bad.head[9] ^ 1);
    StoreBatch batch = agent.store.store().batch();
    batch.remove_frame(0, 20);
    batch.put_frame(0, 20, bad);
    batch.remove_frame(0, 0);
    batch.remove_frame(0, 40);
    REQUIRE(agent.store.store().write(batch).ok());
  }
  const LookedAt seen = look_at(path, "c1");
  using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  CHECK(seen.damage == Ranges{{0, 10}, {20, 30}, {40, 50}});
  CHECK(seen.sequences.size() == 20);
  CHECK(seen.why == "it is not there");
  CHECK(look_at(path, "c1", 25, 28).damage == Ranges{{25, 28}});
}

TEST_CASE("a bit of the log is told, and what lies before it is seen") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  {
    Worked agent(path);
    agent.put_all(200, 5, 4000);
  }
  const std::string log = largest_file(path, ".log");
  flip_bit(log, std::filesystem::file_size(log) / 2);
  const auto store = StoreReader::open(path);
  REQUIRE(store.ok());
  REQUIRE(store.value()->damage().size() == 2);  // the place, and what is missing behind it
  CHECK(store.value()->damage().back().find(" entries that were synced are not there") !=
        std::string::npos);
  CHECK(store.value()->damage().front().find(".log: dropping ") != std::string::npos);
  const LookedAt seen = look_at(*store.value(), "c1");
  CHECK(seen.sequences == counted(0, seen.sequences.size()));
  CHECK(seen.sequences.size() > 80);
  CHECK(seen.sequences.size() < 120);
}

TEST_CASE("a log that ends within a commit is no damage, unless that was synced") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  {
    Worked agent(path);
    agent.put_all(50, 10, 4000);
  }
  const std::string log = largest_file(path, ".log");
  const bool synced = GENERATE(false, true);
  if (!synced) std::filesystem::remove(path + "/synced");
  for (const std::uint64_t less : {3, 5000, 30'000}) {
    std::filesystem::resize_file(log, std::filesystem::file_size(log) - less);
    const auto store = StoreReader::open(path);
    REQUIRE(store.ok());
    CHECK(store.value()->damage().size() == (synced ? 1 : 0));
    const LookedAt seen = look_at(*store.value(), "c1");
    CHECK(seen.damage.empty());
    CHECK(seen.sequences.size() < 50);
    CHECK(seen.sequences == counted(0, seen.sequences.size()));
  }
}

TEST_CASE("what is no store is said in words that help") {
  const TempDirectory directory;
  const auto refusal = [&](const std::string& name) {
    const auto store = StoreReader::open(directory.path(name));
    REQUIRE_FALSE(store.ok());
    return store.status();
  };
  CHECK(refusal("none").code() == Code::Invalid);
  CHECK(refusal("none").message().find("no such directory") != std::string::npos);
  std::filesystem::create_directory(directory.path("empty"));
  CHECK(refusal("empty").code() == Code::Invalid);
  CHECK(refusal("empty").message().find("no file CURRENT") != std::string::npos);
  { const Worked agent(directory.path("store")); }
  {
    auto store = Store::open({.path = directory.path("store"), .free_bytes_min = 1 << 20});
    REQUIRE(store.ok());
    StoreBatch batch = store.value()->batch();
    batch.put_row("store/format", "2");
    REQUIRE(store.value()->write(batch).ok());
  }
  CHECK(refusal("store").code() == Code::Invalid);
  CHECK(refusal("store").message().find("written by a newer one") != std::string::npos);
  std::filesystem::remove(directory.path("store/CURRENT"));
  CHECK(refusal("store").code() == Code::Reject);
  CHECK(refusal("store").message().find("CURRENT is gone") != std::string::npos);
}

}  // namespace sluice

// Several channels on one store.

#include "channels/shared_store.h"

#include <rocksdb/env.h>

#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/memory_channels.h"
#include "tests/support/power_cut.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::PowerCut;
using testing::TempDirectory;

/// Events 0 to 49 in five frames, of which the third is damaged.
void fill_with_a_damaged_frame(const Store::Options& where, SlabPool& pool) {
  {
    SharedStore store(where, {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    REQUIRE(channel.open().ok());
    for (std::uint64_t i = 0; i < 5; ++i) REQUIRE(put(channel, numbered(pool, i * 10, 10)));
  }
  auto store = Store::open(where);
  REQUIRE(store.ok());
  const Batch batch_in_slab = numbered(pool, 20, 10);
  Frame bad = encode_frame(batch_in_slab, {});
  bad.head[9] = static_cast<char>(bad.head[9] ^ 1);
  StoreBatch batch = (*store)->batch();
  batch.remove_frame(0, 20);
  batch.put_frame(0, 20, bad);
  REQUIRE((*store)->write(batch).ok());
}

TEST_CASE("of several users of a store the strictest is served") {
  const TempDirectory directory;
  Stores stores(directory.path("store"));
  const Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  SharedStore& store = stores.at(where, {.sync = SyncMode::Never});
  CHECK(&stores.at(where, {.sync = SyncMode::Always}) == &store);
  CHECK(&stores.at(where, {.sync = SyncMode::Interval}) == &store);
  REQUIRE(store.open().ok());
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  const std::uint64_t before = store.commits().counters().syncs.get();
  REQUIRE(put(channel, numbered(pool, 0, 3)));
  CHECK(store.commits().counters().syncs.get() == before + 1);
}

TEST_CASE("a commit into two channels is in both after a restart, and notes are with it") {
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  for (const bool again : {false, true}) {
    SharedStore store(where, {});
    DurableChannel one(stored_channel("one"), store, pool);
    DurableChannel two(stored_channel("two"), store, pool);
    REQUIRE(one.open().ok());
    REQUIRE(two.open().ok());
    if (again) {
      CHECK(store.note("position") == "5");
      CHECK(numbers_of(take_now(one).batch()) == std::vector<std::uint64_t>{3, 4});
      CHECK(numbers_of(take_now(two).batch()).size() == 5);
      continue;
    }
    const Batch batch = numbered(pool, 0, 5);
    Commit both(&store);
    both.put(*one.reserve(batch, soon(), {}));
    both.put(*two.reserve(batch, soon(), {}));
    both.note({"position", "5"});
    REQUIRE(std::move(both).wait().ok());
    commit(take_now(one, 3));
  }
}

TEST_CASE("an empty note takes a note away, for good") {
  const TempDirectory directory;
  const Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  const auto note = [](SharedStore& store, const char* value) {
    Commit commit(&store);
    commit.note({"file-7", value});
    REQUIRE(std::move(commit).wait().ok());
  };
  const auto rows = [](SharedStore& store) {
    int count = 0;
    REQUIRE(store.store().for_each_row("note/file-7", [&](auto, auto) { ++count; }).ok());
    return count;
  };
  {
    SharedStore store(where, {});
    REQUIRE(store.open().ok());
    note(store, "5");
    CHECK(store.note("file-7") == "5");
    CHECK(rows(store) == 1);
    note(store, "");
    CHECK_FALSE(store.note("file-7"));
    CHECK(rows(store) == 0);
  }
  SharedStore store(where, {});
  REQUIRE(store.open().ok());
  CHECK_FALSE(store.note("file-7"));
}

TEST_CASE("a full disk refuses what comes in, lets go what goes out, and is over by itself") {
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  {
    SharedStore store(where, {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    REQUIRE(channel.open().ok());
    REQUIRE(put(channel, numbered(pool, 0, 5)));
  }
  Store::Options full = where;
  full.free_bytes_min = std::uint64_t{1} << 60;
  SharedStore store(full, {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  auto room = channel.reserve(numbered(pool, 5, 5), soon(), {});
  REQUIRE(room.ok());
  Commit in(&store);
  in.put(*std::move(room));
  const Status refused = std::move(in).wait();
  CHECK(refused.code() == Code::Retry);
  CHECK(refused.message().find("minimumRequiredSpace") != std::string::npos);
  CHECK(channel.size_events() == 5);
  Commit out(&store);
  out.take(take_now(channel));
  CHECK(std::move(out).wait().ok());
  CHECK(channel.size_events() == 0);
}

TEST_CASE("a store of a newer release is refused") {
  const TempDirectory directory;
  const Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  {
    auto store = Store::open(where);
    REQUIRE(store.ok());
    StoreBatch batch = (*store)->batch();
    batch.put_row("store/format", "2");
    REQUIRE((*store)->write(batch).ok());
  }
  const auto store = Store::open(where);
  CHECK(store.code() == Code::Invalid);
  CHECK(store.status().message().find("newer") != std::string::npos);
}

TEST_CASE("a damaged frame costs only itself, and is kept aside") {
  const TempDirectory directory;
  const testing::CapturedLog log(log::Level::Error);
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  fill_with_a_damaged_frame(where, pool);
  SharedStore store(where, {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  std::vector<std::uint64_t> numbers;
  const Deadline deadline = patiently();
  while (numbers.size() < 40 && !deadline.passed()) {
    Taken taken = take_now(channel);
    for (const std::uint64_t number : numbers_of(taken.batch())) numbers.push_back(number);
    if (!taken.empty()) commit(std::move(taken));
  }
  REQUIRE(numbers.size() == 40);
  CHECK(numbers[19] == 19);
  CHECK(numbers[20] == 30);
  channel.close();
  CHECK(channel.counters().quarantined.events.get() == 10);
  CHECK(channel.drained());
  CHECK(log.has("sequences 20 to 29 (10 events) cannot be read and are passed over"));
  CHECK(std::filesystem::exists(directory.path("store/quarantine/c1-20.frame")));
}

TEST_CASE("a few bytes that are no lines come back from the disk as they were") {
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  for (const bool again : {false, true}) {
    SharedStore store(where, {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    REQUIRE(channel.open().ok());
    if (!again) REQUIRE(put(channel, batch_of(pool, {"a", "b"}, {{"k", "v"}})));
    if (again) CHECK(bodies_of(take_now(channel).batch()) == std::vector<std::string>{"a", "b"});
  }
}

TEST_CASE("of a damaged row the frames beside it are still delivered") {
  const TempDirectory directory;
  const testing::CapturedLog log(log::Level::Error);
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  {
    SharedStore store(where, {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    REQUIRE(channel.open().ok());
    REQUIRE(put(channel, numbered(pool, 0, 10)));
    for (std::uint64_t i = 10; i < 14; ++i) REQUIRE(put(channel, numbered(pool, i, 1)));
    commit(take_now(channel, 5));  // the first frame is partly out
  }
  {
    auto store = Store::open(where);
    REQUIRE(store.ok());
    const Batch batch_in_slab = numbered(pool, 11, 1);
    Frame bad = encode_frame(batch_in_slab, {});
    bad.head[9] = static_cast<char>(bad.head[9] ^ 1);
    StoreBatch batch = (*store)->batch();
    batch.remove_frame(0, 11);
    batch.put_frame(0, 11, bad);
    REQUIRE((*store)->write(batch).ok());
  }
  std::vector<std::uint64_t> numbers;
  for (const bool deliver : {false, true}) {  // at first the damage is found, and nothing else done
    SharedStore store(where, {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    REQUIRE(channel.open().ok());
    for (Taken taken = take_now(channel); !taken.empty(); taken = take_now(channel)) {
      for (const std::uint64_t number : numbers_of(taken.batch())) numbers.push_back(number);
      if (deliver) commit(std::move(taken));
      if (!deliver) break;
    }
    if (!deliver) numbers.clear();
  }
  CHECK(numbers == std::vector<std::uint64_t>{5, 6, 7, 8, 9, 10, 12, 13});
}

TEST_CASE("a damaged frame that the store could not be told of is told again") {
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  fill_with_a_damaged_frame(where, pool);
  const CapturedLog log;
  const auto power = std::make_shared<PowerCut>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
  where.env = env.get();
  SharedStore store(where, {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  power->fail_once_at(1);
  std::uint64_t events = 0;
  const Deadline deadline = patiently();
  while (!deadline.passed() && channel.counters().quarantined.events.get() == 0) {
    Taken taken = take_now(channel);
    Commit out(&store);
    const std::uint64_t size = taken.batch().size();
    if (taken.empty()) continue;
    out.take(std::move(taken));
    if (std::move(out).wait().ok()) events += size;
  }
  CHECK(channel.counters().quarantined.events.get() == 10);
  CHECK(store.commits().counters().reopenings.get() == 1);
  channel.close();
  CHECK(events <= 40);
}

TEST_CASE("two ways to write a directory are one store") {
  const TempDirectory directory;
  Stores stores(directory.path("store"));
  SharedStore& store = stores.at({.path = directory.path("store")}, {});
  CHECK(&stores.at({.path = directory.path("./other/../store/")}, {}) == &store);
  CHECK(&stores.at({.path = directory.path("another")}, {}) != &store);
}

TEST_CASE("events of a commit that was refused are new when they come again, also after a start") {
  const CapturedLog log;
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const auto disk = std::make_shared<PowerCut>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  const Store::Options where{
      .path = directory.path("store"), .free_bytes_min = 1 << 20, .env = env.get()};
  const Batch batch = numbered(pool, 0, 10).with_provenance(Provenance::dense({1, 2}, 100, 10));
  {
    SharedStore store(where, {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    REQUIRE(channel.open().ok());
    disk->fail_once_at(2);  // written, and not synced
    CHECK_FALSE(put(channel, batch));
    REQUIRE(testing::wait_for([&] { return store.health().ok(); }));
  }
  SharedStore store(where, {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  CHECK(channel.size_events() == 0);
  REQUIRE(put(channel, batch));
  CHECK(channel.size_events() == 10);
  REQUIRE(put(channel, batch));
  CHECK(channel.size_events() == 10);
  const Taken events = take_now(channel);
  CHECK(events.batch().provenance().origin(3) == Origin{{1, 2}, 103});
}

TEST_CASE("what two channels of one store number themselves is not the same origin") {
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  SharedStore store({.path = directory.path("store"), .free_bytes_min = 1 << 20}, {});
  DurableChannel one(stored_channel("one"), store, pool);
  DurableChannel two(stored_channel("two"), store, pool);
  REQUIRE(one.open().ok());
  REQUIRE(two.open().ok());
  REQUIRE(put(one, numbered(pool, 0, 1)));
  REQUIRE(put(two, numbered(pool, 1, 1)));
  const Taken from_one = take_now(one);
  const Taken from_two = take_now(two);
  CHECK(from_one.batch().provenance().origin(0).id != from_two.batch().provenance().origin(0).id);
  CHECK(from_one.batch().provenance().origin(0).id == part_of(store.store().opening(), "one"));
}

}  // namespace
}  // namespace sluice

// What Flume's file channel is known to keep over a restart, and what it is known not to keep.

#include <rocksdb/env.h>

#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_channels.h"
#include "tests/support/power_cut.h"

namespace sluice {
namespace {

using Numbers = std::vector<std::uint64_t>;
using testing::CapturedLog;
using testing::PowerCut;
using testing::TempDirectory;

Numbers row(std::uint64_t first, std::uint64_t end) {
  Numbers numbers;
  for (; first < end; ++first) numbers.push_back(first);
  return numbers;
}

/// Destroyed, it leaves what a kill -9 leaves.
struct Process {
  Process(const TempDirectory& directory, SlabPool& pool, DurableChannel::Options options)
      : store({.path = directory.path("store"), .memtable_bytes = 64 << 10, .free_bytes_min = 1},
              {}),
        channel(std::move(options), store, pool) {
    if (!channel.open().ok()) std::abort();
  }
  SharedStore store;
  DurableChannel channel;
};

TEST_CASE("a put that was not committed is gone after a restart, a take is back, in order") {
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  {
    Process process(directory, pool, stored_channel("c1"));
    for (std::uint64_t i = 0; i < 3; ++i) REQUIRE(put(process.channel, numbered(pool, i * 10, 10)));
    commit(take_now(process.channel, 5));
    const Taken open_take = take_now(process.channel, 12);
    Commit open_put(&process.store);
    open_put.put(*process.channel.reserve(numbered(pool, 100, 10), soon(), {}));
  }
  Process process(directory, pool, stored_channel("c1"));
  CHECK(process.channel.size_events() == 25);
  CHECK(drain(process.channel) == row(5, 30));
}

TEST_CASE("a capacity that was changed counts from the next start on, and costs nothing") {
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const auto with_capacity = [](std::uint64_t events) {
    DurableChannel::Options options = stored_channel("c1");
    options.capacity_events = events;
    return options;
  };
  std::uint64_t next = 0;
  const auto fill = [&](Channel& channel) {
    while (put(channel, numbered(pool, next, 10))) next += 10;
  };
  {
    Process process(directory, pool, with_capacity(50));
    fill(process.channel);
    CHECK(process.channel.size_events() == 50);
  }
  {
    Process smaller(directory, pool, with_capacity(20));
    CHECK_FALSE(put(smaller.channel, numbered(pool, next, 10)));
    commit(take_now(smaller.channel, 30));
    CHECK_FALSE(put(smaller.channel, numbered(pool, next, 10)));
    commit(take_now(smaller.channel, 10));
    fill(smaller.channel);
    CHECK(smaller.channel.size_events() == 20);
  }
  Process larger(directory, pool, with_capacity(80));
  fill(larger.channel);
  CHECK(larger.channel.size_events() == 80);
  CHECK(drain(larger.channel) == row(40, 120));
}

TEST_CASE("what does not fit into memory stays in its place, and all of it outlives the process") {
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const auto little_memory = [] { return stored_channel("c1", 256 << 10); };
  Numbers found;
  {
    Process process(directory, pool, little_memory());
    for (std::uint64_t i = 0; i < 100; ++i) {
      REQUIRE(put(process.channel, numbered(pool, i * 10, 10, 2000)));  // 2 MB altogether
      if (i % 3 != 0) continue;  // taken on both sides of the border, and on it
      Taken taken = take_now(process.channel, 7);
      for (const std::uint64_t number : numbers_of(taken.batch())) found.push_back(number);
      commit(std::move(taken));
    }
  }
  Process process(directory, pool, little_memory());
  for (const std::uint64_t number : drain(process.channel)) found.push_back(number);
  CHECK(found == row(0, 1000));
}

TEST_CASE("a store that fails is unwell until it is open again, and counts its failures") {
  const CapturedLog log(log::Level::Error);
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const auto power = std::make_shared<PowerCut>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
  SharedStore store({.path = directory.path("store"), .free_bytes_min = 1, .env = env.get()}, {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  CHECK(channel.health().ok());
  power->fail_once_at(2);  // the sync
  CHECK_FALSE(put(channel, numbered(pool, 0, 10)));
  CHECK(eventually([&] { return put(channel, numbered(pool, 0, 10)); }));
  CHECK(channel.health().ok());
  CHECK(store.commits().counters().reopenings.get() == 1);
  CHECK(drain(channel) == row(0, 10));
  const std::uint64_t failures = store.commits().counters().failures.get();
  power->cut();  // and stays so
  CHECK_FALSE(put(channel, numbered(pool, 10, 10)));
  CHECK(channel.health().code() == Code::Retry);
  CHECK(channel.health().message().find("the store") != std::string::npos);
  CHECK(eventually([&] {
    static_cast<void>(put(channel, numbered(pool, 10, 10)));
    return store.commits().counters().failures.get() > failures;
  }));
}

}  // namespace
}  // namespace sluice

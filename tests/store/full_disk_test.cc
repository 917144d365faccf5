// A disk that is full wherever it hits: nothing aborts, nothing acknowledged is lost, and it is
// over by itself once there is room.
// test: no-tsan

#include <rocksdb/env.h>

#include <atomic>
#include <random>

#include "channels/shared_store.h"
#include "sources/channel_processor.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/memory_channels.h"
#include "tests/support/small_disk.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::SmallDisk;
using testing::TempDirectory;

constexpr std::uint64_t roomy = std::uint64_t{1} << 40;

TEST_CASE("a disk that fills up refuses what comes in, and goes on when there is room") {
  const CapturedLog log;
  std::uint64_t refusals = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const TempDirectory directory;
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    // Small memtables: the disk may fill in a log, in a flush, or in the list of tables.
    const auto disk = std::make_shared<SmallDisk>(200'000 + random() % 1'000'000);
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
    SharedStore store({.path = directory.path("store"),
                       .memtable_bytes = 128 << 10,
                       .free_bytes_min = 1 << 20,
                       .env = env.get()},
                      {});
    DurableChannel channel(stored_channel("c1", random() % 2 * (1 << 20)), store, pool);
    REQUIRE(channel.open().ok());
    SourceCounters counters;
    ChannelProcessor::Options options;
    options.required = {&channel};
    options.stores = {&store};
    constexpr std::uint64_t events = 1000;
    std::atomic<std::uint64_t> acknowledged{0};
    std::jthread source([&] {
      ChannelProcessor out(std::move(options), counters);
      for (std::uint64_t next = 0; next < events; next += 5) {
        const Status status =
            out.process(numbered(pool, next, 5, 2000), {},
                        [&](const Status& done) { acknowledged += done.ok() ? 5 : 0; });
        if (!status.ok()) return;  // what was not acknowledged is missing below
      }
      out.finish({});
    });
    const Deadline deadline = Deadline::in(milliseconds(20'000));
    while (disk->refusals() == 0 && acknowledged < events && !deadline.passed()) {
      std::this_thread::yield();
    }
    refusals += disk->refusals();
    disk->grow_to(roomy);
    source.join();
    REQUIRE(acknowledged == events);
    const std::vector<std::uint64_t> numbers = drain(channel);
    REQUIRE(numbers.size() == events);
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
    CHECK(numbers.back() == events - 1);
  }
  CHECK(refusals > 0);
  CHECK(log.has("is open again"));
  CHECK_FALSE(log.has("is damaged"));
}

TEST_CASE("a disk that is full when the store is opened costs nothing but the wait") {
  const CapturedLog log;
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  {
    SharedStore store(where, {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    REQUIRE(channel.open().ok());
    for (std::uint64_t next = 0; next < 100; next += 5)
      REQUIRE(put(channel, numbered(pool, next, 5)));
  }
  int refused = 0;
  for (std::uint64_t bytes = 0;; bytes += 50 + bytes / 4) {
    INFO(bytes << " bytes");
    const auto disk = std::make_shared<SmallDisk>(bytes);
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
    Store::Options small = where;
    small.env = env.get();
    SharedStore store(small, {});
    const Status status = store.open();
    if (status.ok()) break;
    CHECK(status.code() == Code::Retry);
    ++refused;
  }
  CHECK(refused > 3);
  SharedStore store(where, {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  CHECK(drain(channel).size() == 100);
  CHECK_FALSE(log.has("is damaged"));
}

}  // namespace
}  // namespace sluice

// Acknowledged means on disk: the power is cut at any step, and every OK given is there afterwards.
//
// SLUICE_SOAK=1 runs 1000 seeds instead of a few.
// test: timeout=600

#include <rocksdb/env.h>

#include <atomic>
#include <cstdlib>
#include <random>

#include "sources/channel_processor.h"
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

/// What one run was told before the power went. Event numbers are sequences.
struct Told {
  std::uint64_t put = 0;            ///< Events [0, put) were acknowledged,
  std::uint64_t taken = 0;          ///< and [0, taken) are out for good.
  std::uint64_t taken_at_most = 0;  ///< A take may be on disk though its answer never came.
};

/// Puts and takes at random until the power is gone.
Told work_until_cut(SharedStore& store, SlabPool& pool, std::mt19937_64& random, PowerCut& power) {
  std::atomic<std::uint64_t> put{0};
  Told told;
  {
    DurableChannel::Options options = stored_channel("c1", random() % 2 * (1 << 20));
    if (random() % 2 == 0) options.retention.bytes = 1 + random() % 100'000;
    DurableChannel channel(std::move(options), store, pool);
    const bool open = channel.open().ok();
    std::uint64_t next = 0;
    for (int step = 0; open && step < 300 && !power.is_cut(); ++step) {
      if (random() % 3 != 0) {
        const auto events = static_cast<std::uint32_t>(1 + random() % 20);
        auto room = channel.reserve(numbered(pool, next, events, random() % 3000), soon(), {});
        if (!room.ok()) break;
        Commit commit(&store);
        commit.put(*std::move(room));
        next += events;
        std::move(commit).submit([&put, upto = next](const Status& status) {
          if (status.ok()) put = upto;
        });
      } else {
        Taken events = take_now(channel, static_cast<std::uint32_t>(1 + random() % 30));
        if (events.empty()) continue;
        told.taken_at_most += events.batch().size();
        Commit commit(&store);
        commit.take(std::move(events));
        // One at a time: what is refused comes back, and the count would be another.
        if (!std::move(commit).wait().ok()) break;
        told.taken = told.taken_at_most;
      }
    }
    power.cut();
    channel.close();
  }
  told.put = put;
  return told;
}

/// What is there after the power came back; nothing when the store does not open.
std::vector<std::uint64_t> found_in(const std::string& path, SlabPool& pool, SyncMode sync) {
  SharedStore store({.path = path, .free_bytes_min = 1 << 20}, {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  const bool open = channel.open().ok();
  std::vector<std::uint64_t> numbers;
  if (!open && sync != SyncMode::Always) return numbers;
  REQUIRE(open);
  for (Taken taken = take_now(channel); !taken.empty(); taken = take_now(channel)) {
    for (const std::uint64_t number : numbers_of(taken.batch())) numbers.push_back(number);
    commit(std::move(taken));
  }
  if (sync == SyncMode::Always) CHECK(channel.counters().quarantined.events.get() == 0);
  return numbers;
}

/// The power goes again while the store is opened; what was there then is there afterwards.
void cut_again_in_recovery(const std::string& path, SlabPool& pool, std::mt19937_64& random) {
  const auto power = std::make_shared<PowerCut>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
  power->cut_at(1 + random() % 60);
  {
    SharedStore store(
        {.path = path, .memtable_bytes = 64 << 10, .free_bytes_min = 1 << 20, .env = env.get()},
        {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    static_cast<void>(channel.open());
    power->cut();
    channel.close();
  }
  power->tear(random);
}

/// Acknowledged events that are gone after a power cut.
std::uint64_t lost_in_power_cut(std::uint64_t seed, SyncMode sync) {
  std::mt19937_64 random(seed);
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const auto power = std::make_shared<PowerCut>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
  Told told;
  {
    SharedStore store({.path = directory.path("store"),
                       .memtable_bytes = 256 << 10,
                       .free_bytes_min = 1 << 20,
                       .env = env.get()},
                      {.sync = sync});
    power->cut_at(1 + random() % 1000);
    told = work_until_cut(store, pool, random, *power);
  }
  power->tear(random);
  // Also more than once: what the first recovery had mended the second one finds.
  for (auto cuts = sync == SyncMode::Always ? random() % 3 : 0; cuts > 0; --cuts) {
    cut_again_in_recovery(directory.path("store"), pool, random);
  }
  const std::vector<std::uint64_t> found = found_in(directory.path("store"), pool, sync);
  const std::uint64_t first = found.empty() ? told.put : found.front();
  const std::uint64_t end = found.empty() ? told.taken_at_most : found.back() + 1;
  if (sync == SyncMode::Always) {
    CHECK(first >= told.taken);  // nothing comes again that is out for good
    CHECK((found.empty() || found.size() == end - first));
    CHECK(std::is_sorted(found.begin(), found.end()));
  }
  const std::uint64_t at_the_front = first > told.taken_at_most ? first - told.taken_at_most : 0;
  return (told.put > end ? told.put - end : 0) + (found.empty() ? 0 : at_the_front);
}

std::uint64_t seeds() {
  const char* const soak = std::getenv("SLUICE_SOAK");
  return soak != nullptr && std::string(soak) == "1" ? 1000 : 10;
}

TEST_CASE("every acknowledged event survives a power cut at any step") {
  const CapturedLog log(log::Level::Error);
  const std::uint64_t begin = Catch::rngSeed() == 0 ? std::random_device()() : Catch::rngSeed();
  for (std::uint64_t seed = begin; seed < begin + seeds(); ++seed) {
    INFO("seed " << seed);
    REQUIRE(lost_in_power_cut(seed, SyncMode::Always) == 0);
  }
  // What was never synced may be torn: nobody was told that it is there.
  CHECK(log.text().find("is damaged") == std::string::npos);
}

TEST_CASE(
    "a disk that fails once costs nothing: what was refused is put again, and is there once") {
  const CapturedLog log(log::Level::Error);
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const TempDirectory directory;
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    const auto power = std::make_shared<PowerCut>();
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
    std::uint64_t next = 0;
    {
      // Small, so that tables are written all the time and a failure of theirs is met.
      SharedStore store({.path = directory.path("store"),
                         .memtable_bytes = 64 << 10,
                         .free_bytes_min = 1 << 20,
                         .env = env.get()},
                        {.sync = random() % 2 == 0 ? SyncMode::Always : SyncMode::Interval,
                         .sync_interval = milliseconds(1)});
      DurableChannel channel(stored_channel("c1", 0), store, pool);
      REQUIRE(channel.open().ok());
      SourceCounters counters;
      ChannelProcessor::Options options;
      options.required = {&channel};
      options.stores = {&store};
      ChannelProcessor out(std::move(options), counters);
      const bool tables = seed % 2 == 0;
      power->fail_once_at(1 + random() % (tables ? 10 : 100), tables);
      // How many steps a commit takes depends on how many gather: until it was met, and on.
      int after = 0;
      for (int i = 0; i < 5000 && after < 30; ++i) {
        after += power->has_failed() ? 1 : 0;
        const auto events = static_cast<std::uint32_t>(1 + random() % 5);
        REQUIRE(out.process(numbered(pool, next, events, 3000), {}, nullptr).ok());
        next += events;
      }
      out.finish({});
      CHECK(power->has_failed());
      CHECK(counters.put.events.get() == next);
    }
    const std::vector<std::uint64_t> found =
        found_in(directory.path("store"), pool, SyncMode::Always);
    REQUIRE(found.size() == next);
    CHECK(found.back() + 1 == next);
    CHECK(std::is_sorted(found.begin(), found.end()));
  }
}

TEST_CASE("a power cut takes the end of what was written, never a piece out of its middle") {
  const CapturedLog log(log::Level::Error);
  std::uint64_t found_some = 0;
  for (std::uint64_t seed = 1; seed <= 2 * seeds(); ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const TempDirectory directory;
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    const auto power = std::make_shared<PowerCut>();
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
    {
      SharedStore store({.path = directory.path("store"),
                         .memtable_bytes = 64 << 10,
                         .free_bytes_min = 1 << 20,
                         .env = env.get()},
                        {.sync = SyncMode::Never});
      power->cut_at(100 + random() % 400);
      work_until_cut(store, pool, random, *power);
    }
    power->tear_all_logs_but_the_last();
    SharedStore store({.path = directory.path("store"), .free_bytes_min = 1 << 20}, {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    REQUIRE(channel.open().ok());
    found_some += drain(channel).size();
    REQUIRE(channel.counters().quarantined.events.get() == 0);
  }
  CHECK(found_some > 0);
}

TEST_CASE("commits that are submitted while a sync runs share the next one") {
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const auto power = std::make_shared<PowerCut>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
  SharedStore store({.path = directory.path("store"), .free_bytes_min = 1 << 20, .env = env.get()},
                    {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  constexpr std::uint64_t commits = 100;
  std::atomic<std::uint64_t> done{0};
  const std::uint64_t before = power->log_syncs();
  power->hold_syncs(true);
  for (std::uint64_t i = 0; i < commits; ++i) {
    auto room = channel.reserve(numbered(pool, i, 1), soon(), {});
    REQUIRE(room.ok());
    Commit commit(&store);
    commit.put(*std::move(room));
    std::move(commit).submit([&done](const Status& status) { done += status.ok() ? 1 : 0; });
  }
  power->hold_syncs(false);
  // Its answer comes behind those of all others.
  Taken events = take_now(channel, 1);
  for (; events.empty(); events = take_now(channel, 1)) continue;
  Commit last(&store);
  last.take(std::move(events));
  REQUIRE(std::move(last).wait().ok());
  CHECK(done == commits);
  CHECK(power->log_syncs() - before < commits / 2);
}

TEST_CASE("without the sync the same runs lose acknowledged events") {
  const CapturedLog log(log::Level::Error);
  std::uint64_t lost = 0;
  for (std::uint64_t seed = 1; lost == 0 && seed <= 200; ++seed) {
    lost += lost_in_power_cut(seed, SyncMode::Never);
  }
  CHECK(lost > 0);
}

}  // namespace
}  // namespace sluice

// A disk that cannot be read for a while: nothing is lost, nothing comes twice, all in order.

#include <rocksdb/env.h>

#include <array>

#include "channels/channel_reader.h"
#include "core/store/store_reader.h"
#include "tests/catch.h"
#include "tests/support/bad_reads.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/eventually.h"
#include "tests/support/looked_at.h"
#include "tests/support/memory_channels.h"
#include "tests/support/power_cut.h"

namespace sluice {
namespace {

using Numbers = std::vector<std::uint64_t>;
using testing::BadRead;
using testing::BadReads;
using testing::CapturedLog;
using testing::is_table;
using testing::PowerCut;
using testing::TempDirectory;

// What is read from disk at once is less than half of it.
constexpr std::uint64_t all_events = 600;
constexpr std::size_t event_bytes = 20'000;

std::size_t count_of(const std::string& text, const std::string& words) {
  std::size_t count = 0;
  for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) {
    ++count;
  }
  return count;
}

/// A channel on a disk that can be spoilt. Destroyed, it leaves what a kill -9 leaves.
struct Kit {
  explicit Kit(const std::string& path, std::uint64_t budget_bytes = 0,
               std::uint64_t memtable_bytes = 256 << 10)
      : store(
            {.path = path, .memtable_bytes = memtable_bytes, .free_bytes_min = 1, .env = env.get()},
            {.reopen_pause = milliseconds(1)}),
        channel(stored_channel("c1", budget_bytes), store, pool) {
    REQUIRE(channel.open().ok());
  }

  /// Frames of 5 events, several to a table.
  void fill(std::uint64_t first = 0, std::uint64_t end = all_events) {
    for (; first < end; first += 5) REQUIRE(put(channel, numbered(pool, first, 5, event_bytes)));
  }
  /// True when something came.
  bool take_some(Numbers& found, std::uint32_t events_max = 7) {
    Taken taken = take_now(channel, events_max);
    if (taken.empty()) return false;
    const Numbers these = numbers_of(taken.batch());
    Commit out(channel.committer());
    out.take(std::move(taken));
    if (std::move(out).wait().ok()) found.insert(found.end(), these.begin(), these.end());
    return true;
  }

  void take_all(Numbers& found, std::uint64_t end) {
    const Deadline deadline = patiently();
    while (found.size() < end && !deadline.passed()) take_some(found, 50);
  }

  std::shared_ptr<PowerCut> power = std::make_shared<PowerCut>();
  std::shared_ptr<BadReads> disk = std::make_shared<BadReads>(power);
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SharedStore store;
  DurableChannel channel;
};

TEST_CASE("a table that cannot be read holds a sink up, and costs nothing") {
  const CapturedLog log;
  const TempDirectory directory;
  constexpr std::uint64_t few_tables = 4 << 20;  // so that nothing is compacted
  {
    Kit kit(directory.path("store"), 0, few_tables);
    kit.fill();
  }
  Kit kit(directory.path("store"), 0, few_tables);
  Numbers found;
  while (found.size() < 50) kit.take_some(found);
  kit.disk->hit(is_table);
  // What is read already comes, then nothing more does.
  while (kit.take_some(found)) continue;
  const std::uint64_t before = kit.disk->hits();
  for (int i = 0; i < 100; ++i) CHECK_FALSE(kit.take_some(found));
  REQUIRE(kit.disk->hits() >= before + 100);
  CHECK(found == counted(0, found.size()));
  REQUIRE(found.size() < all_events);
  // Who puts is not concerned.
  kit.fill(all_events, all_events + 50);
  CHECK(kit.channel.health().code() == Code::Retry);
  CHECK(kit.channel.health().message().find("Input/output error") != std::string::npos);
  const std::string said = log.text();
  CHECK(said.find("channel c1: cannot read the store " + directory.path("store")) !=
        std::string::npos);
  CHECK(said.find("Input/output error") != std::string::npos);
  CHECK(said.find("nothing is lost") != std::string::npos);
  CHECK(said.find("see to the disk") != std::string::npos);
  CHECK(count_of(said, "cannot read the store") <= 8);
  kit.disk->mend();
  kit.take_all(found, all_events + 50);
  CHECK(found == counted(0, all_events + 50));
  CHECK(kit.channel.counters().quarantined.events.get() == 0);
  CHECK(kit.channel.health().ok());
  CHECK(log.has("channel c1: the store can be read again"));
  CHECK(kit.store.commits().counters().failures.get() == 0);
}

/// The next one in a row of lives, which reads so badly; how many reads were bad.
std::uint64_t live_badly(const std::string& path, std::uint64_t& next, Numbers& found, BadRead how,
                         std::uint64_t every, std::uint64_t budget_bytes) {
  Kit kit(path, budget_bytes);
  // What a compaction meets stops the store for a moment: a source offers its batch again. An
  // opening reads some tens of times.
  kit.disk->hit_one_in(std::max<std::uint64_t>(every, 200), is_table, how);
  const Deadline deadline = patiently();
  for (const std::uint64_t end = next + 300; next < end && !deadline.passed();) {
    if (put(kit.channel, numbered(kit.pool, next, 5, event_bytes))) next += 5;
    if (next % 3 == 0) kit.take_some(found);
  }
  kit.disk->hit_one_in(every, is_table, how);
  for (std::uint64_t i = 0; i < 30 && found.size() < next; ++i) {
    // A read is made again at once: what is wrong twice in a row counts as damage, but a read that
    // fails while something else to read is searched for does not.
    if (how != BadRead::Error) kit.disk->hit(is_table, 1 + i % every, 1, how, i % 2 * 5);
    kit.take_some(found, 50);
  }
  CHECK(kit.channel.counters().quarantined.events.get() == 0);
  return kit.disk->hits();
}

TEST_CASE("tables that are read wrongly now and then cost nothing, and nothing comes twice") {
  const CapturedLog log(log::Level::Error);
  for (const BadRead how : {BadRead::Error, BadRead::Short, BadRead::Flipped}) {
    std::uint64_t hits = 0;
    for (const std::uint64_t every : {2, 3, 7, 20}) {
      INFO("bad read " << static_cast<int>(how) << ", one in " << every);
      const TempDirectory directory;
      const std::string path = directory.path("store");
      Numbers found;
      std::uint64_t next = 0;
      hits += live_badly(path, next, found, how, every, 0);
      hits += live_badly(path, next, found, how, every, 1 << 20);
      Kit kit(path);
      kit.take_all(found, next);
      CHECK(found == counted(0, next));
      CHECK(kit.channel.counters().quarantined.events.get() == 0);
    }
    CHECK(hits > 3);
  }
}

TEST_CASE("what a reader let go of and gave back waits for the disk, and comes in its place") {
  const CapturedLog log(log::Level::Error);
  const TempDirectory directory;
  Kit kit(directory.path("store"), 64 << 20);
  kit.fill();
  Numbers found;
  {
    Taken batch;
    for (int i = 0; i < 20; ++i) {
      Taken taken = take_now(kit.channel, 7);
      taken.let_go();
      batch.append(std::move(taken));
    }
    kit.disk->hit(is_table);
  }
  // What is in memory lies behind it.
  for (int i = 0; i < 20; ++i) CHECK_FALSE(kit.take_some(found));
  CHECK(kit.channel.health().code() == Code::Retry);
  for (std::uint64_t nth = 1; nth < 40; ++nth) {
    kit.disk->hit(is_table, nth, 3);
    kit.take_some(found);
  }
  kit.disk->mend();
  kit.take_all(found, all_events);
  CHECK(found == counted(0, all_events));
  CHECK(kit.channel.counters().quarantined.events.get() == 0);
  CHECK(kit.channel.health().ok());
}

TEST_CASE("a refused take waits again though the disk cannot be read when the store is mended") {
  const CapturedLog log(log::Level::Error);
  const TempDirectory directory;
  const auto everything = [](const std::string&) { return true; };
  int refused = 0;
  for (const bool restart : {false, true}) {
    for (std::uint64_t nth = 1; nth < 140; nth += 12) {
      INFO("bad from read " << nth << " on, restart: " << restart);
      const std::string path = directory.path("store-" + std::to_string(nth * 2 + restart));
      Numbers found;
      {
        Kit kit(path, 64 << 20);
        kit.fill(0, 100);
        while (found.size() < 10) kit.take_some(found, 5);
        kit.power->fail_once_at(2);  // the sync, unless a table is written just now
        kit.disk->hit(everything, nth, 12);
        const std::size_t before = found.size();
        kit.take_some(found, 33);
        refused += found.size() == before ? 1 : 0;
        REQUIRE(eventually([&] { return Commit(&kit.store).wait().ok(); }));
        kit.disk->mend();
        CHECK(kit.store.health().ok());
        if (!restart) kit.take_all(found, 100);
        CHECK(kit.channel.counters().quarantined.events.get() == 0);
      }
      Kit kit(path);
      CHECK(kit.channel.size_events() == 100 - found.size());
      kit.take_all(found, 100);
      CHECK(found == counted(0, 100));
      CHECK(kit.channel.counters().quarantined.events.get() == 0);
    }
  }
  CHECK(refused > 10);
}

TEST_CASE("who looks at a store takes a disk that cannot be read for no damage") {
  const CapturedLog log(log::Level::Error);
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Kit kit(path);
  kit.fill(0, 200);
  Numbers out;
  while (out.size() < 20) kit.take_some(out);
  const auto disk = std::make_shared<BadReads>();
  const auto everything = [](const std::string&) { return true; };
  int failed_openings = 0;
  int failed_readings = 0;
  for (std::uint64_t nth = 1, hits = 0;; ++nth, hits = disk->hits()) {
    INFO("bad from read " << nth << " on");
    disk->hit(everything, nth);
    const auto store = StoreReader::open(path, disk);
    if (!store.ok()) {
      CHECK(store.code() == Code::Retry);
      CHECK(store.status().message().find(path) != std::string::npos);
      CHECK(store.status().message().find("Input/output error") != std::string::npos);
      ++failed_openings;
      continue;
    }
    CHECK(store.value()->damage().empty());
    const auto account = store.value()->account(0);
    if (!account.ok()) {
      CHECK(account.code() == Code::Retry);
      ++failed_openings;
      continue;
    }
    ChannelReader reader(*store.value(), 0, account.value(), kit.pool);
    Numbers found;
    int damaged = 0;
    const Status status = reader.for_each_event(
        0, UINT64_MAX,
        [&](std::uint64_t sequence, const Event&, const Origin&) {
          found.push_back(sequence);
          return true;
        },
        [&](const ChannelReader::Damage&) {
          ++damaged;
          return true;
        });
    CHECK(damaged == 0);
    CHECK(found == counted(out.size(), out.size() + found.size()));
    if (status.ok()) {
      CHECK(out.size() + found.size() == 200);
      CHECK(disk->hits() == hits);
      break;
    }
    CHECK(status.code() == Code::Retry);
    ++failed_readings;
  }
  CHECK(failed_openings > 5);
  CHECK(failed_readings > 5);
}

}  // namespace
}  // namespace sluice

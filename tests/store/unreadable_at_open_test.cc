// A disk that cannot be read while a store is opened: the opening says so, a later one has
// everything.
// test: no-tsan timeout=300

#include <rocksdb/env.h>

#include <filesystem>

#include "channels/shared_store.h"
#include "tests/catch.h"
#include "tests/support/bad_reads.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/looked_at.h"
#include "tests/support/memory_channels.h"

namespace sluice {
namespace {

using testing::BadRead;
using testing::BadReads;
using testing::CapturedLog;
using testing::TempDirectory;

constexpr std::uint64_t put_events = 150;
constexpr std::uint64_t taken_events = 12;

bool any_file(const std::string& /*name*/) { return true; }
bool is_no_log(const std::string& name) { return !name.ends_with(".log"); }

Store::Options store_in(const std::string& path, rocksdb::Env* env = nullptr) {
  return {.path = path, .memtable_bytes = 64 << 10, .free_bytes_min = 1, .env = env};
}

/// Some of it is in tables, some in the log.
void fill(const std::string& path) {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  SharedStore store(store_in(path), {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  for (std::uint64_t first = 0; first < put_events; first += 5) {
    auto room = channel.reserve(numbered(pool, first, 5, 3000), patiently(), {});
    REQUIRE(room.ok());
    Commit in(&store);
    in.put(*std::move(room));
    in.note({"position", std::to_string(first + 5)});
    REQUIRE(std::move(in).wait().ok());
  }
  commit(take_now(channel, taken_events));
}

bool has_kept_files(const std::string& path) {
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().filename().string().starts_with("damaged-")) return true;
  }
  return false;
}

void check_all_is_there(const std::string& path) {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  SharedStore store(store_in(path), {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  const Status opened = channel.open();
  INFO(opened.message());
  REQUIRE(opened.ok());
  CHECK(store.note("position").value_or("") == std::to_string(put_events));
  CHECK(drain(channel) == counted(taken_events, put_events));
  CHECK(channel.counters().quarantined.events.get() == 0);
}

/// Opens while reads from the n-th on are bad; how many were.
std::uint64_t open_badly(const std::string& path, std::uint64_t nth, std::uint64_t times,
                         BadRead how) {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const auto disk = std::make_shared<BadReads>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  // A log that is read to an end too early, once, looks like one that ends there.
  disk->hit(how == BadRead::Short ? is_no_log : any_file, nth, times, how);
  SharedStore store(store_in(path, env.get()), {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  const Status opened = channel.open();
  INFO(opened.message());
  if (how == BadRead::Error) {
    CHECK((opened.ok() || opened.code() == Code::Retry));
    if (!opened.ok()) {
      CHECK(opened.message().find(path) != std::string::npos);
      CHECK(opened.message().find("Input/output error") != std::string::npos);
    }
  }
  CHECK((opened.ok() || channel.size_events() == 0));
  return disk->hits();
}

TEST_CASE("whatever cannot be read at an opening, a later one has everything") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  fill(path);
  struct Case {
    BadRead how;
    std::uint64_t times;
  };
  for (const Case each :
       {Case{BadRead::Error, 1}, Case{BadRead::Error, 3}, Case{BadRead::Error, UINT64_MAX},
        Case{BadRead::Short, 1}, Case{BadRead::Flipped, 1}}) {
    std::uint64_t nth = 1;
    for (bool hit = true; hit; ++nth) {
      INFO("read " << nth << " is bad, " << each.times << " in all, in the way "
                   << static_cast<int>(each.how));
      const std::string copy = directory.path("copy");
      std::filesystem::copy(path, copy);
      const CapturedLog log;
      hit = open_badly(copy, nth, each.times, each.how) > 0;
      INFO(log.text());
      if (each.how == BadRead::Error) {
        CHECK_FALSE(log.has("damage"));
        CHECK_FALSE(has_kept_files(copy));
      }
      check_all_is_there(copy);
      std::filesystem::remove_all(copy);
    }
    CHECK(nth > 20);
  }
}

}  // namespace
}  // namespace sluice

// What is left of a store whose log was damaged: all but what lay in the damage.
//
// SLUICE_SOAK=1 runs 300 seeds instead of a few.
// test: no-tsan timeout=600

#include <rocksdb/env.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include "channels/shared_store.h"
#include "tests/catch.h"
#include "tests/support/bad_reads.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/memory_channels.h"
#include "tests/support/power_cut.h"

namespace sluice {
namespace {

using testing::BadReads;
using testing::CapturedLog;
using testing::PowerCut;
using testing::TempDirectory;

constexpr std::uint32_t commits = 40;
constexpr std::uint32_t events_each = 5;
constexpr std::uint64_t all_events = commits * events_each;
constexpr std::uint64_t taken_events = 12;

Store::Options store_in(const std::string& path, rocksdb::Env* env = nullptr) {
  return {.path = path, .free_bytes_min = 1 << 20, .env = env};
}

/// A store whose channel c1 has given out the first events; a note says how many were put. With
/// small memtables most of it is in tables.
void fill(const std::string& path, SlabPool& pool, std::uint64_t memtable_bytes = 32 << 20) {
  Store::Options options = store_in(path);
  options.memtable_bytes = memtable_bytes;
  SharedStore store(options, {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  for (std::uint32_t i = 0; i < commits; ++i) {
    const std::uint64_t first = std::uint64_t{i} * events_each;
    auto room = channel.reserve(numbered(pool, first, events_each, 3000), patiently(), {});
    REQUIRE(room.ok());
    Commit in(&store);
    in.put(*std::move(room));
    in.note({"position", std::to_string(first + events_each)});
    REQUIRE(std::move(in).wait().ok());
    // Once before the middle of the log, and once behind it.
    if (first == 50 || first == 150) commit(take_now(channel, taken_events / 2));
  }
}

/// The largest of them.
std::filesystem::path file_of(const std::string& path, const std::string& extension) {
  std::filesystem::path found;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() != extension) continue;
    if (found.empty() || entry.file_size() > std::filesystem::file_size(found)) {
      found = entry.path();
    }
  }
  return found;
}

std::filesystem::path log_of(const std::string& path) { return file_of(path, ".log"); }

/// Turns bits around in the middle of the log, or of a table.
void damage(const std::string& path, const std::string& extension = ".log") {
  const auto where = file_of(path, extension);
  std::fstream file(where, std::ios::in | std::ios::out | std::ios::binary);
  const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(where) / 2);
  char byte = 0;
  file.seekg(middle).get(byte);
  file.seekp(middle).put(static_cast<char>(~byte));
  REQUIRE(file.good());
}

struct Found {
  std::vector<std::uint64_t> numbers;
  std::uint64_t quarantined = 0;
  std::string position;
  std::uint64_t frames_left = 0;  ///< On disk.
};

/// Takes all that waits.
Found found_in(const std::string& path, SlabPool& pool) {
  SharedStore store(store_in(path), {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  const Status opened = channel.open();
  INFO(opened.message());
  REQUIRE(opened.ok());
  Found found;
  found.position = store.note("position").value_or("");
  found.numbers = drain(channel);
  // A put goes through the committer behind the quarantine.
  REQUIRE(put(channel, numbered(pool, 0, 1)));
  found.quarantined = channel.counters().quarantined.events.get();
  static_cast<void>(store.store().read_frames(0, 0, UINT64_MAX, [&](auto, auto) {
    ++found.frames_left;
    return true;
  }));
  return found;
}

/// One run of events is missing, and counted; the rest is there, once and in order.
void check_one_hole(const Found& found) {
  REQUIRE(found.numbers.size() > 1);
  CHECK(found.numbers.front() == taken_events);
  CHECK(found.numbers.back() == all_events - 1);
  std::uint64_t holes = 0;
  std::uint64_t missing = 0;
  for (std::size_t i = 1; i < found.numbers.size(); ++i) {
    REQUIRE(found.numbers[i] > found.numbers[i - 1]);
    const std::uint64_t step = found.numbers[i] - found.numbers[i - 1] - 1;
    holes += step > 0 ? 1 : 0;
    missing += step;
  }
  CHECK(holes == 1);
  // A log is read in blocks of 32 KB: what shares one with the damage goes with it.
  CHECK(missing <= 6 * events_each);
  CHECK(found.quarantined == missing);
  CHECK(found.frames_left == 1);  // the last put
  CHECK(found.position == std::to_string(all_events));
}

TEST_CASE("a damaged log costs what lies in the damage, not what lies behind it") {
  // With small memtables there are several logs, and the damaged one may not be the last.
  for (const std::uint64_t memtable_bytes : {32 << 20, 128 << 10}) {
    INFO("memtables of " << memtable_bytes);
    const TempDirectory directory;
    const std::string path = directory.path("store");
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    fill(path, pool, memtable_bytes);
    damage(path);
    const CapturedLog log;
    const Found found = found_in(path, pool);
    if (memtable_bytes > 1 << 20) check_one_hole(found);
    CHECK(found.numbers.size() + found.quarantined == all_events - taken_events);
    CHECK(found.quarantined <= 6 * events_each);
    CHECK(found.position == std::to_string(all_events));
    CHECK(log.text().find("its log is damaged") != std::string::npos);
    CHECK(log.text().find("are kept in " + path + "/damaged-") != std::string::npos);
  }
}

TEST_CASE("the files as they were are kept, and nothing is said a second time") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  fill(path, pool);
  damage(path);
  std::ifstream damaged(log_of(path), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(damaged), {}};
  const std::string name = log_of(path).filename();
  found_in(path, pool);
  std::string kept;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    CHECK(entry.path().filename().string().find("before-open") == std::string::npos);
    if (entry.path().filename().string().find("damaged-") == 0) kept = entry.path();
  }
  std::ifstream file(kept + "/" + name, std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == bytes);
  const CapturedLog log;
  CHECK(found_in(path, pool).numbers.size() == 1);  // what found_in() itself has put
  CHECK(log.text().find("damaged") == std::string::npos);
}

TEST_CASE("what is brought back is whole whenever the power is cut meanwhile") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  fill(path, pool);
  damage(path);
  const CapturedLog log;
  std::mt19937_64 random(1);
  bool cut = true;
  int cuts = 0;
  // A kill leaves what was written; a power cut only a part of what was not synced.
  for (std::uint64_t round = 2; cut; ++round) {
    const std::uint64_t at = round / 2;
    const bool killed = round % 2 == 0;
    INFO("cut at step " << at << ", killed: " << killed);
    const std::string copy = directory.path("copy-" + std::to_string(round));
    std::filesystem::copy(path, copy);
    const auto power = std::make_shared<PowerCut>();
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
    power->cut_at(at);
    {
      SharedStore store(store_in(copy, env.get()), {});
      static_cast<void>(store.open());
      cut = power->is_cut();
      power->cut();
    }
    if (!killed) power->tear(random);
    check_one_hole(found_in(copy, pool));
    std::filesystem::remove_all(copy);
    cuts += cut ? 1 : 0;
  }
  CHECK(cuts > 10);
}

TEST_CASE("a torn end of the log that was never synced is no damage") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  fill(path, pool);
  std::ofstream(log_of(path), std::ios::binary | std::ios::app) << std::string(5000, 'x');
  const CapturedLog log;
  const Found found = found_in(path, pool);
  CHECK(found.numbers.size() == all_events - taken_events);
  CHECK(found.quarantined == 0);
  CHECK(log.text().find("damaged") == std::string::npos);
}

TEST_CASE("a damaged table costs the frames that it hits") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  fill(path, pool, 128 << 10);
  damage(path, ".sst");
  const CapturedLog log;
  const Found found = found_in(path, pool);
  CHECK(found.quarantined > 0);
  CHECK(found.quarantined <= 2 * events_each);
  CHECK(found.numbers.size() + found.quarantined == all_events - taken_events);
  CHECK(log.text().find("cannot be read and are passed over") != std::string::npos);
}

TEST_CASE("a table that is gone costs the frames in it") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  fill(path, pool, 128 << 10);
  const auto table = file_of(path, ".sst");
  std::filesystem::remove(table);
  const CapturedLog log;
  const Found found = found_in(path, pool);
  CHECK(found.quarantined > 0);
  CHECK(found.numbers.size() + found.quarantined == all_events - taken_events);
  CHECK(log.text().find(table.stem()) != std::string::npos);
  CHECK(log.text().find("cannot be read and are passed over") != std::string::npos);
}

TEST_CASE("a log that is gone is said, and the channel goes on") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  fill(path, pool);
  std::filesystem::remove(log_of(path));
  const CapturedLog log;
  const Found found = found_in(path, pool);
  CHECK(found.numbers.empty());
  CHECK(log.text().find("its log is damaged") != std::string::npos);
}

TEST_CASE(
    "without CURRENT nothing is begun over what is there, and putting it back is all it takes") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  fill(path, pool);
  std::filesystem::rename(path + "/CURRENT", path + "/aside");
  const auto names = [&] {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().extension() != ".old" && entry.path().filename() != "LOCK") {
        found.insert(entry.path().filename());
      }
    }
    return found;
  };
  const auto before = names();
  const auto refused = Store::open(store_in(path));
  REQUIRE(refused.status().code() == Code::Reject);
  CHECK(refused.status().message().find("its file CURRENT is gone") != std::string::npos);
  CHECK(refused.status().message().find("\"MANIFEST-") != std::string::npos);
  CHECK(names() == before);
  std::filesystem::rename(path + "/aside", path + "/CURRENT");
  CHECK(found_in(path, pool).numbers.size() == all_events - taken_events);
}

TEST_CASE("a channel keeps its number when all of the log is lost") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  {
    auto store = Store::open(store_in(path));
    REQUIRE(store.ok());
    REQUIRE(store.value()->channel_number("one").value() == 0);
    REQUIRE(store.value()->channel_number("two").value() == 1);
  }
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() == ".log") std::filesystem::remove(entry.path());
  }
  auto store = Store::open(store_in(path));
  REQUIRE(store.ok());
  CHECK(store.value()->channel_number("two").value() == 1);
  CHECK(store.value()->channel_number("one").value() == 0);
}

// ---- flipped bits anywhere

/// Bytes of a log.
struct Written {
  std::string log;
  std::uint64_t begin;
  std::uint64_t end;
};

/// Commits of all sizes, and where in the logs each of them stands.
struct Filled {
  std::vector<std::vector<std::uint64_t>> events;  ///< Of each commit.
  std::vector<std::vector<Written>> places;
  std::set<std::uint64_t> taken;
  std::vector<Written> takes;  ///< Where the commits of takes stand.
};

class LogSizes {
 public:
  explicit LogSizes(std::string path) : path_(std::move(path)) { grown(); }
  /// What was written since the last call.
  std::vector<Written> grown() {
    std::vector<Written> places;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      if (entry.path().extension() != ".log") continue;
      std::error_code gone;  // flushed meanwhile
      const std::uint64_t size = entry.file_size(gone);
      std::uint64_t& known = sizes_[entry.path().filename()];
      if (gone || size == known) continue;
      places.push_back({entry.path().filename(), std::exchange(known, size), size});
    }
    return places;
  }
  std::size_t count() const { return sizes_.size(); }

 private:
  const std::string path_;
  std::map<std::string, std::uint64_t> sizes_;
};

Filled fill_at_random(const std::string& path, SlabPool& pool, std::mt19937_64& random,
                      std::uint64_t memtable_bytes) {
  Store::Options options = store_in(path);
  options.memtable_bytes = memtable_bytes;
  SharedStore store(options, {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  LogSizes logs(path);
  Filled filled;
  std::uint64_t next = 0;
  for (int i = 0; i < 60; ++i) {
    // From a line to several blocks.
    const auto count = static_cast<std::uint32_t>(1 + random() % 4);
    const std::size_t each = random() % 3 == 0 ? 50 : random() % 40'000;
    auto room = channel.reserve(numbered(pool, next, count, each), patiently(), {});
    REQUIRE(room.ok());
    Commit in(&store);
    in.put(*std::move(room));
    in.note({"position", std::to_string(next + count)});
    REQUIRE(std::move(in).wait().ok());
    filled.places.push_back(logs.grown());
    auto& events = filled.events.emplace_back(count);
    std::iota(events.begin(), events.end(), next);
    next += count;
    if (random() % 8 == 0) {
      Taken some = take_now(channel, 2);
      for (const std::uint64_t number : numbers_of(some.batch())) filled.taken.insert(number);
      commit(std::move(some));
      for (const Written& its : logs.grown()) filled.takes.push_back(its);
    }
  }
  return filled;
}

/// Whether these bytes are hit by damage at one of these places.
bool is_hit(const Written& bytes, const std::vector<Written>& places) {
  return std::any_of(places.begin(), places.end(), [&](const Written& place) {
    return place.log == bytes.log && place.begin < bytes.end && bytes.begin < place.end;
  });
}

/// The events of commits that have a byte in one of these places.
std::set<std::uint64_t> hit(const Filled& filled, const std::vector<Written>& places) {
  std::set<std::uint64_t> numbers;
  for (std::size_t i = 0; i < filled.places.size(); ++i) {
    for (const Written& its : filled.places[i]) {
      if (is_hit(its, places)) numbers.insert(filled.events[i].begin(), filled.events[i].end());
    }
  }
  return numbers;
}

/// Turns a bit around; the old byte.
char flip(const std::string& path, std::uint64_t at, int bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  char byte = 0;
  file.seekg(static_cast<std::streamoff>(at)).get(byte);
  file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(byte ^ (1 << bit)));
  REQUIRE(file.good());
  return byte;
}

/// Turns up to three bits around, but none behind the last commit: what is missing at the very end
/// has no sequences. Returns where, and blocks that were hit twice as a whole.
std::vector<Written> flip_bits(const std::string& path, const Filled& filled,
                               std::mt19937_64& random) {
  constexpr std::uint64_t block = 32 << 10;
  std::map<std::string, std::uint64_t> limits;
  for (const auto& places : filled.places) {
    for (const Written& place : places) limits[place.log] = place.end;
  }
  for (const Written& last : filled.places.back()) limits[last.log] = last.begin;
  std::erase_if(limits, [&](const auto& log) {
    return log.second == 0 || !std::filesystem::exists(path + "/" + log.first);
  });
  std::vector<Written> places;
  for (std::uint64_t left = limits.empty() ? 0 : 1 + random() % 3; left > 0; --left) {
    const auto log =
        std::next(limits.begin(), static_cast<std::ptrdiff_t>(random() % limits.size()));
    // Sometimes where a header is.
    std::uint64_t at = random() % log->second;
    if (random() % 2 == 0) at = at / block * block + random() % 7;
    if (at >= log->second) at = 0;
    flip(path + "/" + log->first, at, static_cast<int>(random() % 8));
    for (std::size_t i = 0, count = places.size(); i < count; ++i) {
      if (places[i].log != log->first || places[i].begin / block != at / block) continue;
      places.push_back({log->first, at / block * block, (at / block + 1) * block});
    }
    places.push_back({log->first, at, at + 1});
  }
  return places;
}

TEST_CASE("flipped bits anywhere in the logs cost the commits that they hit") {
  const char* const soak = std::getenv("SLUICE_SOAK");
  const std::uint64_t seeds = soak != nullptr && std::string(soak) == "1" ? 300 : 20;
  int damaged = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    std::mt19937_64 random(seed);
    const std::uint64_t memtable_bytes = std::array{32 << 20, 1 << 20, 256 << 10}[seed % 3];
    const TempDirectory directory;
    const std::string path = directory.path("store");
    SlabPool pool(256 * 1024, keep_no_free_slabs);
    const Filled filled = fill_at_random(path, pool, random, memtable_bytes);
    const auto places = flip_bits(path, filled, random);
    std::string where;
    for (const Written& place : places)
      where += " " + place.log + ":" + std::to_string(place.begin);
    INFO("seed " << seed << ", memtables of " << memtable_bytes << ", hit at" << where);
    const std::set<std::uint64_t> may_miss = hit(filled, places);
    const CapturedLog log;
    const Found found = found_in(path, pool);
    INFO(log.text());
    CHECK(std::is_sorted(found.numbers.begin(), found.numbers.end()));
    std::set<std::uint64_t> there(found.numbers.begin(), found.numbers.end());
    CHECK(there.size() == found.numbers.size());
    std::uint64_t missing = 0;
    for (const auto& events : filled.events) {
      for (const std::uint64_t number : events) {
        const bool taken = filled.taken.count(number) != 0;
        const bool is_there = there.count(number) != 0;
        if (taken) CHECK_FALSE(is_there);
        if (taken || is_there) continue;
        ++missing;
        CHECK(may_miss.count(number) != 0);
      }
    }
    CHECK(found.quarantined == missing);
    // The last put, and frames whose removal was hit: they are not given out again.
    const bool removals = std::any_of(filled.takes.begin(), filled.takes.end(),
                                      [&](const Written& its) { return is_hit(its, places); });
    CHECK((found.frames_left == 1 || removals));
    CHECK(found.position == std::to_string(filled.events.back().back() + 1));
    damaged += missing > 0 ? 1 : 0;
  }
  CHECK(damaged > static_cast<int>(seeds / 4));
}

/// 100 events and a note, in several logs; a record of the first one's type becomes one that files
/// have which are used again.
void fill_and_end_a_log(const std::string& path, SlabPool& pool) {
  Written first_log;
  {
    Store::Options options = store_in(path);
    options.memtable_bytes = 128 << 10;
    SharedStore store(options, {});
    DurableChannel channel(stored_channel("c1"), store, pool);
    REQUIRE(channel.open().ok());
    LogSizes logs(path);
    for (std::uint64_t i = 0; i < 20; ++i) {
      auto room = channel.reserve(numbered(pool, i * 5, 5, 3000), patiently(), {});
      REQUIRE(room.ok());
      Commit in(&store);
      in.put(*std::move(room));
      // Written once, while the logs after this one hold other rows.
      if (i == 3) in.note({"early", "here"});
      REQUIRE(std::move(in).wait().ok());
      const auto places = logs.grown();
      if (i == 1) first_log = places.front();
    }
    REQUIRE(logs.count() > 1);
  }
  constexpr std::uint64_t type_at = 6;
  const char type = flip(path + "/" + first_log.log, first_log.begin + type_at, 2);
  REQUIRE((type == 1 || type == 2));
}

/// All of those but one frame are there.
void check_ended_log(const std::string& path, SlabPool& pool) {
  SharedStore store(store_in(path), {});
  DurableChannel channel(stored_channel("c1"), store, pool);
  REQUIRE(channel.open().ok());
  CHECK(store.note("early").value_or("") == "here");
  const std::uint64_t there = drain(channel).size();
  CHECK(there >= 95);
  CHECK(there + channel.counters().quarantined.events.get() == 100);
}

TEST_CASE("a log that RocksDB takes for shorter than it is hides nothing") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  fill_and_end_a_log(path, pool);
  const CapturedLog log;
  check_ended_log(path, pool);
  CHECK(log.text().find("its log is damaged (places: 1)") != std::string::npos);
}

/// Opens a copy with its n-th read and some behind it failing, but for those of tables, which are
/// read again when they are asked for; false when there are fewer reads.
bool open_unreadable(const std::string& copy, std::uint64_t nth, std::uint64_t times) {
  const auto disk = std::make_shared<BadReads>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  disk->hit([](const std::string& name) { return !testing::is_table(name); }, nth, times);
  SharedStore store(store_in(copy, env.get()), {});
  const Status opened = store.open();
  CHECK((opened.ok() || opened.code() == Code::Retry));
  return disk->hits() > 0;
}

TEST_CASE("damage is mended whichever read fails meanwhile, once or for a while") {
  const CapturedLog log;
  for (const bool cut : {true, false}) {
    const TempDirectory directory;
    const std::string path = directory.path("store");
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    if (cut) {
      fill(path, pool);
      damage(path);
    } else {
      fill_and_end_a_log(path, pool);
    }
    for (const std::uint64_t times : {std::uint64_t{1}, UINT64_MAX}) {
      std::uint64_t nth = 1;
      for (bool hit = true; hit; ++nth) {
        INFO("read " << nth << " fails, " << times << " in all, the log is cut: " << cut);
        const std::string copy = directory.path("copy");
        std::filesystem::copy(path, copy);
        hit = open_unreadable(copy, nth, times);
        if (cut) {
          check_one_hole(found_in(copy, pool));
        } else {
          check_ended_log(copy, pool);
        }
        std::filesystem::remove_all(copy);
      }
      CHECK(nth > 15);
    }
  }
}

TEST_CASE("a table that is damaged where it begins costs the frames there, not those before it") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  fill(path, pool, 128 << 10);
  int tables = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() != ".sst" || entry.file_size() < 64 << 10) continue;
    ++tables;
    INFO("the table " << entry.path().filename());
    const std::string copy = directory.path("copy");
    std::filesystem::copy(path, copy);
    flip(copy + "/" + entry.path().filename().string(), 100, 1);
    const CapturedLog log;
    const Found found = found_in(copy, pool);
    CHECK(found.quarantined <= events_each);
    CHECK(found.numbers.size() + found.quarantined == all_events - taken_events);
    std::filesystem::remove_all(copy);
  }
  CHECK(tables > 0);
}

}  // namespace
}  // namespace sluice

// What was delivered is kept for a time or a size, counts as nothing, and is the first to go.

#include "core/store/retention.h"

#include <rocksdb/env.h>

#include <deque>
#include <random>

#include "channels/shared_store.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/eventually.h"
#include "tests/support/looked_at.h"
#include "tests/support/memory_channels.h"
#include "tests/support/moved_clock.h"
#include "tests/support/power_cut.h"
#include "tests/support/small_disk.h"

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::CapturedLog;
using testing::PowerCut;
using testing::SmallDisk;
using testing::TempDirectory;

DurableChannel::Options keeping(RetentionLimits limits, const Clock& clock) {
  DurableChannel::Options options = stored_channel("c1");
  options.retention = limits;
  options.clock = &clock;
  return options;
}

/// A channel on a store of its own.
struct Kit {
  Kit(const std::string& path, RetentionLimits limits, const Clock& clock,
      SyncMode sync = SyncMode::Always)
      : store({.path = path, .memtable_bytes = 256 << 10, .free_bytes_min = 1 << 20},
              {.sync = sync}),
        channel(keeping(limits, clock), store, pool) {
    const Status opened = channel.open();
    if (!opened.ok()) FAIL(opened.message());
  }
  /// Events [first, first + events) go in and out.
  void deliver(std::uint64_t first, std::uint32_t events, std::size_t bytes_min = 0) {
    REQUIRE(put(channel, numbered(pool, first, events, bytes_min)));
    commit(take_now(channel, events));
  }
  /// What a sink that finds nothing leads to.
  void idle() {
    take_now(channel);
    settle();
  }
  /// Waits for what was submitted.
  void settle() {
    Commit nothing(&store);
    nothing.note({"settled", ""});
    REQUIRE(std::move(nothing).wait().ok());
  }
  std::uint64_t kept() const { return channel.counters().kept.events.get(); }

  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SharedStore store;
  DurableChannel channel;
};

std::size_t frames_in(Kit& kit) {
  std::size_t frames = 0;
  REQUIRE(kit.store.store()
              .read_frames(0, 0, UINT64_MAX,
                           [&](auto, auto) {
                             ++frames;
                             return true;
                           })
              .ok());
  return frames;
}

TEST_CASE("without retention nothing stays behind, and nothing is noted about it") {
  const TempDirectory directory;
  const MovedClock clock;
  Kit kit(directory.path("store"), {}, clock);
  kit.deliver(0, 10);
  CHECK(frames_in(kit) == 0);
  CHECK(kit.kept() == 0);
  const auto row = kit.store.store().row("account/0");
  REQUIRE((row.ok() && row->has_value()));
  CHECK(row->value()[0] == 1);
}

TEST_CASE("delivered events are kept until they are old, also while nothing flows") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  MovedClock clock;
  Kit kit(path, {.age = hours(32)}, clock);
  for (std::uint64_t i = 0; i < 5; ++i) {
    kit.deliver(i * 10, 10);
    clock.advance(hours(4));
  }
  CHECK(kit.kept() == 50);
  CHECK(look_at_kept(path, "c1").sequences == counted(0, 50));
  CHECK(look_at_kept(path, "c1").bodies.front() == "0");
  clock.advance(hours(11));  // 31 since the first, 15 since the last
  kit.idle();
  CHECK(look_at_kept(path, "c1").sequences == counted(0, 50));
  clock.advance(hours(1));
  kit.idle();
  CHECK(look_at_kept(path, "c1").sequences == counted(10, 50));
  CHECK(kit.kept() == 40);
  clock.advance(hours(17));  // 33 since the last
  kit.idle();
  CHECK(look_at_kept(path, "c1").sequences.empty());
  CHECK(kit.kept() == 0);
  const std::uint64_t works = kit.store.commits().counters().works.get();
  clock.advance(hours(100));
  take_now(kit.channel);
  kit.settle();
  CHECK(kit.store.commits().counters().works.get() == works + 1);  // that of settle()
}

TEST_CASE("what came last before a pause is given its time though nobody noted it at once") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  MovedClock clock;
  Kit kit(path, {.age = hours(32)}, clock);
  kit.deliver(0, 10);
  clock.advance(minutes(30));  // less than a step: no mark
  kit.deliver(10, 10);
  clock.advance(minutes(31));
  kit.idle();
  clock.advance(hours(32) - minutes(1));
  kit.idle();
  CHECK(look_at_kept(path, "c1").sequences == counted(10, 20));
  clock.advance(minutes(1));
  clock.advance(milliseconds(1000));
  kit.idle();
  CHECK(look_at_kept(path, "c1").sequences.empty());
}

TEST_CASE("a clock that is set back keeps nothing for longer than from now on") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  MovedClock clock;
  Kit kit(path, {.age = hours(32)}, clock);
  kit.deliver(0, 10);
  clock.advance(hours(1));
  clock.set_wall_ms(clock.wall_ms() - milliseconds(hours(24 * 365)).count());
  kit.deliver(10, 10);
  CHECK(look_at_kept(path, "c1").sequences == counted(0, 20));
  clock.advance(hours(33));
  kit.idle();
  clock.advance(hours(33));
  kit.idle();
  CHECK(look_at_kept(path, "c1").sequences.empty());
}

TEST_CASE("of a size, the newest is kept, within a step") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  const MovedClock clock;
  Kit kit(path, {.bytes = 64'000}, clock);
  for (std::uint64_t i = 0; i < 100; ++i) {
    kit.deliver(i * 10, 10, 100);
    CHECK(kit.channel.counters().kept.bytes.get() <= 64'000);
  }
  const std::vector<std::uint64_t> kept = look_at_kept(path, "c1").sequences;
  CHECK(kept.size() >= 640 - 40);
  CHECK(kept == counted(1000 - kept.size(), 1000));
  CHECK(kit.kept() == kept.size());
}

TEST_CASE("nothing is deleted before it is synced that it may be, whatever the mode") {
  const TempDirectory directory;
  MovedClock clock;
  Kit kit(directory.path("store"), {.age = hours(32)}, clock, SyncMode::Never);
  const Counter& syncs = kit.store.commits().counters().syncs;
  kit.deliver(0, 10);
  clock.advance(hours(31));
  kit.idle();
  CHECK(syncs.get() == 0);
  clock.advance(hours(2));
  kit.idle();
  CHECK(kit.kept() == 0);
  CHECK(syncs.get() == 1);
}

TEST_CASE("kept events are no part of the capacity, and are kept over a restart") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  const MovedClock clock;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  for (std::uint64_t round = 0; round < 3; ++round) {
    SharedStore store({.path = path, .free_bytes_min = 1 << 20}, {});
    DurableChannel::Options options = keeping({.age = hours(1)}, clock);
    options.capacity_events = 10;
    options.body_bytes_max = 1000;
    DurableChannel channel(std::move(options), store, pool);
    REQUIRE(channel.open().ok());
    CHECK(channel.size_events() == 0);
    CHECK(channel.counters().kept.events.get() == round * 50);
    for (std::uint64_t i = 0; i < 5; ++i) {
      REQUIRE(put(channel, numbered(pool, round * 50 + i * 10, 10, 100)));
      CHECK_FALSE(put(channel, numbered(pool, 0, 1)));
      commit(take_now(channel, 10));
    }
    CHECK(channel.counters().kept.events.get() == (round + 1) * 50);
  }
  CHECK(look_at_kept(path, "c1").sequences == counted(0, 150));
}

TEST_CASE("without the key, what an earlier start kept is dropped, and what waits is not") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  const MovedClock clock;
  const bool out_of_turn = GENERATE(false, true);
  {
    Kit kit(path, {.age = hours(1)}, clock);
    for (std::uint64_t i = 0; i < 5; ++i) kit.deliver(i * 10, 10);
    for (std::uint64_t i = 5; i < 8; ++i) REQUIRE(put(kit.channel, numbered(kit.pool, i * 10, 10)));
    const Taken held = take_now(kit.channel, 10);
    if (out_of_turn) commit(take_now(kit.channel, 10));
  }
  const std::vector<std::uint64_t> wanted = look_at(path, "c1").sequences;
  Kit kit(path, {}, clock);
  kit.settle();
  CHECK(kit.kept() <= (out_of_turn ? 10 : 0));
  CHECK(look_at_kept(path, "c1").sequences.size() == (out_of_turn ? 10 : 0));
  CHECK(look_at(path, "c1").sequences == wanted);
  CHECK(drain(kit.channel) == wanted);
  kit.settle();
  CHECK(kit.store.store().row("account/0")->value()[0] == 1);
}

TEST_CASE("a kept event that is damaged is told, and stands in nobody's way") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  const MovedClock clock;
  {
    Kit kit(path, {.age = hours(1)}, clock);
    for (std::uint64_t i = 0; i < 3; ++i) kit.deliver(i * 10, 10);
    REQUIRE(put(kit.channel, numbered(kit.pool, 30, 10)));
    StoreBatch batch = kit.store.store().batch();
    const Batch slab = numbered(kit.pool, 10, 10);
    Frame bad = encode_frame(slab, {});
    bad.head[9] = static_cast<char>(bad.head[9] ^ 1);
    batch.remove_frame(0, 10);
    batch.put_frame(0, 10, bad);
    REQUIRE(kit.store.store().write(batch).ok());
  }
  const LookedAt seen = look_at_kept(path, "c1");
  CHECK(seen.sequences.size() == 20);
  CHECK(seen.damage == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{10, 20}});
  CHECK(look_at(path, "c1").damage.empty());
  Kit kit(path, {.age = hours(1)}, clock);
  CHECK(numbers_of(take_now(kit.channel).batch()) == counted(30, 40));
  CHECK(kit.channel.counters().quarantined.events.get() == 0);
}

TEST_CASE("on a small disk what is kept goes before anything is refused") {
  const CapturedLog log;
  const TempDirectory directory;
  MovedClock clock;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const auto disk = std::make_shared<SmallDisk>(24 << 20);
  disk->tell_free_space();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  SharedStore store({.path = directory.path("store"),
                     .memtable_bytes = 128 << 10,
                     .free_bytes_min = 8 << 20,
                     .env = env.get()},
                    {});
  DurableChannel channel(keeping({.age = hours(24), .bytes = 1 << 30}, clock), store, pool);
  REQUIRE(channel.open().ok());
  constexpr std::uint64_t events = 6'000;  // 24 MB
  std::uint64_t kept_most = 0;
  const auto put_or_nothing_is_kept = [&](std::uint64_t next) {
    const Deadline deadline = patiently();
    while (!put(channel, numbered(pool, next, 5, 4000))) {
      if (deadline.passed()) return false;
      REQUIRE(channel.counters().kept.events.get() == 0);
    }
    return true;
  };
  for (std::uint64_t next = 0; next < events; next += 5) {
    INFO(next);
    REQUIRE(put_or_nothing_is_kept(next));
    commit(take_now(channel, 5));
    kept_most = std::max(kept_most, channel.counters().kept.bytes.get());
    clock.advance(minutes(1));
  }
  CHECK(kept_most > 5'000'000);
  CHECK(channel.counters().kept.events.get() < events);
  CHECK(disk->refusals() == 0);
  // What waits is not dropped: what comes then is refused, and nothing is kept by then.
  std::uint64_t next = events;
  while (next < 2 * events && put(channel, numbered(pool, next, 5, 4000))) next += 5;
  CHECK(next > events);
  CHECK(next < 2 * events);
  CHECK(channel.counters().kept.events.get() == 0);
  const std::vector<std::uint64_t> waited = drain(channel);
  REQUIRE(waited.size() == next - events);
  CHECK(waited.front() == events);
  CHECK(waited.back() + 1 == next);
}

/// What a channel that keeps should have, said plainly.
struct Model {
  struct Delivered {
    std::uint64_t number;
    std::uint64_t bytes;
    std::int64_t wall_ms;
  };
  std::uint64_t next = 0;
  std::deque<std::uint64_t> waiting = {};
  std::vector<Delivered> delivered = {};  ///< In the order of their numbers, without holes.

  /// The lowest number that must be there, and the lowest that may.
  std::pair<std::uint64_t, std::uint64_t> bounds(const RetentionLimits& limits,
                                                 std::int64_t now_ms) const {
    const auto floor = [&](std::int64_t age_ms, std::uint64_t bytes_max) {
      std::uint64_t bytes = 0;
      std::uint64_t low = delivered.size();
      for (std::size_t i = delivered.size(); i-- > 0;) {
        bytes += delivered[i].bytes;
        if (limits.age.count() > 0 && now_ms - delivered[i].wall_ms >= age_ms) break;
        if (limits.bytes > 0 && bytes > bytes_max) break;
        low = delivered[i].number;
      }
      return low;
    };
    const std::int64_t age = limits.age.count();
    // A mark lags a step behind; a frame has up to 20 events of 120 bytes.
    return {floor(age, limits.bytes - std::min(limits.bytes, limits.bytes / 32 + 6000)),
            floor(age + age / 16 + 2000, limits.bytes + 2400)};
  }
};

void check_against(const Model& model, Kit& kit, const std::string& path,
                   const RetentionLimits& limits, MovedClock& clock) {
  clock.advance(milliseconds(1001));
  for (int i = 0; i < 2; ++i) {  // the first may note, the second drops
    kit.idle();
    clock.advance(milliseconds(1001));
  }
  const LookedAt kept = look_at_kept(path, "c1");
  REQUIRE(kept.damage.empty());
  const auto [must, may] = model.bounds(limits, clock.wall_ms());
  const std::uint64_t end = model.delivered.size();
  const std::uint64_t begin = kept.sequences.empty() ? end : kept.sequences.front();
  REQUIRE(kept.sequences == counted(begin, end));
  REQUIRE(begin <= must);
  // Of a frame that is delivered in part nothing is dropped.
  REQUIRE(begin + 20 >= may);
  const std::vector<std::uint64_t> waiting = look_at(path, "c1").sequences;
  REQUIRE(waiting == std::vector<std::uint64_t>(model.waiting.begin(), model.waiting.end()));
  REQUIRE(kit.channel.size_events() == model.waiting.size());
}

TEST_CASE("puts, takes, time and restarts at random: what is kept is what a plain list says") {
  const std::uint64_t seed = Catch::rngSeed() == 0 ? std::random_device()() : Catch::rngSeed();
  for (std::uint64_t round = seed; round < seed + 12; ++round) {
    INFO("seed " << round);
    std::mt19937_64 random(round);
    const TempDirectory directory;
    const std::string path = directory.path("store");
    MovedClock clock;
    RetentionLimits limits;
    if (round % 3 != 0) limits.age = minutes(32);
    if (round % 3 != 1) limits.bytes = 20'000 + random() % 40'000;
    Model model;
    auto kit = std::make_unique<Kit>(path, limits, clock);
    for (int step = 0; step < 150; ++step) {
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          const auto events = static_cast<std::uint32_t>(1 + random() % 20);
          REQUIRE(put(kit->channel, numbered(kit->pool, model.next, events, random() % 120)));
          for (std::uint32_t i = 0; i < events; ++i) model.waiting.push_back(model.next++);
          break;
        }
        case 3:
        case 4:
        case 5: {
          Taken taken = take_now(kit->channel, static_cast<std::uint32_t>(1 + random() % 30));
          const Batch batch = taken.batch();
          if (batch.empty()) break;
          if (random() % 5 == 0) break;  // comes back
          commit(std::move(taken));
          for (std::uint32_t i = 0; i < batch.size(); ++i) {
            model.delivered.push_back(
                {model.waiting.front(), batch.body(i).size(), clock.wall_ms()});
            model.waiting.pop_front();
          }
          break;
        }
        case 6:
          for (std::uint64_t i = random() % 6; i > 0; --i) {
            clock.advance(milliseconds(random() % 60'000));
            kit->idle();
          }
          break;
        case 7:
          if (random() % 6 != 0) break;
          kit.reset();
          kit = std::make_unique<Kit>(path, limits, clock);
          break;
      }
      if (step % 10 != 9) continue;
      check_against(model, *kit, path, limits, clock);
    }
  }
}

TEST_CASE("a power cut costs nothing that is kept and was delivered") {
  const CapturedLog log(log::Level::Error);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const TempDirectory directory;
    const std::string path = directory.path("store");
    const MovedClock clock;
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    const auto power = std::make_shared<PowerCut>();
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
    std::uint64_t delivered = 0;
    {
      SharedStore store(
          {.path = path, .memtable_bytes = 128 << 10, .free_bytes_min = 1 << 20, .env = env.get()},
          {});
      DurableChannel channel(keeping({.bytes = 100'000}, clock), store, pool);
      power->cut_at(50 + random() % 1000);
      const bool open = channel.open().ok();
      for (std::uint64_t next = 0; open && next < 3000; next += 10) {
        if (!put(channel, numbered(pool, next, 10, 1000))) break;
        Commit out(&store);
        out.take(take_now(channel, 10));
        if (!std::move(out).wait().ok()) break;
        delivered = next + 10;
      }
      power->cut();
      channel.close();
    }
    power->tear(random);
    Kit kit(path, {.bytes = 100'000}, clock);
    const LookedAt kept = look_at_kept(path, "c1");
    CHECK(kept.damage.empty());
    const std::uint64_t wanted = std::min<std::uint64_t>(delivered, 90);
    REQUIRE(kept.sequences.size() >= wanted);
    if (wanted > 0) {
      CHECK(kept.sequences.back() + 1 >= delivered);
      CHECK(kept.sequences == counted(kept.sequences.front(), kept.sequences.back() + 1));
    }
  }
}

}  // namespace
}  // namespace sluice

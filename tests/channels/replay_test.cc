// Delivered events put again.

#include "channels/replay.h"

#include "core/event/origin_text.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/looked_at.h"
#include "tests/support/memory_channels.h"
#include "tests/support/moved_clock.h"

namespace sluice {
namespace {

using testing::TempDirectory;

bool always() { return true; }

/// A channel that delivered these events and keeps them.
struct Delivered {
  explicit Delivered(const std::string& path)
      : store({.path = path, .free_bytes_min = 1 << 20}, {}), channel(options(clock), store, pool) {
    REQUIRE(channel.open().ok());
  }
  static DurableChannel::Options options(const Clock& clock) {
    DurableChannel::Options made = stored_channel("c1");
    made.retention.age = std::chrono::hours(1000);
    made.clock = &clock;
    return made;
  }
  void deliver(const Batch& batch) {
    REQUIRE(put(channel, batch));
    commit(take_now(channel));
  }

  MovedClock clock;
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SharedStore store;
  DurableChannel channel;
};

/// All that the channel keeps, into the target.
Status replay_all(const std::string& path, Replay& replay, const std::function<bool()>& go_on) {
  const auto store = StoreReader::open(path);
  REQUIRE(store.ok());
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  ChannelReader reader(*store.value(), 0, store.value()->account(0).value(), pool, Looked::Kept);
  Status status;
  const Status read = reader.for_each_event(
      0, UINT64_MAX,
      [&](std::uint64_t sequence, const Event& event, const Origin& origin) {
        status = replay.add(sequence, event, origin, go_on);
        return status.ok();
      },
      [](const auto&) { return true; });
  REQUIRE(read.ok());
  return status.ok() ? replay.finish(go_on) : status;
}

TEST_CASE("a replayed event is a new one, and its headers say what it was") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Delivered kept(path);
  kept.deliver(batch_of(kept.pool, {"a", "b"}, {{"host", "web1"}, {"replay.channel", "old"}}));
  kept.deliver(batch_of(kept.pool, {"c"}));
  const LookedAt before = look_at_kept(path, "c1");
  ReplayChannel to(kept.channel);
  Replay replay("c1", to, kept.pool, kept.clock);
  REQUIRE(replay_all(path, replay, always).ok());
  CHECK(replay.events() == 3);
  CHECK(replay.put_below() == 3);
  const LookedAt after = look_at(path, "c1");
  CHECK(after.bodies == std::vector<std::string>{"a", "b", "c"});
  CHECK(after.sequences == counted(3, 6));
  const std::string now = std::to_string(kept.clock.wall_ms());
  CHECK(after.headers[1] == TestHeaders{{"host", "web1"},
                                        {"replay.channel", "c1"},
                                        {"replay.sequence", "1"},
                                        {"replay.origin", to_string(before.origins[1])},
                                        {"replay.time", now}});
  CHECK(after.headers[2].size() == 4);
  for (const Origin& origin : after.origins) {
    CHECK(std::find(before.origins.begin(), before.origins.end(), origin) == before.origins.end());
  }
  CHECK(look_at_kept(path, "c1").sequences == counted(0, 3));
}

TEST_CASE("a full target is waited for, and a stop leaves whole batches") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Delivered kept(path);
  for (std::uint64_t i = 0; i < 300; ++i) kept.deliver(numbered(kept.pool, i * 10, 10, 1000));
  MemoryChannel::Options options = roomy_channel("c2");
  options.capacity_events = 1500;
  MemoryChannel target(options, kept.pool);
  REQUIRE(target.open().ok());
  ReplayChannel to(target);
  Replay replay("c1", to, kept.pool, kept.clock);
  int asked = 0;
  const Status status = replay_all(path, replay, [&] { return ++asked < 5; });
  CHECK(status.code() == Code::Closed);
  CHECK(asked == 5);
  CHECK(replay.events() > 0);
  CHECK(replay.events() <= 1500);
  CHECK(replay.put_below() == replay.events());
  CHECK(target.size_events() == replay.events());
  asked = 0;
  Replay again("c1", to, kept.pool, kept.clock);
  const Status drained = replay_all(path, again, [&] {
    commit(take_now(target, 3000));
    return true;
  });
  CHECK(drained.ok());
  CHECK(again.events() == 3000);
}

TEST_CASE("events of any size are replayed") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Delivered kept(path);
  const std::vector<std::string> bodies{"", std::string(200'000, 'x'), "y",
                                        std::string(3'000'000, 'z')};
  kept.deliver(batch_of(kept.pool, bodies));
  ReplayChannel to(kept.channel);
  Replay replay("c1", to, kept.pool, kept.clock);
  REQUIRE(replay_all(path, replay, always).ok());
  CHECK(look_at(path, "c1").bodies == bodies);
}

TEST_CASE("a moment is found among frames, to the second") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  Delivered kept(path);
  const std::int64_t begin = kept.clock.wall_ms();
  for (std::uint64_t i = 0; i < 50; ++i) {
    kept.deliver(numbered(kept.pool, i * 10, 10));
    kept.clock.advance(std::chrono::minutes(1));
  }
  const auto store = StoreReader::open(path);
  REQUIRE(store.ok());
  const Account account = store.value()->account(0).value();
  const ChannelReader reader(*store.value(), 0, account, kept.pool, Looked::Kept);
  for (std::uint64_t minute = 0; minute < 50; ++minute) {
    const auto at = begin + static_cast<std::int64_t>(minute) * 60'000;
    CHECK(reader.first_put_at(at).value() == minute * 10);
    CHECK(reader.first_put_at(at - 1000).value() == minute * 10);
    CHECK(reader.first_put_at(at + 1000).value() == (minute + 1) * 10);
  }
  CHECK(reader.first_put_at(0).value() == 0);
}

}  // namespace
}  // namespace sluice

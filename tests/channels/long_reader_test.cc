// A reader that lets go of what it has read and commits it much later.

#include <thread>

#include "channels/memory_channel.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/eventually.h"
#include "tests/support/looked_at.h"
#include "tests/support/memory_channels.h"
#include "tests/support/receipt_book.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::TempDirectory;
using Numbers = std::vector<std::uint64_t>;

/// A channel in memory, and at the end nothing is left on its account.
struct InMemory {
  explicit InMemory(std::uint64_t capacity_events = 1'000'000) {
    MemoryChannel::Options options = roomy_channel();
    options.capacity_events = capacity_events;
    channel.emplace(options, pool);
    REQUIRE(channel->open().ok());
  }
  ~InMemory() { CHECK(channel->account().used_bytes() == 0); }

  SlabPool pool{64 * 1024, keep_no_free_slabs};
  std::optional<MemoryChannel> channel;
};

/// A channel on disk. Destroyed, it leaves what a kill -9 leaves.
struct OnDisk {
  explicit OnDisk(const std::string& path, DurableChannel::Options options = stored_channel("c1"))
      : store({.path = path, .memtable_bytes = 64 << 10, .free_bytes_min = 1 << 20}, {}),
        channel(std::move(options), store, pool) {
    REQUIRE(channel.open().ok());
  }
  /// How many frames the database still holds, below this sequence.
  std::uint64_t frames(std::uint64_t below = UINT64_MAX) {
    std::uint64_t count = 0;
    const auto number = store.store().channel_number("c1");
    const Status status = store.store().read_frames(number.value(), 0, below, [&](auto, auto) {
      ++count;
      return true;
    });
    REQUIRE(status.ok());
    return count;
  }

  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SharedStore store;
  DurableChannel channel;
};

/// Takes once and lets go; what it was.
Numbers read_on(Channel& channel, Taken& batch, std::uint32_t events_max = 1000) {
  Taken taken = take_now(channel, events_max);
  const Numbers numbers = numbers_of(taken.batch());
  taken.let_go();
  batch.append(std::move(taken));
  return numbers;
}

std::uint64_t let_go_events(const Taken& taken) {
  return taken.ahead() == nullptr ? 0 : taken.ahead()->amount().events;
}

void check_books(const Channel& channel) {
  const ChannelCounters& books = channel.counters();
  const auto sum = [&](auto part) {
    return part(books.committed) + part(books.in_flight) + part(books.stored) +
           part(books.quarantined) + part(books.lost);
  };
  CHECK(books.put.events.get() == sum([](const Flow& flow) { return flow.events.get(); }));
  CHECK(books.put.bytes.get() == sum([](const Flow& flow) { return flow.bytes.get(); }));
}

TEST_CASE("a batch of takes may be many times as large as the channel") {
  const TempDirectory directory;
  DurableChannel::Options options = stored_channel("c1");
  options.capacity_events = 10;
  OnDisk on_disk(directory.path("store"), options);
  InMemory in_memory(10);
  for (Channel* channel :
       {static_cast<Channel*>(&on_disk.channel), static_cast<Channel*>(&*in_memory.channel)}) {
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    Taken batch;
    for (std::uint64_t next = 0; next < 200; next += 10) {
      REQUIRE(put(*channel, numbered(pool, next, 10)));
      REQUIRE_FALSE(put(*channel, numbered(pool, next + 10, 1)));
      CHECK(channel->account().used_bytes() > 0);
      CHECK(read_on(*channel, batch) == counted(next, next + 10));
      CHECK(channel->account().used_bytes() == 0);
      CHECK(pool.live_slabs() == 0);
    }
    CHECK(batch.batch().empty());
    CHECK(batch.pieces().empty());
    CHECK_FALSE(batch.empty());
    CHECK(batch.ahead()->runs().size() == 1);
    CHECK(batch.ahead()->claimed().events == 0);
    CHECK(channel->size_events() == 200);
    CHECK(channel->counters().in_flight.events.get() == 200);
    check_books(*channel);
    commit(std::move(batch));
    CHECK(channel->size_events() == 0);
    CHECK(channel->counters().committed.events.get() == 200);
    check_books(*channel);
    // The room is that of before, neither more nor less.
    REQUIRE(put(*channel, numbered(pool, 200, 10)));
    REQUIRE_FALSE(put(*channel, numbered(pool, 210, 1)));
    commit(take_now(*channel));
  }
}

TEST_CASE("who waits for room gets it when a reader lets go") {
  const TempDirectory directory;
  DurableChannel::Options options = stored_channel("c1");
  options.capacity_events = 10;
  OnDisk on_disk(directory.path("store"), options);
  InMemory in_memory(10);
  for (Channel* channel :
       {static_cast<Channel*>(&on_disk.channel), static_cast<Channel*>(&*in_memory.channel)}) {
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    REQUIRE(put(*channel, numbered(pool, 0, 10)));
    Taken taken = take_now(*channel);
    std::atomic<bool> got{false};
    std::jthread waiter(
        [&] { got = channel->reserve(numbered(pool, 10, 5), patiently(), {}).ok(); });
    REQUIRE(eventually([&] { return channel->counters().put_waits.get() == 1; }));
    taken.let_go();
    CHECK(
        eventually([&] { return got.load(); }, milliseconds(5000)));  // woken, not out of patience
    waiter.join();
    commit(std::move(taken));
  }
}

TEST_CASE("takes of any size, appended, are few runs") {
  const TempDirectory directory;
  OnDisk on_disk(directory.path("store"));
  for (std::uint64_t i = 0; i < 40; ++i) {
    REQUIRE(put(on_disk.channel, numbered(on_disk.pool, i * 10, 10)));
  }
  Taken batch;
  Numbers numbers;
  for (std::uint32_t size = 1; numbers.size() < 400; size = size % 23 + 1) {
    for (const auto number : read_on(on_disk.channel, batch, size)) numbers.push_back(number);
    CHECK(batch.ahead()->runs().size() <= 2);  // whole frames, and a part of the last one
  }
  CHECK(numbers == counted(0, 400));
  CHECK(batch.ahead()->runs().size() == 1);
  commit(std::move(batch));
  CHECK(on_disk.channel.size_events() == 0);
  CHECK(look_at(directory.path("store"), "c1").sequences.empty());
}

TEST_CASE("what was let go and is rolled back is read again, before all that is younger") {
  const TempDirectory directory;
  for (const std::uint64_t cache : {std::uint64_t{0}, std::uint64_t{64} << 20}) {
    OnDisk on_disk(directory.path(std::to_string(cache)), stored_channel("c1", cache));
    DurableChannel& channel = on_disk.channel;
    for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(put(channel, numbered(on_disk.pool, i * 5, 5)));
    Taken first;
    Taken second;
    Taken third;
    CHECK(read_on(channel, first, 7) == counted(0, 7));
    CHECK(read_on(channel, second, 8) == counted(7, 15));
    Taken kept = take_now(channel, 8);
    CHECK(numbers_of(kept.batch()) == counted(15, 23));
    CHECK(read_on(channel, first, 9) == counted(23, 32));
    CHECK(read_on(channel, third, 3) == counted(32, 35));
    first = {};
    CHECK(numbers_of(take_now(channel, 7).batch()) == counted(0, 5));  // a run, and back again
    kept = {};
    Numbers numbers;
    Taken batch;
    while (let_go_events(batch) < 88) {
      for (const auto number : read_on(channel, batch, 11)) numbers.push_back(number);
    }
    Numbers expected = counted(0, 7);
    for (const auto number : counted(15, 32)) expected.push_back(number);
    for (const auto number : counted(35, 100)) expected.push_back(number);
    expected.resize(numbers.size());
    CHECK(numbers == expected);
    commit(std::move(second));
    commit(std::move(batch));
    commit(std::move(third));
    drain(channel);
    CHECK(channel.account().used_bytes() == 0);
    check_books(channel);
  }
}

TEST_CASE("a rollback claims the room again, be it more than there is") {
  const TempDirectory directory;
  DurableChannel::Options options = stored_channel("c1");
  options.capacity_events = 10;
  OnDisk on_disk(directory.path("store"), options);
  DurableChannel& channel = on_disk.channel;
  REQUIRE(put(channel, numbered(on_disk.pool, 0, 10)));
  Taken batch;
  read_on(channel, batch);
  REQUIRE(put(channel, numbered(on_disk.pool, 10, 10)));
  batch = {};
  CHECK(channel.counters().stored.events.get() == 20);
  commit(take_now(channel, 10));
  CHECK_FALSE(put(channel, numbered(on_disk.pool, 20, 1)));
  commit(take_now(channel, 10));
  CHECK(put(channel, numbered(on_disk.pool, 20, 10)));
  CHECK_FALSE(put(channel, numbered(on_disk.pool, 30, 1)));
}

TEST_CASE("beyond replayCapacity a reader frees memory and no room") {
  const TempDirectory directory;
  DurableChannel::Options options = stored_channel("c1");
  options.capacity_events = 10;
  options.read_ahead_bytes_max = 1500;
  OnDisk on_disk(directory.path("store"), options);
  DurableChannel& channel = on_disk.channel;
  Taken batch;
  REQUIRE(put(channel, numbered(on_disk.pool, 0, 10, 100)));
  read_on(channel, batch);
  REQUIRE(put(channel, numbered(on_disk.pool, 10, 10, 100)));
  read_on(channel, batch);
  CHECK(batch.ahead()->claimed().events == 10);
  CHECK(batch.ahead()->freed().bytes == 1000);
  CHECK(channel.account().used_bytes() == 0);
  CHECK_FALSE(put(channel, numbered(on_disk.pool, 20, 1)));
  const bool refused = GENERATE(false, true);
  if (!refused) {
    commit(std::move(batch));
    CHECK(put(channel, numbered(on_disk.pool, 20, 10)));
    CHECK_FALSE(put(channel, numbered(on_disk.pool, 30, 1)));
    return;
  }
  batch = {};
  CHECK(drain(channel) == counted(0, 20));
  CHECK(put(channel, numbered(on_disk.pool, 20, 10)));
  CHECK_FALSE(put(channel, numbered(on_disk.pool, 30, 1)));
}

TEST_CASE("a channel whose last events are let go and uncommitted is not drained") {
  const TempDirectory directory;
  OnDisk on_disk(directory.path("store"));
  InMemory in_memory;
  for (Channel* channel :
       {static_cast<Channel*>(&on_disk.channel), static_cast<Channel*>(&*in_memory.channel)}) {
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    REQUIRE(put(*channel, numbered(pool, 0, 10)));
    Taken batch;
    read_on(*channel, batch);
    channel->close();
    CHECK_FALSE(channel->drained());
    std::jthread waiter([&] {
      CHECK(channel->take({.wait_max = milliseconds(20'000)}, {}).empty());
      CHECK(channel->drained());
    });
    REQUIRE(eventually([&] { return channel->counters().take_attempts.get() == 2; }));
    commit(std::move(batch));
  }
}

TEST_CASE("receipts of a channel in memory say delivered when the batch is committed, not before") {
  InMemory in_memory;
  Channel& channel = *in_memory.channel;
  auto book = std::make_shared<ReceiptBook>();
  for (std::uint64_t i = 0; i < 6; ++i) {
    const Batch batch = numbered(in_memory.pool, i * 5, 5);
    REQUIRE(put(channel, batch.with_receipt(Receipt::make(book, i, 5))));
  }
  Taken committed;
  while (let_go_events(committed) < 15) read_on(channel, committed, 4);
  Taken lost;
  read_on(channel, lost, 3);
  CHECK(book->settled_receipts() == 0);
  commit(std::move(committed));
  CHECK(book->settled_receipts() == 3);
  for (std::uint64_t i = 0; i < 3; ++i) CHECK(book->delivered(i));
  // The rest of the fourth may arrive: all of it has not.
  const std::uint64_t gone = let_go_events(lost);
  lost = {};
  CHECK(channel.counters().lost.events.get() == gone);
  drain(channel);
  CHECK(book->not_delivered(3));
  CHECK(book->delivered(5));
  CHECK_FALSE(book->twice());
  check_books(channel);
  channel.close();
  CHECK(channel.drained());
}

TEST_CASE("a channel in memory that loses its last let go events wakes who waits for its end") {
  InMemory in_memory;
  Channel& channel = *in_memory.channel;
  REQUIRE(put(channel, numbered(in_memory.pool, 0, 5)));
  Taken batch;
  read_on(channel, batch);
  channel.close();
  std::jthread waiter([&] { CHECK(channel.take({.wait_max = milliseconds(20'000)}, {}).empty()); });
  REQUIRE(eventually([&] { return channel.counters().take_attempts.get() == 2; }));
  batch = {};
  CHECK(channel.drained());
}

TEST_CASE("after a kill what was let go and uncommitted comes again, and nothing else") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  {
    OnDisk on_disk(path);
    DurableChannel& channel = on_disk.channel;
    for (std::uint64_t i = 0; i < 10; ++i) REQUIRE(put(channel, numbered(on_disk.pool, i * 5, 5)));
    Taken held;
    Taken committed;
    read_on(channel, held, 7);
    read_on(channel, committed, 9);
    read_on(channel, held, 7);
    read_on(channel, committed, 15);
    commit(std::move(committed));
    CHECK(channel.size_events() == 26);
    on_disk.channel.close();
  }
  Numbers expected = counted(0, 7);
  for (const auto number : counted(16, 23)) expected.push_back(number);
  for (const auto number : counted(38, 50)) expected.push_back(number);
  CHECK(look_at(path, "c1").sequences == expected);
  OnDisk again(path);
  Taken batch;
  Numbers numbers;
  while (let_go_events(batch) < 26) {
    for (const auto number : read_on(again.channel, batch, 4)) numbers.push_back(number);
  }
  CHECK(numbers == expected);
  batch = {};  // read once more from frames of which a part was out before the start
  CHECK(drain(again.channel) == expected);
  CHECK(again.channel.counters().quarantined.events.get() == 0);
  check_books(again.channel);
}

TEST_CASE("frames that were let go are gone once they are committed, in whatever order") {
  const TempDirectory directory;
  OnDisk on_disk(directory.path("store"));
  DurableChannel& channel = on_disk.channel;
  const bool older_waits = GENERATE(false, true);
  std::uint64_t next = 0;
  for (int round = 0; round < 10; ++round) {
    Taken older;
    Taken batch;
    for (int i = 0; i < 20; ++i, next += 10) {
      REQUIRE(put(channel, numbered(on_disk.pool, next, 10, 2000)));
      if (i == 0 && older_waits) older = take_now(channel, 5);
      while (!read_on(channel, batch).empty()) {
      }
    }
    commit(std::move(batch));
    if (older_waits) commit(std::move(older));
  }
  // Four megabytes went through; the youngest may lie in memory still.
  CHECK(eventually([&] { return on_disk.frames() < 40; }));
  CHECK(channel.size_events() == 0);
}

TEST_CASE("what was let go is kept for a replay as anything else") {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  {
    DurableChannel::Options options = stored_channel("c1");
    options.retention.bytes = 1 << 30;
    OnDisk on_disk(path, options);
    for (std::uint64_t i = 0; i < 10; ++i) {
      REQUIRE(put(on_disk.channel, numbered(on_disk.pool, i * 5, 5)));
    }
    Taken batch;
    while (let_go_events(batch) < 30) read_on(on_disk.channel, batch, 6);
    CHECK(on_disk.channel.counters().kept.events.get() == 0);
    commit(std::move(batch));
    CHECK(on_disk.channel.counters().kept.events.get() == 30);
  }
  CHECK(look_at_kept(path, "c1").sequences == counted(0, 30));
  CHECK(look_at(path, "c1").sequences == counted(30, 50));
}

TEST_CASE("a frame that cannot be read again is passed over, and what is not its is not") {
  const CapturedLog log(log::Level::Error);
  const TempDirectory directory;
  OnDisk on_disk(directory.path("store"));
  DurableChannel& channel = on_disk.channel;
  for (std::uint64_t i = 0; i < 6; ++i) REQUIRE(put(channel, numbered(on_disk.pool, i * 10, 10)));
  Taken in_hand = take_now(channel, 4);
  Taken batch;
  while (let_go_events(batch) < 50)
    read_on(channel, batch, 50 - static_cast<std::uint32_t>(let_go_events(batch)));
  const auto number = on_disk.store.store().channel_number("c1");
  StoreBatch damage = on_disk.store.store().batch();
  damage.remove_frame(number.value(), 0);   // of which a part is in hand
  damage.remove_frame(number.value(), 30);  // among whole ones
  REQUIRE(on_disk.store.store().write(damage).ok());
  batch = {};
  Numbers expected = counted(10, 30);
  for (const auto n : counted(40, 60)) expected.push_back(n);
  Numbers numbers;
  REQUIRE(eventually([&] {
    Taken taken = take_now(channel);
    for (const auto n : numbers_of(taken.batch())) numbers.push_back(n);
    commit(std::move(taken));
    return numbers.size() >= expected.size();
  }));
  CHECK(numbers == expected);
  REQUIRE(eventually([&] { return channel.counters().quarantined.events.get() == 16; }));
  CHECK(numbers_of(in_hand.batch()) == counted(0, 4));
  commit(std::move(in_hand));
  CHECK(eventually([&] { return channel.size_events() == 0; }));
  check_books(channel);
  channel.close();
  CHECK(eventually([&] { return channel.drained(); }));
}

}  // namespace
}  // namespace sluice

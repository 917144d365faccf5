// What every channel promises: order, bounds, rollback, close, books, receipts.

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "channels/catalog.h"
#include "channels/commit.h"
#include "sinks/dead_letter_channel.h"
#include "tests/catch.h"
#include "tests/conformance/channel_suite.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_channels.h"
#include "tests/support/receipt_book.h"

namespace sluice {
namespace {

using Numbers = std::vector<std::uint64_t>;

Numbers row(std::uint64_t first, std::uint64_t end) {
  Numbers numbers;
  for (; first < end; ++first) numbers.push_back(first);
  return numbers;
}

/// A channel and its pool; at the end nothing may be left, on any account.
class Fixture {
 public:
  Fixture(const ChannelUnderTest& type, const ChannelBounds& bounds = {})
      : durable_(type.durable), channel_(type.make(bounds, pool_)) {
    REQUIRE(channel_->open().ok());
  }
  ~Fixture() {
    channel_->close();
    channel_->abandon();
    CHECK(channel_->account().used_bytes() == 0);
    const ChannelCounters& books = channel_->counters();
    const Flow& left = durable_ ? books.stored : books.lost;
    CHECK(books.put.events.get() == books.committed.events.get() + left.events.get());
    CHECK(books.put.bytes.get() == books.committed.bytes.get() + left.bytes.get());
    CHECK(books.in_flight.events.get() == 0);
    if (!durable_) CHECK(books.stored.bytes.get() == 0);
    CHECK(channel_->size_events() == books.stored.events.get());
    channel_.reset();
    CHECK(pool_.live_slabs() == 0);
  }
  Channel& channel() { return *channel_; }
  SlabPool& pool() { return pool_; }

 private:
  SlabPool pool_{64 * 1024, keep_no_free_slabs};
  const bool durable_;
  std::unique_ptr<Channel> channel_;
};

TEST_CASE("every channel type of the catalogue is under test") {
  for (const ChannelType* type : channel_types()) {
    const auto& tested = channels_under_test();
    // A topic has no capacity and lies outside: tests/channels/kafka_channel_test.cc.
    if (type->info->alias == "kafka") continue;
    CHECK(std::any_of(tested.begin(), tested.end(),
                      [&](const auto& each) { return each.type == type->info->alias; }));
  }
}

TEST_CASE("events come out in the order in which they went in") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type);
    for (std::uint64_t i = 0; i < 50; ++i) REQUIRE(put(f.channel(), numbered(f.pool(), i * 7, 7)));
    Numbers taken;
    for (std::uint32_t size = 1; taken.size() < 350; size = size % 60 + 1) {
      Taken part = take_now(f.channel(), size);
      REQUIRE(part.batch().size() <= size);
      REQUIRE_FALSE(part.empty());
      for (const auto n : numbers_of(part.batch())) taken.push_back(n);
      commit(std::move(part));
    }
    CHECK(taken == row(0, 350));
    CHECK(take_now(f.channel()).empty());
  }
}

TEST_CASE("capacity counts events that wait and events that are taken") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type, {.capacity_events = 10});
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 6)));
    REQUIRE_FALSE(put(f.channel(), numbered(f.pool(), 6, 5)));
    REQUIRE(put(f.channel(), numbered(f.pool(), 6, 4)));
    Taken taken = take_now(f.channel(), 6);
    REQUIRE_FALSE(put(f.channel(), numbered(f.pool(), 10, 1)));
    commit(std::move(taken));
    REQUIRE(put(f.channel(), numbered(f.pool(), 10, 6)));
    REQUIRE_FALSE(put(f.channel(), numbered(f.pool(), 16, 1)));
    CHECK(f.channel().size_events() == 10);
  }
}

TEST_CASE("capacity does not count what is let go, which is uncommitted all the same") {
  const bool rolled_back = GENERATE(false, true);
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type, {.capacity_events = 10});
    auto book = std::make_shared<ReceiptBook>();
    Taken batch;
    for (std::uint64_t i = 0; i < 5; ++i) {
      const Batch ten = numbered(f.pool(), i * 10, 10);
      REQUIRE(put(f.channel(), ten.with_receipt(Receipt::make(book, i, 10))));
      REQUIRE_FALSE(put(f.channel(), numbered(f.pool(), 0, 1)));
      for (const std::uint32_t events : {3U, 7U}) {
        Taken taken = take_now(f.channel(), events);
        CHECK(taken.batch().size() == events);
        taken.let_go();
        batch.append(std::move(taken));
      }
      CHECK(f.channel().account().used_bytes() == 0);
      CHECK(take_now(f.channel()).empty());
    }
    CHECK(f.channel().size_events() == 50);
    CHECK(book->settled_receipts() == (type.durable ? 5 : 0));
    if (rolled_back) {
      batch = {};
      Numbers again;
      for (Taken part = take_now(f.channel()); !part.empty(); part = take_now(f.channel())) {
        for (const auto n : numbers_of(part.batch())) again.push_back(n);
        commit(std::move(part));
      }
      CHECK(again == (type.durable ? row(0, 50) : Numbers{}));
      CHECK(f.channel().counters().lost.events.get() == (type.durable ? 0 : 50));
    } else {
      f.channel().close();
      CHECK_FALSE(f.channel().drained());
      commit(std::move(batch));
      CHECK(f.channel().drained());
    }
    CHECK(f.channel().size_events() == 0);
    CHECK(book->settled_receipts() == 5);
    CHECK(book->delivered(4) == (type.durable || !rolled_back));
    CHECK_FALSE(book->twice());
  }
}

TEST_CASE("bytes of bodies are a bound too") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type, {.body_bytes_max = 1000});
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 9, 100)));
    REQUIRE_FALSE(put(f.channel(), numbered(f.pool(), 9, 2, 100)));
    REQUIRE(put(f.channel(), numbered(f.pool(), 9, 1, 100)));
    commit(take_now(f.channel()));
    REQUIRE(put(f.channel(), numbered(f.pool(), 10, 10, 100)));
  }
}

TEST_CASE("bytes of bodies count on while events are rolled back, and are free once they are out") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type, {.body_bytes_max = 1000});
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 6, 100)));
    { const auto unused = f.channel().reserve(numbered(f.pool(), 6, 4, 100), soon(), {}); }
    for (int i = 0; i < 3; ++i) {
      const Taken rolled_back = take_now(f.channel(), 4);
      CHECK_FALSE(put(f.channel(), numbered(f.pool(), 6, 5, 100)));
    }
    REQUIRE(put(f.channel(), numbered(f.pool(), 6, 4, 100)));
    commit(take_now(f.channel(), 4));
    CHECK_FALSE(put(f.channel(), numbered(f.pool(), 10, 5, 100)));
    CHECK(put(f.channel(), numbered(f.pool(), 10, 4, 100)));
    for (Taken rest = take_now(f.channel()); !rest.empty(); rest = take_now(f.channel())) {
      commit(std::move(rest));
    }
  }
}

TEST_CASE("empty bodies and empty header values come out as they went in") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type);
    REQUIRE(put(f.channel(), batch_of(f.pool(), {"", "x", ""}, {{"k", ""}, {"", "v"}})));
    Taken taken = take_now(f.channel());
    CHECK(bodies_of(taken.batch()) == std::vector<std::string>{"", "x", ""});
    for (std::uint32_t i = 0; i < taken.batch().size(); ++i) {
      CHECK(headers_of(taken.batch()[i]) == TestHeaders{{"k", ""}, {"", "v"}});
    }
    commit(std::move(taken));
    REQUIRE(put(f.channel(), batch_of(f.pool(), {""})));
    taken = take_now(f.channel());
    CHECK(bodies_of(taken.batch()) == std::vector<std::string>{""});
    commit(std::move(taken));
  }
}

TEST_CASE("the memory budget counts whole slabs") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    if (type.durable) continue;  // what does not fit into memory lies on disk alone
    Fixture f(type, {.budget_bytes = 4 * 64 * 1024});
    std::uint64_t puts = 0;
    while (put(f.channel(), numbered(f.pool(), puts, 1, 40'000))) ++puts;
    CHECK(puts >= 2);
    CHECK(puts <= 4);
    CHECK(f.channel().account().used_bytes() <= f.channel().account().limit_bytes());
  }
}

TEST_CASE("small batches do not pin a slab each") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type, {.budget_bytes = 8 * 64 * 1024});
    for (std::uint64_t i = 0; i < 300; ++i)
      REQUIRE(put(f.channel(), numbered(f.pool(), i, 1, 200)));
    CHECK(f.pool().live_slabs() <= 8);
    Numbers taken;
    while (taken.size() < 300) {
      Taken part = take_now(f.channel(), 7);
      REQUIRE_FALSE(part.empty());
      for (const auto n : numbers_of(part.batch())) taken.push_back(n);
      commit(std::move(part));
    }
    CHECK(taken == row(0, 300));
  }
}

TEST_CASE("a batch larger than the channel is let in alone") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type, {.capacity_events = 10});
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 1)));
    REQUIRE_FALSE(put(f.channel(), numbered(f.pool(), 1, 25)));
    commit(take_now(f.channel()));
    REQUIRE(put(f.channel(), numbered(f.pool(), 1, 25)));
    REQUIRE_FALSE(put(f.channel(), numbered(f.pool(), 26, 1)));
    Taken taken = take_now(f.channel());
    CHECK(numbers_of(taken.batch()) == row(1, 26));
    commit(std::move(taken));
  }
}

TEST_CASE("reserve ends with its deadline, with stop and with close") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type, {.capacity_events = 1});
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 1)));
    const Batch more = numbered(f.pool(), 1, 1);
    CHECK(f.channel().reserve(more, soon(), {}).code() == Code::Retry);
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    CHECK(f.channel().reserve(more, patiently(), stop.get_token()).code() == Code::Closed);
    std::jthread closer([&] { f.channel().close(); });
    CHECK(f.channel().reserve(more, patiently(), {}).code() == Code::Closed);
    closer.join();
    // What is inside can still be taken.
    Taken taken = take_now(f.channel());
    CHECK(taken.batch().size() == 1);
    CHECK_FALSE(f.channel().drained());
    commit(std::move(taken));
    CHECK(f.channel().drained());
  }
}

TEST_CASE("room that is not used is given back and wakes whoever waits for it") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type, {.capacity_events = 5});
    auto room = f.channel().reserve(numbered(f.pool(), 0, 5), soon(), {});
    REQUIRE(room.ok());
    CHECK(take_now(f.channel()).empty());  // reserved is not visible
    std::atomic<bool> got{false};
    std::jthread waiter(
        [&] { got = f.channel().reserve(numbered(f.pool(), 5, 5), patiently(), {}).ok(); });
    REQUIRE(eventually([&] { return f.channel().counters().put_waits.get() == 1; }));
    { const Reservation dropped = *std::move(room); }
    waiter.join();
    CHECK(got);
    CHECK(put(f.channel(), numbered(f.pool(), 0, 5)));
  }
}

TEST_CASE("a commit that is destroyed unsubmitted rolls everything back") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type, {.capacity_events = 8});
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 4)));
    {
      Commit commit(f.channel().committer());
      commit.take(take_now(f.channel(), 2));
      commit.put(*f.channel().reserve(numbered(f.pool(), 4, 4), soon(), {}));
    }
    CHECK(f.channel().size_events() == 4);
    CHECK(numbers_of(take_now(f.channel()).batch()) == row(0, 4));
  }
}

TEST_CASE("what several takers return comes back oldest first, in whatever order they return it") {
  std::mt19937_64 random(Catch::rngSeed());
  for (const ChannelUnderTest& type : channels_under_test()) {
    for (int round = 0; round < 50; ++round) {
      Fixture f(type);
      for (std::uint64_t i = 0; i < 10; ++i)
        REQUIRE(put(f.channel(), numbered(f.pool(), i * 5, 5)));
      std::vector<Taken> held;
      for (int i = 0; i < 8; ++i) {
        held.push_back(take_now(f.channel(), static_cast<std::uint32_t>(1 + random() % 8)));
      }
      Numbers committed;
      while (!held.empty()) {
        const std::size_t at = random() % held.size();
        Taken taken = std::move(held[at]);
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
        if (random() % 3 == 0) {
          for (const auto n : numbers_of(taken.batch())) committed.push_back(n);
          commit(std::move(taken));
        }
      }
      Numbers rest;
      for (Taken part = take_now(f.channel(), 4); !part.empty(); part = take_now(f.channel(), 4)) {
        for (const auto n : numbers_of(part.batch())) rest.push_back(n);
        commit(std::move(part));
      }
      CHECK(std::is_sorted(rest.begin(), rest.end()));
      rest.insert(rest.end(), committed.begin(), committed.end());
      std::sort(rest.begin(), rest.end());
      CHECK(rest == row(0, 50));
    }
  }
}

TEST_CASE("the front of what was taken can be committed alone") {
  std::mt19937_64 random(Catch::rngSeed());
  for (const ChannelUnderTest& type : channels_under_test()) {
    for (int round = 0; round < 100; ++round) {
      Fixture f(type);
      auto book = std::make_shared<ReceiptBook>();
      for (std::uint64_t i = 0; i < 4; ++i) {
        const Batch batch = numbered(f.pool(), i * 5, 5);
        REQUIRE(put(f.channel(), batch.with_receipt(Receipt::make(book, i, 5))));
      }
      std::uint64_t next = 0;
      while (next < 20) {
        Taken taken = take_now(f.channel(), static_cast<std::uint32_t>(1 + random() % 20));
        REQUIRE(numbers_of(taken.batch()) == row(next, next + taken.batch().size()));
        const auto arrived = static_cast<std::uint32_t>(random() % (taken.batch().size() + 1));
        Taken front = taken.split_front(arrived);
        REQUIRE(numbers_of(front.batch()) == row(next, next + arrived));
        next += arrived;
        const bool back_first = random() % 2 == 0;
        if (back_first) taken = {};
        commit(std::move(front));
        taken = {};
        for (std::uint64_t i = 0; i < 4; ++i) {
          CHECK(book->delivered(i) == (type.durable || (i + 1) * 5 <= next));
        }
      }
      CHECK(f.channel().account().used_bytes() == 0);
      CHECK_FALSE(book->twice());
    }
  }
}

TEST_CASE("a take stays within its bounds") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type);
    REQUIRE(put(f.channel(), batch_of(f.pool(), std::vector<std::string>(500, ""))));
    CHECK(take_now(f.channel(), 100).batch().size() == 100);  // events without bodies are events
    commit(take_now(f.channel(), 500));
    // A large event in front of many small ones.
    std::vector<std::string> bodies(200, "x");
    for (int i = 0; i < 10; ++i) bodies[static_cast<std::size_t>(i)] = std::string(10'000, 'y');
    REQUIRE(put(f.channel(), batch_of(f.pool(), bodies)));
    Taken taken =
        f.channel().take({.events_max = 100, .bytes_max = 30'000, .wait_max = milliseconds(0)}, {});
    CHECK(taken.batch().body_bytes() <= 30'000);
    CHECK(taken.batch().size() >= 1);
    taken = {};
    taken = f.channel().take({.events_max = 100, .bytes_max = 50, .wait_max = milliseconds(0)}, {});
    CHECK(taken.batch().size() == 1);  // larger than bytes_max, but alone
  }
}

TEST_CASE("small neighbours are handed out together, large ones are not copied") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type);
    for (std::uint64_t i = 0; i < 30; ++i) REQUIRE(put(f.channel(), numbered(f.pool(), i, 1)));
    Taken taken = take_now(f.channel(), 20);
    CHECK(numbers_of(taken.batch()) == row(0, 20));
    CHECK(taken.batch().lines());
    commit(std::move(taken));
    commit(take_now(f.channel(), 20));
    const Batch large = numbered(f.pool(), 0, 10, 4000);
    REQUIRE(put(f.channel(), large));
    REQUIRE(put(f.channel(), numbered(f.pool(), 10, 10, 4000)));
    taken = take_now(f.channel());
    CHECK(taken.batch().size() == 10);
    CHECK((taken.batch().body(0).data() == large.body(0).data()) == !type.from_disk);
  }
}

TEST_CASE("a byte stream is not cut by a count of events") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type);
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 3000, 8)));
    const TakeLimit limit{
        .events_max = 100, .bytes_at_least = 256 * 1024, .wait_max = milliseconds(0)};
    Taken taken = f.channel().take(limit, {});
    CHECK(taken.batch().size() == 3000);
    taken = {};
    REQUIRE(put(f.channel(), numbered(f.pool(), 3000, 400, 8)));
    taken = f.channel().take(limit, {});
    const Numbers numbers = numbers_of(taken.batch());
    CHECK(numbers == row(0, numbers.size()));
    // What lies on disk only may come with the next take.
    CHECK(numbers.size() >= (type.durable ? 3000 : 3400));
  }
}

TEST_CASE("an empty channel lets go of a taker after wait_max, at stop and when it is drained") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type);
    const auto begin = Clock::system().steady();
    CHECK(f.channel().take({.wait_max = milliseconds(30)}, {}).empty());
    CHECK(Clock::system().steady() - begin >= milliseconds(30));
    std::stop_source stop;
    const TakeLimit patient{.wait_max = milliseconds(10'000)};
    std::jthread stopper([&] { stop.request_stop(); });
    CHECK(f.channel().take(patient, stop.get_token()).empty());
    // Somebody waits while the last events are in the hands of another.
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 2)));
    Taken last = take_now(f.channel());
    std::atomic<int> waiting{0};
    std::jthread waiter([&] {
      ++waiting;
      CHECK(f.channel().take(patient, {}).empty());
    });
    REQUIRE(eventually([&] { return waiting == 1; }));
    f.channel().close();
    // Whoever has them itself does not wait for them.
    CHECK(f.channel().take({.wait_max = patient.wait_max, .until_closed = true}, {}).empty());
    commit(std::move(last));
    waiter.join();
    CHECK(f.channel().drained());
    CHECK(Clock::system().steady() - begin < milliseconds(8000));
  }
}

TEST_CASE("a put that two takers can share wakes both") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type);
    const auto begin = Clock::system().steady();
    std::atomic<std::uint64_t> takes{0};
    std::atomic<bool> hold{true};
    const auto taker = [&] {
      Taken taken = f.channel().take({.events_max = 10, .wait_max = milliseconds(10'000)}, {});
      takes += taken.batch().size();
      eventually([&] { return !hold; });
    };
    std::jthread one(taker);
    std::jthread two(taker);
    REQUIRE(eventually([&] { return f.channel().counters().take_attempts.get() == 2; }));
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 20)));
    CHECK(eventually([&] { return takes == 20; }, milliseconds(3000)));
    hold = false;
    one.join();
    two.join();
    CHECK(Clock::system().steady() - begin < milliseconds(8000));
  }
}

TEST_CASE("a channel is not drained while a put is on its way") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    Fixture f(type);
    auto room = f.channel().reserve(numbered(f.pool(), 0, 3), soon(), {});
    REQUIRE(room.ok());
    f.channel().close();
    CHECK_FALSE(f.channel().drained());
    {
      Commit commit(f.channel().committer());
      commit.put(*std::move(room));
      REQUIRE(std::move(commit).wait().ok());
    }
    CHECK_FALSE(f.channel().drained());
    commit(take_now(f.channel()));
    CHECK(f.channel().drained());
  }
}

TEST_CASE("what is abandoned is counted as lost and its receipts say not delivered") {
  for (const ChannelUnderTest& type : channels_under_test()) {
    if (type.durable) continue;
    Fixture f(type);
    auto book = std::make_shared<ReceiptBook>();
    REQUIRE(put(f.channel(), numbered(f.pool(), 0, 3).with_receipt(Receipt::make(book, 1, 3))));
    REQUIRE(put(f.channel(), numbered(f.pool(), 3, 4).with_receipt(Receipt::make(book, 2, 4))));
    commit(take_now(f.channel(), 3));
    f.channel().close();
    CHECK(f.channel().abandon() == 4);
    CHECK(f.channel().counters().lost.events.get() == 4);
    CHECK(book->delivered(1));
    CHECK(book->not_delivered(2));
    CHECK(f.channel().drained());
  }
}

constexpr std::uint64_t numbers_apart = 1'000'000;  ///< From one putter to the next.

Numbers fed_by(int putter, std::uint64_t each) {
  const std::uint64_t base = static_cast<std::uint64_t>(putter) * numbers_apart;
  return row(base, base + each);
}

Numbers fed_by_all(int putters, std::uint64_t each) {
  Numbers all;
  for (int p = 0; p < putters; ++p) {
    const Numbers own = fed_by(p, each);
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

void check_order_of_each_putter(const Numbers& all, int putters, std::uint64_t each) {
  for (int p = 0; p < putters; ++p) {
    Numbers own;
    for (const auto n : all) {
      if (n / numbers_apart == static_cast<std::uint64_t>(p)) own.push_back(n);
    }
    CHECK(own == fed_by(p, each));
  }
}

/// N putters, M takers with random rollbacks: nothing is lost, nothing is doubled.
void many_threads(Fixture& f, std::uint64_t seed, int putters, int takers) {
  constexpr std::uint64_t each = 4000;
  auto book = std::make_shared<ReceiptBook>();
  std::mutex mutex;
  Numbers all;
  std::atomic<std::uint64_t> receipts{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < takers; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + static_cast<std::uint64_t>(100 + t));
      while (!f.channel().drained()) {
        Taken taken = f.channel().take({.events_max = static_cast<std::uint32_t>(1 + random() % 50),
                                        .bytes_at_least = random() % 2 * 2000,
                                        .wait_max = milliseconds(50)},
                                       {});
        if (random() % 4 == 0 || taken.empty()) continue;  // rolled back
        if (random() % 4 == 0) {
          Taken front =
              taken.split_front(static_cast<std::uint32_t>(random() % taken.batch().size()));
          taken = {};
          taken = std::move(front);
        }
        const Numbers numbers = numbers_of(taken.batch());
        const std::lock_guard lock(mutex);
        commit(std::move(taken));
        all.insert(all.end(), numbers.begin(), numbers.end());
      }
    });
  }
  {
    std::vector<std::jthread> sources;
    for (int p = 0; p < putters; ++p) {
      sources.emplace_back([&, p] {
        std::mt19937_64 random(seed + static_cast<std::uint64_t>(p));
        const std::uint64_t base = static_cast<std::uint64_t>(p) * numbers_apart;
        for (std::uint64_t next = 0; next < each;) {
          const auto events = static_cast<std::uint32_t>(std::min(each - next, 1 + random() % 30));
          const Batch batch = numbered(f.pool(), base + next, events, random() % 100)
                                  .with_receipt(Receipt::make(book, receipts++, events));
          auto room = f.channel().reserve(batch, Deadline::never(), {});
          if (!room.ok() || random() % 10 == 0) continue;  // given back
          Commit commit(f.channel().committer());
          commit.put(*std::move(room));
          if (!std::move(commit).wait().ok()) std::abort();
          next += events;
        }
      });
    }
  }
  f.channel().close();
  threads.clear();
  if (takers == 1) check_order_of_each_putter(all, putters, each);
  std::sort(all.begin(), all.end());
  CHECK(all == fed_by_all(putters, each));
  CHECK(book->settled_receipts() == receipts);
  CHECK_FALSE(book->twice());
}

TEST_CASE("many putters and takers lose nothing and double nothing") {
  const std::uint64_t seed = Catch::rngSeed();
  INFO("seed " << seed);
  for (const ChannelUnderTest& type : channels_under_test()) {
    for (const int takers : {1, 3}) {
      Fixture f(type, {.capacity_events = 300, .budget_bytes = 1 << 20});
      many_threads(f, seed, 3, takers);
    }
  }
}

TEST_CASE("what one channel gives up for another is in one of them, whatever they are") {
  for (const ChannelUnderTest& from_type : channels_under_test()) {
    for (const ChannelUnderTest& to_type : channels_under_test()) {
      INFO(from_type.type << " -> " << to_type.type);
      Fixture from(from_type);
      Fixture to(to_type, {.capacity_events = 3});
      REQUIRE(put(from.channel(), numbered(from.pool(), 0, 5)));
      SinkCounters counters;
      DeadLetterChannel place(to.channel(), to.pool(), counters, Clock::system());
      for (const bool refused : {true, false}) {
        Taken taken = take_now(from.channel());
        const Batch batch = taken.batch();
        Rejection rejection{"k1", from.channel().name(), "no reason", {}};
        for (const std::uint32_t i : {1U, 4U}) rejection.letters.push_back({batch[i], i, 1, {}});
        Commit taking(from.channel().committer());
        taking.take(std::move(taken));
        REQUIRE(place.keep(rejection, taking).ok());
        CHECK(to.channel().size_events() == 0);
        CHECK(from.channel().size_events() == 5);
        if (!refused) REQUIRE(std::move(taking).wait().ok());
      }
      CHECK(from.channel().size_events() == 0);
      {
        // A third one has room, so nothing is left of the refused one; more has not.
        const Batch batch = numbered(from.pool(), 7, 2);
        Rejection rejection{"k1", "c1", "no reason", {}};
        for (const std::uint32_t i : {0U, 1U}) rejection.letters.push_back({batch[i], i, 1, {}});
        Commit none;
        CHECK(place.keep(rejection, none).code() == Code::Retry);
        rejection.letters.pop_back();
        Commit some;
        CHECK(place.keep(rejection, some).ok());
      }
      Taken dead = take_now(to.channel());
      CHECK(numbers_of(dead.batch()) == Numbers{1, 4});
      commit(std::move(dead));
    }
  }
}

}  // namespace
}  // namespace sluice

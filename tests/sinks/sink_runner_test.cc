// The runner's promises, with a sink that does whatever a test wants.

#include "sinks/sink_runner.h"

#include <atomic>
#include <deque>
#include <random>
#include <thread>

#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/eventually.h"
#include "tests/support/late_committer.h"
#include "tests/support/memory_channels.h"
#include "tests/support/receipt_book.h"

namespace sluice {
namespace {

using Numbers = std::vector<std::uint64_t>;

/// What a scripted delivery is told to do.
using Script = std::function<Delivery(const Batch&)>;

/// Delivers on a thread of its own when `threads` is set, within deliver() otherwise.
class ScriptedSink final : public Sink {
 public:
  ScriptedSink(Script script, std::uint32_t in_flight, bool own_thread)
      : script_(std::move(script)), in_flight_(in_flight) {
    if (own_thread) thread_ = std::jthread([this](std::stop_token stop) { work(std::move(stop)); });
  }

  Status open(const std::stop_token&) override {
    ++opens;
    return opens <= failing_opens ? Retry("not yet") : Status();
  }
  void deliver(const Batch& batch, std::stop_token, DeliveryDone done) override {
    const auto now = ++outstanding;
    SLUICE_ASSERT(now <= in_flight_, "more deliveries than asked for");
    if (!thread_.joinable()) return end(batch, done);
    const std::lock_guard lock(mutex_);
    waiting_.emplace_back(batch, done);
    changed_.notify_all();
  }
  void close() override {
    SLUICE_ASSERT(outstanding == 0, "closed while a delivery is outstanding");
    ++closes;
  }
  TakeLimit take_limit() const override { return {.events_max = 10, .wait_max = milliseconds(20)}; }
  std::uint32_t in_flight_max() const override { return in_flight_; }

  Numbers delivered() const {
    const std::lock_guard lock(mutex_);
    return delivered_;
  }

  std::atomic<int> opens{0};
  std::atomic<int> failing_opens{0};
  std::atomic<int> closes{0};
  std::atomic<std::uint32_t> outstanding{0};

 private:
  void end(const Batch& batch, DeliveryDone done) {
    Delivery delivery = script_(batch);
    const std::uint32_t arrived = delivery.status.ok() ? batch.size() : delivery.arrived;
    {
      const std::lock_guard lock(mutex_);
      const Numbers numbers = numbers_of(batch);
      for (std::uint32_t i = 0; i < arrived; ++i) {
        const auto& no = delivery.rejected;
        if (std::find(no.begin(), no.end(), i) == no.end()) delivered_.push_back(numbers[i]);
      }
    }
    --outstanding;
    done(std::move(delivery));
  }
  void work(std::stop_token stop) {
    for (;;) {
      std::unique_lock lock(mutex_);
      if (!wait_until(changed_, lock, Deadline::never(), stop, [&] { return !waiting_.empty(); }))
        return;
      // The youngest first: ends come in any order.
      auto [batch, done] = std::move(waiting_.back());
      waiting_.pop_back();
      lock.unlock();
      end(batch, done);
    }
  }

  const Script script_;
  const std::uint32_t in_flight_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<Batch, DeliveryDone>> waiting_;  // guarded by mutex_
  Numbers delivered_;                                   // guarded by mutex_
  std::jthread thread_;
};

class KeepAside final : public DeadLetters {
 public:
  Status keep(const Rejection& rejection, Commit&) override {
    const std::lock_guard lock(mutex_);
    if (no_room_ > 0) {
      --no_room_;
      return Retry("full");
    }
    for (const DeadLetter& letter : rejection.letters) {
      kept_.push_back(std::stoull(std::string(letter.event.body)));
    }
    return {};
  }
  const std::string& name() const noexcept override { return name_; }
  Numbers kept() const {
    const std::lock_guard lock(mutex_);
    return kept_;
  }
  void no_room_for(int times) { no_room_ = times; }

 private:
  const std::string name_ = "nowhere";
  mutable std::mutex mutex_;
  Numbers kept_;
  int no_room_ = 0;
};

struct Rig {
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  MemoryChannel channel{roomy_channel(), pool};
  std::shared_ptr<ReceiptBook> book = std::make_shared<ReceiptBook>();

  void put_rows(std::uint64_t rows, std::uint32_t events = 10) {
    for (std::uint64_t i = 0; i < rows; ++i) {
      const Batch batch = numbered(pool, i * events, events, 7000);  // large: not gathered
      if (!put(channel, batch.with_receipt(Receipt::make(book, i, events)))) std::abort();
    }
  }
  bool balanced(const SinkCounters& counters) const {
    return channel.counters().put.events.get() ==
           counters.delivered.events.get() + counters.dead_lettered.events.get();
  }
};

SinkRunner::Options quick() {
  return {.name = "sink k1", .backoff_first = milliseconds(1), .backoff_max = milliseconds(4)};
}

Numbers sorted(Numbers numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Numbers row(std::uint64_t end) {
  Numbers numbers;
  for (std::uint64_t i = 0; i < end; ++i) numbers.push_back(i);
  return numbers;
}

TEST_CASE("a closed channel is drained and the sink closed") {
  Rig rig;
  rig.put_rows(20);
  rig.channel.close();
  SinkCounters counters;
  ScriptedSink sink([](const Batch&) { return Delivery{}; }, 1, false);
  sink.failing_opens = 3;
  SinkRunner runner(quick(), rig.channel, sink, counters);
  CHECK(runner.run({}).ok());
  CHECK(sink.delivered() == row(200));
  CHECK(sink.opens == 4);
  CHECK(sink.closes == 1);
  CHECK_FALSE(runner.healthy());
  CHECK(rig.balanced(counters));
  for (std::uint64_t i = 0; i < 20; ++i) CHECK(rig.book->delivered(i));
}

TEST_CASE("deliveries that end on another thread, in any order, with failures, lose nothing") {
  for (const std::uint32_t in_flight : {1U, 4U}) {
    Rig rig;
    rig.put_rows(60);
    rig.channel.close();
    SinkCounters counters;
    std::mt19937_64 random(Catch::rngSeed() + in_flight);
    ScriptedSink sink(
        [&](const Batch& batch) {
          if (random() % 4 != 0) return Delivery{};
          const auto arrived = static_cast<std::uint32_t>(random() % batch.size());
          return Delivery{.status = Retry("a bad day"), .arrived = arrived};
        },
        in_flight, true);
    SinkRunner runner(quick(), rig.channel, sink, counters);
    CHECK(runner.run({}).ok());
    if (in_flight == 1) CHECK(sink.delivered() == row(600));
    CHECK(sorted(sink.delivered()) == row(600));
    CHECK(counters.failures.get() > 0);
    CHECK(rig.balanced(counters));
    CHECK(rig.channel.account().used_bytes() == 0);
    for (std::uint64_t i = 0; i < 60; ++i) CHECK(rig.book->delivered(i));
  }
}

/// Ends deliveries when the test says so.
class ManualSink final : public Sink {
 public:
  Status open(const std::stop_token&) override { return {}; }
  void deliver(const Batch& batch, std::stop_token, DeliveryDone done) override {
    const std::lock_guard lock(mutex_);
    offered_.emplace_back(numbers_of(batch)[0], done);
  }
  void close() override {}
  TakeLimit take_limit() const override { return {.events_max = 10, .wait_max = milliseconds(5)}; }
  std::uint32_t in_flight_max() const override { return 3; }

  std::size_t offered() const {
    const std::lock_guard lock(mutex_);
    return offered_.size();
  }
  std::uint64_t first_number(std::size_t i) const {
    const std::lock_guard lock(mutex_);
    return offered_[i].first;
  }
  void end(std::size_t i, Delivery delivery) {
    std::unique_lock lock(mutex_);
    const DeliveryDone done = offered_[i].second;
    lock.unlock();
    done(std::move(delivery));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<std::uint64_t, DeliveryDone>> offered_;  // guarded by mutex_
};

TEST_CASE("nothing new is offered before every outstanding delivery has ended") {
  Rig rig;
  rig.put_rows(5);
  SinkCounters counters;
  ManualSink sink;
  SinkRunner runner(quick(), rig.channel, sink, counters);
  std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
  REQUIRE(eventually([&] { return sink.offered() == 3; }));
  sink.end(1, {.status = Retry("once")});
  CHECK_FALSE(eventually([&] { return sink.offered() > 3; }, milliseconds(50)));
  sink.end(0, {});
  CHECK_FALSE(eventually([&] { return sink.offered() > 3; }, milliseconds(50)));
  sink.end(2, {});
  REQUIRE(eventually([&] { return sink.offered() == 6; }));
  CHECK(sink.first_number(3) == 10);  // what failed, oldest first
  CHECK(sink.first_number(4) == 30);
  CHECK(sink.first_number(5) == 40);
  rig.channel.close();
  for (std::size_t i = 3; i < 6; ++i) sink.end(i, {});
  thread.join();
  CHECK(counters.delivered.events.get() == 50);
}

TEST_CASE("deliveries that fail together are one failure, and the first says why") {
  const testing::CapturedLog log;
  Rig rig;
  rig.put_rows(3);
  SinkCounters counters;
  ManualSink sink;
  SinkRunner runner(quick(), rig.channel, sink, counters);
  std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
  constexpr std::size_t rounds = 8;
  for (std::size_t round = 0; round < rounds; ++round) {
    REQUIRE(eventually([&] { return sink.offered() == 3 * round + 3; }));
    sink.end(3 * round, {.status = Retry("the reason")});
    sink.end(3 * round + 1, {.status = Retry("its consequence")});
    sink.end(3 * round + 2, {.status = Retry("its consequence")});
  }
  REQUIRE(eventually([&] { return sink.offered() == 3 * rounds + 3; }));
  rig.channel.close();
  for (std::size_t i = 0; i < 3; ++i) sink.end(3 * rounds + i, {});
  thread.join();
  CHECK(counters.failures.get() == 3 * rounds);
  CHECK(log.has("the reason; they stay in channel c1 and are tried again (failure 1 in a row)"));
  CHECK(log.has("the reason; they stay in channel c1 and are tried again (failure 8 in a row)"));
  CHECK_FALSE(log.has("its consequence"));
}

TEST_CASE("rejected events are kept aside, when there is room for them") {
  Rig rig;
  rig.put_rows(10);
  rig.channel.close();
  SinkCounters counters;
  KeepAside dead;
  dead.no_room_for(2);
  ScriptedSink sink(
      [](const Batch& batch) {
        Delivery delivery;
        const auto numbers = numbers_of(batch);
        for (std::uint32_t i = 0; i < numbers.size(); ++i) {
          if (numbers[i] % 10 == 2 || numbers[i] % 10 == 5) delivery.rejected.push_back(i);
        }
        return delivery;
      },
      1, false);
  SinkRunner::Options options = quick();
  options.dead_letters = &dead;
  SinkRunner runner(std::move(options), rig.channel, sink, counters);
  CHECK(runner.run({}).ok());
  Numbers expected;
  for (std::uint64_t i = 0; i < 10; ++i) {
    expected.push_back(i * 10 + 2);
    expected.push_back(i * 10 + 5);
  }
  CHECK(dead.kept() == expected);
  CHECK(counters.dead_lettered.events.get() == 20);
  CHECK(counters.delivered.events.get() == 80);
  CHECK(counters.failures.get() == 2);
  CHECK(rig.balanced(counters));
}

TEST_CASE("without a place for dead letters rejected events are tried again") {
  Rig rig;
  rig.put_rows(1);
  rig.channel.close();
  SinkCounters counters;
  int rejections = 3;
  ScriptedSink sink(
      [&](const Batch& batch) {
        // The last of all: with the others at first, alone afterwards.
        return rejections-- > 0 ? Delivery{.status = {}, .rejected = {batch.size() - 1}}
                                : Delivery{};
      },
      1, false);
  SinkRunner runner(quick(), rig.channel, sink, counters);
  CHECK(runner.run({}).ok());
  CHECK(counters.delivered.events.get() == 10);
  CHECK(counters.failures.get() == 3);
  CHECK(rig.book->delivered(0));
  Numbers delivered = sink.delivered();
  std::sort(delivered.begin(), delivered.end());
  CHECK(delivered == row(10));  // each once: those around it did not come again
}

TEST_CASE("of two sinks on one channel the healthy one delivers everything once") {
  Rig rig;
  rig.put_rows(50);
  SinkCounters good_counters;
  SinkCounters bad_counters;
  ScriptedSink good([](const Batch&) { return Delivery{}; }, 1, false);
  ScriptedSink bad([](const Batch&) { return Delivery{.status = Retry("always")}; }, 1, false);
  SinkRunner good_runner(quick(), rig.channel, good, good_counters);
  SinkRunner bad_runner(quick(), rig.channel, bad, bad_counters);
  std::jthread bad_thread(
      [&](std::stop_token stop) { CHECK(bad_runner.run(std::move(stop)).ok()); });
  REQUIRE(eventually([&] { return bad_counters.failures.get() > 0; }));
  std::jthread good_thread(
      [&](std::stop_token stop) { CHECK(good_runner.run(std::move(stop)).ok()); });
  CHECK(eventually([&] { return good_counters.delivered.events.get() == 500; }));
  CHECK_FALSE(bad_runner.healthy());
  CHECK(good_runner.healthy());
  rig.channel.close();
  good_thread.join();
  bad_thread.join();
  CHECK(sorted(good.delivered()) == row(500));
  CHECK(bad.delivered().empty());
}

TEST_CASE("a fatal delivery ends the runner and its events stay in the channel") {
  Rig rig;
  rig.put_rows(5);
  SinkCounters counters;
  ScriptedSink sink(
      [](const Batch& batch) {
        return numbers_of(batch)[0] == 20 ? Delivery{.status = Fatal("a broken promise")}
                                          : Delivery{};
      },
      1, false);
  SinkRunner runner(quick(), rig.channel, sink, counters);
  CHECK(runner.run({}).code() == Code::Fatal);
  CHECK(sink.closes == 1);
  CHECK(rig.channel.size_events() == 30);
}

TEST_CASE("stop ends a runner that backs off, waits for events or cannot open") {
  Rig rig;
  rig.put_rows(1);
  SinkCounters counters;
  SinkRunner::Options slow = quick();
  slow.backoff_first = slow.backoff_max = milliseconds(60'000);
  const auto begin = Clock::system().steady();
  {
    ScriptedSink sink([](const Batch&) { return Delivery{.status = Retry("no")}; }, 1, false);
    SinkRunner runner(slow, rig.channel, sink, counters);
    std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
    REQUIRE(eventually([&] { return counters.failures.get() == 1; }));
  }
  {
    ScriptedSink sink([](const Batch&) { return Delivery{}; }, 1, false);
    sink.failing_opens = 1'000'000;
    SinkRunner runner(slow, rig.channel, sink, counters);
    std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
    REQUIRE(eventually([&] { return sink.opens == 1; }));
  }
  CHECK(Clock::system().steady() - begin < milliseconds(5000));
  CHECK(rig.channel.size_events() == 10);
}

TEST_CASE("a refused commit returns the events and they are delivered again") {
  Rig rig;
  rig.put_rows(20);
  rig.channel.close();
  SinkCounters counters;
  LateCommitter committer(
      {.seed = Catch::rngSeed() + 5, .refusals = 0.3, .late_by = milliseconds(0)});
  // What each delivery heard of its commit.
  std::mutex mutex;
  Numbers committed;
  std::uint64_t refused = 0;
  const auto hear = [&](Numbers numbers) {
    return [&, numbers = std::move(numbers)](const Status& status) {
      const std::lock_guard lock(mutex);
      if (!status.ok()) ++refused;
      if (status.ok()) committed.insert(committed.end(), numbers.begin(), numbers.end());
    };
  };
  ScriptedSink sink(
      [&](const Batch& batch) {
        return Delivery{.status = {}, .committed = hear(numbers_of(batch))};
      },
      1, false);
  SinkRunner::Options options = quick();
  options.committer = &committer;
  SinkRunner runner(std::move(options), rig.channel, sink, counters);
  CHECK(runner.run({}).ok());
  CHECK(counters.delivered.events.get() == 200);
  CHECK(refused == committer.refused());
  CHECK(sorted(committed) == row(200));
  CHECK(counters.channel_failures.get() == committer.refused());
  Numbers delivered = sorted(sink.delivered());
  delivered.erase(std::unique(delivered.begin(), delivered.end()), delivered.end());
  CHECK(delivered == row(200));
}

/// Ends the first delivery within the second, and these two within the third.
class Gathering final : public Sink {
 public:
  Status open(const std::stop_token&) override { return {}; }
  void deliver(const Batch& /*batch*/, std::stop_token, DeliveryDone done) override {
    const int number = ++deliveries_;
    outstanding_.emplace_back(number, done);
    if (number == 2) {
      const auto first = outstanding_.front();
      outstanding_.pop_front();
      end(first);
    } else if (number == 3) {
      for (const auto& each : std::exchange(outstanding_, {})) end(each);
    }
  }
  void close() override {}
  TakeLimit take_limit() const override { return {.events_max = 1, .wait_max = milliseconds(20)}; }
  std::uint32_t in_flight_max() const override { return 3; }

  std::vector<int> committed;

 private:
  void end(const std::pair<int, DeliveryDone>& delivery) {
    Delivery ended;
    ended.committed = [this, number = delivery.first](const Status&) {
      committed.push_back(number);
    };
    delivery.second(std::move(ended));
  }

  int deliveries_ = 0;
  std::deque<std::pair<int, DeliveryDone>> outstanding_;
};

TEST_CASE("deliveries that end together are committed in the order in which they were begun") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  MemoryChannel channel(roomy_channel(), pool);
  for (std::uint64_t i = 0; i < 3; ++i) REQUIRE(put(channel, numbered(pool, i, 1)));
  channel.close();
  Gathering sink;
  SinkCounters counters;
  SinkRunner runner({.name = "sink k1", .sink = "k1"}, channel, sink, counters);
  CHECK(runner.run({}).ok());
  CHECK(sink.committed == std::vector<int>{1, 2, 3});
}

}  // namespace
}  // namespace sluice

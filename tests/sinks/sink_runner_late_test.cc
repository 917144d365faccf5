// The runner with several deliveries in flight, which end when and as they like.

#include <algorithm>
#include <random>
#include <set>
#include <thread>

#include "sinks/sink_runner.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/late_sink.h"
#include "tests/support/memory_channels.h"
#include "tests/support/receipt_book.h"

namespace sluice {
namespace {

using Numbers = std::vector<std::uint64_t>;

SinkRunner::Options quick() {
  return {.name = "sink k1", .backoff_first = milliseconds(1), .backoff_max = milliseconds(2)};
}

/// Ends deliveries when the test says so; an empty channel may block its runner for an hour.
class ManualSink final : public Sink {
 public:
  Status open(const std::stop_token& /*stop*/) override { return {}; }
  void deliver(const Batch& batch, std::stop_token /*stop*/, DeliveryDone done) override {
    const std::lock_guard lock(mutex_);
    offered_.emplace_back(numbers_of(batch)[0], done);
  }
  void close() override {}
  TakeLimit take_limit() const override {
    return {.events_max = 10, .wait_max = std::chrono::hours(1)};
  }
  std::uint32_t in_flight_max() const override { return 3; }

  bool offers(std::size_t count) {
    return eventually([&] { return first_numbers().size() == count; });
  }
  Numbers first_numbers() const {
    const std::lock_guard lock(mutex_);
    Numbers numbers;
    for (const auto& [number, done] : offered_) numbers.push_back(number);
    return numbers;
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

TEST_CASE("a delivery that ends while the channel is empty is settled at once") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  MemoryChannel channel(roomy_channel(), pool);
  SinkCounters counters;
  ManualSink sink;
  SinkRunner runner(quick(), channel, sink, counters);
  std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
  std::size_t offers = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    REQUIRE(put(channel, numbered(pool, i * 10, 10)));
    REQUIRE(sink.offers(++offers));
    // The runner asks for more: it sleeps, or is about to.
    const std::uint64_t asked = channel.counters().take_attempts.get();
    eventually([&] { return channel.counters().take_attempts.get() > asked; }, milliseconds(5));
    if (i % 2 == 1) {
      sink.end(offers - 1, {.status = Retry("once"), .arrived = 4});
      REQUIRE(sink.offers(++offers));
      CHECK(sink.first_numbers().back() == i * 10 + 4);
    }
    std::atomic<std::uint64_t> committed{0};
    sink.end(offers - 1,
             {.status = {}, .committed = [&](const Status& status) { committed += status.ok(); }});
    REQUIRE(eventually([&] { return counters.delivered.events.get() == (i + 1) * 10; }));
    CHECK(eventually([&] { return committed == 1; }));
  }
  CHECK(counters.batches_empty.get() == 0);  // to be woken is not to find nothing
  channel.close();
}

/// Lets a test act within a take() of an empty channel.
class InterruptedChannel final : public QueueChannel {
 public:
  explicit InterruptedChannel(SlabPool& pool)
      : QueueChannel({.name = "c1"}, 8 * pool.slab_bytes(), pool) {}
  ~InterruptedChannel() override { abandon(); }
  std::uint64_t abandon() override {
    while (!queue_.empty()) give_room(queue_.pop_front(UINT32_MAX).batch);
    return 0;
  }
  std::function<void()> meanwhile = [] {};

 private:
  void come_back(const ReadAhead& ahead) noexcept override { drop_ahead(ahead, counters_.lost); }
  bool can_take() const noexcept override { return true; }
  void fetch(std::unique_lock<std::mutex>& lock, const TakeLimit& /*limit*/,
             const std::stop_token& /*stop*/) override {
    lock.unlock();
    meanwhile();
    lock.lock();
  }
  void enqueue(std::uint64_t first, const Batch& batch) noexcept override {
    queue_.push_back({.sequence = first, .batch = batch});
  }
};

TEST_CASE("what was taken while a delivery failed goes back behind it") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  InterruptedChannel channel(pool);
  SinkCounters counters;
  ManualSink sink;
  SinkRunner runner(quick(), channel, sink, counters);
  const auto large = [&](std::uint64_t first) { return numbered(pool, first, 10, 7000); };
  std::uint64_t takes = 0;
  channel.meanwhile = [&] {
    if (++takes == 1) {
      CHECK(put(channel, large(0)));
    } else if (takes == 2) {
      sink.end(0, {.status = Retry("once")});
      CHECK(put(channel, large(10)));
    } else {
      sink.end(1, {});
      sink.end(2, {});
      channel.close();
    }
  };
  CHECK(runner.run({}).ok());
  CHECK(sink.first_numbers() == Numbers{0, 0, 10});
  CHECK(counters.delivered.events.get() == 20);
  CHECK(counters.attempts.get() == 30);  // what was not offered is not counted
}

/// Where every event is, as plain sets, and what may be offered next. Findings are kept for the
/// test's own thread. Thread-safe.
class Model final : public DeadLetters {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {}

  void put(std::uint64_t first, std::uint32_t events) {
    const std::lock_guard lock(mutex_);
    for (std::uint32_t i = 0; i < events; ++i) waiting_.insert(first + i);
  }

  void offered(const Batch& batch) {
    const std::lock_guard lock(mutex_);
    const Numbers numbers = numbers_of(batch);
    const bool oldest = numbers.size() <= waiting_.size() &&
                        std::equal(numbers.begin(), numbers.end(), waiting_.begin());
    if (oldest) {
      if (failed_ && !offered_.empty())
        find("offered while deliveries from before are outstanding");
      failed_ = overtaken_ = false;
    } else {
      // One may have been on its way when the failure came.
      if (!failed_ || overtaken_) find("not the oldest events that wait");
      overtaken_ = true;
    }
    for (const std::uint64_t number : numbers) {
      if (waiting_.erase(number) == 0) find("offered twice");
      offered_.insert(number);
    }
  }

  Delivery ended(const Batch& batch) {
    const std::lock_guard lock(mutex_);
    const Numbers numbers = numbers_of(batch);
    Delivery delivery;
    std::size_t arrived = numbers.size();
    if (const auto dice = random_() % 10; dice < 2) {
      arrived = random_() % numbers.size();
      delivery = {.status = Retry("a bad day"), .arrived = static_cast<std::uint32_t>(arrived)};
      failed_ = true;
    } else if (dice < 4) {
      for (std::uint32_t i = 0; i < numbers.size(); ++i) {
        if (random_() % 3 == 0) delivery.rejected.push_back(i);
      }
    }
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto& no = delivery.rejected;
      const bool rejected = std::find(no.begin(), no.end(), i) != no.end();
      if (!rejected) offered_.erase(numbers[i]);
      if (i >= arrived) waiting_.insert(numbers[i]);
      if (rejected) rejected_.insert(numbers[i]);
      if (i < arrived && !rejected) gone(numbers[i]);
    }
    return delivery;
  }

  Status keep(const Rejection& rejection, Commit& /*taking*/) override {
    const std::lock_guard lock(mutex_);
    const bool room = random_() % 3 != 0;
    for (const DeadLetter& letter : rejection.letters) {
      const std::uint64_t number = std::stoull(std::string(letter.event.body));
      offered_.erase(number);
      if (rejected_.erase(number) == 0) find("an event is kept aside that was not rejected");
      if (room) gone(number);
      if (!room) waiting_.insert(number);
    }
    if (!room) failed_ = true;
    return room ? Status() : Retry("full");
  }
  const std::string& name() const noexcept override { return name_; }

  std::size_t gone_events() const {
    const std::lock_guard lock(mutex_);
    return gone_.size();
  }
  std::vector<std::string> findings() const {
    const std::lock_guard lock(mutex_);
    return findings_;
  }

 private:
  void gone(std::uint64_t number) {
    if (!gone_.insert(number).second) find("gone twice");
  }
  void find(std::string what) { findings_.push_back(std::move(what)); }

  const std::string name_ = "nowhere";
  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  std::set<std::uint64_t> waiting_;
  std::set<std::uint64_t> offered_;   ///< Or rejected and not kept aside yet.
  std::set<std::uint64_t> rejected_;  ///< Part of `offered_`.
  std::set<std::uint64_t> gone_;
  bool failed_ = false;     ///< Since the oldest events were offered last.
  bool overtaken_ = false;  ///< One was offered since.
  std::vector<std::string> findings_;
};

TEST_CASE("whatever order ends, failures and rejections come in, each event goes once, in order") {
  for (std::uint64_t round = 0; round < 20; ++round) {
    const std::uint64_t seed = Catch::rngSeed() * 1000 + round;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Model model(seed + 1);
    SlabPool pool(64 * 1024, keep_no_free_slabs);
    MemoryChannel channel(roomy_channel(), pool);
    SinkCounters counters;
    LateSink sink({.offered = [&](const Batch& batch) { model.offered(batch); },
                   .ended = [&](const Batch& batch) { return model.ended(batch); },
                   .seed = seed + 2,
                   .in_flight_max = static_cast<std::uint32_t>(2 + random() % 4),
                   .take_wait_max = std::chrono::hours(1)});
    SinkRunner::Options options = quick();
    options.dead_letters = &model;
    SinkRunner runner(std::move(options), channel, sink, counters);
    std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
    const auto book = std::make_shared<ReceiptBook>();
    std::uint64_t events = 0;
    for (std::uint64_t i = 0; i < 60; ++i) {
      const auto more = static_cast<std::uint32_t>(1 + random() % 15);
      model.put(events, more);
      // Small ones are gathered, large ones are not.
      const Batch batch = numbered(pool, events, more, random() % 2 == 0 ? 0 : 7000);
      REQUIRE(put(channel, batch.with_receipt(Receipt::make(book, i, more))));
      events += more;
      if (random() % 8 == 0) REQUIRE(eventually([&] { return model.gone_events() == events; }));
    }
    REQUIRE(eventually([&] { return model.gone_events() == events; }));
    channel.close();
    thread.join();
    CHECK(model.findings() == std::vector<std::string>{});
    CHECK(counters.delivered.events.get() + counters.dead_lettered.events.get() == events);
    CHECK(book->settled_receipts() == 60);
    for (std::uint64_t i = 0; i < 60; ++i) CHECK(book->delivered(i));
  }
}

}  // namespace
}  // namespace sluice

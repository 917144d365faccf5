// What arrives once, whatever fails in between.

#include "sinks/exactly_once.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "core/base/assert.h"
#include "sinks/sink_runner.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/eventually.h"
#include "tests/support/late_committer.h"
#include "tests/support/memory_channels.h"
#include "tests/support/moved_clock.h"

namespace sluice {
namespace {

using Numbers = std::vector<std::uint64_t>;

constexpr OriginId a{1, 1};
constexpr OriginId b{2, 2};
constexpr std::uint64_t refused_every = 97;

/// What a far end keeps, whoever writes to it.
struct Far {
  std::mutex mutex;
  Numbers committed;
  std::optional<std::string> position;
  std::uint64_t writer = 0;  ///< Only the last one that opened may write.
  std::uint64_t opens = 0;
  std::uint64_t transactions = 0;

  Numbers numbers() {
    const std::lock_guard lock(mutex);
    return committed;
  }
};

struct Faults {
  double open = 0;
  double write = 0;
  double commit_lost = 0;     ///< Nothing arrives, and an error.
  double answer_lost = 0;     ///< All arrives, and an error.
  bool refuses_some = false;  ///< Every 97th number will never be taken,
  double refusal_breaks = 0;  ///< and a transaction with one of them is lost.
};

class FakeOutput final : public TransactionalOutput {
 public:
  FakeOutput(Far& far, Faults faults, std::uint64_t seed)
      : far_(far), faults_(faults), random_(seed) {}

  Result<std::optional<std::string>> open(const std::string& store,
                                          const std::stop_token&) override {
    CHECK(store.size() == 32);
    if (dead || chance(faults_.open)) return Retry("nobody there");
    const std::lock_guard lock(far_.mutex);
    me_ = ++far_.writer;
    ++far_.opens;
    writes_.clear();
    return far_.position;
  }
  Status write(const Batch& batch) override {
    if (dead || chance(faults_.write)) return Retry("gone");
    writes_.push_back(numbers_of(batch));
    return {};
  }
  Status flush(std::vector<Refusal>& refused) override {
    if (dead) return Retry("gone");
    staged_.clear();
    for (std::size_t write = 0; write < writes_.size(); ++write) {
      const Numbers& numbers = writes_[write];
      for (std::uint32_t i = 0; i < numbers.size(); ++i) {
        if (faults_.refuses_some && numbers[i] % refused_every == 0) {
          refused.push_back({write, i, "too large"});
        } else {
          staged_.push_back(numbers[i]);
        }
      }
    }
    // As a broker does: the transaction is of no use any more.
    if (!refused.empty() && chance(faults_.refusal_breaks)) return Retry("must be aborted");
    return {};
  }
  Status commit(std::string_view position, const std::stop_token&) override {
    if (dead || chance(faults_.commit_lost)) return Retry("gone");
    const std::lock_guard lock(far_.mutex);
    if (far_.writer != me_) return Retry("another one writes");
    far_.committed.insert(far_.committed.end(), staged_.begin(), staged_.end());
    far_.position = position;
    ++far_.transactions;
    writes_.clear();
    if (chance(faults_.answer_lost)) return Retry("no answer");
    return {};
  }
  void close() noexcept override { writes_.clear(); }

  std::atomic<bool> dead{false};

 private:
  bool chance(double p) { return std::uniform_real_distribution<double>(0, 1)(random_) < p; }

  Far& far_;
  const Faults faults_;
  std::mt19937_64 random_;
  std::uint64_t me_ = 0;
  std::vector<Numbers> writes_;
  Numbers staged_;
};

class FakeSink final : public Sink {
 public:
  FakeSink(ExactlyOnce::Options options, TransactionalOutput& output, Committer& committer,
           const Clock& clock = Clock::system())
      : deliveries_(std::move(options), output, committer, clock) {}
  Status open(const std::stop_token& stop) override { return deliveries_.open(stop); }
  void deliver(const Batch& batch, std::stop_token stop, DeliveryDone done) override {
    deliveries_.deliver(batch, stop, done);
  }
  void tend() override { deliveries_.tend(); }
  void hurry() override { deliveries_.hurry(); }
  void close() override { deliveries_.close(); }
  TakeLimit take_limit() const override { return {.events_max = 10, .wait_max = milliseconds(2)}; }
  std::uint32_t in_flight_max() const override { return 5; }

 private:
  ExactlyOnce deliveries_;
};

class KeepAside final : public DeadLetters {
 public:
  Status keep(const Rejection& rejection, Commit&) override {
    const std::lock_guard lock(mutex_);
    for (const DeadLetter& letter : rejection.letters) {
      kept_.insert(std::stoull(std::string(letter.event.body)));
    }
    return {};
  }
  const std::string& name() const noexcept override { return name_; }
  std::set<std::uint64_t> kept() const {
    const std::lock_guard lock(mutex_);
    return kept_;
  }

 private:
  const std::string name_ = "aside";
  mutable std::mutex mutex_;
  std::set<std::uint64_t> kept_;
};

ExactlyOnce::Options quick() {
  return {
      .component = "sink k1", .note_prefix = "k1/", .bytes_max = 200, .age_max = milliseconds(1)};
}

/// One life of an agent: a channel that outlives it, and a store whose notes do.
struct Life {
  Life(Channel& channel, LateCommitter& committer, Far& far, Faults faults, std::uint64_t seed,
       DeadLetters* aside = nullptr)
      : output(far, faults, seed),
        sink(quick(), output, committer),
        runner(options(committer, aside), channel, sink, counters),
        thread([this](std::stop_token stop) { outcome = runner.run(std::move(stop)); }) {}
  static SinkRunner::Options options(LateCommitter& committer, DeadLetters* aside) {
    SinkRunner::Options options;
    options.name = "sink k1";
    options.dead_letters = aside;
    options.committer = &committer;
    options.backoff_first = milliseconds(1);
    options.backoff_max = milliseconds(2);
    return options;
  }
  void end() {
    thread.request_stop();
    thread.join();
  }
  SinkCounters counters;
  FakeOutput output;
  FakeSink sink;
  SinkRunner runner;
  Status outcome;
  std::jthread thread;
};

/// Events from two stores in turn, as a collector's channel has them.
void put_rows(Channel& channel, SlabPool& pool, std::uint64_t first, std::uint64_t rows) {
  for (std::uint64_t i = first; i < first + rows; ++i) {
    const OriginId id = i % 3 == 0 ? b : a;
    REQUIRE(
        put(channel, numbered(pool, i * 7, 7).with_provenance(Provenance::dense(id, i * 7, 7))));
  }
}

TEST_CASE("exactly once: whatever fails, each event arrives once and in order") {
  const auto seed = Catch::rngSeed() + static_cast<std::uint64_t>(GENERATE(range(0, 12)));
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  MemoryChannel channel(roomy_channel(), pool);
  LateCommitter committer({.seed = seed, .refusals = 0.05, .late_by = milliseconds(1)});
  KeepAside aside;
  Far far;
  const Faults faults{.open = 0.1,
                      .write = 0.02,
                      .commit_lost = 0.05,
                      .answer_lost = 0.05,
                      .refuses_some = seed % 2 == 0,
                      .refusal_breaks = 0.5};
  constexpr std::uint64_t rows = 300;
  put_rows(channel, pool, 0, rows);
  channel.close();
  std::uint64_t lives = 0;
  while (!channel.drained()) {
    REQUIRE(++lives < 1000);
    Life life(channel, committer, far, faults, random(), &aside);
    const std::uint64_t some = random() % 400;
    eventually([&] { return channel.drained() || life.counters.delivered.events.get() >= some; },
               milliseconds(100));
    if (lives % 4 != 0) {
      // Killed: what was not answered by then never will be.
      life.output.dead = true;
      committer.refuse_all(true);
    }
    life.end();
    committer.refuse_all(false);
  }
  Numbers expected;
  std::set<std::uint64_t> refused;
  for (std::uint64_t i = 0; i < rows * 7; ++i) {
    if (faults.refuses_some && i % refused_every == 0) {
      refused.insert(i);
    } else {
      expected.push_back(i);
    }
  }
  CHECK(lives > 3);
  CHECK(far.numbers() == expected);
  CHECK(aside.kept() == refused);
}

TEST_CASE("exactly once: many deliveries are one transaction, and an old one does not wait") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  MemoryChannel channel(roomy_channel(), pool);
  LateCommitter committer({});
  Far far;
  put_rows(channel, pool, 0, 100);
  Life life(channel, committer, far, {}, 1);
  REQUIRE(eventually([&] { return far.numbers().size() == 700; }));
  // 200 bytes are about 60 numbers; five deliveries of ten are the most.
  CHECK(far.transactions >= 700 / 70);
  CHECK(far.transactions <= 700 / 20);
  put_rows(channel, pool, 100, 1);
  CHECK(eventually([&] { return far.numbers().size() == 707; }));
  life.end();
}

TEST_CASE("exactly once: a position that is forgotten, damaged or another store's is said") {
  const testing::CapturedLog log;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  MemoryChannel channel(roomy_channel(), pool);
  LateCommitter committer({});
  Far far;
  put_rows(channel, pool, 0, 10);
  {
    Life life(channel, committer, far, {}, 1);
    REQUIRE(eventually([&] { return life.counters.delivered.events.get() == 70; }));
    life.end();
  }
  CHECK(log.text().find("position") == std::string::npos);
  std::string said = "is not there any more";
  SECTION("forgotten") { far.position.reset(); }
  SECTION("damaged") {
    far.position = "sluice-position 1 x";
    said = "cannot be read";
  }
  SECTION("of a newer release") {
    far.position = "sluice-position 2 x 1\n";
    said = "not one of this release";
  }
  SECTION("another store's") {
    far.position = "sluice-position 1 0123456789abcdef0123456789abcdef 7 w\n";
    said = "that of another store";
  }
  put_rows(channel, pool, 10, 10);
  Life life(channel, committer, far, {}, 2);
  CHECK(eventually([&] { return far.numbers().size() == 140; }));
  life.end();
  CHECK(log.text().find(said) != std::string::npos);
}

TEST_CASE("exactly once: a copy of the store that goes on elsewhere stops the older one") {
  const testing::CapturedLog log;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  MemoryChannel channel(roomy_channel(), pool);
  LateCommitter committer({});
  Far far;
  put_rows(channel, pool, 0, 10);
  Life life(channel, committer, far, {}, 1);
  REQUIRE(eventually([&] { return far.numbers().size() == 70; }));
  {
    // The copy has committed a transaction meanwhile. One more than the older one knows of might
    // be its own, but for the writer's name.
    const std::lock_guard lock(far.mutex);
    ++far.writer;
    std::string position = *far.position;
    const std::size_t line = position.find('\n');
    const std::size_t writer = position.rfind(' ', line);
    const std::size_t number = position.rfind(' ', writer - 1) + 1;
    const auto count = std::stoull(position.substr(number, writer - number)) + 1;
    far.position =
        position.replace(number, line - number, std::to_string(count) + " 0123456789abcdef");
  }
  put_rows(channel, pool, 10, 10);
  const auto opens = [&] {
    const std::lock_guard lock(far.mutex);
    return far.opens;
  };
  // It looks once, and does not fight for the place.
  CHECK(eventually([&] { return opens() == 2; }));
  const std::uint64_t failures = life.counters.failures.get();
  CHECK(eventually([&] { return life.counters.failures.get() >= failures + 20; }));
  CHECK(opens() == 2);
  CHECK(far.numbers().size() == 70);
  CHECK(log.text().find("another agent with a copy of this store") != std::string::npos);
  life.end();
}

TEST_CASE("exactly once: what an earlier life wrote is no copy's, however often it is read") {
  const testing::CapturedLog log;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  MemoryChannel channel(roomy_channel(), pool);
  LateCommitter committer({});
  Far far;
  for (std::uint64_t life_number = 0; life_number < 3; ++life_number) {
    put_rows(channel, pool, 10 * life_number, 10);
    // Nine of ten commits are lost, so the output is opened again before this life has any.
    Life life(channel, committer, far, {.commit_lost = 0.9}, life_number);
    REQUIRE(eventually([&] { return far.numbers().size() == 70 * (life_number + 1); }));
    life.end();
  }
  CHECK(far.opens > 6);
  CHECK(log.text().find("another agent") == std::string::npos);
}

TEST_CASE("exactly once: an idle output is told its position again") {
  MovedClock clock;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  LateCommitter committer({});
  Far far;
  FakeOutput output(far, {}, 1);
  ExactlyOnce deliveries(quick(), output, committer, clock);
  REQUIRE(deliveries.open({}).ok());
  deliveries.tend();
  CHECK(far.transactions == 0);
  struct Ends final : DeliveryListener {
    void delivered(std::uint32_t, Delivery delivery) override { ends += delivery.status.ok(); }
    int ends = 0;
  } listener;
  deliveries.deliver(numbered(pool, 0, 3).with_provenance(Provenance::dense(a, 0, 3)), {},
                     DeliveryDone(listener, 0));
  CHECK(listener.ends == 0);
  clock.advance(milliseconds(5));
  deliveries.tend();
  CHECK(listener.ends == 1);
  CHECK(far.transactions == 1);
  clock.advance(std::chrono::minutes(59));
  deliveries.tend();
  CHECK(far.transactions == 1);
  far.position.reset();
  clock.advance(std::chrono::minutes(2));
  deliveries.tend();
  CHECK(far.transactions == 2);
  CHECK(far.position.has_value());
  // Nobody there just then: an hour later again.
  output.dead = true;
  clock.advance(std::chrono::minutes(61));
  deliveries.tend();
  output.dead = false;
  deliveries.tend();
  CHECK(far.transactions == 2);
  clock.advance(std::chrono::minutes(61));
  deliveries.tend();
  CHECK(far.transactions == 3);
  deliveries.close();
}

}  // namespace
}  // namespace sluice

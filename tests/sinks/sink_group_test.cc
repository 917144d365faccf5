// Several sinks behind one runner: who gets what, what becomes of a failure, whose books it is in.

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>

#include "channels/dead_letters.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/eventually.h"
#include "tests/support/late_sink.h"
#include "tests/support/picky_sink.h"
#include "tests/support/sink_group.h"

namespace sluice {
namespace {

using Numbers = std::vector<std::uint64_t>;
using std::chrono::seconds;
using testing::CapturedLog;

std::unique_ptr<SinkProcessor> failover(std::uint32_t members = 2) {
  return make_failover_processor(members, seconds(30));
}

/// Fails while it is told to; in this thread.
class MoodySink final : public Sink {
 public:
  Status open(const std::stop_token& /*stop*/) override {
    ++opens;
    const std::lock_guard lock(mutex_);
    return opening_;
  }
  void deliver(const Batch& batch, std::stop_token /*stop*/, DeliveryDone done) override {
    ++offers;
    if (failing) return done({.status = Retry("a bad day")});
    {
      const std::lock_guard lock(mutex_);
      for (const std::uint64_t number : numbers_of(batch)) numbers_.push_back(number);
    }
    done({});
  }
  void tend() override { ++tended; }
  void close() override { ++closes; }
  TakeLimit take_limit() const override { return {.events_max = 10, .wait_max = milliseconds(5)}; }

  void open_with(Status status) {
    const std::lock_guard lock(mutex_);
    opening_ = std::move(status);
  }
  Numbers delivered() const {
    const std::lock_guard lock(mutex_);
    return numbers_;
  }

  std::atomic<bool> failing{false};
  std::atomic<int> offers{0};
  std::atomic<int> opens{0};
  std::atomic<int> closes{0};
  std::atomic<int> tended{0};

 private:
  mutable std::mutex mutex_;
  Status opening_;
  Numbers numbers_;
};

Numbers row(std::uint64_t first, std::uint64_t end) {
  Numbers numbers(end - first);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

TEST_CASE("failover: the best gets all, at its failure the next does at once, in order") {
  const CapturedLog log;
  MoodySink best, second;
  SinkGroupRig rig;
  rig.add(best);
  rig.add(second);
  rig.start(failover());
  rig.put_tens(0, 5);
  REQUIRE(eventually([&] { return rig.delivered(0) == 50; }));
  CHECK(rig.delivered(1) == 0);
  CHECK(eventually([&] { return second.tended > 0; }));  // it stands by, and has files to roll
  best.failing = true;
  rig.put_tens(50, 5);
  REQUIRE(eventually([&] { return rig.delivered(1) == 50; }));
  CHECK(best.offers == 6);
  CHECK(second.delivered() == row(50, 100));
  CHECK_FALSE(rig.runner().healthy(0));
  CHECK(rig.runner().healthy(1));
  CHECK(rig.runner().healthy());
  CHECK(rig.counters(0).failures.get() == 1);
  CHECK(rig.counters(0).attempts.get() == 60);
  CHECK(rig.counters(1).attempts.get() == 50);
  CHECK(
      log.has("sink k1: unable to deliver events: a bad day; they stay in channel c1 and are "
              "tried again by sink group g1"));

  best.failing = false;
  rig.put_tens(100, 5);
  REQUIRE(eventually([&] { return rig.delivered(1) == 100; }));  // it has not cooled down
  rig.clock().advance(milliseconds(2001));
  rig.put_tens(150, 5);
  REQUIRE(eventually([&] { return rig.delivered(0) + rig.delivered(1) == 200; }));
  CHECK(rig.delivered(0) >= 50 + 40);  // one may have been asked for before the clock went on
  CHECK(log.wait_for_text("sink k1: delivering again"));
  rig.drain();
  CHECK(rig.outcome().ok());
  CHECK(best.closes == 1);
  CHECK(second.closes == 1);
}

TEST_CASE("failover: when all have failed it says so, and pauses") {
  const CapturedLog log;
  MoodySink sinks[2];
  SinkGroupRig rig(milliseconds(1));
  for (MoodySink& sink : sinks) {
    sink.failing = true;
    rig.add(sink);
  }
  rig.start(failover());
  rig.put_tens(0, 3);
  REQUIRE(log.wait_for_text(
      "sink group g1: All sinks failed to process, nothing left to failover to; its events stay in "
      "channel c1"));
  CHECK(eventually([&] { return !rig.runner().healthy(); }));
  CHECK(sinks[0].offers == 1);
  CHECK(sinks[1].offers == 1);  // their penalties are not over, the clock stands
  for (MoodySink& sink : sinks) sink.failing = false;
  rig.clock().advance(seconds(3));
  REQUIRE(eventually([&] { return rig.delivered(0) + rig.delivered(1) == 30; }));
  CHECK(rig.runner().healthy());
}

TEST_CASE("load_balance: shares are even, and one that fails costs nothing but itself") {
  const CapturedLog log;
  MoodySink sinks[3];
  SinkGroupRig rig;
  for (MoodySink& sink : sinks) rig.add(sink);
  rig.start(make_load_balance_processor(3, {.backoff = true}));
  rig.put_tens(0, 30);
  REQUIRE(eventually([&] { return rig.delivered(2) == 100; }));
  CHECK(rig.delivered(0) == 100);
  CHECK(rig.delivered(1) == 100);
  sinks[1].failing = true;
  rig.put_tens(300, 30);
  REQUIRE(eventually([&] { return rig.delivered(0) + rig.delivered(2) == 500; }));
  CHECK(sinks[1].offers == 11);  // out for 2 s on a clock that stands
  CHECK(rig.delivered(0) == 250);
  sinks[1].failing = false;
  rig.clock().advance(milliseconds(2001));
  rig.put_tens(600, 30);
  REQUIRE(
      eventually([&] { return rig.delivered(0) + rig.delivered(1) + rig.delivered(2) == 900; }));
  CHECK(rig.delivered(1) >= 190);
  std::set<std::uint64_t> all;
  for (const MoodySink& sink : sinks) {
    const Numbers numbers = sink.delivered();
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
    all.insert(numbers.begin(), numbers.end());
  }
  CHECK(all.size() == 900);
  rig.drain();
}

TEST_CASE("load_balance: all failed is said in Flume's words") {
  const CapturedLog log;
  MoodySink sinks[2];
  SinkGroupRig rig(milliseconds(1));
  for (MoodySink& sink : sinks) {
    sink.failing = true;
    rig.add(sink);
  }
  rig.start(make_load_balance_processor(2, {}));
  rig.put_tens(0, 1);
  CHECK(log.wait_for_text("sink group g1: All configured sinks have failed"));
  // Without backoff each pause is followed by a round of both.
  CHECK(eventually([&] { return sinks[0].offers >= 3 && sinks[1].offers >= 3; }));
  CHECK(std::abs(sinks[0].offers - sinks[1].offers) <= 1);
}

TEST_CASE("a member that cannot be opened has failed, and is opened again in its turn") {
  MoodySink late, ready;
  late.open_with(Retry("no directory"));
  SinkGroupRig rig;
  rig.add(late);
  rig.add(ready);
  rig.start(failover());
  rig.put_tens(0, 2);
  REQUIRE(eventually([&] { return rig.delivered(1) == 20; }));
  CHECK(late.opens == 1);
  CHECK_FALSE(rig.runner().healthy(0));
  CHECK_FALSE(rig.runner().left_out(0));
  late.open_with({});
  rig.clock().advance(seconds(3));
  CHECK(eventually([&] { return late.opens == 2; }));
  rig.put_tens(20, 2);
  CHECK(eventually([&] { return rig.delivered(0) == 20; }));
  rig.drain();
  CHECK(late.closes == 1);
}

TEST_CASE("a member that never can be opened is left out, and without any the group cannot run") {
  const CapturedLog log;
  for (const bool both : {false, true}) {
    MoodySink bad, other;
    bad.open_with(Invalid("no such key"));
    if (both) other.open_with(Invalid("neither has it"));
    SinkGroupRig rig;
    rig.add(bad);
    rig.add(other);
    rig.put_tens(0, 2);
    rig.channel().close();
    rig.start(failover());
    rig.drain();
    CHECK(rig.runner().left_out(0));
    CHECK(rig.runner().left_out(1) == both);
    CHECK(rig.delivered(1) == (both ? 0 : 20));
    CHECK(rig.outcome().code() == (both ? Code::Invalid : Code::Ok));
    CHECK(bad.closes == 0);
  }
  CHECK(log.has("sink k1: cannot run: no such key; sink group g1 goes on without it"));
}

TEST_CASE("a fatal error of one member ends the group") {
  MoodySink bad, good;
  bad.open_with(Fatal("broken"));
  SinkGroupRig rig;
  rig.add(bad);
  rig.add(good);
  rig.start(failover());
  rig.drain();
  CHECK(rig.outcome().code() == Code::Fatal);
  CHECK(good.closes == good.opens);
}

/// Keeps what it is given.
class Shelf final : public DeadLetters {
 public:
  explicit Shelf(std::string name) : name_(std::move(name)) {}
  Status keep(const Rejection& rejection, Commit& /*taking*/) override {
    const std::lock_guard lock(mutex_);
    for (const DeadLetter& letter : rejection.letters) {
      kept_.push_back(std::string(rejection.sink) + " " + std::string(letter.event.body));
    }
    return {};
  }
  const std::string& name() const noexcept override { return name_; }
  std::vector<std::string> kept() const {
    const std::lock_guard lock(mutex_);
    return kept_;
  }

 private:
  const std::string name_;
  mutable std::mutex mutex_;
  std::vector<std::string> kept_;
};

TEST_CASE("rejected events go to the dead letters of the member that rejected them") {
  PickySink sinks[2];
  Shelf shelves[2] = {Shelf("one"), Shelf("two")};
  SinkGroupRig rig;
  for (int i = 0; i < 2; ++i) rig.add(sinks[i], &shelves[i]);
  rig.start(make_load_balance_processor(2, {}));
  const std::string large(60'000, '.');  // not gathered
  for (int i = 0; i < 4; ++i) {
    const std::string n = std::to_string(i);
    REQUIRE(put(rig.channel(), batch_of(rig.pool(), {"good " + n + large, "bad " + n})));
  }
  rig.drain();
  CHECK(shelves[0].kept() == std::vector<std::string>{"k1 bad 0", "k1 bad 2"});
  CHECK(shelves[1].kept() == std::vector<std::string>{"k2 bad 1", "k2 bad 3"});
  for (int i = 0; i < 2; ++i) {
    CHECK(rig.delivered(static_cast<std::size_t>(i)) == 2);
    CHECK(rig.counters(static_cast<std::size_t>(i)).dead_lettered.events.get() == 2);
  }
}

/// Where each event arrived, and what may be offered to whom. Thread-safe.
class Model {
 public:
  Model(std::uint64_t seed, bool spreads) : random_(seed), spreads_(spreads) {}

  void offered(std::size_t member, const Batch& batch) {
    const std::lock_guard lock(mutex_);
    const Numbers numbers = numbers_of(batch);
    for (const auto& [number, where] : outstanding_) {
      if (number >= numbers.front()) find("offered before events that are older");
      if (!spreads_ && where != member) find("two members at once");
    }
    for (const std::uint64_t number : numbers) {
      outstanding_[number] = member;
      const auto arrived = arrivals_.find(number);
      if (arrived == arrivals_.end()) continue;
      if (unsure_.count(number) == 0) find("offered again though it was told that it arrived");
      if (arrived->second != member) find("what may have arrived was offered to another");
    }
  }

  /// Goes well, fails in part, or arrives without an answer.
  Delivery ended(std::size_t member, const Batch& batch) {
    const std::lock_guard lock(mutex_);
    const Numbers numbers = numbers_of(batch);
    for (const std::uint64_t number : numbers) outstanding_.erase(number);
    const auto dice = random_() % 12;
    Delivery delivery;
    std::size_t told = numbers.size();
    std::size_t arrived = numbers.size();
    if (dice < 3) {
      told = arrived = random_() % numbers.size();
      if (dice == 2) arrived += random_() % (numbers.size() - told + 1);
      delivery = {.status = Retry("a bad day"),
                  .arrived = static_cast<std::uint32_t>(told),
                  .may_have_arrived = dice == 2};
      ++failures_[member];
    }
    for (std::size_t i = 0; i < arrived; ++i) {
      arrivals_.emplace(numbers[i], member);
      ++times_[numbers[i]];
      if (i >= told) unsure_.insert(numbers[i]);
    }
    return delivery;
  }

  std::vector<std::string> findings(std::uint64_t events) {
    const std::lock_guard lock(mutex_);
    for (std::uint64_t number = 0; number < events; ++number) {
      if (times_[number] == 0) find("lost");
      if (times_[number] > 1 && unsure_.count(number) == 0) find("doubled without need");
    }
    return findings_;
  }
  std::size_t failing_members() const {
    const std::lock_guard lock(mutex_);
    return failures_.size();
  }
  std::size_t unsure() const {
    const std::lock_guard lock(mutex_);
    return unsure_.size();
  }

 private:
  void find(std::string what) {
    if (findings_.size() < 10) findings_.push_back(std::move(what));
  }

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  const bool spreads_;
  std::map<std::uint64_t, std::size_t> outstanding_;  ///< Number, member.
  std::map<std::uint64_t, std::size_t> arrivals_;     ///< Number, member of the first.
  std::map<std::uint64_t, int> times_;
  std::set<std::uint64_t> unsure_;  ///< Arrived, and no answer came.
  std::map<std::size_t, int> failures_;
  std::vector<std::string> findings_;
};

TEST_CASE("whatever fails and whenever, each event arrives, once where the answers are true") {
  std::size_t failing_members = 0;
  std::size_t unsure = 0;
  for (std::uint64_t round = 0; round < 24; ++round) {
    const std::uint64_t seed = Catch::rngSeed() * 1000 + round;
    const bool spreads = round % 2 == 0;
    CAPTURE(seed, spreads);
    std::mt19937_64 random(seed);
    Model model(seed + 1, spreads);
    std::deque<LateSink> sinks;
    SinkGroupRig rig(milliseconds(1));
    for (std::size_t i = 0; i < 3; ++i) {
      sinks.emplace_back(
          LateSink::Script{.offered = [&model, i](const Batch& b) { model.offered(i, b); },
                           .ended = [&model, i](const Batch& b) { return model.ended(i, b); },
                           .seed = seed + 2 + i,
                           .in_flight_max = static_cast<std::uint32_t>(1 + random() % 4),
                           .take_wait_max = milliseconds(10),
                           .retry_same_for = std::chrono::hours(1)});
      rig.add(sinks.back());
    }
    rig.start(spreads ? make_load_balance_processor(3, {.random = round % 4 == 0,
                                                        .backoff = round % 3 == 0,
                                                        .out_max = milliseconds(40),
                                                        .seed = seed})
                      : make_failover_processor(3, milliseconds(40)));
    std::uint64_t events = 0;
    for (int i = 0; i < 80; ++i) {
      const auto more = static_cast<std::uint32_t>(1 + random() % 15);
      REQUIRE(put(rig.channel(), numbered(rig.pool(), events, more, random() % 2 == 0 ? 0 : 7000)));
      events += more;
      rig.clock().advance(milliseconds(random() % 20));
    }
    const auto delivered = [&] { return rig.delivered(0) + rig.delivered(1) + rig.delivered(2); };
    REQUIRE(eventually([&] {
      rig.clock().advance(milliseconds(10));
      return delivered() == events;
    }));
    rig.drain();
    CHECK(rig.channel().account().used_bytes() == 0);
    CHECK(model.findings(events) == std::vector<std::string>{});
    failing_members = std::max(failing_members, model.failing_members());
    unsure += model.unsure();
  }
  CHECK(failing_members == 3);
  CHECK(unsure > 0);
}

}  // namespace
}  // namespace sluice

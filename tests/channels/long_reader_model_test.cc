// Random readers, some of them long, over a disk that fails: against a plain list.
// test: no-tsan

#include <rocksdb/env.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_channels.h"
#include "tests/support/power_cut.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::PowerCut;
using testing::TempDirectory;
using Numbers = std::vector<std::uint64_t>;

constexpr std::uint64_t capacity = 60;

/// A channel over a disk that fails when it is told to. Destroyed, it leaves what a kill -9 leaves.
struct Process {
  Process(const std::string& path, SlabPool& pool, DurableChannel::Options options)
      : store(
            {.path = path, .memtable_bytes = 64 << 10, .free_bytes_min = 1 << 20, .env = env.get()},
            {}),
        channel(std::move(options), store, pool) {
    if (!channel.open().ok()) std::abort();
  }
  bool mended() {
    return eventually([&] { return Commit(&store).wait().ok(); });
  }

  std::shared_ptr<PowerCut> power = std::make_shared<PowerCut>();
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
  SharedStore store;
  DurableChannel channel;
};

struct Held {
  Taken taken;
  Numbers numbers;
};

class Run {
 public:
  Run(std::uint64_t seed, const std::string& path) : random_(seed), path_(path) {}

  void go() {
    for (int start = 0; start < 4; ++start) {
      DurableChannel::Options options = stored_channel("c1", below(2) * (64 << 20));
      options.capacity_events = capacity;
      read_ahead_bytes_max_ = below(3) * 3000;
      options.read_ahead_bytes_max = read_ahead_bytes_max_;
      options.retention.bytes = retention_;
      Process process(path_, pool_, std::move(options));
      held_.clear();
      for (int step = 0; step < 80; ++step) {
        act(process);
        if (below(3) > 0) REQUIRE(process.mended());
        check(process.channel);
      }
      held_.clear();
      REQUIRE(process.mended());
      for (auto& [number, event] : model_) event.held = false;
    }
    DurableChannel::Options options = stored_channel("c1");
    Process process(path_, pool_, std::move(options));
    Numbers left;
    for (const auto& [number, event] : model_) left.push_back(number);
    CHECK(drain(process.channel) == left);
    CHECK(process.channel.counters().quarantined.events.get() == 0);
  }
  void keep(std::uint64_t bytes) { retention_ = bytes; }
  std::uint64_t refused() const { return refused_; }
  std::uint64_t rolled_back_let_go() const { return rolled_back_let_go_; }

 private:
  struct Event {
    std::uint64_t bytes = 0;
    bool held = false;
  };

  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  void act(Process& process) {
    if (below(5) == 0) process.power->fail_once_at(1 + below(6));
    switch (below(8)) {
      case 0:
      case 1: return put_some(process);
      case 2:
      case 3: return take_some(process.channel);
      case 4: return let_go_of_one();
      case 5: return append_some();
      case 6: return commit_some(process);
      default: return roll_back_one();
    }
  }

  void put_some(Process& process) {
    const auto events = static_cast<std::uint32_t>(1 + below(12));
    const Batch batch = numbered(pool_, next_, events, below(2) * 300);
    const std::uint64_t used = used_events(process.channel);
    auto room = process.channel.reserve(batch, Deadline::in(milliseconds(0)), {});
    CHECK(room.ok() == (used == 0 || used + events <= capacity));
    if (!room.ok()) return;
    Commit commit(&process.store);
    commit.put(*std::move(room));
    if (!std::move(commit).wait().ok()) return;
    for (std::uint32_t i = 0; i < events; ++i) model_[next_ + i] = {batch.body(i).size(), false};
    next_ += events;
  }

  /// Waiting, in hand, or let go without its room being free.
  std::uint64_t used_events(const Channel& channel) const {
    std::uint64_t freed = 0;
    for (const Held& each : held_) {
      if (each.taken.ahead() != nullptr) freed += each.taken.ahead()->freed().events;
    }
    return channel.size_events() - freed;
  }

  /// The oldest ones that nobody holds, and no other.
  void take_some(Channel& channel) {
    Held held{take_now(channel, static_cast<std::uint32_t>(1 + below(25))), {}};
    held.numbers = numbers_of(held.taken.batch());
    auto oldest = model_.begin();
    for (const std::uint64_t number : held.numbers) {
      while (oldest != model_.end() && oldest->second.held) ++oldest;
      REQUIRE(oldest != model_.end());
      REQUIRE(number == oldest->first);
      oldest->second.held = true;
    }
    if (!held.taken.empty()) held_.push_back(std::move(held));
  }

  void let_go_of_one() {
    if (held_.empty()) return;
    Held& held = held_[below(held_.size())];
    if (held.taken.ahead() != nullptr) return;
    std::uint64_t freed = 0;
    for (const Held& each : held_) {
      if (each.taken.ahead() != nullptr) freed += each.taken.ahead()->freed().bytes;
    }
    std::uint64_t bytes = 0;
    for (const std::uint64_t number : held.numbers) bytes += model_.at(number).bytes;
    held.taken.let_go();
    const ReadAhead& ahead = *held.taken.ahead();
    CHECK(ahead.amount().events == held.numbers.size());
    CHECK(ahead.amount().bytes == bytes);
    const bool within = read_ahead_bytes_max_ == 0 || freed + bytes <= read_ahead_bytes_max_;
    CHECK(ahead.claimed().events == (within ? 0 : held.numbers.size()));
  }

  /// All that was let go, in the order in which it was taken, or another.
  void append_some() {
    if (below(4) == 0) std::shuffle(held_.begin(), held_.end(), random_);
    Held all;
    std::vector<Held> others;
    for (Held& each : held_) {
      if (each.taken.ahead() == nullptr) {
        others.push_back(std::move(each));
        continue;
      }
      all.taken.append(std::move(each.taken));
      all.numbers.insert(all.numbers.end(), each.numbers.begin(), each.numbers.end());
    }
    held_ = std::move(others);
    if (!all.taken.empty()) held_.push_back(std::move(all));
  }

  Held pick() {
    const auto at = held_.begin() + static_cast<std::ptrdiff_t>(below(held_.size()));
    Held held = std::move(*at);
    held_.erase(at);
    return held;
  }

  void commit_some(Process& process) {
    Commit commit(&process.store);
    Numbers numbers;
    bool let_go = false;
    for (auto takes = 1 + below(3); takes > 0 && !held_.empty(); --takes) {
      Held held = pick();
      if (held.taken.ahead() == nullptr && below(3) == 0) {
        const auto front = static_cast<std::uint32_t>(below(held.numbers.size()));
        commit.take(held.taken.split_front(front));
        numbers.insert(numbers.end(), held.numbers.begin(), held.numbers.begin() + front);
        held.numbers.erase(held.numbers.begin(), held.numbers.begin() + front);
        held_.push_back(std::move(held));
        continue;
      }
      let_go = let_go || held.taken.ahead() != nullptr;
      numbers.insert(numbers.end(), held.numbers.begin(), held.numbers.end());
      commit.take(std::move(held.taken));
    }
    const bool ok = std::move(commit).wait().ok();
    for (const std::uint64_t number : numbers) {
      if (ok) {
        model_.erase(number);
      } else {
        model_.at(number).held = false;
      }
    }
    if (!ok) ++refused_;
    if (!ok && let_go) ++rolled_back_let_go_;
  }

  void roll_back_one() {
    if (held_.empty()) return;
    const Held held = pick();
    for (const std::uint64_t number : held.numbers) model_.at(number).held = false;
  }

  void check(const Channel& channel) const {
    const ChannelCounters& books = channel.counters();
    std::uint64_t held = 0;
    std::uint64_t bytes = 0;
    for (const auto& [number, event] : model_) {
      held += event.held ? 1 : 0;
      bytes += event.bytes;
    }
    REQUIRE(books.in_flight.events.get() == held);
    REQUIRE(books.stored.events.get() == model_.size() - held);
    REQUIRE(books.stored.bytes.get() + books.in_flight.bytes.get() == bytes);
    REQUIRE(books.put.events.get() == books.committed.events.get() + model_.size());
    REQUIRE(books.quarantined.events.get() == 0);
  }

  std::mt19937_64 random_;
  const std::string path_;
  SlabPool pool_{64 * 1024, keep_no_free_slabs};
  std::map<std::uint64_t, Event> model_;  ///< Put, and not out; by their numbers.
  std::vector<Held> held_;
  std::uint64_t next_ = 0;
  std::uint64_t read_ahead_bytes_max_ = 0;
  std::uint64_t retention_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t rolled_back_let_go_ = 0;
};

TEST_CASE("whatever long readers do and the disk refuses, each event is out once, in order") {
  const CapturedLog log(log::Level::Error);
  std::uint64_t refused = 0;
  std::uint64_t rolled_back_let_go = 0;
  for (std::uint64_t round = 0; round < 6; ++round) {
    const std::uint64_t seed = Catch::rngSeed() * 1000 + round;
    CAPTURE(seed);
    const TempDirectory directory;
    Run run(seed, directory.path("store"));
    if (round % 3 == 2) run.keep(1 << 20);
    run.go();
    refused += run.refused();
    rolled_back_let_go += run.rolled_back_let_go();
  }
  CHECK(refused > 20);
  CHECK(rolled_back_let_go > 0);
}

TEST_CASE("what was let go outlives a sync that failed behind its commit, also by a kill") {
  const CapturedLog log(log::Level::Error);
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  Numbers all;
  for (std::uint64_t i = 0; i < 30; ++i) all.push_back(i);
  const bool killed = GENERATE(false, true);
  const auto options = stored_channel("c1");
  {
    Process process(directory.path("store"), pool, options);
    for (std::uint64_t i = 0; i < 3; ++i) {
      REQUIRE(put(process.channel, numbered(pool, i * 10, 10)));
    }
    // The last frame in two parts, of which one is let go.
    Taken long_read = take_now(process.channel, 25);
    REQUIRE(long_read.batch().size() == 25);
    long_read.let_go();
    Taken rest = take_now(process.channel);
    Commit out(&process.store);
    out.take(std::move(long_read));
    out.take(std::move(rest));
    process.power->fail_once_at(2);  // the write goes well, its sync does not
    CHECK_FALSE(std::move(out).wait().ok());
    REQUIRE(process.mended());
    if (!killed) CHECK(drain(process.channel) == all);
  }
  if (!killed) return;
  Process process(directory.path("store"), pool, options);
  CHECK(drain(process.channel) == all);
  CHECK(process.channel.counters().quarantined.events.get() == 0);
}

}  // namespace
}  // namespace sluice

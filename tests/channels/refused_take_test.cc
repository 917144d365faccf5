// A take whose commit the disk refuses: its events wait again, on the disk as well.
// test: no-tsan

#include <rocksdb/env.h>

#include <deque>
#include <map>
#include <numeric>
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

/// A channel over a disk that fails when it is told to. Destroyed, it leaves what a kill -9 leaves.
struct Process {
  Process(const std::string& path, SlabPool& pool, std::uint64_t budget_bytes)
      : store(
            {.path = path, .memtable_bytes = 64 << 10, .free_bytes_min = 1 << 20, .env = env.get()},
            {}),
        channel(stored_channel("c1", budget_bytes), store, pool) {
    if (!channel.open().ok()) std::abort();
  }
  bool mended() {
    return eventually([&] { return Commit(&store).wait().ok(); });
  }

  std::shared_ptr<PowerCut> power = std::make_shared<PowerCut>();
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
  SharedStore store;
  DurableChannel channel;
  std::vector<Taken> held;  ///< By takers that have not made up their minds.
};

TEST_CASE("a take that a failed sync refused waits on the disk again, and with it what it moved") {
  const CapturedLog log(log::Level::Error);
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  {
    Process process(directory.path("store"), pool, 64 << 20);
    DurableChannel other(stored_channel("c2"), process.store, pool);
    REQUIRE(other.open().ok());
    REQUIRE(put(process.channel, numbered(pool, 0, 10)));
    Commit move(&process.store);
    move.take(take_now(process.channel));
    move.put(*other.reserve(numbered(pool, 0, 10), soon(), {}));
    process.power->fail_once_at(2);  // the write goes well, its sync does not
    CHECK_FALSE(std::move(move).wait().ok());
    REQUIRE(process.mended());
  }
  Process process(directory.path("store"), pool, 64 << 20);
  DurableChannel other(stored_channel("c2"), process.store, pool);
  REQUIRE(other.open().ok());
  CHECK(numbers_of(take_now(process.channel).batch()).size() == 10);
  CHECK(process.channel.counters().quarantined.events.get() == 0);
  CHECK(other.size_events() == 0);
}

TEST_CASE("puts that a failed sync refused are gone, and may come again in another cut") {
  const CapturedLog log(log::Level::Error);
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  for (const bool come_again : {true, false}) {
    INFO("they come again: " << come_again);
    const std::string path = directory.path(come_again ? "again" : "never");
    const auto put_with_note = [&](Process& process, std::uint64_t first, std::uint32_t events) {
      Commit in(&process.store);
      in.put(*process.channel.reserve(numbered(pool, first, events), soon(), {}));
      in.note({"position", std::to_string(first + events)});
      return std::move(in).wait().ok();
    };
    {
      Process process(path, pool, 0);
      REQUIRE(put_with_note(process, 0, 5));
      for (int i = 0; i < 2; ++i) {
        process.power->fail_once_at(2);  // the write goes well, its sync does not
        CHECK_FALSE(put_with_note(process, 5 + 5 * i, 5));
        REQUIRE(process.mended());
      }
      // Frames that begin elsewhere: what were the refused ones would lie among these.
      if (come_again) {
        REQUIRE(put_with_note(process, 5, 2));
        REQUIRE(put_with_note(process, 7, 8));
      }
    }
    Process process(path, pool, 0);
    const std::uint64_t end = come_again ? 15 : 5;
    CHECK(process.store.note("position").value_or("") == std::to_string(end));
    std::vector<std::uint64_t> expected(end);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(drain(process.channel) == expected);
    std::uint64_t frames = 0;
    const auto count = [&](auto, auto) { return ++frames > 0; };
    REQUIRE(process.store.store().read_frames(0, 0, UINT64_MAX, count).ok());
    CHECK(frames == 0);
    CHECK(process.channel.counters().quarantined.events.get() == 0);
  }
}

/// What a channel must hold: put, and not out. By the number of the event.
struct Expected {
  TestHeaders headers;
  OriginId id;
};
using Model = std::map<std::uint64_t, Expected>;

class Run {
 public:
  Run(std::uint64_t seed, const std::string& path) : random_(seed), path_(path) {}

  void go() {
    for (int start = 0; start < 4; ++start) {
      Process process(path_, pool_, random_() % 2 * (64 << 20));
      compare(process);
      for (int step = 0; step < 25; ++step) {
        if (random_() % 2 == 0) put_some(process);
        if (random_() % 4 == 0) process.power->fail_once_at(1 + random_() % 6);
        take_some(process);
        REQUIRE(process.mended());
      }
    }
    Process process(path_, pool_, 64 << 20);
    compare(process);
  }
  std::uint64_t refused() const { return refused_; }

 private:
  void put_some(Process& process) {
    const auto events = static_cast<std::uint32_t>(1 + random_() % 12);
    const TestHeaders headers =
        random_() % 2 == 0 ? TestHeaders{} : TestHeaders{{"host", std::to_string(next_)}};
    Batch batch = numbered(pool_, next_, events, random_() % 2 * 9000);
    if (!headers.empty()) batch = batch.with_shared_headers({}, HeaderBlock(encoded(headers)));
    auto room = process.channel.reserve(batch, soon(), {});
    REQUIRE(room.ok());
    Commit commit(&process.store);
    commit.put(*std::move(room));
    if (!std::move(commit).wait().ok()) return;
    for (std::uint32_t i = 0; i < events; ++i) {
      model_[next_ + i] = {headers, part_of(process.store.store().opening(), "c1")};
    }
    next_ += events;
  }

  /// Several commits at once, some of parts; some takes stay in hand.
  void take_some(Process& process) {
    struct Outcome {
      std::vector<std::uint64_t> numbers;
      Status status;
    };
    std::deque<Outcome> outcomes;
    for (auto takes = random_() % 4; takes > 0; --takes) {
      Taken taken = take_now(process.channel, static_cast<std::uint32_t>(1 + random_() % 15));
      if (taken.empty()) break;
      const auto front = static_cast<std::uint32_t>(random_() % (taken.batch().size() + 1));
      Taken part = front == 0 ? std::move(taken) : taken.split_front(front);
      Outcome& outcome = outcomes.emplace_back();
      outcome.numbers = numbers_of(part.batch());
      Commit commit(&process.store);
      commit.take(std::move(part));
      std::move(commit).submit([&outcome](Status status) { outcome.status = std::move(status); });
      if (!taken.empty() && random_() % 2 == 0) process.held.push_back(std::move(taken));
    }
    // The last of all: complete in order, so the others are, too.
    static_cast<void>(Commit(&process.store).wait());
    for (const Outcome& outcome : outcomes) {
      if (!outcome.status.ok()) ++refused_;
      if (!outcome.status.ok()) continue;
      for (const std::uint64_t number : outcome.numbers) model_.erase(number);
    }
    if (random_() % 3 == 0) process.held.clear();
  }

  void compare(Process& process) {
    Model found;
    std::vector<Taken> takens;
    for (Taken taken = take_now(process.channel); !taken.empty();
         taken = take_now(process.channel)) {
      for (const Taken::Piece& piece : taken.pieces()) {
        for (std::uint32_t i = 0; i < piece.batch.size(); ++i) {
          const Origin origin = piece.batch.provenance().origin(i);
          CHECK(origin.sequence == piece.sequence + i);
          const auto number = std::stoull(std::string(piece.batch.body(i)));
          CHECK(found.emplace(number, Expected{headers_of(piece.batch[i]), origin.id}).second);
        }
      }
      takens.push_back(std::move(taken));
    }
    CHECK(process.channel.counters().quarantined.events.get() == 0);
    CHECK(found.size() == model_.size());
    for (const auto& [number, expected] : model_) {
      INFO("event " << number);
      REQUIRE(found.contains(number));
      CHECK(found[number].headers == expected.headers);
      CHECK(found[number].id == expected.id);
    }
  }

  std::mt19937_64 random_;
  const std::string path_;
  SlabPool pool_{64 * 1024, keep_no_free_slabs};
  Model model_;
  std::uint64_t next_ = 0;
  std::uint64_t refused_ = 0;
};

TEST_CASE("whatever the disk refuses, what is put and not out is there after a kill, and no more") {
  const CapturedLog log(log::Level::Error);
  std::uint64_t refused = 0;
  for (std::uint64_t round = 0; round < 4; ++round) {
    const std::uint64_t seed = Catch::rngSeed() * 1000 + round;
    CAPTURE(seed);
    const TempDirectory directory;
    Run run(seed, directory.path("store"));
    run.go();
    refused += run.refused();
  }
  CHECK(refused > 10);
}

}  // namespace
}  // namespace sluice

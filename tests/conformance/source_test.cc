// What every source promises, on a channel that completes late, out of its thread, and refuses some
// commits: no loss, order, a stop within a deadline at any moment, books, accounts.

#include <algorithm>
#include <atomic>

#include "sources/catalog.h"
#include "tests/catch.h"
#include "tests/conformance/sources_under_test.h"
#include "tests/support/source_rig.h"

namespace sluice {
namespace {

constexpr std::uint64_t lines_fed = 5000;
constexpr milliseconds stop_deadline{5000};

const SourceType* built(const SourceUnderTest& source) {
  return find_type(source_types(), source.type);
}

TEST_CASE("every source type of the catalogue is under test or says why not") {
  for (const SourceType* type : source_types()) {
    const auto& all = sources_under_test();
    INFO(type->info->alias);
    CHECK(std::any_of(all.begin(), all.end(),
                      [&](const auto& each) { return each.type == type->info->alias; }));
  }
}

/// Every number from 0 on, in order, whatever the line ends are.
bool are_numbered(const std::vector<std::string>& bodies) {
  std::uint64_t next = 0;
  return std::all_of(bodies.begin(), bodies.end(),
                     [&](const std::string& body) { return std::stoull(body) == next++; });
}

TEST_CASE("a source loses nothing and keeps order while commits come late and some are refused") {
  for (const SourceUnderTest& source : sources_under_test()) {
    const SourceType* const type = built(source);
    if (type == nullptr || !source.make) continue;
    std::uint64_t refused = 0;
    for (const double refusals : {0.0, 0.1}) {
      INFO(source.type << ", refusals " << refusals);
      LateCommitter committer({.seed = Catch::rngSeed() + 3, .refusals = refusals});
      // Where there are few commits one at least is refused.
      if (refusals > 0) committer.refuse_next(Retry("the disk is full"));
      const auto instance = source.make();
      SourceRig::Options options;
      options.channel.capacity_events = 700;
      SourceRig rig(*type, instance.settings, std::move(options), &committer);
      REQUIRE(rig.open().ok());
      rig.start();
      std::jthread feeder([&] { instance.feed(0, lines_fed); });
      const auto bodies = rig.take(lines_fed);
      feeder.join();
      REQUIRE(bodies.size() == lines_fed);
      CHECK((!source.numbered || are_numbered(bodies)));
      rig.stop();
      CHECK(rig.outcome().ok());
      CHECK(rig.counters().put.events.get() == lines_fed);
      CHECK(rig.balanced());
      CHECK(rig.window().used_bytes() == 0);
      refused += committer.refused();
    }
    CHECK(refused > 0);
  }
}

TEST_CASE("a source stops within its deadline, also while the channel is full") {
  for (const SourceUnderTest& source : sources_under_test()) {
    const SourceType* const type = built(source);
    if (type == nullptr || !source.make) continue;
    for (const std::uint64_t wait_for_events : {0U, 1U, 50U}) {
      INFO(source.type << ", stopped after " << wait_for_events);
      const auto instance = source.make();
      SourceRig::Options options;
      options.channel.capacity_events = 50;
      SourceRig rig(*type, instance.settings, std::move(options));
      REQUIRE(rig.open().ok());
      rig.start();
      std::jthread feeder([&] { instance.feed(0, lines_fed); });
      const std::uint64_t enough = source.whole_batches ? 1 : 50;
      REQUIRE(eventually(
          [&] { return rig.channel().size_events() >= std::min(wait_for_events, enough); }));
      const auto begin = Clock::system().steady();
      rig.stop();
      CHECK(Clock::system().steady() - begin < stop_deadline);
      CHECK(rig.balanced());
      CHECK(rig.window().used_bytes() == 0);
      CHECK(rig.channel().counters().put.events.get() == rig.counters().put.events.get());
    }
  }
}

/// Reads again from the last position that was delivered, as a file source will.
class Replayable final : private ReceiptListener {
 public:
  explicit Replayable(std::uint64_t events) : events_(events) {}

  /// Puts everything from the position on; false when the processor is closed.
  bool run(ChannelProcessor& out, SlabPool& pool, const std::stop_token& stop) {
    auto self = std::shared_ptr<ReceiptListener>(std::shared_ptr<void>(), this);
    for (std::uint64_t next = position(); next < events_; next += batch_events) {
      const Batch batch =
          numbered(pool, next, batch_events).with_receipt(Receipt::make(self, next, batch_events));
      if (!out.process(batch, stop, nullptr).ok()) return false;
    }
    return true;
  }
  /// Everything below it was delivered.
  std::uint64_t position() const {
    const std::lock_guard lock(mutex_);
    std::uint64_t at = 0;
    for (const std::uint64_t token : delivered_) {
      if (token != at) break;
      at += batch_events;
    }
    return at;
  }
  std::uint64_t given_up() const {
    const std::lock_guard lock(mutex_);
    return given_up_;
  }

 private:
  static constexpr std::uint32_t batch_events = 10;
  void settled(std::uint64_t token, bool delivered) noexcept override {
    const std::lock_guard lock(mutex_);
    if (delivered) {
      delivered_.insert(std::upper_bound(delivered_.begin(), delivered_.end(), token), token);
    } else {
      ++given_up_;
    }
  }
  const std::uint64_t events_;
  mutable std::mutex mutex_;
  std::vector<std::uint64_t> delivered_;  // guarded by mutex_
  std::uint64_t given_up_ = 0;            // guarded by mutex_
};

TEST_CASE(
    "a position moves only when sinks have committed, and a killed channel repeats the rest") {
  Replayable source(1000);
  std::vector<std::uint64_t> delivered;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  for (const std::uint64_t until : {370U, 730U, 1000U}) {
    SourceCounters counters;
    MemoryChannel channel(roomy_channel(), pool);
    const std::uint64_t before = source.position();
    ChannelProcessor::Options options;
    options.required = {&channel};
    ChannelProcessor out(std::move(options), counters);
    REQUIRE(source.run(out, pool, {}));
    CHECK(source.position() == before);  // nothing is delivered by being in the channel
    while (source.position() < until) {
      Taken taken = take_now(channel, 7);
      REQUIRE_FALSE(taken.empty());
      for (const auto n : numbers_of(taken.batch())) delivered.push_back(n);
      commit(std::move(taken));
    }
    { const Taken lost_in_the_sink = take_now(channel, 25); }
    // Here the channel is destroyed with what is in it: a kill.
  }
  CHECK(source.given_up() > 0);
  CHECK(source.position() == 1000);
  std::sort(delivered.begin(), delivered.end());
  delivered.erase(std::unique(delivered.begin(), delivered.end()), delivered.end());
  CHECK(delivered.size() == 1000);
  CHECK(pool.live_slabs() == 0);
}

}  // namespace
}  // namespace sluice

// One source in front of channels that lie in different stores: no commit spans them, and still
// every channel has every event once, in order.

#include <rocksdb/env.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "sources/channel_processor.h"
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

constexpr OriginId file{4, 2};

/// A store on a disk of its own, with one channel.
struct Place {
  Place(const TempDirectory& directory, const std::string& name, SlabPool& pool)
      : disk(std::make_shared<PowerCut>()),
        env(rocksdb::NewCompositeEnv(disk)),
        store({.path = directory.path(name), .free_bytes_min = 1 << 20, .env = env.get()}, {}),
        channel(stored_channel(name), store, pool) {
    REQUIRE(channel.open().ok());
  }

  std::shared_ptr<PowerCut> disk;
  std::unique_ptr<rocksdb::Env> env;
  SharedStore store;
  DurableChannel channel;
};

void check(Place& place, std::uint64_t end) {
  INFO("channel " << place.channel.name());
  const std::vector<std::uint64_t> numbers = drain(place.channel);
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(end, numbers.size()); ++i) {
    REQUIRE(numbers[i] == i);
  }
  CHECK(numbers.size() == end);
}

/// Reads a file of numbers from where the stores say it stands, and is stopped at some moment.
class Reader {
 public:
  Reader(const TempDirectory& directory, std::mt19937_64& random, SlabPool& pool)
      : random_(random),
        pool_(pool),
        a_(directory, "a", pool),
        b_(directory, "b", pool),
        out_(options(), counters_) {
    for (const std::string& note : out_.notes("position")) {
      position_ = std::min<std::uint64_t>(position_, std::stoull(note));
    }
    if (out_.notes("position").size() == 2) return;
    if (position_ == UINT64_MAX) position_ = 0;
    Notes notes;
    notes.push_back({"position", std::to_string(position_)});
    REQUIRE(out_.process_and_wait({}, {}, std::move(notes)).ok());
  }

  std::uint64_t position() const noexcept { return position_; }
  std::uint64_t doubles() const noexcept { return counters_.doubles.events.get(); }

  void read(int batches, bool trouble) {
    for (int i = 0; i < batches; ++i) {
      if (trouble && random_() % 3 == 0) {
        Place& place = random_() % 2 == 0 ? a_ : b_;
        place.disk->fail_once_at(1 + random_() % 4);
      }
      const auto events = static_cast<std::uint32_t>(1 + random_() % 20);
      Batch batch = numbered(pool_, position_, events);
      batch = batch.with_provenance(Provenance::dense(file, position_, events));
      position_ += events;
      Notes notes;
      notes.push_back({"position", std::to_string(position_)});
      REQUIRE(out_.process(std::move(batch), {}, nullptr, std::move(notes)).ok());
    }
  }
  void finish() { out_.finish({}); }

  void check_all(std::uint64_t end) {
    check(a_, end);
    check(b_, end);
  }

 private:
  ChannelProcessor::Options options() {
    ChannelProcessor::Options options;
    options.required = {&a_.channel, &b_.channel};
    options.stores = {&a_.store, &b_.store};
    // A configuration that names them in another order must not make a difference.
    if (random_() % 2 == 0) std::swap(options.stores[0], options.stores[1]);
    return options;
  }

  std::mt19937_64& random_;
  SlabPool& pool_;
  SourceCounters counters_;
  Place a_;
  Place b_;
  ChannelProcessor out_;
  std::uint64_t position_ = UINT64_MAX;
};

TEST_CASE("each of two stores has every event once and in order, whatever stops between them") {
  const CapturedLog log;
  const std::uint64_t first = Catch::rngSeed();
  std::uint64_t doubles = 0;
  for (std::uint64_t seed = first; seed < first + 8; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const TempDirectory directory;
    SlabPool pool(64 * 1024, 16);
    std::uint64_t reached = 0;
    for (int start = 0; start < 6; ++start) {
      Reader reader(directory, random, pool);
      reader.read(20, true);
      reached = std::max(reached, reader.position());
      if (random() % 2 == 0) reader.finish();
      doubles += reader.doubles();
    }
    Reader last(directory, random, pool);
    while (last.position() < reached) last.read(1, false);
    last.finish();
    doubles += last.doubles();
    last.check_all(last.position());
  }
  CHECK(doubles > 0);  // or no stop came between two commits
}

/// The second place has a channel that is optional.
ChannelProcessor::Options into(Place& needed, Place& optional) {
  ChannelProcessor::Options options;
  options.required = {&needed.channel};
  options.optional = {&optional.channel};
  options.stores = {&needed.store, &optional.store};
  options.optional_stores = 1;
  return options;
}

TEST_CASE("a store that only an optional channel needs has no say") {
  const CapturedLog log;
  const TempDirectory directory;
  SlabPool pool(64 * 1024, 16);
  Place needed(directory, "needed", pool);
  Place optional(directory, "optional", pool);
  SourceCounters counters;
  ChannelProcessor out(into(needed, optional), counters);
  CHECK_FALSE(out.wants_origins());
  REQUIRE(out.process_and_wait(numbered(pool, 0, 5), {}).ok());
  optional.disk->cut();
  REQUIRE(out.process_and_wait(numbered(pool, 5, 5), {}).ok());
  CHECK(needed.channel.size_events() == 10);
  CHECK(optional.channel.size_events() == 5);
  CHECK(counters.put.events.get() == 15);
  CHECK(counters.refused.events.get() == 5);
  CHECK(counters.made.events.get() + counters.copied.events.get() == 20);
}

TEST_CASE("what is required and in memory does not hang on a store that has no say") {
  const CapturedLog log;
  const TempDirectory directory;
  SlabPool pool(64 * 1024, 16);
  MemoryChannel needed(roomy_channel("m"), pool);
  REQUIRE(needed.open().ok());
  Place optional(directory, "optional", pool);
  SourceCounters counters;
  ChannelProcessor::Options options;
  options.required = {&needed};
  options.optional = {&optional.channel};
  options.stores = {&optional.store};
  options.optional_stores = 1;
  options.keeps_notes = false;
  ChannelProcessor out(std::move(options), counters);
  REQUIRE(out.process_and_wait(numbered(pool, 0, 5), {}).ok());
  optional.disk->cut();
  REQUIRE(out.process_and_wait(numbered(pool, 5, 5), {}).ok());
  CHECK(drain(needed).size() == 10);
  CHECK(optional.channel.size_events() == 5);
  CHECK(counters.put.events.get() == 15);
  CHECK(counters.refused.events.get() == 5);
}

TEST_CASE("what has arrived in memory is not put again when a batch behind it is refused") {
  const CapturedLog log;
  const TempDirectory directory;
  SlabPool pool(64 * 1024, 16);
  Place a(directory, "a", pool);
  Place b(directory, "b", pool);
  Place optional(directory, "optional", pool);
  MemoryChannel memory(roomy_channel("m"), pool);
  REQUIRE(memory.open().ok());
  SourceCounters counters;
  ChannelProcessor::Options options;
  options.required = {&memory, &a.channel, &b.channel};
  options.optional = {&optional.channel};
  options.stores = {&a.store, &b.store, &optional.store};
  options.optional_stores = 1;
  options.keeps_notes = false;
  ChannelProcessor out(std::move(options), counters);
  // The first batch is on its way into its second store when the first one refuses the next batch.
  b.disk->hold_syncs(true);
  REQUIRE(out.process(numbered(pool, 0, 5), {}, nullptr).ok());
  REQUIRE(eventually([&] { return a.channel.size_events() == 5; }));
  a.disk->fail_once_at(1);
  REQUIRE(out.process(numbered(pool, 5, 5), {}, nullptr).ok());
  REQUIRE(eventually([&] { return a.disk->has_failed() && a.channel.health().ok(); }));
  b.disk->hold_syncs(false);
  out.finish({});
  CHECK(drain(memory) == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  check(a, 10);
  check(b, 10);
  check(optional, 10);
  CHECK(counters.put.events.get() == 40);
}

TEST_CASE("what an optional channel gets starts anew, so that nothing it missed counts as taken") {
  const CapturedLog log;
  const TempDirectory directory;
  SlabPool pool(64 * 1024, 16);
  Place needed(directory, "needed", pool);
  Place optional(directory, "optional", pool);
  SourceCounters counters;
  ChannelProcessor out(into(needed, optional), counters);
  const Batch batch = numbered(pool, 0, 5).with_provenance(Provenance::dense(file, 0, 5));
  REQUIRE(out.process_and_wait(batch, {}).ok());
  REQUIRE(out.process_and_wait(batch, {}).ok());
  CHECK(needed.channel.size_events() == 5);
  CHECK(optional.channel.size_events() == 10);
  CHECK(counters.doubles.events.get() == 5);
  const Taken events = take_now(optional.channel);
  CHECK(events.batch().provenance().origin(0).id ==
        part_of(optional.store.store().opening(), "optional"));
}

TEST_CASE("what goes into a channel in memory appears when the stores have their parts") {
  const CapturedLog log;
  const TempDirectory directory;
  SlabPool pool(64 * 1024, 16);
  Place a(directory, "a", pool);
  Place b(directory, "b", pool);
  MemoryChannel memory(roomy_channel("m"), pool);
  REQUIRE(memory.open().ok());
  SourceCounters counters;
  ChannelProcessor::Options options;
  options.required = {&memory, &a.channel, &b.channel};
  options.stores = {&a.store, &b.store};
  options.keeps_notes = false;
  options.on_full = OnFull::Reject;
  ChannelProcessor out(std::move(options), counters);
  CHECK_FALSE(out.keeps_notes());
  b.disk->fail_once_at(1);
  // The first store has its part, so the batch is not refused any more.
  REQUIRE(out.process_and_wait(numbered(pool, 0, 5), {}).ok());
  CHECK(memory.size_events() == 5);
  CHECK(a.channel.size_events() == 5);
  CHECK(b.channel.size_events() == 5);
  CHECK(counters.put.events.get() == 15);
}

}  // namespace
}  // namespace sluice

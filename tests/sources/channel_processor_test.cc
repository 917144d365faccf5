// All or nothing into every required channel, in order, whatever the committer does.

#include "sources/channel_processor.h"

#include <atomic>
#include <random>
#include <thread>

#include "channels/memory_channel.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/drop_multiples.h"
#include "tests/support/eventually.h"
#include "tests/support/late_committer.h"
#include "tests/support/memory_channels.h"
#include "tests/support/receipt_book.h"

namespace sluice {
namespace {

struct Bench {
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SourceCounters counters;
  std::shared_ptr<ReceiptBook> book = std::make_shared<ReceiptBook>();

  std::unique_ptr<MemoryChannel> channel(std::uint64_t capacity_events,
                                         milliseconds keep_alive = milliseconds(0)) {
    MemoryChannel::Options options = roomy_channel();
    options.capacity_events = capacity_events;
    options.keep_alive = keep_alive;
    return std::make_unique<MemoryChannel>(std::move(options), pool);
  }
  Batch with_receipt(const Batch& batch, std::uint64_t token) {
    return batch.with_receipt(Receipt::make(book, token, batch.size()));
  }
  bool balanced() const {
    const auto& c = counters;
    const auto out = [](const SourceCounters& of, auto flow_part) {
      return flow_part(of.filtered) + flow_part(of.unrouted) + flow_part(of.refused) +
             flow_part(of.put);
    };
    const auto events = [](const Flow& flow) { return flow.events.get(); };
    const auto bytes = [](const Flow& flow) { return flow.bytes.get(); };
    return events(c.made) + events(c.copied) == out(c, events) &&
           bytes(c.made) + bytes(c.copied) == out(c, bytes);
  }
};

ChannelProcessor::Options into(std::vector<Channel*> required, std::vector<Channel*> optional = {},
                               Committer* committer = nullptr) {
  ChannelProcessor::Options options;
  options.source_name = "source r1";
  options.required = std::move(required);
  options.optional = std::move(optional);
  if (committer != nullptr) options.stores = {committer};
  return options;
}

std::vector<std::uint64_t> drain(Channel& channel) {
  std::vector<std::uint64_t> numbers;
  for (Taken taken = take_now(channel); !taken.empty(); taken = take_now(channel)) {
    for (const auto n : numbers_of(taken.batch())) numbers.push_back(n);
    commit(std::move(taken));
  }
  return numbers;
}

TEST_CASE("every required channel gets every event and the receipt waits for all of them") {
  Bench b;
  const auto one = b.channel(100);
  const auto two = b.channel(100);
  ChannelProcessor out(into({one.get(), two.get()}), b.counters);
  REQUIRE(out.process_and_wait(b.with_receipt(numbered(b.pool, 0, 5), 1), {}).ok());
  CHECK(drain(*one).size() == 5);
  CHECK(b.book->settled_receipts() == 0);
  CHECK(drain(*two).size() == 5);
  CHECK(b.book->delivered(1));
  CHECK(b.counters.copied.events.get() == 5);
  CHECK(b.counters.put.events.get() == 10);
  CHECK(b.balanced());
}

TEST_CASE("an optional channel without room is passed over and has no say in the receipt") {
  Bench b;
  const auto required = b.channel(100);
  const auto optional = b.channel(3);
  ChannelProcessor out(into({required.get()}, {optional.get()}), b.counters);
  REQUIRE(out.process_and_wait(b.with_receipt(numbered(b.pool, 0, 2), 1), {}).ok());
  REQUIRE(out.process_and_wait(b.with_receipt(numbered(b.pool, 2, 2), 2), {}).ok());
  CHECK(b.counters.refused.events.get() == 2);
  CHECK(drain(*required).size() == 4);
  CHECK(b.book->delivered(1));
  CHECK(b.book->delivered(2));
  CHECK(drain(*optional) == std::vector<std::uint64_t>{0, 1});
  CHECK(b.balanced());
}

TEST_CASE("a patient source may end its wait for room and come again with the same batch") {
  Bench b;
  const auto one = b.channel(100);
  const auto two = b.channel(2);
  ChannelProcessor::Options options = into({one.get(), two.get()});
  options.interceptors.push_back(std::make_unique<DropMultiples>(3));
  ChannelProcessor out(std::move(options), b.counters);
  REQUIRE(out.process_and_wait(numbered(b.pool, 1, 2), {}).ok());
  const Batch batch = b.with_receipt(numbered(b.pool, 3, 3), 1);
  const auto at_once = Deadline::in(milliseconds(0));
  for (int i = 0; i < 3; ++i) {
    CHECK(out.process(batch, {}, nullptr, {}, at_once).code() == Code::Retry);
  }
  CHECK(one->size_events() == 2);
  CHECK(b.counters.channel_failures.get() == 0);
  CHECK(b.book->settled_receipts() == 0);
  CHECK(drain(*two) == std::vector<std::uint64_t>{1, 2});
  CHECK(out.process(batch, {}, nullptr, {}, at_once).ok());
  CHECK(drain(*two) == std::vector<std::uint64_t>{4, 5});
  CHECK(drain(*one) == std::vector<std::uint64_t>{1, 2, 4, 5});
  CHECK(b.book->delivered(1));
  CHECK(b.counters.made.events.get() == 5);
  CHECK(b.balanced());
}

TEST_CASE("with reject a batch is in every required channel or in none") {
  Bench b;
  const auto roomy = b.channel(100);
  const auto full = b.channel(2);
  ChannelProcessor::Options options = into({roomy.get(), full.get()});
  options.on_full = OnFull::Reject;
  options.interceptors.push_back(std::make_unique<DropMultiples>(3));
  ChannelProcessor out(std::move(options), b.counters);
  REQUIRE(out.process_and_wait(numbered(b.pool, 1, 2), {}).ok());
  bool called = false;
  const Status status = out.process(numbered(b.pool, 3, 4), {}, [&](Status) { called = true; });
  CHECK(status.code() == Code::Retry);
  CHECK_FALSE(called);
  CHECK(drain(*roomy) == std::vector<std::uint64_t>{1, 2});
  CHECK(drain(*full) == std::vector<std::uint64_t>{1, 2});
  CHECK(b.balanced());
  CHECK(b.counters.channel_failures.get() == 1);
}

TEST_CASE("a wait for room ends with stop, or with the abandon token where there is one") {
  Bench b;
  const auto full = b.channel(1);
  std::stop_source stop;
  std::stop_source abandon;
  {
    ChannelProcessor out(into({full.get()}), b.counters);
    REQUIRE(out.process_and_wait(numbered(b.pool, 0, 1), {}).ok());
    std::jthread stopper([&] { stop.request_stop(); });
    CHECK(out.process_and_wait(numbered(b.pool, 1, 1), stop.get_token()).code() == Code::Closed);
  }
  ChannelProcessor::Options options = into({full.get()});
  options.abandon = abandon.get_token();
  ChannelProcessor out(std::move(options), b.counters);
  std::atomic<int> outcome{0};
  std::jthread source([&] {
    outcome = out.process_and_wait(numbered(b.pool, 1, 1), stop.get_token()).code() == Code::Closed
                  ? 2
                  : 1;
  });
  REQUIRE(eventually([&] { return full->counters().put_waits.get() == 2; }));
  CHECK(outcome == 0);  // stop alone does not end it
  abandon.request_stop();
  source.join();
  CHECK(outcome == 2);
  CHECK(b.balanced());
}

TEST_CASE("interceptors drop events, settle their receipts and are in the books") {
  Bench b;
  const auto channel = b.channel(100);
  ChannelProcessor::Options options = into({channel.get()});
  options.interceptors.push_back(std::make_unique<DropMultiples>(2));
  options.interceptors.push_back(std::make_unique<DropMultiples>(3));
  ChannelProcessor out(std::move(options), b.counters);
  REQUIRE(out.process_and_wait(b.with_receipt(numbered(b.pool, 0, 12), 1), {}).ok());
  CHECK(b.counters.filtered.events.get() == 8);
  CHECK(drain(*channel) == std::vector<std::uint64_t>{1, 5, 7, 11});
  CHECK(b.book->delivered(1));
  REQUIRE(out.process_and_wait(b.with_receipt(numbered(b.pool, 6, 1), 2), {}).ok());
  CHECK(b.book->delivered(2));
  CHECK(b.counters.made.events.get() == 13);
  CHECK(b.balanced());
}

TEST_CASE(
    "a batch that a store refuses is not over, also where no channel answers for its events") {
  Bench b;
  const auto channel = b.channel(100);
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.refuse_next(Retry("the disk is full"));
  ChannelProcessor::Options options = into({channel.get()}, {}, &committer);
  options.on_full = OnFull::Reject;
  options.interceptors.push_back(std::make_unique<DropMultiples>(1));
  ChannelProcessor out(std::move(options), b.counters);
  const Notes notes{{"position", "3"}};
  const Status refused = out.process_and_wait(b.with_receipt(numbered(b.pool, 0, 3), 1), {}, notes);
  CHECK(refused.code() == Code::Retry);
  CHECK(b.book->not_delivered(1));
  CHECK(out.process_and_wait(b.with_receipt(numbered(b.pool, 0, 3), 2), {}, notes).ok());
  CHECK(b.book->delivered(2));
}

TEST_CASE("no more than the window is in flight") {
  Bench b;
  const auto channel = b.channel(1'000'000);
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  ChannelProcessor::Options options = into({channel.get()}, {}, &committer);
  options.in_flight_bytes_max = 10'000;
  ChannelProcessor out(std::move(options), b.counters);
  std::jthread source([&] {
    for (std::uint64_t i = 0; i < 30; ++i) {
      if (!out.process(numbered(b.pool, i, 1, 1000), {}, nullptr).ok()) std::abort();
    }
  });
  REQUIRE(eventually([&] { return committer.submitted() == 9 || committer.submitted() == 10; }));
  CHECK_FALSE(eventually([&] { return committer.submitted() > 10; }, milliseconds(20)));
  committer.resume();
  source.join();
  out.finish({});
  CHECK(drain(*channel).size() == 30);
  CHECK(b.balanced());
}

TEST_CASE("what is refused for now is put later, in order, and its source never hears of it") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    INFO("seed " << seed);
    Bench b;
    const auto channel = b.channel(200);
    const auto optional = b.channel(60);
    LateCommitter committer({.seed = seed, .refusals = 0.2});
    std::vector<std::uint64_t> seen;
    std::atomic<bool> over{false};
    std::jthread sink([&] {
      while (!over || channel->size_events() > 0) {
        Taken taken = channel->take({.events_max = 50, .wait_max = milliseconds(5)}, {});
        for (const auto n : numbers_of(taken.batch())) seen.push_back(n);
        if (!taken.empty()) commit(std::move(taken));
      }
    });
    std::atomic<int> done{0};
    std::atomic<bool> bad{false};
    std::mt19937_64 random(seed);
    {
      ChannelProcessor::Options options = into({channel.get()}, {optional.get()}, &committer);
      options.in_flight_bytes_max = 2000;
      ChannelProcessor out(std::move(options), b.counters);
      std::uint64_t next = 0;
      for (int i = 0; i < 300; ++i) {
        const auto events = static_cast<std::uint32_t>(1 + random() % 20);
        REQUIRE(out.process(numbered(b.pool, next, events), {},
                            [&](Status status) {
                              bad = bad || !status.ok();
                              ++done;
                            })
                    .ok());
        next += events;
      }
      REQUIRE(eventually([&] {
        out.retry_refused({});
        return done == 300;
      }));
      over = true;
      sink.join();
      CHECK_FALSE(bad);
      CHECK(seen.size() == next);
      CHECK(std::is_sorted(seen.begin(), seen.end()));
      CHECK(committer.refused() > 0);
      CHECK(b.balanced());
    }
  }
}

TEST_CASE("a batch that waited for room does not overtake one that was refused meanwhile") {
  Bench b;
  const auto channel = b.channel(10);
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  committer.refuse_next(Retry("the disk is full"));
  ChannelProcessor out(into({channel.get()}, {}, &committer), b.counters);
  REQUIRE(out.process(numbered(b.pool, 0, 10), {}, nullptr).ok());
  std::jthread source([&] {
    if (!out.process(numbered(b.pool, 10, 10), {}, nullptr).ok()) std::abort();
  });
  REQUIRE(eventually([&] { return channel->counters().put_waits.get() == 1; }));
  committer.resume();  // the refusal gives the room that the second one waits for
  source.join();
  std::vector<std::uint64_t> seen;
  REQUIRE(eventually([&] {
    std::jthread again([&] { out.retry_refused({}); });
    eventually([&] { return channel->size_events() > 0; }, milliseconds(100));
    for (const auto n : drain(*channel)) seen.push_back(n);
    return seen.size() == 20;
  }));
  CHECK(std::is_sorted(seen.begin(), seen.end()));
}

TEST_CASE("what lies behind a batch that is given up is given up with it") {
  Bench b;
  const auto channel = b.channel(10);
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  committer.refuse_next(Retry("the disk is full"));
  ChannelProcessor out(into({channel.get()}, {}, &committer), b.counters);
  std::vector<Code> codes;
  const auto note = [&](Status status) { codes.push_back(status.code()); };
  REQUIRE(out.process(numbered(b.pool, 0, 8), {}, note).ok());
  REQUIRE(out.process(numbered(b.pool, 8, 1), {}, note).ok());
  committer.resume();
  REQUIRE(eventually([&] { return put(*channel, numbered(b.pool, 100, 5)); }));
  std::stop_source stop;
  stop.request_stop();
  // The first has no room any more; the second would have.
  REQUIRE(eventually([&] {
    out.retry_refused(stop.get_token());
    return codes.size() == 2;
  }));
  CHECK(codes == std::vector<Code>{Code::Closed, Code::Closed});
  CHECK(drain(*channel).size() == 5);
}

TEST_CASE("finish puts what was refused for now") {
  Bench b;
  const auto channel = b.channel(100);
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  committer.refuse_next(Retry("the disk is full"));
  ChannelProcessor out(into({channel.get()}, {}, &committer), b.counters);
  for (std::uint64_t i = 0; i < 3; ++i)
    REQUIRE(out.process(numbered(b.pool, i, 1), {}, nullptr).ok());
  committer.resume();
  out.finish({});
  CHECK(drain(*channel) == std::vector<std::uint64_t>{0, 1, 2});
  CHECK(b.balanced());
}

TEST_CASE("at stop finish calls every done, also of what was refused") {
  std::stop_source stop;
  stop.request_stop();
  Bench b;
  const auto channel = b.channel(100);
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  committer.refuse_next(Retry("the disk is full"));
  ChannelProcessor out(into({channel.get()}, {}, &committer), b.counters);
  std::vector<Code> codes;
  for (std::uint64_t i = 0; i < 3; ++i) {
    REQUIRE(out.process(b.with_receipt(numbered(b.pool, i, 1), i), {},
                        [&](Status status) { codes.push_back(status.code()); })
                .ok());
  }
  committer.resume();
  out.finish(stop.get_token());
  CHECK(codes == std::vector<Code>(3, Code::Closed));
  CHECK(channel->size_events() == 0);
  for (std::uint64_t i = 0; i < 3; ++i) CHECK(b.book->not_delivered(i));
}

TEST_CASE("a source that waits in one channel leaves the room of the others to its neighbours") {
  Bench bench;
  const auto free = bench.channel(10);
  const auto full = bench.channel(10);
  REQUIRE(put(*full, numbered(bench.pool, 0, 10)));
  ChannelProcessor::Options options;
  options.required = {free.get(), full.get()};
  ChannelProcessor out(std::move(options), bench.counters);
  std::atomic<bool> through{false};
  std::jthread source([&](const std::stop_token& stop) {
    through = out.process(numbered(bench.pool, 0, 10), stop, nullptr).ok();
  });
  REQUIRE(eventually([&] { return full->counters().put_waits.get() > 0; }));
  CHECK(put(*free, numbered(bench.pool, 100, 10)));
  CHECK_FALSE(through);
  // Both have room again: the one that waited gets in everywhere at once.
  commit(take_now(*full));
  commit(take_now(*free));
  REQUIRE(eventually([&] { return through.load(); }));
  CHECK(numbers_of(take_now(*free).batch()).front() == 0);
  CHECK(numbers_of(take_now(*full).batch()).front() == 0);
}

TEST_CASE("a refused batch was not touched: its drops are settled once it is in") {
  Bench bench;
  const auto channel = bench.channel(10);
  REQUIRE(put(*channel, numbered(bench.pool, 0, 10)));
  ChannelProcessor::Options options;
  options.required = {channel.get()};
  options.on_full = OnFull::Reject;
  options.interceptors.push_back(std::make_unique<DropMultiples>(2));
  ChannelProcessor out(std::move(options), bench.counters);
  const Batch batch = bench.with_receipt(numbered(bench.pool, 0, 10), 7);
  for (int i = 0; i < 3; ++i) CHECK(out.process(batch, {}, nullptr).code() == Code::Retry);
  CHECK_FALSE(bench.book->delivered(7));
  commit(take_now(*channel));
  REQUIRE(out.process(batch, {}, nullptr).ok());
  CHECK_FALSE(bench.book->delivered(7));
  commit(take_now(*channel));
  CHECK(bench.book->delivered(7));
}

}  // namespace
}  // namespace sluice

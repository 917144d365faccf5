// The books of a real pipeline, read from the text that Prometheus reads: MemoryChannel,
// ChannelProcessor and SinkRunner with sinks that fail in every way there is.

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "channels/memory_channel.h"
#include "core/base/log.h"
#include "core/base/wait.h"
#include "core/event/batch_builder.h"
#include "core/metrics/registry.h"
#include "sinks/dead_letter_channel.h"
#include "sinks/sink_runner.h"
#include "sources/channel_processor.h"
#include "tests/catch.h"
#include "tests/metrics/exposition.h"

namespace sluice {
namespace {

/// Drops every event whose body begins with 'd'.
class DropSome final : public Interceptor {
 public:
  Batch intercept(Batch batch) override {
    std::vector<std::uint32_t> kept;
    for (std::uint32_t i = 0; i < batch.size(); ++i) {
      if (!batch.body(i).starts_with('d')) kept.push_back(i);
    }
    return kept.size() == batch.size() ? batch : batch.select(kept);
  }
};

/// Keeps what it is given, but refuses each third time.
class ForgetfulDeadLetters final : public DeadLetters {
 public:
  Status keep(const Rejection& rejection, Commit&) override {
    const std::lock_guard lock(mutex_);
    if (++calls_ % 3 == 0) return Retry("no room for dead letters");
    for (const DeadLetter& letter : rejection.letters) kept_.add(1, letter.event.body.size());
    return {};
  }
  const std::string& name() const noexcept override { return name_; }
  const Flow& kept() const { return kept_; }

 private:
  const std::string name_ = "nowhere";
  std::mutex mutex_;
  std::uint64_t calls_ = 0;
  Flow kept_;
};

/// Fails, delivers in part, rejects, and completes late on a thread of its own, by a seed.
class MoodySink final : public Sink {
 public:
  explicit MoodySink(std::uint32_t seed) : random_(seed) {
    worker_ = std::jthread([this](const std::stop_token& stop) { complete(stop); });
  }

  Status open(const std::stop_token&) override {
    return opens_++ == 0 ? Retry("not yet") : Status();
  }
  void deliver(const Batch& batch, std::stop_token, DeliveryDone done) override {
    Delivery delivery = decide(batch);
    if (random_() % 2 == 0) return done(std::move(delivery));
    const std::lock_guard lock(mutex_);
    late_.emplace_back(done, std::move(delivery));
    changed_.notify_one();
  }
  void close() override {}
  TakeLimit take_limit() const override { return {.events_max = 40, .wait_max = milliseconds(20)}; }
  std::uint32_t in_flight_max() const override { return 3; }

 private:
  Delivery decide(const Batch& batch) {
    switch (random_() % 10) {
      case 0: return {.status = Retry("nothing arrived")};
      case 1:
      case 2: {
        const auto arrived = static_cast<std::uint32_t>(random_() % (batch.size() + 1));
        return {.status = Retry("torn"), .arrived = arrived};
      }
      case 3: {
        Delivery delivery;
        for (std::uint32_t i = 0; i < batch.size(); ++i) {
          if (random_() % 3 == 0) delivery.rejected.push_back(i);
        }
        delivery.rejected_because = "a test wants it";
        return delivery;
      }
      default: return {};
    }
  }
  void complete(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (wait_until(changed_, lock, Deadline::never(), stop, [this] { return !late_.empty(); })) {
      auto [done, delivery] = std::move(late_.front());
      late_.pop_front();
      lock.unlock();
      done(std::move(delivery));
      lock.lock();
    }
  }

  std::mt19937 random_;
  int opens_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<DeliveryDone, Delivery>> late_;  // guarded by mutex_
  std::jthread worker_;
};

/// A source, interceptors, channels c1 (two sinks), c2 (one sink) and the optional c3 (none). What
/// the sink of c2 rejects goes into the channel dead.
struct Pipeline {
  SlabPool pool;
  std::unique_ptr<MemoryChannel> c1 = channel("c1", 500), c2 = channel("c2", 300),
                                 c3 = channel("c3", 200), dead = channel("dead", 100'000);
  SourceCounters source;
  ForgetfulDeadLetters dead_letters;
  struct Consumer {
    SinkCounters counters;
    MoodySink sink;
    DeadLetterChannel into_channel;
    SinkRunner runner;
    Status end = Closed("still running");
    std::jthread thread;
    Consumer(std::uint32_t seed, Channel& from, DeadLetters* aside, Pipeline& of)
        : sink(seed),
          into_channel(*of.dead, of.pool, counters, Clock::system()),
          runner({.name = "sink",
                  .dead_letters = aside == nullptr ? &into_channel : aside,
                  .backoff_first = milliseconds(1),
                  .backoff_max = milliseconds(2)},
                 from, sink, counters) {}
  };
  Consumer k1{1, *c1, &dead_letters, *this}, k2{2, *c1, &dead_letters, *this},
      k3{3, *c2, nullptr, *this};
  MetricsRegistry registry;

  Pipeline() {
    log::Options silence;  // they fail by the hundred
    silence.level = log::Level::Off;
    REQUIRE(log::configure(silence).ok());
    registry.add(SourceMetrics{"r1", "test", &source});
    for (const auto* channel : {c1.get(), c2.get(), c3.get(), dead.get()}) {
      registry.add(ChannelMetrics{channel->name(), "memory", &channel->counters(),
                                  channel->capacity_events()});
      registry.add(&channel->account());
    }
    registry.add(SinkMetrics{"k1", "test", "c1", &k1.counters});
    registry.add(SinkMetrics{"k2", "test", "c1", &k2.counters});
    registry.add(SinkMetrics{"k3", "test", "c2", &k3.counters});
  }

  std::unique_ptr<MemoryChannel> channel(std::string name, std::uint64_t capacity) {
    return std::make_unique<MemoryChannel>(
        MemoryChannel::Options{{.name = std::move(name), .capacity_events = capacity}}, pool);
  }
  ChannelProcessor::Options wiring() {
    ChannelProcessor::Options options;
    options.source_name = "r1";
    options.required = {c1.get(), c2.get()};
    options.optional = {c3.get()};
    options.interceptors.push_back(std::make_unique<DropSome>());
    return options;
  }
  void start_sinks() {
    for (Consumer* consumer : {&k1, &k2, &k3}) {
      consumer->thread = std::jthread(
          [consumer](const std::stop_token& stop) { consumer->end = consumer->runner.run(stop); });
    }
  }
  void drain() {
    for (const auto* channel : {&c1, &c2, &c3}) (*channel)->close();  // dead takes on still
    for (Consumer* consumer : {&k1, &k2, &k3}) {
      consumer->thread.join();
      CHECK(consumer->end.ok());
    }
  }
};

Batch random_batch(BatchBuilder& builder, std::mt19937& random) {
  const std::size_t events = 1 + random() % 60;
  builder.reserve(events * 400);
  for (std::size_t i = 0; i < events; ++i) {
    std::string body(random() % 300, 'x');
    if (random() % 5 == 0) body.insert(0, "d");
    CHECK(builder.append(body));
  }
  return builder.seal();
}

/// Refuses every other commit for now; the rest is durable as soon as its thread comes to it.
class ReluctantCommitter final : public Committer {
 public:
  std::optional<std::string> note(std::string_view /*key*/) const override { return std::nullopt; }
  std::vector<std::pair<std::string, std::string>> notes(
      std::string_view /*prefix*/) const override {
    return {};
  }
  ReluctantCommitter() {
    worker_ = std::jthread([this](const std::stop_token& stop) { complete(stop); });
  }
  void submit(Commit commit) override {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(commit));
    changed_.notify_one();
  }

 private:
  void complete(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    for (std::uint64_t calls = 0;
         wait_until(changed_, lock, Deadline::never(), stop, [this] { return !waiting_.empty(); });
         ++calls) {
      Commit commit = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      std::move(commit).complete(calls % 2 == 0 ? Retry("the disk is full") : Status());
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Commit> waiting_;  // guarded by mutex_
  std::jthread worker_;
};

/// The identities of docs/guide/books.md, in events or in bytes.
void check_books(const Exposition& shown, const std::string& unit) {
  INFO(unit);
  const auto source = [&](const std::string& what) {
    return shown.sum("sluice_source_" + what + "_" + unit + "_total");
  };
  CHECK(source("made") + source("copied") == source("filtered") + source("unrouted") +
                                                 source("doubles") + source("refused") +
                                                 source("put"));
  double put = 0;
  for (const char* channel : {"c1", "c2", "c3", "dead"}) {
    INFO(channel);
    const Exposition::Labels of{{"component", channel}};
    const auto total = [&](const std::string& what) {
      return shown.sum("sluice_channel_" + what + "_" + unit + "_total", of);
    };
    const auto now = [&](const std::string& what) {
      return shown.sum("sluice_channel_" + what + "_" + unit, of);
    };
    CHECK(total("put") == total("committed") + now("in_flight") + now("stored") + total("lost"));
    const auto sinks = [&](const std::string& what) {
      return shown.sum("sluice_sink_" + what + "_" + unit + "_total", {{"channel", channel}});
    };
    CHECK(total("committed") == sinks("delivered") + sinks("dead_lettered"));
    put += total("put");
  }
  CHECK(source("put") + shown.sum("sluice_sink_dead_letters_put_" + unit + "_total") == put);
}

}  // namespace

TEST_CASE("the books of a pipeline balance whatever its sinks do") {
  Pipeline pipeline;
  pipeline.start_sinks();
  std::mt19937 random(7);
  {
    ChannelProcessor processor(pipeline.wiring(), pipeline.source);
    BatchBuilder builder(pipeline.pool);
    for (int i = 0; i < 400; ++i) {
      REQUIRE(processor.process(random_batch(builder, random), {}, nullptr).ok());
    }
  }
  pipeline.drain();

  const Exposition drained(pipeline.registry.prometheus());
  check_books(drained, "events");
  check_books(drained, "bytes");
  // Each way of the books was taken, so that balancing means something.
  CHECK(pipeline.source.filtered.events.get() > 0);
  CHECK(pipeline.source.refused.events.get() > 0);
  CHECK(pipeline.k1.counters.failures.get() > 0);
  CHECK(pipeline.k2.counters.delivered.events.get() > 0);
  CHECK(drained.sum("sluice_channel_committed_events_total", {{"component", "c1"}}) ==
        static_cast<double>(pipeline.source.made.events.get() -
                            pipeline.source.filtered.events.get()));
  CHECK(drained.sum("sluice_sink_dead_lettered_events_total") ==
        static_cast<double>(pipeline.dead_letters.kept().events.get() +
                            pipeline.dead->counters().put.events.get()));
  CHECK(pipeline.dead->counters().put.events.get() > 0);
  CHECK(drained.sum("sluice_sink_dead_lettered_bytes_total") ==
        static_cast<double>(pipeline.dead_letters.kept().bytes.get() +
                            pipeline.dead->counters().put.bytes.get()));
  CHECK(drained.sum("sluice_channel_stored_events", {{"component", "c3"}}) > 0);

  pipeline.dead->close();
  pipeline.dead->abandon();
  pipeline.c3->abandon();
  const Exposition ended(pipeline.registry.prometheus());
  check_books(ended, "events");
  check_books(ended, "bytes");
  CHECK(ended.sum("sluice_channel_lost_events_total") > 0);
  CHECK(ended.sum("sluice_channel_stored_events") == 0);
  CHECK(ended.sum("sluice_memory_used_bytes") == 0);
}

TEST_CASE("the books balance while events wait and while some are taken") {
  Pipeline pipeline;
  ChannelProcessor processor(pipeline.wiring(), pipeline.source);
  BatchBuilder builder(pipeline.pool);
  std::mt19937 random(8);
  REQUIRE(processor.process(random_batch(builder, random), {}, nullptr).ok());
  REQUIRE(processor.process(random_batch(builder, random), {}, nullptr).ok());
  const Taken taken = pipeline.c1->take({.events_max = 5}, {});
  const Exposition shown(pipeline.registry.prometheus());
  check_books(shown, "events");
  check_books(shown, "bytes");
  CHECK(shown.sum("sluice_channel_in_flight_events") == 5);
  CHECK(shown.sum("sluice_channel_stored_events", {{"component", "c1"}}) > 0);
}

TEST_CASE("a batch of which interceptors leave nothing is in the books") {
  Pipeline pipeline;
  ChannelProcessor processor(pipeline.wiring(), pipeline.source);
  BatchBuilder builder(pipeline.pool);
  builder.reserve(100);
  CHECK(builder.append("drop"));
  CHECK(builder.append("dropped"));
  REQUIRE(processor.process(builder.seal(), {}, nullptr).ok());
  const Exposition shown(pipeline.registry.prometheus());
  check_books(shown, "events");
  check_books(shown, "bytes");
  CHECK(shown.sum("sluice_source_made_events_total") == 2);
  CHECK(shown.sum("sluice_source_made_bytes_total") == 11);
  CHECK(shown.sum("sluice_source_filtered_events_total") == 2);
}

TEST_CASE("a batch that a full channel refuses leaves the books balanced") {
  Pipeline pipeline;
  ChannelProcessor::Options wiring = pipeline.wiring();
  wiring.on_full = OnFull::Reject;
  const std::stop_source stopped;
  stopped.request_stop();
  ChannelProcessor processor(std::move(wiring), pipeline.source);
  BatchBuilder builder(pipeline.pool);
  std::mt19937 random(9);
  int refused = 0;
  for (int i = 0; i < 40; ++i) {
    if (!processor.process(random_batch(builder, random), stopped.get_token(), nullptr).ok())
      ++refused;
  }
  CHECK(refused > 0);
  const Exposition shown(pipeline.registry.prometheus());
  check_books(shown, "events");
  check_books(shown, "bytes");
}

TEST_CASE("a commit that is refused and made again is in the books once") {
  Pipeline pipeline;
  pipeline.start_sinks();
  std::mt19937 random(10);
  {
    ReluctantCommitter committer;
    ChannelProcessor::Options wiring = pipeline.wiring();
    wiring.stores = {&committer};
    ChannelProcessor processor(std::move(wiring), pipeline.source);
    BatchBuilder builder(pipeline.pool);
    for (int i = 0; i < 12; ++i) {
      REQUIRE(processor.process_and_wait(random_batch(builder, random), {}).ok());
    }
  }
  pipeline.drain();
  CHECK(pipeline.source.channel_failures.get() == 12);
  CHECK(pipeline.source.refused.events.get() > 0);
  const Exposition shown(pipeline.registry.prometheus());
  check_books(shown, "events");
  check_books(shown, "bytes");
}

}  // namespace sluice

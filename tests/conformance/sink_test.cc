// What every sink promises: it delivers all, fails and recovers, stops in time, says done once.

#include <algorithm>
#include <functional>
#include <set>

#include "sinks/catalog.h"
#include "tests/catch.h"
#include "tests/support/avro_peer.h"
#include "tests/support/kafka_receiver.h"
#include "tests/support/sink_rig.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

/// A sink and the world behind it.
struct Instance {
  std::unique_ptr<SinkRig> rig;
  std::function<std::string()> arrived;  ///< Null: what arrives cannot be seen.
  std::function<void(bool)> broken;      ///< Null: nothing can break.
  std::shared_ptr<void> keep;
};

struct SinkUnderTest {
  std::string type;
  std::function<Instance(const SinkType&)> make;
};

Instance nothing_behind(const SinkType& type) {
  return {std::make_unique<SinkRig>(type, test_settings(*type.info, "sink k1", {})), nullptr,
          nullptr, nullptr};
}

Instance file_roll(const SinkType& type) {
  auto files = std::make_shared<FakeFileSystem>();
  auto rig = std::make_unique<SinkRig>(
      type, test_settings(*type.info, "sink k1", {{"sink.directory", "/out"}}), *files);
  return {std::move(rig), [files] { return files->content(); },
          [files](bool broken) { files->bytes_left(broken ? 5 : UINT64_MAX / 2); }, files};
}

Instance hdfs(const SinkType& type) {
  auto files = std::make_shared<FakeFileSystem>();
  auto rig = std::make_unique<SinkRig>(
      type,
      test_settings(*type.info, "sink k1",
                    {{"hdfs.path", "/out"}, {"hdfs.fileType", "DataStream"}}),
      *files);
  return {std::move(rig), [files] { return files->content(); },
          [files](bool broken) { files->bytes_left(broken ? 5 : UINT64_MAX / 2); }, files};
}

/// Behind a resting receiver with small buffers nothing is lost in the connection's death.
Instance tcp(const SinkType& type) {
  struct World {
    std::uint16_t port = free_port();
    std::unique_ptr<TestReceiver> receiver;
    std::string before;
  };
  auto world = std::make_shared<World>();
  world->receiver = std::make_unique<TestReceiver>(world->port);
  auto rig = std::make_unique<SinkRig>(
      type, test_settings(*type.info, "sink k1",
                          {{"hostname", "127.0.0.1"}, {"port", std::to_string(world->port)}}));
  return {std::move(rig),
          [world] {
            return world->before + (world->receiver ? world->receiver->received() : std::string());
          },
          [world](bool broken) {
            if (broken) {
              if (world->receiver) world->before += world->receiver->received();
              world->receiver.reset();
            } else if (!world->receiver) {
              world->receiver = std::make_unique<TestReceiver>(world->port);
            }
          },
          world};
}

/// Towards a Flume, with one call at a time, or an agent of our own, with several.
Instance avro_to(const SinkType& type, bool ours) {
  struct World {
    std::uint16_t port = free_port();
    std::unique_ptr<AvroTestServer> server;
    std::string before;
    std::string now() const {
      std::string lines;
      if (server) {
        for (const std::string& body : server->bodies()) lines += body + "\n";
      }
      return lines;
    }
  };
  auto world = std::make_shared<World>();
  const auto listen = [world, ours] {
    world->server = std::make_unique<AvroTestServer>(
        AvroTestServer::Options{.port = world->port, .ours = ours});
  };
  listen();
  auto rig = std::make_unique<SinkRig>(
      type, test_settings(*type.info, "sink k1",
                          {{"hostname", "127.0.0.1"}, {"port", std::to_string(world->port)}}));
  return {std::move(rig), [world] { return world->before + world->now(); },
          [world, listen](bool broken) {
            if (broken) {
              world->before += world->now();
              world->server.reset();
            } else if (!world->server) {
              listen();
            }
          },
          world};
}
Instance avro(const SinkType& type) { return avro_to(type, true); }
Instance avro_flume(const SinkType& type) { return avro_to(type, false); }

Instance kafka(const SinkType& type) {
  auto receiver = std::make_shared<KafkaReceiver>();
  receiver->create("t", 1);
  auto rig = std::make_unique<SinkRig>(
      type, test_settings(*type.info, "sink k1",
                          {{"kafka.bootstrap.servers", receiver->servers()},
                           {"kafka.topic", "t"},
                           {"kafka.producer.delivery.timeout.ms", "300"},
                           {"kafka.producer.reconnect.backoff.ms", "10"},
                           {"kafka.producer.reconnect.backoff.max.ms", "50"}}));
  return {std::move(rig), [receiver] { return receiver->lines("t"); },
          [receiver](bool broken) { receiver->down(broken); }, receiver};
}

/// librdkafka's threads are those of C11, of which TSan knows nothing: ours would crash on them.
#if defined(__SANITIZE_THREAD__)
constexpr std::string_view left_out = "kafka";
#else
constexpr std::string_view left_out;
#endif

const std::vector<SinkUnderTest>& sinks_under_test() {
  static const std::vector<SinkUnderTest> all{
      {"file_roll", file_roll}, {"hdfs", hdfs},  {"logger", nothing_behind},
      {"null", nothing_behind}, {"tcp", tcp},    {"avro", avro},
      {"avro", avro_flume},     {"kafka", kafka}};
  return all;
}

TEST_CASE("every sink type of the catalogue is under test") {
  for (const SinkType* type : sink_types()) {
    if (type->make == nullptr) continue;  // it commits by itself: no runner, no deliveries
    const auto& all = sinks_under_test();
    INFO(type->info->alias);
    CHECK(std::any_of(all.begin(), all.end(),
                      [&](const auto& each) { return each.type == type->info->alias; }));
  }
}

template <typename Check>
void for_each_sink(Check check) {
  for (const SinkUnderTest& sink : sinks_under_test()) {
    const SinkType* const type = find_type(sink_types(), sink.type);
    if (type == nullptr || sink.type == left_out) continue;
    INFO(sink.type);
    Instance instance = sink.make(*type);
    check(instance);
  }
}

bool books_balance(SinkRig& rig) {
  const ChannelCounters& channel = rig.channel().counters();
  return channel.committed.events.get() ==
             rig.counters().delivered.events.get() + rig.counters().dead_lettered.events.get() &&
         channel.committed.bytes.get() ==
             rig.counters().delivered.bytes.get() + rig.counters().dead_lettered.bytes.get() &&
         channel.in_flight.events.get() == 0;
}

TEST_CASE("a sink delivers everything, in order, and ends when its channel is drained") {
  for_each_sink([](Instance& it) {
    it.rig->put_numbers(0, 3000);
    it.rig->start();
    it.rig->put_numbers(3000, 500);
    it.rig->drain();
    CHECK(it.rig->outcome().ok());
    CHECK(it.rig->counters().delivered.events.get() == 3500);
    if (it.arrived) CHECK(eventually([&] { return it.arrived() == number_lines(0, 3500); }));
    CHECK(books_balance(*it.rig));
    CHECK(it.rig->channel().account().used_bytes() == 0);
  });
}

TEST_CASE("a sink that fails recovers and loses nothing") {
  for_each_sink([](Instance& it) {
    if (!it.broken) return;
    it.rig->put_numbers(0, 100);
    it.rig->start();
    REQUIRE(it.rig->delivered(100));
    REQUIRE(eventually([&] { return it.arrived() == number_lines(0, 100); }));
    for (std::uint64_t round = 1; round < 4; ++round) {
      it.broken(true);
      const std::uint64_t failures = it.rig->counters().failures.get();
      it.rig->put_numbers(round * 100, 100);
      REQUIRE(eventually([&] { return it.rig->counters().failures.get() > failures; }));
      CHECK_FALSE(it.rig->healthy());
      it.broken(false);
      REQUIRE(it.rig->delivered((round + 1) * 100));
      REQUIRE(eventually([&] { return it.arrived() == number_lines(0, (round + 1) * 100); }));
      CHECK(eventually([&] { return it.rig->healthy(); }));
    }
    it.rig->drain();
    CHECK(books_balance(*it.rig));
  });
}

TEST_CASE("a sink stops in time, whatever it is doing") {
  for_each_sink([](Instance& it) {
    if (it.broken) it.broken(true);
    it.rig->put_numbers(0, 1000);
    it.rig->start();
    CHECK(eventually([&] {
      return it.rig->counters().failures.get() > 0 || it.rig->counters().delivered.events.get() > 0;
    }));
    const auto begin = Clock::system().steady();
    it.rig->stop();
    CHECK(Clock::system().steady() - begin < milliseconds(3000));
    CHECK(it.rig->outcome().ok());
    CHECK(books_balance(*it.rig));
    CHECK(it.rig->channel().size_events() + it.rig->counters().delivered.events.get() == 1000);
  });
}

/// Counts the ends of one delivery.
class CountDone final : public DeliveryListener {
 public:
  void delivered(std::uint32_t, Delivery delivery) override {
    const std::lock_guard lock(mutex_);
    ++times_;
    last_ = std::move(delivery);
  }
  int times() const {
    const std::lock_guard lock(mutex_);
    return times_;
  }
  Status status() const {
    const std::lock_guard lock(mutex_);
    return last_.status;
  }

 private:
  mutable std::mutex mutex_;
  int times_ = 0;
  Delivery last_;
};

TEST_CASE("done is called exactly once, for good and for bad") {
  for_each_sink([](Instance& it) {
    const Batch batch = numbered(it.rig->pool(), 0, 10);
    REQUIRE(it.rig->sink().open({}).ok());
    for (const bool broken : {false, true, false}) {
      if (it.broken) it.broken(broken);
      CountDone done;
      it.rig->sink().deliver(batch, {}, DeliveryDone(done, 0));
      REQUIRE(eventually([&] { return done.times() > 0; }));
      CHECK(done.times() == 1);
      CHECK((done.status().ok() || (broken && done.status().code() == Code::Retry)));
      it.rig->sink().tend();
      CHECK(done.times() == 1);
      if (!done.status().ok()) it.rig->sink().start_over();  // as a runner does
    }
    it.rig->sink().close();
  });
}

}  // namespace
}  // namespace sluice

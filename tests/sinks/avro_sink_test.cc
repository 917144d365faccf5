// Events forwarded to an avro source: a Flume's, with one call at a time, and our own.

#include <algorithm>
#include <atomic>

#include "sinks/catalog.h"
#include "sources/catalog.h"
#include "tests/catch.h"
#include "tests/support/avro_peer.h"
#include "tests/support/captured_log.h"
#include "tests/support/moved_clock.h"
#include "tests/support/sink_rig.h"
#include "tests/support/source_rig.h"

namespace sluice {
namespace {

using Values = std::initializer_list<std::pair<std::string, std::string>>;
using Bodies = std::vector<std::string>;

std::unique_ptr<SinkRig> avro_to(std::uint16_t port, Values more = {},
                                 const Clock& clock = Clock::system()) {
  const SinkType* const type = find_type(sink_types(), "avro");
  std::map<std::string, Settings::Value, std::less<>> values;
  values["hostname"] = {"127.0.0.1", {}, 0};
  values["port"] = {std::to_string(port), {}, 0};
  for (const auto& [key, value] : more) values[key] = {value, {}, 0};
  auto rig = std::make_unique<SinkRig>(*type, Settings("sink k1", "k1", *type->info, values),
                                       FileSystem::real(), clock);
  rig->start();
  return rig;
}

Bodies number_bodies(std::uint64_t count) {
  Bodies bodies;
  for (std::uint64_t i = 0; i < count; ++i) bodies.push_back(std::to_string(i));
  return bodies;
}

std::vector<TestEvent> events_at(const AvroTestServer& server) {
  std::vector<TestEvent> events;
  for (const auto& call : server.calls()) {
    events.insert(events.end(), call.events.begin(), call.events.end());
  }
  return events;
}

AvroTestServer::Options silent(bool ours) {
  return {.ours = ours, .answer = [](const auto&) { return AvroTestServer::Answer(); }};
}

/// An avro source of our own with a small channel, as the receiver.
class Receiver {
 public:
  explicit Receiver(std::uint64_t capacity_events, Values more = {}) : port(free_port()) {
    const SourceType* const type = find_type(source_types(), "avro");
    SourceRig::Options options;
    options.channel.capacity_events = capacity_events;
    options.channel.keep_alive = milliseconds(1);
    options.processor.on_full = OnFull::Reject;
    std::map<std::string, std::string> values{{"bind", "127.0.0.1"},
                                              {"port", std::to_string(port)}};
    values.insert(more.begin(), more.end());
    rig = std::make_unique<SourceRig>(*type, test_settings(*type->info, "source r1", values),
                                      std::move(options));
    REQUIRE(rig->open().ok());
    rig->start();
  }
  const std::uint16_t port;
  std::unique_ptr<SourceRig> rig;
};

TEST_CASE("every event arrives once with its headers, in calls of batch-size at most") {
  for (const bool ours : {true, false}) {
    AvroTestServer server({.ours = ours});
    const auto rig = avro_to(server.port(), {{"batch-size", "7"}});
    rig->put_numbers(0, 100);
    REQUIRE(put(rig->channel(), batch_of(rig->pool(), {"own", "", "headers\n"}, {{"k", "v"}})));
    rig->drain();
    const auto events = events_at(server);
    REQUIRE(events.size() == 103);
    for (std::size_t i = 0; i < 100; ++i) CHECK(events[i] == TestEvent{std::to_string(i)});
    CHECK(events[100] == TestEvent{"own", {{"k", "v"}}});
    CHECK(events[101] == TestEvent{"", {{"k", "v"}}});
    CHECK(events[102] == TestEvent{"headers\n", {{"k", "v"}}});
    for (const auto& call : server.calls()) CHECK(call.events.size() <= 7);
    CHECK(rig->counters().delivered.events.get() == 103);
    CHECK(rig->counters().connections_created.get() == 1);
    CHECK(rig->counters().connections_closed.get() == 1);
  }
}

TEST_CASE("a Flume gets one call at a time") {
  const testing::CapturedLog log;
  AvroTestServer server(silent(false));
  const auto rig = avro_to(server.port(), {{"batch-size", "10"}});
  rig->put_numbers(0, 50);
  for (std::size_t calls = 1; calls <= 5; ++calls) {
    REQUIRE(server.wait_for_calls(calls));
    CHECK_FALSE(eventually([&] { return server.calls().size() > calls; }, milliseconds(30)));
    server.answer(server.calls().back().serial, avro_ok);
  }
  CHECK(rig->delivered(50));
  CHECK(log.has("a Flume: one call at a time"));
}

TEST_CASE("an agent of our own gets maxCallsInFlight at once and no more") {
  AvroTestServer server(silent(true));
  const auto rig = avro_to(server.port(), {{"batch-size", "10"}, {"maxCallsInFlight", "3"}});
  rig->put_numbers(0, 100);
  REQUIRE(server.wait_for_calls(3));
  CHECK_FALSE(eventually([&] { return server.calls().size() > 3; }, milliseconds(30)));
  CHECK(rig->counters().delivered.events.get() == 0);
  server.answer(server.calls()[0].serial, avro_ok);
  REQUIRE(server.wait_for_calls(4));
  CHECK(eventually([&] { return rig->counters().delivered.events.get() == 10; }));
  for (std::size_t i = 1; i < 10; ++i) {
    REQUIRE(server.wait_for_calls(i + 1));
    server.answer(server.calls()[i].serial, avro_ok);
  }
  CHECK(rig->delivered(100));
  const auto events = events_at(server);
  REQUIRE(events.size() == 100);
  for (std::size_t i = 0; i < 100; ++i) CHECK(events[i].body == std::to_string(i));
}

TEST_CASE("FAILED is tried again until the receiver has room") {
  for (const bool ours : {true, false}) {
    std::atomic<int> refusals{5};
    AvroTestServer server({.ours = ours, .answer = [&](const auto&) {
                             return AvroTestServer::Answer(refusals-- > 0 ? avro_failed : avro_ok);
                           }});
    const auto rig = avro_to(server.port(), {{"maxCallsInFlight", "1"}});
    rig->put_numbers(0, 10);
    REQUIRE(rig->delivered(10));
    CHECK(rig->counters().failures.get() == 5);
    CHECK(server.bodies() == number_bodies(10));
    CHECK(eventually([&] { return rig->healthy(); }));
  }
}

TEST_CASE("a call whose answer is lost is sent again with the same origins") {
  std::atomic<int> calls{0};
  AvroTestServer server({.ours = true, .answer = [&](const auto&) {
                           return ++calls == 1 ? AvroTestServer::Answer() : avro_ok;
                         }});
  const auto rig = avro_to(server.port());
  REQUIRE(put(rig->channel(),
              numbered(rig->pool(), 0, 3).with_provenance(Provenance::dense({8, 9}, 70, 3))));
  REQUIRE(server.wait_for_calls(1));
  server.hang_up();
  REQUIRE(rig->delivered(3));
  REQUIRE(server.calls().size() == 2);
  for (const auto& call : server.calls()) {
    const auto origins = sluice_origins(call.metadata, 3);
    REQUIRE(origins.ok());
    REQUIRE(origins->known());
    CHECK(origins->origin(2) == Origin{{8, 9}, 72});
  }
}

TEST_CASE("a receiver that hangs up between calls costs no event and doubles none") {
  AvroTestServer server({.ours = true});
  const auto rig = avro_to(server.port());
  for (std::uint64_t i = 0; i < 5; ++i) {
    rig->put_numbers(i * 10, 10);
    REQUIRE(rig->delivered((i + 1) * 10));
    server.hang_up();
  }
  CHECK(rig->counters().connections_created.get() == 5);
  CHECK(server.bodies() == number_bodies(50));
}

TEST_CASE("connections that follow each other soon are said rarely") {
  const testing::CapturedLog log;
  const auto said = [&](const std::string& words) {
    const std::string text = log.text();
    std::size_t times = 0;
    for (std::size_t at = 0; (at = text.find(words, at)) != std::string::npos; ++at) ++times;
    return times;
  };
  MovedClock clock;
  AvroTestServer server({.ours = true});
  const auto rig = avro_to(server.port(), {}, clock);
  constexpr std::uint64_t connections = 16;
  for (std::uint64_t i = 0; i < connections; ++i) {
    rig->put_numbers(i * 10, 10);
    REQUIRE(rig->delivered((i + 1) * 10));
    server.hang_up();
    clock.advance(std::chrono::seconds(5));
  }
  CHECK(rig->counters().connections_created.get() == connections);
  CHECK(said("connected to ") == 5);  // the 1st, 2nd, 4th, 8th and 16th
  CHECK(log.has("(16 times soon after one another)"));
  // One that comes after a quiet minute is news.
  clock.advance(std::chrono::seconds(60));
  rig->put_numbers(connections * 10, 10);
  REQUIRE(rig->delivered((connections + 1) * 10));
  CHECK(said("connected to ") == 6);
}

TEST_CASE("a connection of a certain age is made anew, between calls") {
  MovedClock clock;
  AvroTestServer server({.ours = true});
  const auto rig = avro_to(server.port(), {{"reset-connection-interval", "60"}}, clock);
  rig->put_numbers(0, 10);
  REQUIRE(rig->delivered(10));
  rig->put_numbers(10, 10);
  REQUIRE(rig->delivered(20));
  CHECK(server.accepted() == 1);
  clock.advance(std::chrono::seconds(61));
  rig->put_numbers(20, 10);
  REQUIRE(rig->delivered(30));
  CHECK(server.accepted() == 2);
  CHECK(rig->counters().failures.get() == 0);
  CHECK(rig->counters().connections_created.get() == 2);
  CHECK(server.bodies() == number_bodies(30));
}

TEST_CASE("a connection that is made anew while calls are in flight lets no batch overtake") {
  MovedClock clock;
  AvroTestServer server(silent(true));
  const auto rig =
      avro_to(server.port(), {{"batch-size", "10"}, {"reset-connection-interval", "60"}}, clock);
  rig->put_numbers(0, 10);
  REQUIRE(server.wait_for_calls(1));
  clock.advance(std::chrono::seconds(61));
  // The second batch waits for the answer to the first, which is to come again before it.
  rig->put_numbers(10, 10);
  REQUIRE(eventually([&] { return rig->counters().attempts.get() == 20; }));
  server.answer(server.calls()[0].serial, avro_failed);
  for (const std::size_t call : {1, 2}) {
    REQUIRE(server.wait_for_calls(call + 1));
    CHECK(server.calls()[call].events.front().body == std::to_string((call - 1) * 10));
    server.answer(server.calls()[call].serial, avro_ok);
  }
  CHECK(rig->delivered(20));
}

TEST_CASE("a connection that is made anew ends in order, not as one that was cut off") {
  MovedClock clock;
  Receiver receiver(1'000'000, {{"compression-type", "deflate"}});
  const auto rig = avro_to(
      receiver.port, {{"compression-type", "deflate"}, {"reset-connection-interval", "60"}}, clock);
  for (std::uint64_t i = 0; i < 3; ++i) {
    rig->put_numbers(i * 10, 10);
    REQUIRE(rig->delivered((i + 1) * 10));
    clock.advance(std::chrono::seconds(61));
  }
  CHECK(rig->counters().connections_created.get() == 3);
  CHECK(receiver.rig->counters().read_failures.get() == 0);
}

TEST_CASE("a stop with calls on their way loses nothing and is in time") {
  for (const bool ours : {true, false}) {
    AvroTestServer server(silent(ours));
    const auto rig = avro_to(server.port(), {{"batch-size", "10"}});
    rig->put_numbers(0, 30);
    REQUIRE(server.wait_for_calls(1));
    const auto begin = Clock::system().steady();
    rig->stop();
    CHECK(Clock::system().steady() - begin < milliseconds(5000));
    CHECK(rig->outcome().ok());
    CHECK(rig->channel().size_events() == 30);
    CHECK(rig->channel().counters().in_flight.events.get() == 0);
  }
}

TEST_CASE("behind a channel that is full now and then nothing is lost, doubled or overtaken") {
  Receiver receiver(50);
  const auto rig = avro_to(receiver.port, {{"batch-size", "20"}});
  rig->put_numbers(0, 3000);
  // Wait until a call was refused, then make room.
  REQUIRE(eventually([&] { return rig->counters().failures.get() > 0; }));
  const Bodies bodies = receiver.rig->take(3000);
  CHECK(bodies == number_bodies(3000));
  CHECK(rig->delivered(3000));
  CHECK(receiver.rig->channel().size_events() == 0);
}

TEST_CASE("large and small bodies and headers pass between our own agents") {
  Receiver receiver(1'000'000);
  const auto rig = avro_to(receiver.port, {{"batch-size", "1000"}});
  TestHeaders headers;
  for (int i = 0; i < 20; ++i) headers.emplace_back("name" + std::to_string(i), "value");
  const Bodies bodies{"", std::string(1'048'576, 'm'), "x", std::string(70'000, 'l'), "\n\n"};
  for (int i = 0; i < 5; ++i) REQUIRE(put(rig->channel(), batch_of(rig->pool(), bodies, headers)));
  rig->drain();
  CHECK(rig->counters().delivered.events.get() == 25);
  std::size_t events = 0;
  while (events < 25) {
    Taken taken = take_now(receiver.rig->channel());
    REQUIRE_FALSE(taken.empty());
    for (std::uint32_t i = 0; i < taken.batch().size(); ++i, ++events) {
      CHECK((taken.batch().body(i) == bodies[events % 5]));
      TestHeaders got = headers_of(taken.batch()[i]);
      CHECK(std::is_permutation(got.begin(), got.end(), headers.begin(), headers.end()));
    }
    commit(std::move(taken));
  }
}

}  // namespace
}  // namespace sluice

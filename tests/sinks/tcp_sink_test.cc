// Lines forwarded over real sockets, through the death and the rest of their receiver.

#include <algorithm>
#include <set>

#include "sinks/catalog.h"
#include "tests/catch.h"
#include "tests/support/sink_rig.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

std::unique_ptr<SinkRig> tcp_to(
    std::uint16_t port, std::initializer_list<std::pair<std::string, std::string>> more = {}) {
  const SinkType* const type = find_type(sink_types(), "tcp");
  std::map<std::string, Settings::Value, std::less<>> values;
  values["hostname"] = {"127.0.0.1", {}, 0};
  values["port"] = {std::to_string(port), {}, 0};
  for (const auto& [key, value] : more) values[key] = {value, {}, 0};
  auto rig = std::make_unique<SinkRig>(*type, Settings("sink k1", "k1", *type->info, values));
  rig->start();
  return rig;
}

std::set<std::string> lines_in(const std::string& text) {
  std::set<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.insert(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// The numbers that the lines begin with.
std::set<std::uint64_t> numbers_in(const std::string& text) {
  std::set<std::uint64_t> numbers;
  for (const std::string& line : lines_in(text)) {
    if (!line.empty()) numbers.insert(std::stoull(line));
  }
  return numbers;
}

/// How many events are committed once the sink has not moved for a while.
std::uint64_t delivered_when_stuck(SinkRig& rig) {
  std::uint64_t last = 0;
  int rests = 0;
  REQUIRE(eventually([&] {
    const std::uint64_t now = rig.counters().delivered.events.get();
    rests = now == last ? rests + 1 : 0;
    last = now;
    return now > 0 && rests >= 200;
  }));
  return last;
}

TEST_CASE("every event is a line, in order, whatever lies between the bodies") {
  TestReceiver receiver;
  const auto rig = tcp_to(receiver.port());
  rig->put_numbers(0, 100);
  REQUIRE(put(rig->channel(), batch_of(rig->pool(), {"own", "", "headers\r"}, {{"k", "v"}})));
  const Batch rest = numbered(rig->pool(), 0, 10).select({1, 2, 5});
  REQUIRE(put(rig->channel(), rest));
  rig->drain();
  const std::string expected = number_lines(0, 100) + "own\n\nheaders\r\n1\n2\n5\n";
  CHECK(eventually([&] { return receiver.received() == expected; }));
  CHECK(rig->counters().delivered.events.get() == 106);
  CHECK(rig->counters().connections_created.get() == 1);
  CHECK(rig->counters().connections_closed.get() == 1);
}

TEST_CASE("a receiver that is not there yet is waited for") {
  const std::uint16_t port = free_port();
  const auto rig = tcp_to(port);
  rig->put_numbers(0, 30);
  REQUIRE(eventually([&] { return rig->counters().connections_failed.get() >= 2; }));
  CHECK_FALSE(rig->healthy());
  TestReceiver receiver(port);
  REQUIRE(rig->delivered(30));
  CHECK(eventually([&] { return receiver.received() == number_lines(0, 30); }));
  CHECK(rig->healthy());
}

TEST_CASE("a receiver that hung up while nothing was sent loses nothing and gets nothing twice") {
  TestReceiver receiver;
  const auto rig = tcp_to(receiver.port());
  for (std::uint64_t i = 0; i < 5; ++i) {
    rig->put_numbers(i * 10, 10);
    REQUIRE(rig->delivered((i + 1) * 10));
    REQUIRE(eventually([&] { return receiver.received() == number_lines(0, (i + 1) * 10); }));
    receiver.hang_up();
  }
  CHECK(rig->counters().connections_created.get() == 5);
  CHECK(rig->counters().failures.get() == 0);
}

TEST_CASE("a receiver that rests is waited for and then gets everything") {
  TestReceiver receiver(0, 4096);
  receiver.rest(true);
  const auto rig = tcp_to(receiver.port());
  rig->put_numbers(0, 2000, 5000);  // 10 MB: more than the kernel takes
  CHECK_FALSE(eventually([&] { return rig->counters().delivered.events.get() == 2000; },
                         milliseconds(100)));
  receiver.rest(false);
  REQUIRE(rig->delivered(2000));
  CHECK(eventually([&] { return receiver.bytes() == 2000 * 5001; }));
  CHECK(lines_in(receiver.received()).size() == 2000);
}

TEST_CASE("a receiver that dies in the middle of a batch gets the batch again") {
  constexpr std::uint64_t count = 2000;
  TestReceiver receiver(0, 4096);
  receiver.rest(true);
  const auto rig = tcp_to(receiver.port());
  rig->put_numbers(0, count, 5000);
  REQUIRE(eventually([&] { return receiver.accepted() == 1; }));
  const std::uint64_t committed = delivered_when_stuck(*rig);
  REQUIRE(committed < count);
  receiver.hang_up();
  receiver.rest(false);
  REQUIRE(rig->delivered(count));
  CHECK(rig->counters().failures.get() >= 1);
  // What was in the dead connection's buffers is beyond a sink's knowledge; everything that was not
  // committed by then arrives over the next one.
  CHECK(eventually([&] { return receiver.bytes() >= (count - committed) * 5001; }));
  const std::set<std::uint64_t> arrived = numbers_in(receiver.received());
  REQUIRE_FALSE(arrived.empty());
  CHECK(*arrived.begin() == committed);
  CHECK(*arrived.rbegin() == count - 1);
  CHECK(arrived.size() == count - committed);
}

TEST_CASE("stop ends a blocked write, and the events stay in the channel") {
  TestReceiver receiver(0, 4096);
  receiver.rest(true);
  const auto rig = tcp_to(receiver.port());
  rig->put_numbers(0, 2000, 5000);
  REQUIRE(eventually([&] { return receiver.accepted() == 1; }));
  CHECK_FALSE(
      eventually([&] { return rig->counters().delivered.events.get() == 2000; }, milliseconds(50)));
  const auto begin = Clock::system().steady();
  rig->stop();
  CHECK(Clock::system().steady() - begin < milliseconds(2000));
  CHECK(rig->outcome().ok());
  CHECK(rig->channel().size_events() + rig->counters().delivered.events.get() == 2000);
  CHECK(rig->channel().counters().in_flight.events.get() == 0);
}

TEST_CASE("with a request-timeout a receiver that takes nothing is given up") {
  TestReceiver receiver(0, 4096);
  receiver.rest(true);
  const auto rig = tcp_to(receiver.port(), {{"request-timeout", "20"}});
  rig->put_numbers(0, 2000, 5000);
  CHECK(eventually([&] { return rig->counters().failures.get() >= 2; }));
  CHECK(eventually([&] { return receiver.accepted() >= 2; }));
  receiver.rest(false);
  CHECK(rig->delivered(2000));
}

}  // namespace
}  // namespace sluice

// Whole agents in this process: start, stop, memory accounts, one dead sink beside a live one.

#include "agent/agent.h"

#include <map>
#include <optional>

#include "core/config/tree.h"
#include "tests/catch.h"
#include "tests/support/fake_file_system.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

Plan plan_of(const std::string& text) {
  SubstitutionSources sources;
  sources.environment = [](const std::string&) { return std::optional<std::string>(); };
  std::vector<SourceText> texts;
  texts.emplace_back("a1.conf", text);
  Plan plan = make_plan(load_texts(std::move(texts), sources).tree, "a1", built_catalog());
  REQUIRE(plan.verdict == Verdict::Runs);
  return plan;
}

/// netcat rN -> memory cN -> tcp kN.
std::string relay(int n, std::uint16_t in, std::uint16_t out, const std::string& channel = {}) {
  const std::string i = std::to_string(n);
  return "a1.sources.r" + i + ".type = netcat\na1.sources.r" + i +
         ".bind = 127.0.0.1\na1.sources.r" + i + ".port = " + std::to_string(in) +
         "\na1.sources.r" + i + ".ack-every-event = false\na1.sources.r" + i + ".channels = c" + i +
         "\na1.channels.c" + i + ".type = memory\na1.channels.c" + i + ".capacity = 100000\n" +
         channel + "a1.sinks.k" + i + ".type = tcp\na1.sinks.k" + i +
         ".hostname = 127.0.0.1\na1.sinks.k" + i + ".port = " + std::to_string(out) +
         "\na1.sinks.k" + i + ".channel = c" + i + "\n";
}

const std::string one = "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n";
const std::string two = "a1.sources = r1 r2\na1.channels = c1 c2\na1.sinks = k1 k2\n";

std::uint64_t used_bytes(const Agent& agent) {
  std::uint64_t sum = 0;
  for (const MemoryAccount* account : agent.metrics().accounts()) sum += account->used_bytes();
  return sum;
}

/// Reads every account without a pause; the largest sum that was ever seen.
class AccountWatch {
 public:
  explicit AccountWatch(const Agent& agent)
      : thread_([this, &agent](std::stop_token stop) {
          while (!stop.stop_requested()) {
            most_ = std::max(most_.load(), used_bytes(agent));
            for (const MemoryAccount* account : agent.metrics().accounts()) {
              if (account->used_bytes() > account->limit_bytes()) over_ = true;
            }
            std::this_thread::yield();
          }
        }) {}
  std::uint64_t most() const noexcept { return most_; }
  bool over() const noexcept { return over_; }

 private:
  std::atomic<std::uint64_t> most_{0};
  std::atomic<bool> over_{false};
  std::jthread thread_;
};

/// Sends lines of `bytes` until stopped, or as many as asked for; returns how many lines.
std::uint64_t send_lines(std::uint16_t port, std::size_t bytes, std::uint64_t lines_max,
                         const std::stop_token& stop) {
  TestClient client(port);
  std::string chunk;
  for (int i = 0; i < 50; ++i) chunk += std::string(bytes - 1, 'x') + "\n";
  std::uint64_t sent = 0;
  while (sent < lines_max && !stop.stop_requested()) {
    if (!client.send(chunk, milliseconds(300))) continue;  // held back
    sent += 50;
  }
  client.half_close();
  client.read_to_end();
  return sent;
}

TEST_CASE("an agent relays lines and stops with nothing left behind") {
  TestReceiver receiver;
  const std::uint16_t in = free_port();
  const Plan plan = plan_of(one + relay(1, in, receiver.port()));
  Agent agent(plan, {});
  REQUIRE(agent.start().ok());
  CHECK(send_lines(in, 100, 20'000, {}) == 20'000);
  agent.stop();
  CHECK(eventually([&] { return receiver.bytes() == 20'000 * 100; }));
  CHECK(used_bytes(agent) == 0);
  for (const auto& state : agent.states()) {
    if (state.component != "channel c1") CHECK(state.state == UnitState::Finished);
  }
}

TEST_CASE("the accounts never exceed the printed sum, with a dead sink and while it recovers") {
  const std::uint16_t out = free_port();
  const std::uint16_t in = free_port();
  for (const std::size_t bytes : {20U, 400U}) {
    const Plan plan = plan_of(one + relay(1, in, out));
    Agent agent(plan, {.memory_limit_bytes = 8 << 20, .drain_max = milliseconds(10'000)});
    REQUIRE(agent.start().ok());
    AccountWatch watch(agent);
    std::atomic<std::uint64_t> sent{0};
    std::jthread sender([&] { sent = send_lines(in, bytes, 300'000 / (bytes / 20), {}); });
    const ChannelCounters& channel = *agent.metrics().channels()[0].counters;
    REQUIRE(eventually(
        [&] { return channel.put_waits.get() > 0 || channel.put.events.get() >= 15'000; }));
    TestReceiver receiver(out);
    receiver.count_only();
    sender.join();
    agent.stop();
    CHECK(eventually([&] { return receiver.bytes() == sent * bytes; }));
    CHECK(watch.most() > 0);
    CHECK(watch.most() <= agent.memory_limit_bytes());
    CHECK_FALSE(watch.over());
    CHECK(used_bytes(agent) == 0);
  }
}

TEST_CASE("a dead sink does not slow the other pipeline") {
  const std::uint16_t dead_in = free_port();
  const std::uint16_t live_in = free_port();
  TestReceiver receiver;
  receiver.count_only();
  const Plan plan =
      plan_of(two + relay(1, dead_in, free_port()) + relay(2, live_in, receiver.port()));
  Agent agent(plan, {.memory_limit_bytes = 16 << 20, .drain_max = milliseconds(100)});
  REQUIRE(agent.start().ok());
  AccountWatch watch(agent);
  std::jthread noise([&](std::stop_token stop) { send_lines(dead_in, 100, UINT64_MAX, stop); });
  const ChannelCounters& full = *agent.metrics().channels()[0].counters;
  REQUIRE(eventually([&] { return full.put_waits.get() > 0; }));
  CHECK(send_lines(live_in, 100, 100'000, {}) == 100'000);
  CHECK(eventually([&] { return receiver.bytes() == 100'000 * 100; }));
  noise.request_stop();
  agent.stop();
  CHECK(full.lost.events.get() > 0);
  CHECK(full.put.events.get() == full.lost.events.get());
  CHECK(watch.most() <= agent.memory_limit_bytes());
  CHECK(used_bytes(agent) == 0);
}

TEST_CASE("an event larger than the whole budget passes alone, within the printed sum") {
  const std::uint16_t in = free_port();
  TestReceiver receiver;
  receiver.count_only();
  const Plan plan =
      plan_of(one + relay(1, in, receiver.port()) + "a1.sources.r1.max-line-length = 12000000\n");
  Agent agent(plan, {.memory_limit_bytes = 1 << 20});
  REQUIRE(agent.start().ok());
  AccountWatch watch(agent);
  TestClient client(in);
  const std::string line = std::string(10'000'000, 'L') + "\n";
  for (int i = 0; i < 3; ++i) REQUIRE(client.send(line));
  CHECK(eventually([&] { return receiver.bytes() == 3 * line.size(); }));
  client.close();
  agent.stop();
  CHECK(watch.most() <= agent.memory_limit_bytes());
  CHECK(used_bytes(agent) == 0);
}

TEST_CASE("a taken port is said and tried again while the rest runs") {
  TestReceiver receiver;
  TestReceiver in_the_way;
  const std::uint16_t live_in = free_port();
  const Plan plan = plan_of(two + relay(1, in_the_way.port(), receiver.port()) +
                            relay(2, live_in, receiver.port()));
  Agent agent(plan, {});
  REQUIRE(agent.start().ok());
  CHECK(agent.states()[0].state == UnitState::Retrying);
  CHECK(send_lines(live_in, 100, 1000, {}) == 1000);
  agent.stop();
  CHECK(eventually([&] { return receiver.bytes() == 1000 * 100; }));
}

TEST_CASE("a wake that comes before the wait is not slept through") {
  Agent agent(plan_of(one + relay(1, free_port(), free_port())), {});
  REQUIRE(agent.start().ok());
  CHECK_FALSE(agent.wait(Deadline::in(milliseconds(0)), false));  // what start() changed
  agent.wake();
  const auto begin = Clock::system().steady();
  CHECK_FALSE(agent.wait(Deadline::in(milliseconds(5000)), false));
  CHECK(Clock::system().steady() - begin < milliseconds(2500));
}

TEST_CASE("a channel without a limit makes the sum unlimited, and is named") {
  const std::string unlimited = "a1.channels.c1.byteCapacity = 0\n";
  const Agent agent(
      plan_of(two + relay(1, free_port(), free_port(), unlimited) +
              relay(2, free_port(), free_port(), "a1.channels.c2.byteCapacity = 0\n")),
      {});
  CHECK(agent.memory_limit_bytes() == UINT64_MAX);
  CHECK(agent.memory_limit_text() == "are unlimited (channel c1 has byteCapacity = 0)");
  const Agent limited(plan_of(one + relay(1, free_port(), free_port())), {});
  CHECK(limited.memory_limit_text().starts_with("sum up to "));
}

TEST_CASE("stop gives up at its deadline and counts what is lost") {
  const std::uint16_t in = free_port();
  const Plan plan = plan_of(one + relay(1, in, free_port()));
  Agent agent(plan, {.drain_max = milliseconds(100)});
  REQUIRE(agent.start().ok());
  CHECK(send_lines(in, 100, 1000, {}) == 1000);
  const auto begin = Clock::system().steady();
  CHECK(agent.stop() == 1000);
  CHECK(Clock::system().steady() - begin < milliseconds(3000));
  const ChannelCounters& channel = *agent.metrics().channels()[0].counters;
  CHECK(channel.lost.events.get() == 1000);
  CHECK(used_bytes(agent) == 0);
}

}  // namespace
}  // namespace sluice

// Whole agents in this process: start, stop, memory accounts, one dead sink beside a live one.

#include "agent/agent.h"

#include <map>
#include <optional>

#include "core/config/tree.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/fake_file_system.h"
#include "tests/support/picky_sink.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

/// `catalog` is copied nowhere: it outlives the plan.
Plan plan_of(const std::string& text, const Catalog& catalog = built_catalog()) {
  SubstitutionSources sources;
  sources.environment = [](const std::string&) { return std::optional<std::string>(); };
  std::vector<SourceText> texts;
  texts.emplace_back("a1.conf", text);
  Plan plan = make_plan(load_texts(std::move(texts), sources).tree, "a1", catalog);
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

/// The built types, and a sink that rejects.
const Catalog& catalog_with_picky_sink() {
  static const std::vector<const ComponentInfo*> sinks = [] {
    const Catalog built = built_catalog();
    std::vector<const ComponentInfo*> all(built.sinks.begin(), built.sinks.end());
    all.push_back(&picky_info);
    return all;
  }();
  static const Catalog catalog = [] {
    Catalog all = built_catalog();
    all.sinks = sinks;
    return all;
  }();
  return catalog;
}

constexpr const SinkType* more_sinks[] = {&picky_sink};

/// netcat r1 -> memory c1 -> picky k1.
std::string picky(std::uint16_t in) {
  std::string text = relay(1, in, 1);
  text.replace(text.find("= tcp"), 5, "= picky");
  text.erase(text.find("a1.sinks.k1.hostname"),
             text.find("a1.sinks.k1.channel") - text.find("a1.sinks.k1.hostname"));
  return text;
}

std::string with_dead_letters(const std::string& type, std::uint16_t out) {
  return "a1.sinks.k1.deadLetterChannel = dead\na1.channels.dead.type = " + type +
         "\na1.channels.dead.capacity = 100000\na1.sinks.kd.type = tcp\n"
         "a1.sinks.kd.hostname = 127.0.0.1\na1.sinks.kd.port = " +
         std::to_string(out) + "\na1.sinks.kd.channel = dead\n";
}

/// `count` lines, each second one bad.
std::string mixed_lines(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    lines += (i % 2 == 0 ? "good " : "bad ") + std::to_string(i) + "\n";
  }
  return lines;
}

void send_all(std::uint16_t port, const std::string& lines) {
  TestClient client(port);
  REQUIRE(client.send(lines));
  client.half_close();
  client.read_to_end();
}

TEST_CASE("a stop lets dead letters through to the sink behind their channel") {
  const std::string lists = "a1.sources = r1\na1.channels = dead c1\na1.sinks = kd k1\n";
  // Asked to stop before anything has left c1, with the channels and sinks in the wrong order.
  for (int round = 0; round < 5; ++round) {
    TestReceiver receiver;
    const std::uint16_t in = free_port();
    const Plan plan = plan_of(lists + picky(in) + with_dead_letters("memory", receiver.port()),
                              catalog_with_picky_sink());
    Agent agent(plan, {.more_sinks = more_sinks});
    REQUIRE(agent.start().ok());
    send_all(in, mixed_lines(4000));
    CHECK(agent.stop() == 0);
    std::string expected;
    for (int i = 1; i < 4000; i += 2) expected += "bad " + std::to_string(i) + "\n";
    CHECK(eventually([&] { return receiver.received() == expected; }));
    CHECK(used_bytes(agent) == 0);
  }
}

TEST_CASE("a stop lets the dead letters of every sink of a group through") {
  for (int round = 0; round < 3; ++round) {
    TestReceiver receiver;
    const std::uint16_t in = free_port();
    std::string text = "a1.sources = r1\na1.channels = dead c1 other\na1.sinks = kd k1 k2 ko\n" +
                       picky(in) + with_dead_letters("memory", receiver.port()) +
                       "a1.sinks.k2.type = picky\na1.sinks.k2.channel = c1\n"
                       "a1.sinks.k2.deadLetterChannel = other\na1.channels.other.type = memory\n"
                       "a1.channels.other.capacity = 10000\na1.sinks.ko.type = tcp\n"
                       "a1.sinks.ko.hostname = 127.0.0.1\na1.sinks.ko.channel = other\n"
                       "a1.sinks.ko.port = " +
                       std::to_string(receiver.port()) +
                       "\na1.sinkgroups = g1\na1.sinkgroups.g1.sinks = k1 k2\n"
                       "a1.sinkgroups.g1.processor.type = load_balance\n";
    Agent agent(plan_of(text, catalog_with_picky_sink()), {.more_sinks = more_sinks});
    REQUIRE(agent.start().ok());
    const auto ready = [&] {
      std::vector<std::string> sinks;
      for (const auto& state : agent.states()) {
        if (state.ready && state.component.starts_with("sink")) sinks.push_back(state.component);
      }
      return sinks;
    };
    const std::vector<std::string> all{"sink group g1", "sink k1", "sink k2", "sink kd", "sink ko"};
    CHECK(eventually([&] { return ready() == all; }));
    send_all(in, mixed_lines(4000));
    CHECK(agent.stop() == 0);
    std::uint64_t letters = 0;
    for (const SinkMetrics& sink : agent.metrics().sinks()) {
      letters += sink.counters->dead_lettered.events.get();
    }
    CHECK(letters == 2000);
    CHECK(eventually([&] {
      const std::string received = receiver.received();
      return std::count(received.begin(), received.end(), '\n') == 2000;
    }));
    CHECK(used_bytes(agent) == 0);
  }
}

TEST_CASE("a durable dead-letter channel keeps what a stop leaves in it") {
  const testing::TempDirectory state;
  const std::string lists = "a1.sources = r1\na1.channels = c1 dead\na1.sinks = k1 kd\n";
  const std::uint16_t in = free_port();
  const std::uint16_t out = free_port();
  const Plan plan =
      plan_of(lists + picky(in) + with_dead_letters("rocksdb", out), catalog_with_picky_sink());
  {
    Agent agent(plan, {.state_directory = state.path(""), .more_sinks = more_sinks});
    REQUIRE(agent.start().ok());
    send_all(in, mixed_lines(100));
    CHECK(agent.stop() == 0);
  }
  TestReceiver receiver(out);
  Agent agent(plan, {.state_directory = state.path(""), .more_sinks = more_sinks});
  REQUIRE(agent.start().ok());
  CHECK(eventually([&] { return receiver.received().ends_with("bad 99\n"); }));
  agent.stop();
  CHECK(receiver.received().starts_with("bad 1\nbad 3\n"));
}

TEST_CASE("a state that no sink has cannot be forgotten, and that is said") {
  const std::string counting = relay(1, free_port(), free_port()) +
                               "a1.sinks.words.type = microbatch\na1.sinks.words.channel = c1\n"
                               "a1.sinks.words.query = count by body | print\n";
  const Plan plan = plan_of("a1.sources = r1\na1.channels = c1\na1.sinks = k1 words\n" + counting);
  const testing::CapturedLog log;
  { Agent agent(plan, {.reset_state = {"words"}}); }
  CHECK_FALSE(log.has("--reset-state"));
  { Agent agent(plan, {.reset_state = {"word", "k1"}}); }
  CHECK(
      log.has("--reset-state word: no microbatch sink that runs is called so, so nothing is "
              "forgotten; did you mean 'words'?"));
  CHECK(log.has("--reset-state k1: "));
}

TEST_CASE("without a dead-letter channel the agent has a file for them") {
  const testing::CapturedLog log;
  const testing::TempDirectory state;
  const std::uint16_t in = free_port();
  const Plan plan = plan_of(one + picky(in), catalog_with_picky_sink());
  Agent agent(plan, {.state_directory = state.path(""),
                     .dead_letter_bytes_max = 2000,
                     .drain_max = milliseconds(100),
                     .more_sinks = more_sinks});
  REQUIRE(agent.start().ok());
  send_all(in, "good 1\nbad 1\nbad 2\n");
  const std::string path = state.path("") + "/dead-letters/a1.jsonl";
  const auto lines = [&] {
    auto text = FileSystem::real().read(path, 0, 1 << 20);
    return text.ok() ? std::count(text->begin(), text->end(), '\n') : 0;
  };
  CHECK(eventually([&] { return lines() == 2; }));
  CHECK(
      log.wait_for_text("sink k1: 2 events can never be delivered: it is bad; they are put into"));
  CHECK(log.has(path));
  // It is full soon; then the sink says so and keeps what it has.
  send_all(in, mixed_lines(40));
  CHECK(log.wait_for_text("is full"));
  CHECK(eventually(
      [&] { return agent.metrics().sinks()[0].counters->delivered.events.get() == 21; }));
  const SinkCounters& counters = *agent.metrics().sinks()[0].counters;
  CHECK(counters.dead_lettered.events.get() < 22);
  REQUIRE(FileSystem::real().rename(path, path + ".old").ok());
  CHECK(
      eventually([&] { return counters.dead_lettered.events.get() == 22; }, milliseconds(20'000)));
  CHECK(lines() > 0);
  agent.stop();
}

}  // namespace
}  // namespace sluice

// One heap allocation a batch at most, over all threads, once everything is warm.
// test: alone no-sanitizer
//
// malloc() and its kin are replaced in this program and count while a test watches.

#include <atomic>
#include <cstdlib>

#include "agent/agent.h"
#include "core/config/tree.h"
#include "core/net/udp_socket.h"
#include "tests/catch.h"
#include "tests/support/sockets.h"

extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* old, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
}

namespace {
std::atomic<bool> watching{false};
std::atomic<std::uint64_t> allocations{0};
// Of the thread that is the outside world.
thread_local bool outside = false;

void count_one() noexcept {
  if (watching.load(std::memory_order_relaxed) && !outside) {
    allocations.fetch_add(1, std::memory_order_relaxed);
  }
}
}  // namespace

extern "C" void* malloc(std::size_t bytes) {
  count_one();
  return __libc_malloc(bytes);
}
extern "C" void* calloc(std::size_t count, std::size_t bytes) {
  count_one();
  return __libc_calloc(count, bytes);
}
extern "C" void* realloc(void* old, std::size_t bytes) {
  count_one();
  return __libc_realloc(old, bytes);
}
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  count_one();
  return __libc_memalign(alignment, bytes);
}
extern "C" int posix_memalign(void** result, std::size_t alignment, std::size_t bytes) {
  count_one();
  *result = __libc_memalign(alignment, bytes);
  return *result == nullptr ? 12 : 0;
}

namespace sluice {
namespace {

// Single lines make the slowest batches; a part of them shows the same.
std::uint64_t batches_watched(std::size_t chunk_lines) { return chunk_lines == 1 ? 2500 : 10'000; }

enum class Answers : bool { None, Ok };

Plan plan_of(std::uint16_t in, const std::string& sink, Answers answers = Answers::None) {
  const std::string text =
      "a1.sources = r1\na1.channels = c1\na1.sinks = k1\n"
      "a1.sources.r1.type = netcat\na1.sources.r1.bind = 127.0.0.1\n"
      "a1.sources.r1.ack-every-event = " +
      std::string(answers == Answers::Ok ? "true" : "false") +
      "\na1.sources.r1.channels = c1\na1.sources.r1.port = " + std::to_string(in) +
      "\na1.channels.c1.type = memory\na1.channels.c1.capacity = 100000\n"
      "a1.sinks.k1.channel = c1\n" +
      sink;
  std::vector<SourceText> texts;
  texts.emplace_back("a1.conf", text);
  Plan plan = make_plan(load_texts(std::move(texts), {}).tree, "a1", built_catalog());
  REQUIRE(plan.verdict == Verdict::Runs);
  return plan;
}

struct Figures {
  std::uint64_t batches = 0;
  std::uint64_t allocations = 0;
};

/// Sends until so many batches more are committed, as fast as the agent takes (or answers) them.
Figures watch(Agent& agent, TestClient& client, std::size_t chunk_lines, std::uint64_t batches,
              Answers answers = Answers::None) {
  const SourceCounters& source = *agent.metrics().sources()[0].counters;
  const ChannelCounters& channel = *agent.metrics().channels()[0].counters;
  std::string chunk;
  for (std::size_t i = 0; i < chunk_lines; ++i) chunk += std::string(99, 'x') + "\n";
  const auto send_until = [&](std::uint64_t count) {
    const std::uint64_t until = source.batches.get() + count;
    while (source.batches.get() < until) {
      REQUIRE(client.send(chunk));
      const std::size_t answer_bytes = answers == Answers::Ok ? 3 * chunk_lines : 0;
      REQUIRE(client.read(answer_bytes).size() == answer_bytes);
    }
    REQUIRE(eventually([&] { return channel.put.events.get() == channel.committed.events.get(); }));
  };
  send_until(500);  // warm
  const std::uint64_t before = source.batches.get();
  allocations = 0;
  watching = true;
  send_until(batches);
  watching = false;
  return {source.batches.get() - before, allocations};
}

/// One a batch. A sink that falls behind takes several at once, two at least, and has a list of
/// them then. A queue that gets longer than ever before doubles once, which has nothing to do with
/// batches.
constexpr std::uint64_t allowed(std::uint64_t batches) {
  constexpr std::uint64_t queues_grow = 8;
  return batches + batches / 2 + queues_grow;
}

TEST_CASE("the counting works") {
  watching = true;
  allocations = 0;
  { const auto one = std::make_unique<std::uint64_t>(1); }
  void* const aligned = std::aligned_alloc(64, 128);
  watching = false;
  std::free(aligned);
  CHECK(allocations == 2);
}

TEST_CASE("netcat to null allocates once a batch at most") {
  outside = true;
  for (const std::size_t chunk_lines : {1U, 100U}) {
    const std::uint16_t in = free_port();
    Agent agent(plan_of(in, "a1.sinks.k1.type = null\n"), {});
    REQUIRE(agent.start().ok());
    TestClient client(in);
    const Figures figures = watch(agent, client, chunk_lines, batches_watched(chunk_lines));
    INFO(figures.allocations << " allocations, " << figures.batches << " batches");
    CHECK(figures.batches >= batches_watched(chunk_lines));
    CHECK(figures.allocations <= allowed(figures.batches));
  }
}

TEST_CASE("netcat with answers allocates once a batch at most") {
  outside = true;
  constexpr std::uint64_t batches = 10'000;
  for (const std::size_t chunk_lines : {1U, 100U}) {
    const std::uint16_t in = free_port();
    Agent agent(plan_of(in, "a1.sinks.k1.type = null\n", Answers::Ok), {});
    REQUIRE(agent.start().ok());
    TestClient client(in);
    const Figures figures = watch(agent, client, chunk_lines, batches, Answers::Ok);
    INFO(figures.allocations << " allocations, " << figures.batches << " batches");
    CHECK(figures.batches >= batches);
    CHECK(figures.allocations <= allowed(figures.batches));
  }
}

TEST_CASE("a filter and a selector allocate nothing") {
  outside = true;
  const std::string between =
      "a1.sources.r1.interceptors = i1 i2 i3\n"
      "a1.sources.r1.interceptors.i1.type = regex_filter\n"
      "a1.sources.r1.interceptors.i1.regex = ERROR|FATAL\n"
      "a1.sources.r1.interceptors.i1.excludeEvents = true\n"
      "a1.sources.r1.interceptors.i2.type = static\n"
      "a1.sources.r1.interceptors.i3.type = remove_header\n"
      "a1.sources.r1.interceptors.i3.matching = [a-j].*\n"
      "a1.sources.r1.selector.type = multiplexing\na1.sources.r1.selector.header = key\n"
      "a1.sources.r1.selector.mapping.value = c1\na1.sources.r1.selector.default = c1\n";
  const std::uint16_t in = free_port();
  Agent agent(plan_of(in, "a1.sinks.k1.type = null\n" + between), {});
  REQUIRE(agent.start().ok());
  TestClient client(in);
  const Figures figures = watch(agent, client, 100, 10'000);
  INFO(figures.allocations << " allocations, " << figures.batches << " batches");
  CHECK(figures.allocations <= allowed(figures.batches));
}

TEST_CASE("receiving datagrams allocates nothing, the senders' addresses included") {
  outside = false;
  auto socket = UdpSocket::bind({.host = "127.0.0.1", .senders = true});
  REQUIRE(socket.ok());
  const TestSocket sender(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in own = loopback(0);
  own.sin_addr.s_addr = ::inet_addr("127.111.111.111");  // too long for a short string
  REQUIRE(::bind(sender.fd(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
  const sockaddr_in address = loopback(socket->port());
  for (int i = 0; i < 10; ++i) {
    REQUIRE(::sendto(sender.fd(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&address),
                     sizeof address) == 1);
  }
  allocations = 0;
  watching = true;
  const auto got = socket->receive();
  watching = false;
  REQUIRE(got.ok());
  CHECK(got.value() == 10);
  CHECK((*socket)[9].sender.starts_with("127.111.111.111:"));
  CHECK(allocations == 0);
}

TEST_CASE("netcat to tcp allocates once a batch at most") {
  outside = true;
  for (const std::size_t chunk_lines : {1U, 100U}) {
    TestReceiver receiver(0, 0, [] { outside = true; });
    receiver.count_only();
    const std::uint16_t in = free_port();
    Agent agent(plan_of(in,
                        "a1.sinks.k1.type = tcp\na1.sinks.k1.hostname = 127.0.0.1\n"
                        "a1.sinks.k1.port = " +
                            std::to_string(receiver.port()) + "\n"),
                {});
    REQUIRE(agent.start().ok());
    TestClient client(in);
    const Figures figures = watch(agent, client, chunk_lines, batches_watched(chunk_lines));
    INFO(figures.allocations << " allocations, " << figures.batches << " batches");
    CHECK(figures.allocations <= allowed(figures.batches));
  }
}

}  // namespace
}  // namespace sluice

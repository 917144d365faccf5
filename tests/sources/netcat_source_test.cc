// Lines over real sockets, as Flume's netcat source takes them.

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "sources/catalog.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/sockets.h"
#include "tests/support/source_rig.h"

namespace sluice {
namespace {

using Values = std::initializer_list<std::pair<std::string, std::string>>;

const std::string too_long_512 =
    "FAILED: Event exceeds the maximum length (512 chars, including newline)\n";

class Netcat {
 public:
  explicit Netcat(Values more = {}, SourceRig::Options options = {}, Committer* committer = nullptr)
      : port_(free_port()) {
    const SourceType* const type = find_type(source_types(), "netcat");
    std::map<std::string, Settings::Value, std::less<>> values;
    values["bind"] = {"127.0.0.1", {}, 0};
    values["port"] = {std::to_string(port_), {}, 0};
    for (const auto& [key, value] : more) values[key] = {value, {}, 0};
    rig = std::make_unique<SourceRig>(*type, Settings("source r1", "r1", *type->info, values),
                                      std::move(options), committer);
    REQUIRE(rig->open().ok());
    rig->start();
  }
  ~Netcat() {
    rig->stop();
    CHECK(rig->window().used_bytes() == 0);
    CHECK(rig->balanced());
    CHECK(rig->counters().connections_open.get() == 0);
  }
  TestClient client(int receive_buffer = 0) const { return TestClient(port_, receive_buffer); }

  std::unique_ptr<SourceRig> rig;

 private:
  const std::uint16_t port_;
};

using Bodies = std::vector<std::string>;

TEST_CASE("each line is an event and is answered with OK") {
  Netcat netcat;
  TestClient client = netcat.client();
  REQUIRE(client.send("hello\n"));
  CHECK(client.read(3) == "OK\n");
  REQUIRE(client.send("one\ntwo\n\nthree\r\n"));
  CHECK(client.read(12) == "OK\nOK\nOK\nOK\n");
  CHECK(netcat.rig->take(5) == Bodies{"hello", "one", "two", "", "three\r"});
  CHECK(netcat.rig->counters().made.events.get() == 5);
  CHECK(netcat.rig->counters().connections_opened.get() == 1);
}

TEST_CASE("without acknowledgements nothing is answered") {
  Netcat netcat({{"ack-every-event", "false"}});
  TestClient client = netcat.client();
  REQUIRE(client.send("one\ntwo\n"));
  CHECK(netcat.rig->take(2) == Bodies{"one", "two"});
  client.half_close();
  CHECK(client.read_to_end().empty());
  CHECK(client.ended());
}

TEST_CASE("a line may come in pieces and several lines in one packet") {
  Netcat netcat;
  TestClient client = netcat.client();
  for (const char* piece : {"par", "t", "ial\nsec", "ond\nthird"}) {
    REQUIRE(client.send(piece));
    // Without waiting the kernel would join the pieces.
    client.read(1, milliseconds(5));
  }
  REQUIRE(client.send("\n"));
  CHECK(netcat.rig->take(3) == Bodies{"partial", "second", "third"});
}

TEST_CASE("the last line needs no line feed, and a half-closed peer gets its answers") {
  Netcat netcat;
  TestClient client = netcat.client();
  REQUIRE(client.send("one\nlast"));
  client.half_close();
  CHECK(client.read_to_end() == "OK\nOK\n");
  CHECK(client.ended());
  CHECK(netcat.rig->take(2) == Bodies{"one", "last"});
}

TEST_CASE("a connection that breaks in the middle of a line leaves no event") {
  Netcat netcat;
  TestClient client = netcat.client();
  REQUIRE(client.send("whole\ntorn"));
  CHECK(client.read(3) == "OK\n");
  client.reset();
  CHECK(eventually([&] { return netcat.rig->counters().connections_open.get() == 0; }));
  CHECK(netcat.rig->counters().rejected_lines.get() == 1);
  CHECK(netcat.rig->take(1) == Bodies{"whole"});
  CHECK(netcat.rig->channel().size_events() == 0);
}

TEST_CASE("511 characters and a line feed pass, 512 are refused with Flume's words") {
  Netcat netcat;
  {
    TestClient client = netcat.client();
    REQUIRE(client.send(std::string(511, 'a') + "\n"));
    CHECK(client.read(3) == "OK\n");
    REQUIRE(client.send("good\n" + std::string(512, 'b') + "\nbehind\n"));
    CHECK(client.read_to_end() == "OK\n" + too_long_512);
    CHECK(client.ended());
  }
  {
    TestClient client = netcat.client();  // refused before its line feed comes
    REQUIRE(client.send(std::string(600, 'c')));
    CHECK(client.read_to_end() == too_long_512);
  }
  CHECK(netcat.rig->take(2) == Bodies{std::string(511, 'a'), "good"});
  CHECK(netcat.rig->counters().rejected_lines.get() == 2);
  CHECK(netcat.rig->channel().size_events() == 0);
}

TEST_CASE("the limit counts characters as Java does, not bytes") {
  Netcat netcat;
  std::string fits;
  for (int i = 0; i < 511; ++i) fits += "\xE4\xBD\xA0";
  std::string pairs;
  for (int i = 0; i < 255; ++i) pairs += "\xF0\x9F\x98\x80";  // two of Java's characters each
  {
    TestClient client = netcat.client();
    REQUIRE(client.send(fits + "\n" + pairs + "x\n"));
    CHECK(client.read(6) == "OK\nOK\n");
    REQUIRE(client.send(fits + "\xE4\xBD\xA0\n"));
    CHECK(client.read_to_end() == too_long_512);
  }
  {
    TestClient client = netcat.client();
    REQUIRE(client.send(pairs + "xx\n"));
    CHECK(client.read_to_end() == too_long_512);
  }
  CHECK(netcat.rig->take(2) == Bodies{fits, pairs + "x"});
}

TEST_CASE("long lines pass where the limit allows them") {
  Netcat netcat({{"max-line-length", "12000000"}});
  TestClient client = netcat.client();
  Bodies lines;
  for (const std::size_t bytes : {65'535U, 65'536U, 65'537U, 600'000U, 10'000'000U, 5U}) {
    lines.push_back(std::string(bytes, static_cast<char>('a' + lines.size())));
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  REQUIRE(client.send(text));
  CHECK(client.read(18) == "OK\nOK\nOK\nOK\nOK\nOK\n");
  CHECK((netcat.rig->take(6) == lines));
  REQUIRE(client.send(std::string(12'000'010, 'z')));
  CHECK(client.read_to_end() ==
        "FAILED: Event exceeds the maximum length (12000000 chars, including newline)\n");
}

TEST_CASE("very many very short lines pass") {
  Netcat netcat;
  TestClient client = netcat.client();
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += i % 3 == 0 ? "x\n" : "\n";
  std::jthread sender([&] { CHECK(client.send(text)); });
  CHECK(netcat.rig->take(300'000).size() == 300'000);
  sender.join();
  CHECK(client.read(900'000).size() == 900'000);
}

/// Sends in segments that the system does not join.
void send_slowly(TestClient& client, std::string_view text, std::size_t segment_bytes) {
  for (; !text.empty(); text.remove_prefix(std::min(segment_bytes, text.size()))) {
    REQUIRE(client.send(text.substr(0, segment_bytes)));
    client.read(1, milliseconds(1));
  }
}

TEST_CASE("empty lines do not take the room of a long line that follows in small segments") {
  Netcat netcat({{"ack-every-event", "false"}, {"max-line-length", "70000"}});
  TestClient client = netcat.client();
  REQUIRE(client.send(std::string(100'000, '\n')));
  CHECK(netcat.rig->take(100'000).size() == 100'000);
  const std::string line(66'000, 'l');
  send_slowly(client, line, 1000);
  REQUIRE(client.send("\n"));
  CHECK((netcat.rig->take(1) == Bodies{line}));
}

TEST_CASE("empty lines of one client do not take the room of another one's long lines") {
  Netcat netcat({{"ack-every-event", "false"}, {"max-line-length", "70000"}});
  TestClient client = netcat.client();
  std::atomic<std::uint64_t> empty_lines{0};
  std::jthread other([&](std::stop_token stop) {
    TestClient of_empty_lines = netcat.client();
    for (; !stop.stop_requested(); empty_lines += 1000) {
      if (!of_empty_lines.send(std::string(1000, '\n'))) return;
    }
  });
  const std::string line(66'000, 'l');
  std::jthread sender([&] {
    send_slowly(client, line, 2000);
    REQUIRE(client.send("\n"));
  });
  bool found = false;
  const Deadline deadline = Deadline::in(test_patience);
  while (!found && !deadline.passed()) {
    for (const std::string& body : netcat.rig->take(100)) found = found || body == line;
  }
  CHECK(found);
  other.request_stop();
  other.join();
  CHECK(empty_lines > 0);
}

TEST_CASE("a long line that ends in one burst is judged as a whole") {
  Netcat netcat({{"max-line-length", "100000"}});
  std::string fits;
  for (int i = 0; i < 99'999; ++i) fits += "\xC3\xA4";
  for (const std::size_t front : {40'001U, 90'001U, 180'000U}) {
    TestClient client = netcat.client();
    REQUIRE(client.send(fits.substr(0, front)));
    client.read(1, milliseconds(20));
    REQUIRE(client.send(fits.substr(front) + "\n"));
    CHECK(client.read(3) == "OK\n");
    CHECK((netcat.rig->take(1) == Bodies{fits}));
    REQUIRE(client.send(fits.substr(0, front)));
    client.read(1, milliseconds(20));
    REQUIRE(client.send(fits.substr(front) + "x\n"));
    CHECK(client.read_to_end().starts_with("FAILED: Event exceeds the maximum length (100000"));
  }
  CHECK(netcat.rig->channel().size_events() == 0);
}

TEST_CASE("the last line without a line feed is judged too") {
  Netcat netcat;
  TestClient client = netcat.client();
  REQUIRE(client.send(std::string(512, 'x')));
  client.half_close();
  CHECK(client.read_to_end() == too_long_512);
  CHECK(netcat.rig->channel().size_events() == 0);
}

TEST_CASE("stalled clients with long unfinished lines shut out nobody whose lines are short") {
  const testing::CapturedLog log;
  Netcat netcat({{"max-line-length", "1048576"}});
  std::vector<TestClient> stalled;
  for (const std::size_t bytes : {1'048'000U, 1'048'000U, 1'048'000U, 1'048'000U, 2'300U}) {
    stalled.push_back(netcat.client());
    REQUIRE(stalled.back().send(std::string(bytes, 's')));
  }
  TestClient client = netcat.client();
  for (int i = 0; i < 100; ++i) {  // by then all of the above is read
    REQUIRE(client.send(std::string(100, 'x')));
    client.read(1, milliseconds(1));
    REQUIRE(client.send("\n"));
    REQUIRE(client.read(3) == "OK\n");
  }
  REQUIRE(client.send(std::string(100'000, 'l')));
  CHECK(client.read_to_end() ==
        "FAILED: Too many bytes of unfinished lines on all connections together\n");
  CHECK(log.has("unfinished lines of all connections together are longer than 4194304 bytes"));
  CHECK(netcat.rig->window().peak_bytes() <= netcat.rig->window().limit_bytes());
}

TEST_CASE("a flood without a line feed is refused before it becomes memory") {
  Netcat netcat;
  const auto peak = [&] { return netcat.rig->window().peak_bytes(); };
  TestClient client = netcat.client();
  REQUIRE(client.send("one\n"));
  REQUIRE(client.read(3) == "OK\n");
  const std::uint64_t before = peak();
  REQUIRE(client.send(std::string(200'000, 'f')));
  CHECK(client.read_to_end() == too_long_512);
  CHECK(peak() - before < 64 * 1024);
}

TEST_CASE("an unfinished line that a stop cuts off is counted") {
  Netcat netcat;
  TestClient client = netcat.client();
  REQUIRE(client.send("one\nunfinished"));
  REQUIRE(client.read(3) == "OK\n");
  CHECK(netcat.rig->take(1) == Bodies{"one"});
  netcat.rig->stop();
  CHECK(netcat.rig->counters().rejected_lines.get() == 1);
}

TEST_CASE("lines that a stop leaves without room are counted") {
  const testing::CapturedLog log;
  for (const char* ack : {"true", "false"}) {
    SourceRig::Options options;
    options.channel.capacity_events = 10;
    Netcat netcat({{"ack-every-event", ack}}, std::move(options));
    TestClient client = netcat.client();
    REQUIRE(client.send("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"));
    REQUIRE(eventually([&] { return netcat.rig->channel().size_events() == 10; }));
    REQUIRE(client.send("11\n12\n"));
    REQUIRE(eventually([&] { return netcat.rig->channel().counters().put_waits.get() > 0; }));
    netcat.rig->stop();
    CHECK(netcat.rig->counters().rejected_lines.get() == 2);
  }
  CHECK(log.has("2 lines are not taken"));
}

TEST_CASE("a thousand connections, each with its own lines") {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const std::size_t count = std::min<std::size_t>(1000, files.rlim_cur / 2 - 50);
  Netcat netcat;
  std::vector<TestClient> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(netcat.client());
    REQUIRE(clients.back().connected());
  }
  for (std::size_t i = 0; i < count; ++i) REQUIRE(clients[i].send(std::to_string(i) + "\n"));
  for (TestClient& client : clients) REQUIRE(client.read(3) == "OK\n");
  CHECK(netcat.rig->counters().connections_open.get() == count);
  Bodies bodies = netcat.rig->take(count);
  std::sort(bodies.begin(), bodies.end());
  CHECK(std::unique(bodies.begin(), bodies.end()) == bodies.end());
  CHECK(bodies.size() == count);
}

TEST_CASE("a peer that never reads its answers is held back and costs bounded memory") {
  Netcat netcat;
  TestClient client = netcat.client(4096);
  const std::string chunk(64 * 1024, '\n');  // three bytes of answer a byte
  std::uint64_t sent = 0;
  std::jthread taker([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      Taken taken =
          netcat.rig->channel().take({.events_max = 100'000, .wait_max = milliseconds(20)}, {});
      if (!taken.empty()) commit(std::move(taken));
    }
  });
  while (sent < 64 << 20 && client.send(chunk, milliseconds(500))) sent += chunk.size();
  CHECK(sent < 64 << 20);
  CHECK(netcat.rig->window().used_bytes() > Slab::bytes_default);  // answers are paid for
  CHECK(netcat.rig->window().peak_bytes() <= netcat.rig->window().limit_bytes());
  TestClient other = netcat.client();  // nobody else is held back
  REQUIRE(other.send("hello\n"));
  CHECK(other.read(3) == "OK\n");
}

TEST_CASE("a full channel holds the sender back") {
  SourceRig::Options options;
  options.channel.capacity_events = 10;
  Netcat netcat({}, std::move(options));
  TestClient client = netcat.client();
  std::string text;
  for (int i = 0; i < 100; ++i) text += std::to_string(i) + "\n";
  REQUIRE(client.send(text));
  CHECK(client.read(30) == "OK\nOK\nOK\nOK\nOK\nOK\nOK\nOK\nOK\nOK\n");
  CHECK(client.read(3, milliseconds(50)).empty());
  const Bodies bodies = netcat.rig->take(100);
  for (int i = 0; i < 100; ++i) CHECK(bodies[static_cast<std::size_t>(i)] == std::to_string(i));
  CHECK(client.read(270).size() == 270);
}

TEST_CASE("with onFull = reject a full channel answers FAILED, and what is lost is counted") {
  const testing::CapturedLog log;
  SourceRig::Options options;
  options.channel.capacity_events = 2;
  options.channel.keep_alive = milliseconds(1);
  options.processor.on_full = OnFull::Reject;
  Netcat netcat({{"onFull", "reject"}}, std::move(options));
  TestClient client = netcat.client();
  REQUIRE(client.send("one\ntwo\n"));
  CHECK(client.read(6) == "OK\nOK\n");
  REQUIRE(client.send("three\n"));
  CHECK(client.read(8) == "FAILED: ");
  CHECK(netcat.rig->counters().rejected_lines.get() == 1);
  CHECK(log.has("1 lines are not taken"));
  CHECK(netcat.rig->take(2) == Bodies{"one", "two"});
  CHECK(netcat.rig->channel().size_events() == 0);
}

TEST_CASE("lines that are on their way are answered before the source closes") {
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  Netcat netcat({}, {}, &committer);
  TestClient client = netcat.client();
  REQUIRE(client.send("one\n"));
  REQUIRE(eventually([&] { return committer.submitted() == 1; }));
  std::jthread stopper([&] { netcat.rig->stop(); });
  CHECK(client.read(3, milliseconds(20)).empty());
  committer.resume();
  CHECK(client.read_to_end() == "OK\n");
}

TEST_CASE("a taken port says so and is free again after close") {
  const std::uint16_t port = free_port();
  const SourceType* const type = find_type(source_types(), "netcat");
  const Settings settings = test_settings(*type->info, "source r1",
                                          {{"bind", "127.0.0.1"}, {"port", std::to_string(port)}});
  SourceRig first(*type, settings, {});
  REQUIRE(first.open().ok());
  SourceRig second(*type, settings, {});
  const Status status = second.open();
  CHECK(status.code() == Code::Retry);
  CHECK(status.message().find(std::to_string(port)) != std::string::npos);
  first.start();
  first.stop();
  CHECK(second.open().ok());
}

}  // namespace
}  // namespace sluice

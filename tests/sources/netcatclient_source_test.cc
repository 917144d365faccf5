#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/pipeline.h"

namespace sluice {

extern const SourceType netcatclient_source;

namespace {

using testing::CapturedLog;
using testing::Pipeline;
using testing::wait_for;
using Lines = std::vector<std::string>;

/// A listener on 127.0.0.1 that talks to one client at a time.
class Server {
 public:
  explicit Server(std::uint16_t port = 0) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    REQUIRE(::listen(listener_, 8) == 0);
  }
  ~Server() {
    hang_up();
    ::close(listener_);
  }
  std::string port() const { return std::to_string(port_); }

  void accept() {
    pollfd ready{listener_, POLLIN, 0};
    REQUIRE(::poll(&ready, 1, 20'000) == 1);
    client_ = ::accept(listener_, nullptr, nullptr);
    REQUIRE(client_ >= 0);
  }
  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(client_, text.data(), text.size(), MSG_NOSIGNAL);
      REQUIRE(sent > 0);
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void hang_up() {
    if (client_ >= 0) ::close(std::exchange(client_, -1));
  }
  /// Ends the connection as a crashed machine would.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(client_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    hang_up();
  }

 private:
  int listener_;
  int client_ = -1;
  std::uint16_t port_ = 0;
};

std::map<std::string, std::string> to(const Server& server,
                                      std::map<std::string, std::string> more = {}) {
  more["host"] = "127.0.0.1";
  more["port"] = server.port();
  return more;
}

TEST_CASE("netcatclient: lines that a server sends are events") {
  Server server;
  Pipeline pipeline(netcatclient_source, to(server));
  REQUIRE(pipeline.start().ok());
  server.accept();
  server.send("one\ntwo\r\nthr");
  CHECK(pipeline.read(2) == Lines{"one", "two\r"});
  server.send("ee\n");
  CHECK(pipeline.read(1) == Lines{"three"});
  CHECK(pipeline.counters.connections_open.get() == 1);
}

TEST_CASE("netcatclient: it connects again after the end, and the last line needs no line feed") {
  Server server;
  Pipeline pipeline(netcatclient_source, to(server));
  REQUIRE(pipeline.start().ok());
  server.accept();
  server.send("one\nlast");
  server.hang_up();
  CHECK(pipeline.read(2) == Lines{"one", "last"});
  server.accept();
  server.send("again\n");
  CHECK(pipeline.read(1) == Lines{"again"});
  CHECK(pipeline.counters.connections_opened.get() == 2);
  CHECK(pipeline.counters.rejected_lines.get() == 0);
}

TEST_CASE("netcatclient: half a line of a connection that broke is dropped and counted") {
  const CapturedLog log;
  Server server;
  Pipeline pipeline(netcatclient_source, to(server));
  REQUIRE(pipeline.start().ok());
  server.accept();
  server.send("whole\nhal");
  REQUIRE(pipeline.read(1) == Lines{"whole"});
  server.reset();
  server.accept();
  server.send("next\n");
  CHECK(pipeline.read(1) == Lines{"next"});
  // The torn bytes may still have been under way; then the reset has thrown them away itself.
  CHECK(pipeline.counters.rejected_lines.get() == (log.has("unfinished line are dropped") ? 1 : 0));
  CHECK(pipeline.counters.read_failures.get() == 1);
}

TEST_CASE("netcatclient: without reconnect the end of the connection is the end") {
  Server server;
  Pipeline pipeline(netcatclient_source, to(server, {{"reconnect", "false"}}));
  REQUIRE(pipeline.start().ok());
  server.accept();
  server.send("a\nb");
  server.hang_up();
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.result.ok());
  CHECK(pipeline.read_rest() == Lines{"a", "b"});
}

TEST_CASE("netcatclient: a server that is down is tried until it is there") {
  const CapturedLog log;
  std::uint16_t port;
  {
    const Server probe;
    port = static_cast<std::uint16_t>(std::stoi(probe.port()));
  }
  Pipeline pipeline(netcatclient_source, {{"host", "127.0.0.1"}, {"port", std::to_string(port)}});
  REQUIRE(pipeline.start().ok());
  REQUIRE(log.wait_for_text("Connection refused"));
  Server server(port);
  server.accept();
  server.send("there\n");
  CHECK(pipeline.read(1) == Lines{"there"});
}

TEST_CASE("netcatclient: a stop ends a silent connection and a wait for a server") {
  Server server;
  Pipeline silent(netcatclient_source, to(server));
  REQUIRE(silent.start().ok());
  server.accept();
  const auto before = std::chrono::steady_clock::now();
  silent.stop();
  CHECK(silent.result.ok());
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(5));
}

TEST_CASE("netcatclient: a full channel stops the reading, and nothing is lost") {
  Server server;
  Pipeline pipeline(netcatclient_source, to(server),
                    {.channel = {{.name = "c1", .capacity_events = 50}}});
  REQUIRE(pipeline.start().ok());
  server.accept();
  std::jthread sender([&] {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + "\n";
    server.send(text);
  });
  REQUIRE(wait_for([&] { return pipeline.channel.counters().put_waits.get() > 0; }));
  CHECK(pipeline.channel.size_events() <= 50);
  const Lines lines = pipeline.read(100'000);
  REQUIRE(lines.size() == 100'000);
  CHECK(lines.front() == "0");
  CHECK(lines.back() == "99999");
}

TEST_CASE("netcatclient: hostname is another name of host") {
  for (const Key& key : netcatclient_source.info->keys) {
    if (key.name == "host") CHECK(key.old_names == "hostname");
  }
}

}  // namespace
}  // namespace sluice

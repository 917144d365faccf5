// Readiness, answers and ends of accepted connections.

#include "core/net/tcp_server.h"

#include <map>
#include <thread>

#include "tests/catch.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

/// Answers every read with what it read; driven by the test's thread.
struct Echo {
  explicit Echo(TcpServer::Options options = {.host = "127.0.0.1", .name = "test"})
      : server(TcpServer::make(std::move(options),
                               {.on_open = [this](TcpConnection&) { ++opened; },
                                .on_readable = [this](TcpConnection& c) { read(c); },
                                .on_close = [this](TcpConnection&) { ++closed; }})) {
    REQUIRE(server->open().ok());
  }
  void read(TcpConnection& connection) {
    char buffer[1000];
    ++reads;
    auto got = connection.read_some(buffer);
    if (!got.ok()) {
      if (got.code() == Code::Closed) connection.finish();
      if (got.code() != Code::Closed) server->drop(connection);
      return;
    }
    connection.send({buffer, *got});
  }
  template <typename Ready>
  bool rounds_until(Ready ready) {
    const Deadline deadline = Deadline::in(test_patience);
    while (!ready() && !deadline.passed()) server->run_round(milliseconds(5));
    return ready();
  }

  int opened = 0;
  int closed = 0;
  int reads = 0;
  std::unique_ptr<TcpServer> server;
};

TEST_CASE("a connection is read, answered and closed when its peer has finished") {
  Echo echo;
  TestClient client(echo.server->port());
  REQUIRE(client.send("hello"));
  client.half_close();
  REQUIRE(echo.rounds_until([&] { return echo.reads >= 2; }));
  std::string answer;
  std::jthread reader([&] {
    answer = client.read_to_end();
    client.close();
  });
  CHECK(echo.rounds_until([&] { return echo.closed == 1; }));
  reader.join();
  CHECK(answer == "hello");
  CHECK(echo.opened == 1);
  CHECK(echo.server->connections() == 0);
}

/// An option of the connection that was accepted on a port of this process; -1: there is none.
int accepted_option(std::uint16_t port, int level, int name) {
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) continue;
    size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) continue;
    if (address.sin_family != AF_INET || ntohs(address.sin_port) != port) continue;
    int value = -1;
    size = sizeof value;
    ::getsockopt(fd, level, name, &value, &size);
    return value;
  }
  return -1;
}

TEST_CASE("a peer that vanishes without a goodbye is looked for") {
  Echo echo;
  const TestClient client(echo.server->port());
  REQUIRE(echo.rounds_until([&] { return echo.opened == 1; }));
  CHECK(accepted_option(echo.server->port(), SOL_SOCKET, SO_KEEPALIVE) == 1);
}

TEST_CASE("what is left unread is reported again") {
  Echo echo;
  TestClient client(echo.server->port());
  const std::string text(50'000, 'x');
  REQUIRE(client.send(text));
  std::string answer;
  std::jthread reader([&] { answer = client.read(text.size()); });
  CHECK(echo.rounds_until([&] { return echo.reads >= 50; }));
  reader.join();
  CHECK(answer == text);
}

TEST_CASE("a peer that does not read is not read, and goes on when it does") {
  Echo echo({.host = "127.0.0.1", .name = "test", .unsent_bytes_max = 1000});
  TestClient client(echo.server->port(), 4096);
  std::atomic<std::uint64_t> sent{0};
  std::jthread sender([&](std::stop_token stop) {
    const std::string chunk(10'000, 'y');
    while (!stop.stop_requested() && sent < 20'000'000) {
      if (client.send(chunk, milliseconds(100))) sent += chunk.size();
    }
  });
  int reads_before = -1;
  CHECK(echo.rounds_until([&] {
    const bool rests = reads_before == echo.reads && sent > 0;
    reads_before = echo.reads;
    return rests;
  }));
  CHECK(sent < 20'000'000);
  sender.request_stop();
  sender.join();
  client.close();
  CHECK(echo.rounds_until([&] { return echo.closed == 1; }));
}

TEST_CASE("the window pays for what is unsent until it is sent or its connection is gone") {
  MemoryAccount window("window", 1 << 20);
  Echo echo({.host = "127.0.0.1", .name = "test", .window = &window});
  TestClient client(echo.server->port(), 4096);
  TestClient other(echo.server->port(), 4096);
  REQUIRE(echo.rounds_until([&] { return echo.opened == 2; }));
  const std::string answer(8 << 20, 'a');  // more than the system takes at once
  echo.server->find(1)->send(answer);
  const std::uint64_t unsent = window.used_bytes();
  CHECK(unsent > 0);
  CHECK(unsent <= answer.size());
  echo.server->find(2)->send(answer);
  CHECK(window.used_bytes() > unsent);
  other.reset();
  CHECK(echo.rounds_until([&] { return echo.closed == 1; }));
  CHECK(window.used_bytes() == unsent);
  std::string received;
  std::jthread reader([&] { received = client.read(answer.size()); });
  CHECK(echo.rounds_until([&] { return window.used_bytes() == 0; }));
  reader.join();
  CHECK((received == answer));
}

TEST_CASE("a reset connection is reported closed") {
  Echo echo;
  TestClient client(echo.server->port());
  REQUIRE(client.send("x"));
  REQUIRE(echo.rounds_until([&] { return echo.reads == 1; }));
  client.reset();
  CHECK(echo.rounds_until([&] { return echo.closed == 1; }));
}

TEST_CASE("tasks run on the server's thread and find connections by id") {
  Echo echo;
  std::uint64_t last_id = 0;
  TestClient first(echo.server->port());
  REQUIRE(echo.rounds_until([&] { return echo.opened == 1; }));
  std::thread::id ran_on;
  std::jthread poster([&] {
    echo.server->post([&] {
      ran_on = std::this_thread::get_id();
      for (std::uint64_t id = 1; id < 10; ++id) {
        if (echo.server->find(id) != nullptr) last_id = id;
      }
    });
  });
  CHECK(echo.rounds_until([&] { return last_id != 0; }));
  CHECK(ran_on == std::this_thread::get_id());
  first.reset();
  CHECK(echo.rounds_until([&] { return echo.closed == 1; }));
  CHECK(echo.server->find(last_id) == nullptr);
}

TEST_CASE("what was posted before close still reaches its connection") {
  Echo echo;
  TestClient client(echo.server->port());
  REQUIRE(echo.rounds_until([&] { return echo.opened == 1; }));
  echo.server->post([&] { echo.server->find(1)->send("bye"); });
  echo.server->close();
  CHECK(client.read_to_end() == "bye");
  CHECK(echo.closed == 1);
}

TEST_CASE("a peer that was told goodbye and does not hang up is dropped in the end") {
  Echo echo;
  TestClient client(echo.server->port());
  REQUIRE(client.send("x"));
  client.half_close();
  REQUIRE(echo.rounds_until([&] { return echo.reads >= 2; }));
  CHECK(client.read_to_end() == "x");
  // The client's descriptor stays open; its half that sends is closed, which is all there is to
  // see.
  CHECK(echo.rounds_until([&] { return echo.closed == 1; }));
}

TEST_CASE("a taken port and an unknown address are Retry with the address") {
  Echo echo;
  const auto other =
      TcpServer::make({.host = "127.0.0.1", .port = echo.server->port(), .name = "other"}, {});
  const Status taken = other->open();
  CHECK(taken.code() == Code::Retry);
  CHECK(taken.message().find(std::to_string(echo.server->port())) != std::string::npos);
  const auto nowhere = TcpServer::make({.host = "203.0.113.7", .name = "other"}, {});
  CHECK(nowhere->open().code() == Code::Retry);
}

}  // namespace
}  // namespace sluice

// An outgoing connection whose waits all end.

#include "core/net/tcp_stream.h"

#include <sys/resource.h>

#include <optional>
#include <thread>

#include "tests/catch.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

Result<TcpStream> connect(std::uint16_t port) {
  return TcpStream::connect({"127.0.0.1", port}, Deadline::in(test_patience), {});
}

TEST_CASE("all pieces arrive, empty ones and more than a call takes too") {
  TestReceiver receiver;
  auto stream = connect(receiver.port());
  REQUIRE(stream.ok());
  std::vector<std::string> pieces;
  for (int i = 0; i < 1000; ++i) pieces.push_back(i % 7 == 0 ? "" : std::to_string(i) + ",");
  std::vector<iovec> views;
  std::string whole;
  for (std::string& piece : pieces) {
    views.push_back({piece.data(), piece.size()});
    whole += piece;
  }
  REQUIRE(stream->write_all(views, Deadline::never(), {}).ok());
  CHECK(eventually([&] { return receiver.received() == whole; }));
  REQUIRE(stream->write_all({}, Deadline::never(), {}).ok());
}

TEST_CASE("a refused connection is Retry with its reason") {
  const auto stream = connect(free_port());
  CHECK(stream.code() == Code::Retry);
  CHECK(stream.status().message().find("refused") != std::string::npos);
  const auto nobody =
      TcpStream::connect({"no.such.host.invalid", 1}, Deadline::in(test_patience), {});
  CHECK(nobody.code() == Code::Retry);
}

TEST_CASE("a write that nobody takes ends with its deadline or with stop") {
  TestReceiver receiver(0, 4096);
  receiver.rest(true);
  auto stream = connect(receiver.port());
  REQUIRE(stream.ok());
  std::string much(32 << 20, 'm');
  const iovec piece{much.data(), much.size()};
  const auto begin = Clock::system().steady();
  CHECK(stream->write_all({&piece, 1}, Deadline::in(milliseconds(20)), {}).code() == Code::Retry);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  CHECK(stream->write_all({&piece, 1}, Deadline::never(), stop.get_token()).code() == Code::Closed);
  CHECK(Clock::system().steady() - begin < milliseconds(5000));
}

TEST_CASE("a peer that closed is noticed before anything is written") {
  TestReceiver receiver;
  auto stream = connect(receiver.port());
  REQUIRE(stream.ok());
  CHECK_FALSE(stream->peer_is_gone());
  REQUIRE(eventually([&] { return receiver.accepted() == 1; }));
  receiver.hang_up();
  CHECK(eventually([&] { return stream->peer_is_gone(); }));
}

/// A connection whose peer is a client of the test's own.
struct Pair {
  Pair() {
    TestSocket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener.fd(), any, size) == 0);
    REQUIRE(::listen(listener.fd(), 1) == 0);
    REQUIRE(::getsockname(listener.fd(), any, &size) == 0);
    auto made = connect(ntohs(address.sin_port));
    REQUIRE(made.ok());
    stream.emplace(*std::move(made));
    peer.emplace(TestSocket(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC)));
  }
  std::optional<TcpStream> stream;
  std::optional<TestClient> peer;
};

TEST_CASE("a peer that never stops sending does not hold up who looks after it") {
  Pair pair;
  std::jthread flood([&](std::stop_token stop) {
    const std::string chunk(1 << 20, 'f');
    while (!stop.stop_requested()) pair.peer->send(chunk, milliseconds(10));
  });
  const auto begin = Clock::system().steady();
  for (int i = 0; i < 20; ++i) CHECK_FALSE(pair.stream->peer_is_gone());
  CHECK(Clock::system().steady() - begin < test_patience / 2);
  pair.stream->finish(test_patience, Deadline::in(milliseconds(50)));
  CHECK(Clock::system().steady() - begin < test_patience / 2);
}

TEST_CASE("what a peer sent is thrown away up to the bound, and the end behind it is seen") {
  Pair pair;
  REQUIRE(pair.peer->send(std::string(20'000, 'a')));  // far below what any socket holds
  pair.peer->half_close();
  REQUIRE(eventually([&] { return pair.peer->all_arrived(); }));
  CHECK_FALSE(pair.stream->peer_is_gone(9'000));
  CHECK_FALSE(pair.stream->peer_is_gone(9'000));
  char rest[4'000];
  auto left = pair.stream->read_some(rest, Deadline::in(milliseconds(0)), {});
  REQUIRE(left.ok());
  CHECK(*left == 2'000);
  CHECK(pair.stream->peer_is_gone(1));
}

TEST_CASE("what was written reaches a peer that answers until it has read all") {
  Pair pair;
  std::string text;
  while (text.size() < 8 << 20) text += std::to_string(text.size());  // more than fits at once
  std::string received;
  std::jthread reader([&] {
    for (;;) {
      const std::string part = pair.peer->read(4096);
      received += part;
      if (part.empty() || pair.peer->ended()) break;
      pair.peer->send("OK\n");
    }
    pair.peer->close();
  });
  const iovec piece{text.data(), text.size()};
  REQUIRE(pair.stream->write_all({&piece, 1}, Deadline::never(), {}).ok());
  pair.stream->finish(test_patience, Deadline::never());
  pair.stream.reset();
  reader.join();
  CHECK((received == text));
}

TEST_CASE("a peer that says nothing at the end is left after a while") {
  Pair pair;
  pair.stream->finish(milliseconds(10), Deadline::never());
  CHECK(pair.peer->read_to_end().empty());
  CHECK(pair.peer->ended());
}

// The sanitizer needs descriptors itself, to look at memory.
#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("without descriptors a connection is Retry") {
  TestReceiver receiver;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int lowest = TestSocket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)).fd();
  for (int left = 0; left < 3; ++left) {
    const rlimit few{static_cast<rlim_t>(lowest + left), before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const auto stream = connect(receiver.port());
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(stream.code() == Code::Retry);
    const std::string who = left < 2 ? "no descriptor for a stop" : "127.0.0.1:";
    CHECK(stream.status().message().find(who) != std::string::npos);
    CHECK(stream.status().message().find("Too many open files") != std::string::npos);
  }
  CHECK(connect(receiver.port()).ok());
}
#endif

TEST_CASE("a write into a connection that was reset is Retry, not a signal") {
  TestReceiver receiver;
  auto stream = connect(receiver.port());
  REQUIRE(stream.ok());
  REQUIRE(eventually([&] { return receiver.accepted() == 1; }));
  receiver.hang_up();
  std::string text = "x";
  const iovec piece{text.data(), text.size()};
  CHECK(eventually([&] {
    return stream->write_all({&piece, 1}, Deadline::in(milliseconds(100)), {}).code() ==
           Code::Retry;
  }));
}

TEST_CASE("reading ends with bytes, a deadline, stop or the peer's end") {
  TestReceiver receiver;
  auto stream = connect(receiver.port());
  REQUIRE(stream.ok());
  char buffer[16];
  auto nothing = stream->read_some(buffer, Deadline::in(milliseconds(10)), {});
  REQUIRE(nothing.ok());
  CHECK(*nothing == 0);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  CHECK(stream->read_some(buffer, Deadline::never(), stop.get_token()).code() == Code::Closed);
  REQUIRE(eventually([&] { return receiver.accepted() == 1; }));
  receiver.hang_up();
  CHECK(stream->read_some(buffer, Deadline::in(test_patience), {}).code() == Code::Closed);
}

}  // namespace
}  // namespace sluice

// An outgoing connection whose waits all end.

#include "core/net/tcp_stream.h"

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

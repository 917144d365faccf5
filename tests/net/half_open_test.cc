// What connections cost that never finish their TLS handshake.
// test: alone no-sanitizer

#include <sys/resource.h>

#include <vector>

#include "core/base/process_stats.h"
#include "tests/support/captured_log.h"
#include "tests/support/layered.h"

namespace sluice {
namespace {

using testing::connect_to;
using testing::LayeredEcho;
using testing::read_text;
using testing::send_text;
using testing::TestTls;

constexpr std::size_t at_once = 256;  // handshakes that have begun

std::uint64_t resident_bytes() { return read_process_stats()->resident_bytes; }

/// What a client says first.
std::string client_hello(const TestTls& tls) {
  TestReceiver receiver;
  static_cast<void>(TcpStream::connect({"127.0.0.1", receiver.port()},
                                       Deadline::in(milliseconds(100)), {}, {.tls = tls.client()}));
  CHECK(eventually([&] { return receiver.bytes() > 100; }));
  return receiver.received();
}

TEST_CASE("handshakes that stop cost little, and nothing once their time is over") {
  rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = files.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &files) == 0);
  REQUIRE(files.rlim_cur > 4'000);
  const TestTls tls;
  testing::CapturedLog captured;
  const std::string hello = client_hello(tls);
  // Nothing; the beginning of a hello; a hello and no more, when the server has said its part.
  for (const std::size_t said_bytes : {std::size_t{0}, std::size_t{100}, hello.size()}) {
    const std::size_t connections = said_bytes == 0 ? 1'500 : at_once - 10;
    LayeredEcho echo({.layers = {.tls = tls.server()}, .handshake_max = milliseconds(4'000)});
    REQUIRE(connect_to(echo.port, {.tls = tls.client()}).ok());
    const std::uint64_t before = resident_bytes();
    std::vector<TestClient> stalled;
    stalled.reserve(connections);
    for (std::size_t i = 0; i < connections; ++i) {
      stalled.emplace_back(echo.port);
      REQUIRE(stalled.back().send(std::string_view(hello).substr(0, said_bytes)));
    }
    REQUIRE(eventually([&] { return echo.connections >= connections; }));
    if (said_bytes == hello.size()) CHECK_FALSE(stalled.back().read(1).empty());
    auto stream = connect_to(echo.port, {.tls = tls.client()});
    REQUIRE(stream.ok());
    const std::uint64_t each =
        (resident_bytes() - std::min(before, resident_bytes())) / connections;
    UNSCOPED_INFO(said_bytes << " bytes said: " << each << " bytes each");
    CHECK(each < (said_bytes == 0 ? 4'000 : 80'000));
    CHECK(eventually([&] { return echo.connections == 1; }, milliseconds(15'000)));
    REQUIRE(send_text(*stream, "one").ok());
    CHECK(read_text(*stream, 3) == "one");
    CHECK(echo.opened == 2);
  }
}

TEST_CASE("handshakes that take long make room when there are too many") {
  const TestTls tls;
  testing::CapturedLog captured;
  LayeredEcho echo({.layers = {.tls = tls.server()}, .handshake_max = milliseconds(60'000)});
  std::vector<TestClient> stalled;
  for (std::size_t i = 0; i < 2 * at_once; ++i) {
    stalled.emplace_back(echo.port);
    REQUIRE(stalled.back().send(std::string("\x16\x03\x01\x02\x00\x01", 6)));
  }
  REQUIRE(eventually([&] { return echo.connections == 2 * at_once; }));
  // One that is not slow gets through, now and when the others have lost their right.
  std::vector<TcpStream> good;
  CHECK(eventually([&] {
    auto stream = connect_to(echo.port, {.tls = tls.client()});
    REQUIRE(stream.ok());
    good.push_back(*std::move(stream));
    return echo.connections <= at_once + good.size();
  }));
  CHECK(echo.connections >= at_once - 1 + good.size());
  CHECK(captured.has("too many others are under way"));
  for (TcpStream& each : good) {
    REQUIRE(send_text(each, "one").ok());
    CHECK(read_text(each, 3) == "one");
  }
}

}  // namespace
}  // namespace sluice

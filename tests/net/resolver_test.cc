// Look-ups that hang, and hosts with several addresses.
// test: alone
//
// getaddrinfo() and its kin are replaced in this program.

#include "core/net/resolver.h"

#include <netdb.h>

#include <array>
#include <atomic>
#include <cstring>

#include "core/net/tcp_stream.h"
#include "tests/catch.h"
#include "tests/support/sockets.h"

namespace {

/// Addresses that the system's look-up finds; look-ups of names wait while it hangs.
struct System {
  std::atomic<bool> hangs{false};
  std::atomic<int> asked{0};
  std::array<sockaddr_in, 2> addresses{};
  std::array<addrinfo, 2> list{};
} the_system;

}  // namespace

extern "C" int getaddrinfo(const char* host, const char*, const addrinfo* hints, addrinfo** first) {
  if ((hints->ai_flags & AI_NUMERICHOST) != 0) return EAI_NONAME;
  ++the_system.asked;
  if (std::strcmp(host, "nobody") == 0) return EAI_NONAME;
  the_system.hangs.wait(true);
  // Once: threads that nobody waits for may still be reading it.
  static const bool linked = [] {
    for (std::size_t i = 0; i < 2; ++i) {
      addrinfo& each = the_system.list[i];
      each.ai_family = AF_INET;
      each.ai_addr = reinterpret_cast<sockaddr*>(&the_system.addresses[i]);
      each.ai_addrlen = sizeof(sockaddr_in);
      each.ai_next = i == 0 ? &the_system.list[1] : nullptr;
    }
    return true;
  }();
  static_cast<void>(linked);
  *first = &the_system.list[0];
  return 0;
}
extern "C" void freeaddrinfo(addrinfo*) noexcept {}

namespace sluice {
namespace {

/// Look-ups hang for as long as it lives.
struct Hanging {
  Hanging() { the_system.hangs = true; }
  ~Hanging() {
    the_system.hangs = false;
    the_system.hangs.notify_all();
  }
};

/// Listens, and answers no connection: its queue is full.
class Silent {
 public:
  Silent() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), address_(loopback(0)) {
    socklen_t size = sizeof address_;
    REQUIRE(::bind(listener_.fd(), as_any(), size) == 0);
    REQUIRE(::listen(listener_.fd(), 0) == 0);
    REQUIRE(::getsockname(listener_.fd(), as_any(), &size) == 0);
    for (TestSocket& each : waiting_) {
      each = TestSocket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      ::connect(each.fd(), as_any(), size);
    }
  }
  const sockaddr_in& address() const noexcept { return address_; }

 private:
  sockaddr* as_any() noexcept { return reinterpret_cast<sockaddr*>(&address_); }
  TestSocket listener_;
  sockaddr_in address_;
  std::array<TestSocket, 4> waiting_;
};

TEST_CASE("a look-up that hangs ends with its deadline and with stop") {
  const Hanging hanging;
  const auto begin = Clock::system().steady();
  const auto late = resolve("somebody", 1, Deadline::in(milliseconds(20)), {});
  CHECK(late.code() == Code::Retry);
  CHECK(late.status().message().find("no answer in time") != std::string::npos);
  std::stop_source stop;
  const int asked_before = the_system.asked;
  std::jthread stopper([&] {
    CHECK(eventually([&] { return the_system.asked > asked_before; }));
    stop.request_stop();
  });
  CHECK(resolve("somebody", 1, Deadline::never(), stop.get_token()).code() == Code::Closed);
  CHECK(Clock::system().steady() - begin < test_patience);
}

TEST_CASE("an unknown host is Retry with its name") {
  const auto found = resolve("nobody", 1, Deadline::never(), {});
  CHECK(found.code() == Code::Retry);
  CHECK(found.status().message().find("cannot resolve nobody") != std::string::npos);
}

TEST_CASE("an address that does not answer leaves time for the next one") {
  const Silent silent;
  TestReceiver receiver;
  the_system.addresses = {silent.address(), loopback(receiver.port())};
  const auto begin = Clock::system().steady();
  const auto stream = TcpStream::connect({"somebody", 1}, Deadline::in(milliseconds(1000)), {});
  CHECK(stream.ok());
  CHECK(Clock::system().steady() - begin < milliseconds(900));
  the_system.addresses = {silent.address(), silent.address()};
  const auto nobody = TcpStream::connect({"somebody", 1}, Deadline::in(milliseconds(40)), {});
  CHECK(nobody.code() == Code::Retry);
  CHECK(nobody.status().message().find("no answer in time") != std::string::npos);
}

}  // namespace
}  // namespace sluice

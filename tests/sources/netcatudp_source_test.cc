#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net/udp_socket.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/pipeline.h"

namespace sluice {

extern const SourceType netcatudp_source;

namespace {

using testing::CapturedLog;
using testing::Pipeline;
using testing::wait_for;
using Lines = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

/// A socket on 127.0.0.1 that sends to one port.
class Sender {
 public:
  explicit Sender(int port) : fd_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  ~Sender() { ::close(fd_); }
  void send(std::string_view datagram) {
    REQUIRE(::send(fd_, datagram.data(), datagram.size(), 0) ==
            static_cast<ssize_t>(datagram.size()));
  }
  std::string address() const {
    sockaddr_in own{};
    socklen_t size = sizeof own;
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size) == 0);
    return "/127.0.0.1:" + std::to_string(ntohs(own.sin_port));
  }

 private:
  int fd_;
};

/// A source on a port of the system's choice, and a sender to it.
struct Receiving {
  explicit Receiving(Values values = {}, Pipeline::Options options = {})
      : pipeline(netcatudp_source, with_port(std::move(values)), std::move(options)) {
    REQUIRE(pipeline.start().ok());
    sender.emplace(log.number_after("receiving on port "));
  }
  static Values with_port(Values values) {
    values["port"] = "0";
    return values;
  }
  CapturedLog log;
  Pipeline pipeline;
  std::optional<Sender> sender;
};

TEST_CASE("netcatudp: each datagram is an event") {
  Receiving receiving(Values{{"bind", "127.0.0.1"}});
  receiving.sender->send("one");
  receiving.sender->send("two\n");
  receiving.sender->send("");
  receiving.sender->send(std::string("\0\xFF", 2));
  CHECK(receiving.pipeline.read(4) == Lines{"one", "two", "", std::string("\0\xFF", 2)});
  CHECK(receiving.pipeline.counters.rejected_lines.get() == 0);
}

TEST_CASE("netcatudp: no bind means every address, with both versions") {
  Receiving receiving;
  receiving.sender->send("four");
  CHECK(receiving.pipeline.read(1) == Lines{"four"});
}

TEST_CASE("netcatudp: only the first line of a datagram counts, and the rest is counted") {
  Receiving receiving;
  receiving.sender->send("first\nsecond\nthird");
  receiving.sender->send("next\n");
  CHECK(receiving.pipeline.read(2) == Lines{"first", "next"});
  CHECK(receiving.pipeline.counters.rejected_lines.get() == 1);
  CHECK(receiving.log.has("allLines = true"));
}

TEST_CASE("netcatudp: allLines makes an event of each line") {
  Receiving receiving(Values{{"allLines", "true"}});
  receiving.sender->send("first\n\nthird\n");
  receiving.sender->send("next");
  CHECK(receiving.pipeline.read(4) == Lines{"first", "", "third", "next"});
  CHECK(receiving.pipeline.counters.rejected_lines.get() == 0);
}

TEST_CASE("netcatudp: remoteAddress names a header for the sender in Java's form") {
  Receiving receiving(Values{{"remoteAddress", "from"}});
  receiving.sender->send("hello");
  std::string from;
  receiving.pipeline.take(1, [&](const Event& event) {
    std::string_view value;
    if (event.headers.find("from", value)) from = value;
  });
  CHECK(from == receiving.sender->address());
}

TEST_CASE("netcatudp: without remoteAddress there is no header") {
  Receiving receiving;
  receiving.sender->send("hello");
  bool empty = false;
  receiving.pipeline.take(1, [&](const Event& event) { empty = event.headers.empty(); });
  CHECK(empty);
}

TEST_CASE("netcatudp: the largest datagram passes") {
  Receiving receiving;
  const std::string large(65'507, 'L');
  receiving.sender->send(large);
  CHECK(receiving.pipeline.read(1) == Lines{large});
}

TEST_CASE("netcatudp: a full channel drops and counts") {
  Receiving receiving(
      {}, {.channel = {{.name = "c1", .capacity_events = 5, .keep_alive = milliseconds(0)}},
           .on_full = OnFull::Reject});
  for (int i = 0; i < 20; ++i) {
    receiving.sender->send(std::to_string(i));
    REQUIRE(wait_for([&] {
      const SourceCounters& counters = receiving.pipeline.counters;
      return counters.made.events.get() + counters.rejected_lines.get() ==
             static_cast<std::uint64_t>(i + 1);
    }));
  }
  CHECK(receiving.pipeline.read_rest() == Lines{"0", "1", "2", "3", "4"});
  CHECK(receiving.pipeline.counters.rejected_lines.get() == 15);
  CHECK(receiving.log.has("events are lost: channel c1 is full"));
}

TEST_CASE("netcatudp: the catalogue's default is to drop what a full channel does not take") {
  const Settings settings =
      testing::make_settings("source", *netcatudp_source.info, {{"port", "0"}});
  CHECK(settings.text("onFull") == "reject");
}

TEST_CASE("netcatudp: what the system drops is counted") {
  // While the channel is full the source waits, so the small receive buffer runs over.
  Receiving receiving({{"receiveBuffer", "4096"}},
                      {.channel = {{.name = "c1", .capacity_events = 1}}, .on_full = OnFull::Wait});
  const std::string datagram(1000, 'd');
  constexpr std::uint64_t sent = 500;
  for (std::uint64_t i = 0; i < sent; ++i) receiving.sender->send(datagram);
  const SourceCounters& counters = receiving.pipeline.counters;
  std::uint64_t seen = 0;
  std::uint64_t more = 0;
  // Its count comes with the next datagram that is received.
  REQUIRE(wait_for([&] {
    seen += receiving.pipeline.read_rest().size();
    receiving.sender->send("more");
    ++more;
    return counters.rejected_lines.get() > 0;
  }));
  CHECK(counters.rejected_lines.get() < sent + more);
  CHECK(receiving.log.wait_for_text("because the receive buffer was full"));
  while (receiving.pipeline.counters.made.events.get() > seen) {
    seen += receiving.pipeline.read_rest().size();
  }
}

TEST_CASE("netcatudp: a taken port is said and can be tried again") {
  Receiving receiving(Values{{"bind", "127.0.0.1"}});
  const std::string port = std::to_string(receiving.log.number_after("receiving on port "));
  Pipeline second(netcatudp_source, {{"bind", "127.0.0.1"}, {"port", port}});
  const Status status = second.start();
  CHECK(status.code() == Code::Retry);
  CHECK(status.message() ==
        "cannot receive on 127.0.0.1:" + port + ": Address already in use (98)");
}

TEST_CASE("netcatudp: after a stop its memory is given back") {
  Receiving receiving;
  receiving.sender->send("x");
  REQUIRE(receiving.pipeline.read(1).size() == 1);
  CHECK(receiving.pipeline.window.used_bytes() <= receiving.pipeline.window.limit_bytes());
  receiving.pipeline.stop();
  CHECK(receiving.pipeline.result.ok());
  CHECK(receiving.pipeline.window.used_bytes() < UdpSocket::buffer_bytes);
  receiving.pipeline.source.reset();
  CHECK(receiving.pipeline.window.used_bytes() == 0);
}

}  // namespace
}  // namespace sluice

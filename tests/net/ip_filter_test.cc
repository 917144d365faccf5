// Who may connect, by Flume's rules.

#include "core/net/ip_filter.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "core/net/tcp_server.h"
#include "tests/catch.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

using Answer = IpFilter::Answer;

SocketAddress address_of(const std::string& text) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    return {reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  REQUIRE(::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1);
  return {reinterpret_cast<const sockaddr*>(&v6), sizeof v6};
}

std::shared_ptr<PeerNames> no_names() {
  return PeerNames::make([](const SocketAddress& peer) { return peer.host_text(); });
}

Answer ask(const std::string& rules, const std::string& peer,
           std::shared_ptr<PeerNames> names = no_names()) {
  auto filter = IpFilter::parse(rules, std::move(names));
  REQUIRE(filter.ok());
  Answer answer = Answer::AskAgain;
  const SocketAddress address = address_of(peer);
  CHECK(eventually([&] {
    answer = (*filter)->ask(address);
    return answer != Answer::AskAgain;
  }));
  return answer;
}

TEST_CASE("the first rule that fits decides, and without one everybody is accepted") {
  CHECK(ask("allow:ip:10.*,deny:ip:*", "10.1.2.3") == Answer::Accept);
  CHECK(ask("allow:ip:10.*,deny:ip:*", "11.1.2.3") == Answer::Refuse);
  CHECK(ask("deny:ip:10.1.*,allow:ip:10.*", "10.1.2.3") == Answer::Refuse);
  CHECK(ask("deny:ip:10.1.*", "192.168.1.1") == Answer::Accept);
  CHECK(ask(" DENY:IP:10.1.* , allow:ip:*", "10.1.2.3") == Answer::Refuse);
}

TEST_CASE("patterns are for the whole address") {
  CHECK(ask("deny:ip:10.1.2.?", "10.1.2.3") == Answer::Refuse);
  CHECK(ask("deny:ip:10.1.2.?", "10.1.2.33") == Answer::Accept);
  CHECK(ask("deny:ip:0.1.2.3", "10.1.2.3") == Answer::Accept);
  CHECK(ask("deny:ip:10.1.2", "10.1.2.3") == Answer::Accept);
  CHECK(ask("deny:ip:1*.*.*3", "10.1.3.33") == Answer::Refuse);
  CHECK(ask("deny:ip:10.1.2.3*", "10.1.2.3") == Answer::Refuse);
  CHECK(ask("deny:ip:10a1b2c3", "10.1.2.3") == Answer::Accept);
}

TEST_CASE("addresses of version 6 fit as we and as Java write them") {
  CHECK(ask("deny:ip:fe80::1", "fe80::1") == Answer::Refuse);
  CHECK(ask("deny:ip:FE80:0:0:0:0:0:0:1", "fe80::1") == Answer::Refuse);
  CHECK(ask("deny:ip:fe80:*", "2001:db8::20") == Answer::Accept);
  CHECK(ask("deny:ip:2001:db8:0:0:0:0:0:20", "2001:db8::20") == Answer::Refuse);
  CHECK(ask("deny:ip:10.*", "::ffff:10.1.2.3") == Answer::Refuse);
}

TEST_CASE("rules about names look the name up, once for many connections") {
  std::atomic<int> lookups{0};
  const auto names = PeerNames::make([&](const SocketAddress& peer) {
    ++lookups;
    return peer.host_text() == "10.0.0.1" ? std::string("Web1.Example.COM") : peer.host_text();
  });
  const std::string rules = "allow:name:*.example.com,deny:name:*";
  CHECK(ask(rules, "10.0.0.1", names) == Answer::Accept);
  CHECK(ask(rules, "10.0.0.1", names) == Answer::Accept);
  CHECK(lookups == 1);
  CHECK(ask(rules, "10.0.0.2", names) == Answer::Refuse);  // no name: its address is one
  CHECK(ask("deny:name:10.0.0.2", "10.0.0.2", names) == Answer::Refuse);
  CHECK(lookups == 2);
}

TEST_CASE("a name is not looked up when a rule in front of it decides") {
  const auto lookups = std::make_shared<std::atomic<int>>(0);
  const auto names = PeerNames::make([lookups](const SocketAddress& peer) {
    ++*lookups;
    return peer.host_text();
  });
  CHECK(ask("allow:ip:10.*,deny:name:*", "10.0.0.1", names) == Answer::Accept);
  CHECK(ask("allow:name:localhost,deny:ip:*", "127.0.0.1", names) == Answer::Accept);
  CHECK(ask("allow:name:localhost,deny:ip:*", "::1", names) == Answer::Accept);
  CHECK(ask("allow:name:localhost,deny:ip:*", "10.0.0.1", names) == Answer::Refuse);
  CHECK(*lookups == 0);
}

TEST_CASE("commas behind the last rule are passed over, as in Flume") {
  for (const char* rules : {"allow:ip:10.*,deny:ip:*,", " allow:ip:10.* ,deny:ip:* , , "}) {
    CHECK(ask(rules, "10.0.0.1") == Answer::Accept);
    CHECK(ask(rules, "11.0.0.1") == Answer::Refuse);
  }
  for (const char* none : {"", " ", ","}) {
    CHECK(IpFilter::parse(none).status().message().find("ipFilter = true needs ipFilterRules") !=
          std::string::npos);
  }
}

TEST_CASE("bad rules are named") {
  for (const std::string bad :
       {"allow", "allow:ip", "allow:ip:", "permit:ip:*", "allow:host:*", "allow::*"}) {
    const auto filter = IpFilter::parse(bad);
    CHECK(filter.code() == Code::Invalid);
    CHECK(filter.status().message().find("'" + bad + "'") != std::string::npos);
  }
  const auto second = IpFilter::parse("allow:ip:*,,deny:ip:*");
  CHECK(second.code() == Code::Invalid);
  CHECK(IpFilter::parse("allow:ip:10.*,drop:ip:*").status().message().find("'drop:ip:*'") !=
        std::string::npos);
}

/// A look-up that takes until it is let go.
struct SlowNames {
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;  // guarded by mutex
  std::atomic<int> waiting{0};

  /// Its threads may outlive the test.
  static std::shared_ptr<PeerNames> names(const std::shared_ptr<SlowNames>& slow) {
    return PeerNames::make([slow](const SocketAddress&) {
      ++slow->waiting;
      std::unique_lock lock(slow->mutex);
      slow->changed.wait(lock, [&] { return slow->go; });
      return std::string("slow.example.com");
    });
  }
  void let_go() {
    const std::lock_guard lock(mutex);
    go = true;
    changed.notify_all();
  }
};

TEST_CASE("only a few look-ups run at once, the others wait for their turn") {
  const auto slow = std::make_shared<SlowNames>();
  const auto names = SlowNames::names(slow);
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(names->find(address_of("10.0.0." + std::to_string(i))));
  }
  CHECK(eventually([&] { return slow->waiting == 8; }));
  CHECK_FALSE(names->find(address_of("10.0.0.99")));
  slow->let_go();
  for (int i = 0; i < 100; ++i) {
    const SocketAddress address = address_of("10.0.0." + std::to_string(i));
    CHECK(eventually([&] { return names->find(address) == "slow.example.com"; }));
  }
  CHECK(slow->waiting == 100);
}

/// A server with a filter, driven by the test's thread.
struct Filtered {
  explicit Filtered(const std::string& rules, std::shared_ptr<PeerNames> names = no_names()) {
    auto filter = IpFilter::parse(rules, std::move(names));
    REQUIRE(filter.ok());
    server = TcpServer::make({.host = "127.0.0.1", .name = "test", .filter = *filter},
                             {.on_open = [this](TcpConnection&) { ++opened; },
                              .on_readable =
                                  [this](TcpConnection& c) {
                                    char waste[100];
                                    if (!c.read_some(waste).ok()) server->drop(c);
                                  },
                              .on_close = {}});
    REQUIRE(server->open().ok());
  }
  template <typename Ready>
  bool rounds_until(Ready ready) {
    const Deadline deadline = Deadline::in(test_patience);
    while (!ready() && !deadline.passed()) server->run_round(milliseconds(200));
    return ready();
  }
  int opened = 0;
  std::unique_ptr<TcpServer> server;
};

TEST_CASE("a server closes what the filter refuses before it reads a byte") {
  Filtered refusing("deny:ip:127.*");
  TestClient refused(refusing.server->port());
  refusing.server->run_round(milliseconds(1000));
  CHECK(refused.read_to_end().empty());
  CHECK(refused.ended());
  CHECK(refusing.opened == 0);
  CHECK(refusing.server->connections() == 0);
  Filtered accepting("allow:ip:127.*,deny:ip:*");
  TestClient accepted(accepting.server->port());
  CHECK(accepting.rounds_until([&] { return accepting.opened == 1; }));
}

TEST_CASE("while a name is looked up its connection waits and the others do not") {
  const auto slow = std::make_shared<SlowNames>();
  Filtered filtered("allow:ip:127.0.0.1,allow:name:*.example.com,deny:ip:*",
                    SlowNames::names(slow));
  TestSocket from_elsewhere(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in own = loopback(0);
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  REQUIRE(::bind(from_elsewhere.fd(), reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
  const sockaddr_in there = loopback(filtered.server->port());
  REQUIRE(::connect(from_elsewhere.fd(), reinterpret_cast<const sockaddr*>(&there), sizeof there) ==
          0);
  CHECK(filtered.rounds_until([&] { return slow->waiting == 1; }));
  CHECK(filtered.server->connections() == 0);
  TestClient other(filtered.server->port());
  CHECK(filtered.rounds_until([&] { return filtered.opened == 1; }));
  slow->let_go();
  CHECK(filtered.rounds_until([&] { return filtered.opened == 2; }));
}

}  // namespace
}  // namespace sluice

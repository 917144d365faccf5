#include "agent/systemd_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/catch.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

/// systemd's end: a datagram socket in a folder of its own.
class Receiver {
 public:
  explicit Receiver(bool abstract) {
    std::string pattern = "/tmp/sluice-notify-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    path_ = directory_ + "/notify";
    address_ = abstract ? "@" + path_ : path_;
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd_ >= 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address_.data(), address_.size());
    auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    if (abstract) {
      name.sun_path[0] = '\0';
    } else {
      ++length;
    }
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&name), length) == 0);
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  ~Receiver() {
    ::close(fd_);
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }

  const std::string& address() const { return address_; }

  /// The next message, or "(nothing)": a datagram to a Unix socket is there when send returns.
  std::string next() const {
    std::array<char, 512> buffer{};
    const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return size < 0 ? "(nothing)" : std::string(buffer.data(), static_cast<std::size_t>(size));
  }

 private:
  std::string directory_;
  std::string path_;
  std::string address_;
  int fd_ = -1;
};

TEST_CASE("every message reaches systemd's socket in the protocol's words") {
  const Receiver systemd(GENERATE(false, true));
  const SystemdNotify notify({.notify_socket = systemd.address()}, 1);

  REQUIRE(notify.active());
  REQUIRE(notify.ready().ok());
  CHECK(systemd.next() == "READY=1");
  REQUIRE(notify.status("2 sources\n1 sink").ok());
  CHECK(systemd.next() == "STATUS=2 sources 1 sink");
  REQUIRE(notify.extend_timeout(std::chrono::seconds(5)).ok());
  CHECK(systemd.next() == "EXTEND_TIMEOUT_USEC=5000000");
  REQUIRE(notify.ping().ok());
  CHECK(systemd.next() == "WATCHDOG=1");
  REQUIRE(notify.stopping().ok());
  CHECK(systemd.next() == "STOPPING=1");
  CHECK(systemd.next() == "(nothing)");
}

TEST_CASE("without systemd nothing is sent and nothing fails") {
  const SystemdNotify notify({.watchdog_usec = "30000000"}, 1);
  CHECK_FALSE(notify.active());
  CHECK(notify.ready().ok());
  CHECK(notify.ping().ok());
  CHECK_FALSE(notify.watchdog_interval().has_value());
}

TEST_CASE("a socket that nobody holds any more is an error that says which") {
  std::string gone;
  {
    const Receiver systemd(false);
    gone = systemd.address();
  }
  const Status status = SystemdNotify({.notify_socket = gone}, 1).ready();
  CHECK(status.code() == Code::Retry);
  CHECK(status.message().find(gone) != std::string::npos);
}

TEST_CASE("an address systemd would never send is refused") {
  const std::string address = GENERATE(std::string("relative"), std::string("/"), std::string("@"),
                                       "/" + std::string(200, 'x'));
  CHECK(SystemdNotify({.notify_socket = address}, 1).ready().code() == Code::Invalid);
}

TEST_CASE("a receiver that does not read never blocks the agent") {
  const Receiver systemd(false);
  const SystemdNotify notify({.notify_socket = systemd.address()}, 1);
  Status last;
  for (int i = 0; i < 100'000 && last.ok(); ++i) last = notify.ping();
  CHECK(last.code() == Code::Retry);
}

TEST_CASE("the watchdog is pinged twice as often as systemd asks") {
  const auto interval = [](const std::string& usec, const std::string& pid) {
    return SystemdNotify({.notify_socket = "/run/x", .watchdog_usec = usec, .watchdog_pid = pid},
                         42)
        .watchdog_interval();
  };
  CHECK(interval("30000000", "42") == milliseconds(15000));
  CHECK(interval("30000000", "") == milliseconds(15000));
  CHECK(interval("1", "42") == milliseconds(1));
  CHECK_FALSE(interval("30000000", "41").has_value());
  CHECK_FALSE(interval("30000000", "nonsense").has_value());
  CHECK_FALSE(interval("", "42").has_value());
  CHECK_FALSE(interval("-5", "42").has_value());
  CHECK_FALSE(interval("30s", "42").has_value());
  CHECK_FALSE(interval("0", "42").has_value());
}

TEST_CASE("the environment is taken, so children of the agent do not inherit it") {
  const Receiver systemd(false);
  ::setenv("NOTIFY_SOCKET", systemd.address().c_str(), 1);
  ::setenv("WATCHDOG_USEC", "2000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);

  const SystemdNotify notify = SystemdNotify::take_from_environment();

  CHECK(notify.watchdog_interval() == milliseconds(1000));
  REQUIRE(notify.ready().ok());
  CHECK(systemd.next() == "READY=1");
  CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
  CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
  CHECK(std::getenv("WATCHDOG_PID") == nullptr);
}

}  // namespace
}  // namespace sluice

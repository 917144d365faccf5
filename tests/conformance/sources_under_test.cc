#include "tests/conformance/sources_under_test.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "sources/catalog.h"
#include "tests/support/avro_peer.h"
#include "tests/support/captured_log.h"
#include "tests/support/kafka_mock.h"
#include "tests/support/settings.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

std::string lines(std::uint64_t first, std::uint64_t count) {
  std::string text;
  for (std::uint64_t i = 0; i < count; ++i) text += std::to_string(first + i) + "\n";
  return text;
}

SourceUnderTest::Instance netcat() {
  const std::uint16_t port = free_port();
  auto client = std::make_shared<std::unique_ptr<TestClient>>();
  const SourceType& type = *find_type(source_types(), "netcat");
  return {test_settings(*type.info, "source r1",
                        {{"bind", "127.0.0.1"}, {"port", std::to_string(port)}}),
          [client, port](std::uint64_t first, std::uint64_t count) {
            if (!*client) *client = std::make_unique<TestClient>(port);
            // Read along, or the source would stop reading us.
            for (std::uint64_t i = 0; i < count; i += 100) {
              const std::uint64_t part = std::min<std::uint64_t>(100, count - i);
              if (!(*client)->send(lines(first + i, part), milliseconds(3000))) return;
              (*client)->read(part * 3, milliseconds(3000));
              if ((*client)->ended()) return;
            }
          },
          client};
}

/// Calls of 100 events, one after the other, each until it is taken.
SourceUnderTest::Instance avro() {
  const std::uint16_t port = free_port();
  auto client = std::make_shared<std::unique_ptr<AvroTestClient>>();
  const SourceType& type = *find_type(source_types(), "avro");
  return {test_settings(*type.info, "source r1",
                        {{"bind", "127.0.0.1"}, {"port", std::to_string(port)}}),
          [client, port](std::uint64_t first, std::uint64_t count) {
            if (!*client) {
              *client = std::make_unique<AvroTestClient>(port);
              if (!(*client)->shake_hands()) return;
            }
            for (std::uint64_t i = 0; i < count; i += 100) {
              std::vector<TestEvent> events;
              for (std::uint64_t n = i; n < std::min(i + 100, count); ++n) {
                events.push_back({std::to_string(first + n)});
              }
              std::string answer = avro_failed;
              while (answer == avro_failed) {
                answer = (*client)->ask(avro_batch_call(events), milliseconds(3000));
              }
              if (answer != avro_ok) return;
            }
          },
          client};
}

/// The server that a source connects to, and the one connection it serves.
class Server {
 public:
  explicit Server(std::uint16_t port)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    ::setsockopt(listener_.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (::bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.fd(), 1) != 0) {
      std::abort();
    }
  }
  void feed(std::uint64_t first, std::uint64_t count) {
    if (!client_ && !accept()) return;
    for (std::uint64_t i = 0; i < count; i += 100) {
      const std::uint64_t part = std::min<std::uint64_t>(100, count - i);
      if (!client_->send(lines(first + i, part), milliseconds(3000))) return;
    }
  }

 private:
  /// False when the source was stopped before it had connected.
  bool accept() {
    pollfd waiting{listener_.fd(), POLLIN, 0};
    if (::poll(&waiting, 1, 3000) != 1) return false;
    client_.emplace(TestSocket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC)));
    return true;
  }
  TestSocket listener_;
  std::optional<TestClient> client_;
};

SourceUnderTest::Instance netcatclient() {
  const std::uint16_t port = free_port();
  auto server = std::make_shared<Server>(port);
  const SourceType& type = *find_type(source_types(), "netcatclient");
  return {test_settings(*type.info, "source r1",
                        {{"host", "127.0.0.1"}, {"port", std::to_string(port)}}),
          [server](std::uint64_t first, std::uint64_t count) { server->feed(first, count); },
          server};
}

SourceUnderTest::Instance stress() {
  const SourceType& type = *find_type(source_types(), "stress");
  return {test_settings(*type.info, "source r1", {{"size", "10"}, {"maxTotalEvents", "5000"}}),
          [](std::uint64_t, std::uint64_t) {}, nullptr};
}

/// The source counts by itself.
SourceUnderTest::Instance seq() {
  const SourceType& type = *find_type(source_types(), "seq");
  return {test_settings(*type.info, "source r1", {{"batchSize", "10"}, {"totalEvents", "5000"}}),
          [](std::uint64_t, std::uint64_t) {}, nullptr};
}

SourceUnderTest::Instance exec() {
  const SourceType& type = *find_type(source_types(), "exec");
  return {test_settings(*type.info, "source r1", {{"command", "seq 0 4999"}}),
          [](std::uint64_t, std::uint64_t) {}, nullptr};
}

/// A file that grows while it is followed.
SourceUnderTest::Instance taildir() {
  const auto directory = std::make_shared<testing::TempDirectory>();
  const SourceType& type = *find_type(source_types(), "TAILDIR");
  return {test_settings(*type.info, "source r1",
                        {{"filegroups", "g"},
                         {"filegroups.g", directory->path("numbers")},
                         {"positionFile", directory->path("positions.json")}}),
          [directory](std::uint64_t first, std::uint64_t count) {
            std::ofstream file(directory->path("numbers"), std::ios::app);
            for (std::uint64_t i = 0; i < count; i += 100) {
              file << lines(first + i, std::min<std::uint64_t>(100, count - i)) << std::flush;
            }
          },
          directory};
}

/// A file is put into the directory for each part of the lines.
SourceUnderTest::Instance spooldir() {
  const auto directory = std::make_shared<testing::TempDirectory>();
  const SourceType& type = *find_type(source_types(), "spooldir");
  return {test_settings(*type.info, "source r1",
                        {{"spoolDir", directory->path("")}, {"pollDelay", "10"}}),
          [directory](std::uint64_t first, std::uint64_t count) {
            std::filesystem::file_time_type last;
            for (std::uint64_t i = 0; i < count; i += 1000) {
              const std::string name = "part" + std::to_string(first + i);
              std::ofstream(directory->path("." + name))
                  << lines(first + i, std::min<std::uint64_t>(1000, count - i));
              // Files of the same moment are read by name, and 10 comes before 9.
              last = std::max(last + std::chrono::milliseconds(1),
                              std::filesystem::last_write_time(directory->path("." + name)));
              std::filesystem::last_write_time(directory->path("." + name), last);
              std::filesystem::rename(directory->path("." + name), directory->path(name));
            }
          },
          directory};
}

/// Records of one partition.
[[maybe_unused]] SourceUnderTest::Instance kafka() {
  const auto mock = std::make_shared<KafkaMock>();
  mock->create_topic("numbers", 1);
  const SourceType& type = *find_type(source_types(), "kafka");
  return {test_settings(*type.info, "source r1",
                        {{"kafka.bootstrap.servers", mock->bootstrap()},
                         {"kafka.topics", "numbers"},
                         {"batchSize", "50"},
                         {"kafka.consumer.auto.offset.reset", "earliest"}}),
          [mock](std::uint64_t first, std::uint64_t count) {
            mock->produce_numbers("numbers", 0, first, count);
          },
          mock};
}

}  // namespace

const std::vector<SourceUnderTest>& sources_under_test() {
  static const std::vector<SourceUnderTest> all {
    {"netcat", netcat}, {"seq", seq}, {"exec", exec}, {"TAILDIR", taildir}, {"spooldir", spooldir},
        {"netcatudp", nullptr, true, "datagrams may be lost; tests/sources counts the drops"},
        {"netcatclient", netcatclient}, {"avro", avro},
#if defined(__SANITIZE_THREAD__)
        {"kafka", nullptr, true, "librdkafka's threads are those of C11: TSan crashes on them"},
#else
        {"kafka", kafka, true, {}, true},
#endif
        {"stress", stress, false},
  };
  return all;
}

}  // namespace sluice

#include "tests/conformance/sources_under_test.h"

#include <filesystem>
#include <fstream>

#include "sources/catalog.h"
#include "tests/support/captured_log.h"
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

}  // namespace

const std::vector<SourceUnderTest>& sources_under_test() {
  static const std::vector<SourceUnderTest> all{
      {"netcat", netcat},
      {"seq", seq},
      {"exec", exec},
      {"TAILDIR", taildir},
      {"spooldir", spooldir},
      {"netcatudp", nullptr, "datagrams may be lost; tests/sources counts the drops"},
      {"netcatclient", nullptr, "connects out; tests/sources gives it a server"},
      {"stress", nullptr, "its events have no numbers; tests/sources counts them"},
  };
  return all;
}

}  // namespace sluice

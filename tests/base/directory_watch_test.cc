#include "core/base/directory_watch.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

using testing::TempDirectory;

Deadline patience() { return Deadline::in(milliseconds(10'000)); }

TEST_CASE("a watch tells of new names and of writes") {
  const TempDirectory directory;
  const auto watch = DirectoryWatch::make();
  REQUIRE(watch->add(directory.path("").substr(0, directory.path("").size() - 1)).ok());
  std::ofstream file(directory.path("f"));
  CHECK(watch->wait(patience(), {}).names);
  file << "x" << std::flush;
  const auto changes = watch->wait(patience(), {});
  CHECK_FALSE(changes.names);
  REQUIRE(changes.written.size() == 1);
  CHECK(changes.written[0] == directory.path("f"));
  std::filesystem::rename(directory.path("f"), directory.path("g"));
  CHECK(watch->wait(patience(), {}).names);
}

TEST_CASE("a watch on a directory that is not there says so and just waits") {
  const auto watch = DirectoryWatch::make();
  CHECK(watch->add("/no/such/directory").code() == Code::Retry);
  const auto changes = watch->wait(Deadline::in(milliseconds(1)), {});
  CHECK_FALSE(changes.names);
  CHECK(changes.written.empty());
}

TEST_CASE("a stop ends the wait of a watch") {
  const auto watch = DirectoryWatch::make();
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  watch->wait(Deadline::in(milliseconds(60'000)), stop.get_token());
  CHECK(stop.stop_requested());
}

}  // namespace
}  // namespace sluice

#include "core/base/directory_watch.h"

#include <sys/inotify.h>

#include <cerrno>
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

TEST_CASE("a watch that reached a limit says which, and works once there is room") {
  static int error = 0;
  const TempDirectory directory;
  const std::string path = directory.path("").substr(0, directory.path("").size() - 1);
  const auto init = [](int flags) {
    errno = error;
    return error == EMFILE ? -1 : ::inotify_init1(flags);
  };
  const auto add = [](int inotify, const char* name, std::uint32_t mask) {
    errno = error;
    return error == ENOSPC ? -1 : ::inotify_add_watch(inotify, name, mask);
  };
  const auto watch = DirectoryWatch::make({init, add});
  error = EMFILE;
  CHECK(watch->add(path).message().find("max_user_instances") != std::string::npos);
  CHECK_FALSE(watch->wait(Deadline::in(milliseconds(1)), {}).names);
  error = ENOSPC;
  CHECK(watch->add(path).message().find("max_user_watches") != std::string::npos);
  error = 0;
  REQUIRE(watch->add(path).ok());
  std::ofstream(directory.path("f")) << "x";
  CHECK(watch->wait(patience(), {}).names);
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

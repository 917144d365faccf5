// kill -9 at every step of a commit that takes events and has dead letters.
// test: no-tsan timeout=300

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/fail_point.h"
#include "sinks/dead_letter_channel.h"
#include "sinks/dead_letter_file.h"
#include "sinks/sink_runner.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/memory_channels.h"
#include "tests/support/picky_sink.h"

namespace sluice {
namespace {

constexpr int rows = 6;
constexpr int killed_status = 137 << 8;  // of the shell that waited for it

/// c1 and a place for its dead letters: a channel of the same store, of another one, or a file.
struct World {
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SharedStore one;
  SharedStore two;
  DurableChannel c1;
  DurableChannel dead;
  SinkCounters counters;
  DeadLetterChannel channel_place;
  DeadLetterFile file_place;
  const bool file;

  World(const std::string& directory, const std::string& where)
      : one({.path = directory + "/one", .free_bytes_min = 1 << 20}, {}),
        two({.path = directory + "/two", .free_bytes_min = 1 << 20}, {}),
        c1(stored_channel("c1"), one, pool),
        dead(stored_channel("dead"), where == "other" ? two : one, pool),
        channel_place(dead, pool, counters, Clock::system()),
        file_place({.path = directory + "/dead.jsonl"}, FileSystem::real(), Clock::system()),
        file(where == "file") {
    if (!c1.open().ok() || !dead.open().ok()) std::abort();
  }

  void fill() {
    for (int i = 0; i < rows; ++i) {
      const std::string number = std::to_string(i);
      const std::vector<std::string> bodies{"good " + number, "bad " + number + "a",
                                            "bad " + number + "b", std::string(7000, 'g')};
      REQUIRE(put(c1, batch_of(pool, bodies)));
    }
  }
  void run() {
    c1.close();
    PickySink sink;
    SinkRunner::Options options{.name = "sink k1", .committer = c1.committer(), .sink = "k1"};
    options.dead_letters = file ? static_cast<DeadLetters*>(&file_place) : &channel_place;
    SinkRunner runner(std::move(options), c1, sink, counters);
    if (!runner.run({}).ok()) std::abort();
  }
  /// How often each bad event is there, in both places.
  std::map<std::string, int> found(const std::string& directory) {
    std::map<std::string, int> times;
    for (DurableChannel* channel : {&c1, &dead}) {
      const Taken taken = take_now(*channel);
      for (const std::string& body : bodies_of(taken.batch())) {
        if (body.starts_with("bad")) ++times[body];
      }
    }
    if (!file) return times;
    auto text = FileSystem::real().read(directory + "/dead.jsonl", 0, 1 << 20);
    std::istringstream lines(text.ok() ? *text : "");
    for (std::string line; std::getline(lines, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_discarded()) ++times[json["body"]];
    }
    return times;
  }
};

/// Runs the sink in a process of its own until it is drained or killed; true when it was killed.
bool run_victim(const std::string& directory, const std::string& where, const std::string& kill) {
  static const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = "SLUICE_KILL_AT=" + kill + " VICTIM_DIRECTORY=" + directory +
                              " VICTIM_PLACE=" + where + " '" + self +
                              "' 'the victim of a kill' >'" + directory + "/out' 2>&1";
  const int status = std::system(command.c_str());
  INFO(kill);
  REQUIRE((status == 0 || status == killed_status));
  return status == killed_status;
}

TEST_CASE("the victim of a kill", "[.]") {
  const char* const directory = std::getenv("VICTIM_DIRECTORY");
  REQUIRE(directory != nullptr);
  World(directory, std::getenv("VICTIM_PLACE")).run();
}

TEST_CASE("whatever is killed, a rejected event is in its channel or with the dead letters") {
  for (const std::string where : {"same", "other", "file"}) {
    int kills = 0;
    int doubles = 0;
    for (unsigned char point = 0; !name_of(static_cast<FailPoint>(point)).empty(); ++point) {
      for (const int nth : {1, 2, 4}) {
        const testing::TempDirectory directory;
        World(directory.path(""), where).fill();
        const std::string kill(name_of(static_cast<FailPoint>(point)));
        INFO(where << " " << kill << ":" << nth);
        if (!run_victim(directory.path(""), where, kill + ":" + std::to_string(nth))) continue;
        ++kills;
        {
          World after(directory.path(""), where);
          const auto times = after.found(directory.path(""));
          CHECK(times.size() == 2 * rows);
          for (const auto& [body, n] : times) {
            CHECK(n <= (where == "same" ? 1 : 2));
            doubles += n - 1;
          }
        }
        // The next start goes on where that one was killed.
        World(directory.path(""), where).run();
        World end(directory.path(""), where);
        CHECK(end.c1.size_events() == 0);
        CHECK(end.found(directory.path("")).size() == 2 * rows);
      }
    }
    INFO(where);
    CHECK(kills >= 15);
    if (where != "same") CHECK(doubles > 0);  // between the put and the take, or nothing was shown
  }
}

}  // namespace
}  // namespace sluice

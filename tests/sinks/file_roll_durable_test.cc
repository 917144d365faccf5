// file_roll behind a channel on disk: what has left the channel is on the disk, once.

#include "tests/catch.h"
#include "tests/support/hdfs_model.h"

namespace sluice {
namespace {

using namespace testing;

Settings file_roll_settings(Values more = {}) {
  const SinkType* const type = find_type(sink_types(), "file_roll");
  std::map<std::string, Settings::Value, std::less<>> values;
  values["sink.directory"] = {"/out", {}, 0};
  for (const auto& [key, value] : more) values[key] = {value, {}, 0};
  return {"sink k1", "k1", *type->info, values};
}

/// How often each number stands in the files.
std::map<std::uint64_t, int> numbers_in(const Model& model) {
  std::map<std::uint64_t, int> seen;
  for (const auto& [path, content] : model.output()) {
    INFO(path << ": " << content);
    for (const std::string& line : lines_of(content)) ++seen[std::stoull(line)];
  }
  return seen;
}

TEST_CASE("each line is in a file once, whatever dies, loses its power and is refused") {
  const unsigned seeds = std::getenv("SLUICE_SOAK") != nullptr ? 1000 : 150;
  for (unsigned i = 0; i < seeds; ++i) {
    const std::uint64_t seed = Catch::rngSeed() + i;
    INFO("seed " << seed);
    Model model(file_roll_settings({{"sink.rollCount", i % 2 == 0 ? "17" : "0"},
                                    {"sink.rollSize", i % 3 == 0 ? "60" : "0"},
                                    {"sink.rollInterval", "1"}}),
                seed);
    live_and_die(model);
    const auto seen = numbers_in(model);
    REQUIRE(seen.size() == model.put_so_far());
    for (const auto& [number, times] : seen) {
      INFO("number " << number);
      REQUIRE(times == 1);
    }
  }
}

TEST_CASE("what has left the channel survives a power cut at once") {
  Model model(file_roll_settings(), Catch::rngSeed());
  model.put(500);
  for (int i = 0; i < 100; ++i) model.step();
  REQUIRE_FALSE(model.committed.empty());
  model.crash(true);
  const auto seen = numbers_in(model);
  for (const std::uint64_t number : model.committed) {
    INFO("number " << number);
    CHECK(seen.contains(number));
  }
}

TEST_CASE("without the sync the same power cuts lose lines that have left the channel") {
  std::uint64_t lost = 0;
  for (unsigned i = 0; i < 20; ++i) {
    Model model(file_roll_settings(), Catch::rngSeed() + i);
    model.files.sync_lies(true);
    model.put(500);
    for (int step = 0; step < 100; ++step) model.step();
    REQUIRE_FALSE(model.committed.empty());
    model.crash(true);
    const auto seen = numbers_in(model);
    for (const std::uint64_t number : model.committed) lost += seen.contains(number) ? 0 : 1;
  }
  CHECK(lost > 0);
}

TEST_CASE("a directory that is not there is waited for, and never made") {
  Model model(file_roll_settings(), Catch::rngSeed());
  model.put(10);
  for (int i = 0; i < 20; ++i) model.step();
  model.crash(false);
  model.files.directory_is_there(false);
  CHECK_FALSE(model.start());
  model.files.directory_is_there(true);
  model.put(10);
  model.finish();
  CHECK(numbers_in(model).size() == 20);
}

}  // namespace
}  // namespace sluice

// What micro-batches come to while the disk refuses commits and the reader dies and comes back.
#include "sinks/microbatch_reader.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "sinks/catalog.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_channels.h"
#include "tests/support/microbatch_parts.h"
#include "tests/support/settings.h"

namespace sluice {
namespace {

using testing::output;
using testing::step;
using testing::TempDirectory;
using Counts = std::map<std::string, std::uint64_t>;
using Values = std::map<std::string, std::string>;

/// Lets commits through to a store, or refuses them.
class Gate final : public Committer {
 public:
  explicit Gate(SharedStore& store) : store_(store) {}
  void submit(Commit commit) override {
    if (refusals_ == 0) return store_.submit(std::move(commit));
    --refusals_;
    std::move(commit).complete(Retry("the disk is full"));
  }
  std::optional<std::string> note(std::string_view key) const override { return store_.note(key); }
  std::vector<std::pair<std::string, std::string>> notes(std::string_view prefix) const override {
    return store_.notes(prefix);
  }
  void refuse(int commits) { refusals_ = commits; }
  int refusals_left() const { return refusals_; }

 private:
  SharedStore& store_;
  std::atomic<int> refusals_{0};
};

/// Words, their counts a batch, and their counts since ever.
Settings word_counts(const std::string& folder, const std::string& merge = "sum") {
  const auto type = find_type(sink_types(), "microbatch");
  REQUIRE(type != nullptr);
  Settings settings = test_settings(*type->info, "sink mb", {{"batchInterval", "50ms"}});
  const auto file = [&](const std::string& name, const std::string& input) {
    return output("file", name, {{"input", input}, {"prefix", folder + "/" + name}});
  };
  settings.set_parts({{"steps",
                       {step("split", "words", {}),
                        step("aggregate", "count", {{"by", "word"}, {"agg.n", "count()"}}),
                        step("state", "total", {{"merge.n", merge}})}},
                      {"outputs", {file("counts", "count"), file("totals", "total")}}});
  return settings;
}

/// "(word,3)"
void read_counts(const std::filesystem::path& path, Counts& counts) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t comma = line.find(',');
    counts[line.substr(1, comma - 1)] += std::stoull(line.substr(comma + 1));
  }
}

Counts counted(const std::string& folder) {
  Counts counts;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("counts-") && !name.ends_with(".tmp")) read_counts(entry.path(), counts);
  }
  return counts;
}

Counts last_totals(const std::string& folder) {
  std::string last;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("totals-") && !name.ends_with(".tmp")) last = std::max(last, name);
  }
  Counts counts;
  if (!last.empty()) read_counts(folder + "/" + last, counts);
  return counts;
}

std::uint64_t sum_of(const Counts& counts) {
  std::uint64_t sum = 0;
  for (const auto& [word, count] : counts) sum += count;
  return sum;
}

/// A channel on disk, and a reader on a thread of its own while it lives.
struct Stage {
  Stage(const std::string& store_path, const Settings& settings)
      : store({.path = store_path, .memtable_bytes = 64 << 10, .free_bytes_min = 1 << 20}, {}),
        gate(store),
        channel(stored_channel("c1"), store, pool) {
    REQUIRE(channel.open().ok());
    reader = std::make_unique<MicrobatchReader>(
        settings, LongReaderContext{counters, microbatch, views, gauges, FileSystem::real(),
                                    Clock::system(), pool, &gate, out,
                                    [](const std::string&) -> Channel* { return nullptr; }});
  }
  void start() {
    thread = std::jthread([this](std::stop_token stop) {
      ended = reader->run(channel, stop);
      over = true;
    });
  }
  Status stop() {
    thread.request_stop();
    thread.join();
    return ended;
  }

  SlabPool pool{64 * 1024, keep_no_free_slabs};
  SharedStore store;
  Gate gate;
  DurableChannel channel;
  SinkCounters counters;
  MicrobatchCounters microbatch;
  ViewBoard views;
  ResultGauges gauges;
  std::ostringstream out;
  std::unique_ptr<MicrobatchReader> reader;
  Status ended;
  std::atomic<bool> over{false};
  std::jthread thread;
};

void put_words(Channel& channel, SlabPool& pool, Counts& written, std::mt19937_64& random) {
  std::vector<std::string> lines(5);
  for (std::string& line : lines) {
    for (int i = 0; i < 4; ++i) {
      const std::string word = "w" + std::to_string(random() % 30);
      ++written[word];
      line += (i > 0 ? " " : "") + word;
    }
  }
  REQUIRE(put(channel, batch_of(pool, lines)));
}

TEST_CASE("commits that are refused, and readers that come back, neither lose nor double a word") {
  testing::CapturedLog log;
  const TempDirectory directory;
  const std::string folder = directory.path("results");
  std::filesystem::create_directory(folder);
  const Settings settings = word_counts(folder);
  std::mt19937_64 random(7);
  Counts written;
  for (int life = 0; life < 4; ++life) {
    Stage stage(directory.path("store"), settings);
    stage.start();
    for (int i = 0; i < 30; ++i) {
      put_words(stage.channel, stage.pool, written, random);
      if (i % 10 == 3) stage.gate.refuse(1 + static_cast<int>(random() % 2));
      // Some of the lines come in one batch, some in the next.
      const auto pace = milliseconds(random() % 20);
      static_cast<void>(eventually([] { return false; }, pace));
    }
    REQUIRE(eventually([&] { return stage.gate.refusals_left() == 0; }));
    if (life % 2 == 0) {
      REQUIRE(eventually([&] { return counted(folder) == written; }));
    }
    CHECK(stage.stop().ok());
  }
  CHECK(counted(folder) == written);
  CHECK(last_totals(folder) == written);
}

TEST_CASE("a state of other steps is refused, and forgotten when that is wanted") {
  testing::CapturedLog log;
  const TempDirectory directory;
  const std::string folder = directory.path("results");
  std::filesystem::create_directory(folder);
  std::mt19937_64 random(7);
  Counts written;
  {
    const Settings settings = word_counts(folder);
    Stage stage(directory.path("store"), settings);
    stage.start();
    put_words(stage.channel, stage.pool, written, random);
    REQUIRE(eventually([&] { return sum_of(last_totals(folder)) == 20; }));
    CHECK(stage.stop().ok());
  }
  const Settings others = word_counts(folder, "max");
  Stage stage(directory.path("store"), others);
  stage.start();
  REQUIRE(eventually([&] { return stage.over.load(); }));
  CHECK(stage.stop().message().find("--reset-state mb") != std::string::npos);
}

}  // namespace
}  // namespace sluice

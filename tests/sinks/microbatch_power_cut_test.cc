// Micro-batches over power cuts: whatever step it happens at, every word counts once, in the state,
// in files and in channels.
//
// SLUICE_SOAK=1 runs 5000 seeds instead of some hundred.
// test: timeout=600

#include <rocksdb/env.h>

#include <map>
#include <random>
#include <set>
#include <sstream>

#include "sinks/catalog.h"
#include "sinks/microbatch_reader.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/fake_file_system.h"
#include "tests/support/memory_channels.h"
#include "tests/support/microbatch_parts.h"
#include "tests/support/power_cut.h"
#include "tests/support/settings.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::output;
using testing::PowerCut;
using testing::step;
using testing::TempDirectory;
using Counts = std::map<std::string, std::uint64_t>;
using Values = std::map<std::string, std::string>;

constexpr std::uint64_t lines_in_all = 60;

/// Counts of each batch into a channel and into files; since ever, and of each three of a word,
/// into files.
Settings word_counts() {
  const auto type = find_type(sink_types(), "microbatch");
  REQUIRE(type != nullptr);
  Settings settings = test_settings(*type->info, "sink mb", {{"batchInterval", "50ms"}});
  settings.set_parts(
      {{"steps",
        {step("split", "words", {}),
         step("aggregate", "count", {{"by", "word"}, {"agg.n", "count()"}}),
         step("state", "total", {{"merge.n", "sum"}}),
         step("window", "three", {{"input", "words"}, {"kind", "count"}, {"rows", "3"}}),
         step("aggregate", "threes", {{"by", "word"}, {"agg.n", "count()"}})}},
       {"outputs",
        {output("channel", "passed", {{"input", "count"}, {"channel", "c2"}, {"format", "text"}}),
         output("file", "counts", {{"input", "count"}, {"prefix", "/out/counts/at"}}),
         output("file", "totals", {{"input", "total"}, {"prefix", "/out/totals/at"}}),
         output("file", "threes", {{"input", "threes"}, {"prefix", "/out/threes/at"}})}}});
  return settings;
}

/// "(word,3)"
void add_row(std::string_view row, Counts& counts) {
  const std::size_t comma = row.find(',');
  counts[std::string(row.substr(1, comma - 1))] += std::stoull(std::string(row.substr(comma + 1)));
}

Counts counts_in(const std::string& content) {
  Counts counts;
  std::istringstream in(content);
  for (std::string line; std::getline(in, line);) add_row(line, counts);
  return counts;
}

/// A row of a result, as a reader behind the channel has it.
struct Row {
  std::string batch;
  std::string text;
};

/// What is left when the machine has lost its power, and those outside who remember.
struct World {
  World(std::uint64_t seed, SyncMode sync_mode) : random(seed), sync(sync_mode) {
    files.die_when([this] { return power->step_elsewhere(); });
    for (std::uint64_t line = 0; line < lines_in_all; ++line) {
      std::string text = "w" + std::to_string(random() % 12);
      for (int more = 0; more < 2; ++more) text += " w" + std::to_string(random() % 12);
      lines.push_back(std::move(text));
    }
  }

  std::mt19937_64 random;
  const SyncMode sync;
  const TempDirectory directory;
  const std::shared_ptr<PowerCut> power = std::make_shared<PowerCut>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(power);
  FakeFileSystem files;
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  std::int64_t wall_ms = 1'700'000'000'000;
  std::vector<std::string> lines;  ///< The input.
  std::uint64_t fed = 0;           ///< Lines that the sender was told are there.
  std::vector<Row> received;       ///< What the receiver knows to be out for good,
  std::vector<Row> asked;          ///< and what it was taking when the power went.
  std::uint64_t broken_promises = 0;
};

/// Time goes on as it is looked at, and others do something meanwhile.
class TurnedClock final : public Clock {
 public:
  TurnedClock(World& world, std::function<void()> others)
      : world_(world), others_(std::move(others)) {}
  std::int64_t wall_ms() const noexcept override { return world_.wall_ms; }
  SteadyTime steady() const noexcept override {
    others_();
    world_.wall_ms += static_cast<std::int64_t>(world_.random() % 20);
    return SteadyTime(milliseconds(world_.wall_ms));
  }

 private:
  World& world_;
  const std::function<void()> others_;
};

/// The agent from a start to its end, on one thread: a source and a receiver whose turn comes when
/// the sink looks at the clock.
class Life {
 public:
  explicit Life(World& world)
      : world_(world),
        store_({.path = world.directory.path("store"),
                .memtable_bytes = 64 << 10,
                .free_bytes_min = 1 << 20,
                .env = world.env.get()},
               {.sync = world.sync, .reopen_pause = milliseconds(1)}),
        in_(stored_channel("c1", world.random() % 2 * (1 << 20)), store_, world.pool),
        out_(stored_channel("c2"), store_, world.pool) {
    world_.power->on_cut([this] { stop_.request_stop(); });
  }
  ~Life() {
    world_.power->on_cut({});
    world_.power->cut();
    in_.close();
    out_.close();
  }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  bool open() {
    if (!in_.open().ok() || !out_.open().ok()) return false;
    next_ = note("test/fed");
    if (next_ < world_.fed) ++world_.broken_promises;
    next_ = std::max(next_, world_.fed);
    const std::uint64_t received = note("test/received");
    if (received < world_.received.size()) ++world_.broken_promises;
    if (received == world_.received.size() + world_.asked.size()) know_received();
    world_.asked.clear();
    return true;
  }
  /// Until the input is used up, or the power gone.
  Status run(const Settings& settings) {
    MicrobatchReader reader(
        settings, LongReaderContext{counters_, microbatch_, views_, gauges_, world_.files, clock_,
                                    world_.pool, &store_, printed_,
                                    [this](const std::string&) -> Channel* { return &out_; }});
    return reader.run(in_, stop_.get_token());
  }
  void receive_all() {
    while (out_.size_events() > 0 && !world_.power->is_cut()) receive();
  }

 private:
  std::uint64_t note(const std::string& key) const {
    return std::stoull(store_.note(key).value_or("0"));
  }
  void others() {
    if (stop_.stop_requested()) return;
    const bool nothing = in_.counters().stored.events.get() == 0;
    if (world_.random() % 3 == 0) receive();
    if (next_ < lines_in_all && (nothing || world_.random() % 3 == 0)) feed();
    if (next_ == lines_in_all && nothing) stop_.request_stop();
  }
  void feed() {
    const auto end = std::min(next_ + 1 + world_.random() % 3, lines_in_all);
    const auto at = [this](std::uint64_t line) {
      return world_.lines.begin() + static_cast<std::ptrdiff_t>(line);
    };
    const Batch batch = batch_of(world_.pool, {at(next_), at(end)});
    auto room = in_.reserve(batch, soon(), {});
    if (!room.ok()) return;
    Commit commit(&store_);
    commit.put(*std::move(room));
    commit.note({"test/fed", std::to_string(end)});
    if (std::move(commit).wait().ok()) next_ = world_.fed = end;
  }
  void receive() {
    Taken taken = take_now(out_, static_cast<std::uint32_t>(1 + world_.random() % 20));
    if (taken.empty()) return;
    for (std::uint32_t i = 0; i < taken.batch().size(); ++i) {
      const Event event = taken.batch()[i];
      const TestHeaders headers = headers_of(event);
      const auto name = std::find_if(headers.begin(), headers.end(),
                                     [](const auto& header) { return header.first == "mb.batch"; });
      world_.asked.push_back(
          {name == headers.end() ? "none" : name->second, std::string(event.body)});
    }
    Commit commit(&store_);
    commit.take(std::move(taken));
    commit.note({"test/received", std::to_string(world_.received.size() + world_.asked.size())});
    if (std::move(commit).wait().ok()) know_received();
  }
  void know_received() {
    for (Row& row : world_.asked) world_.received.push_back(std::move(row));
    world_.asked.clear();
  }

  World& world_;
  SharedStore store_;
  DurableChannel in_;
  DurableChannel out_;
  TurnedClock clock_{world_, [this] { others(); }};
  SinkCounters counters_;
  MicrobatchCounters microbatch_;
  ViewBoard views_;
  ResultGauges gauges_;
  std::ostringstream printed_;
  std::stop_source stop_;
  std::uint64_t next_ = 0;
};

/// The machine after the power is gone, or only the process.
void lose_power(World& world, bool only_process) {
  world.power->cut();
  if (!only_process) {
    world.power->tear(world.random);
    world.files.cut_power_in_any_order([&] { return world.random() % 2 == 0; });
  }
  world.power->back();
  world.files.revive();
}

/// Lives and power cuts until the input is used up. False: the store does not open any more.
bool live(World& world) {
  const Settings settings = word_counts();
  for (int life = 0;; ++life) {
    bool finished = false;
    {
      const std::uint64_t when = 1 + world.random() % 200;
      const bool early = world.random() % 4 == 0;
      Life agent(world);
      if (life < 12 && early) world.power->cut_at(when % 40);
      const bool open = agent.open();
      if (!open && !world.power->is_cut()) return false;
      if (life < 12 && !early) world.power->cut_at(when);
      if (open && !agent.run(settings).ok() && !world.power->is_cut()) return false;
      finished = open && !world.power->is_cut();
      if (finished) agent.receive_all();
      finished = finished && !world.power->is_cut();
    }
    lose_power(world, world.random() % 2 == 0);
    if (finished) return true;
  }
}

/// Of the files of one output the counts, by their batches. `strange`: names of no file that ought
/// to be there.
std::map<std::string, Counts> batches_of(const World& world, const std::string& prefix,
                                         std::set<std::string>& strange) {
  std::map<std::string, Counts> batches;
  for (const auto& [path, content] : world.files.files()) {
    if (!path.starts_with(prefix)) continue;
    const std::string name = path.substr(prefix.size());
    if (name.find_first_not_of("0123456789") != std::string::npos) strange.insert(path);
    batches[name] = counts_in(content);
  }
  return batches;
}

Counts sums_of(const std::map<std::string, Counts>& batches) {
  Counts sums;
  for (const auto& [name, counts] : batches) {
    for (const auto& [word, count] : counts) sums[word] += count;
  }
  return sums;
}

struct Outcome {
  std::uint64_t broken_promises = 0;
  bool opens = true;
  bool channel_is_exact = false;
  bool files_are_exact = false;
  bool state_is_exact = false;
};

Outcome outcome_of(std::uint64_t seed, SyncMode sync) {
  World world(seed, sync);
  Outcome outcome;
  outcome.opens = live(world);
  outcome.broken_promises = world.broken_promises;
  Counts expected;
  for (const std::string& line : world.lines) {
    std::istringstream in(line);
    for (std::string word; in >> word;) ++expected[word];
  }
  Counts threes;
  for (const auto& [word, count] : expected) {
    if (count >= 3) threes[word] = count / 3 * 3;
  }
  std::map<std::string, Counts> passed;
  bool doubled = false;
  for (const Row& row : world.received) {
    Counts& batch = passed[row.batch];
    const std::size_t words = batch.size();
    add_row(row.text, batch);
    doubled = doubled || batch.size() == words;
  }
  std::set<std::string> strange;
  const auto counts = batches_of(world, "/out/counts/at-", strange);
  const auto totals = batches_of(world, "/out/totals/at-", strange);
  outcome.channel_is_exact = !doubled && sums_of(passed) == expected;
  outcome.files_are_exact = strange.empty() && sums_of(counts) == expected && counts == passed;
  outcome.state_is_exact = !totals.empty() && totals.rbegin()->second == expected &&
                           sums_of(batches_of(world, "/out/threes/at-", strange)) == threes &&
                           strange.empty();
  return outcome;
}

std::uint64_t seeds() {
  const char* const soak = std::getenv("SLUICE_SOAK");
  return soak != nullptr && std::string(soak) == "1" ? 5000 : 150;
}

TEST_CASE("micro-batches: every word counts once, whatever power cuts and kills do") {
  const CapturedLog log(log::Level::Error);
  const std::uint64_t begin = Catch::rngSeed() == 0 ? std::random_device()() : Catch::rngSeed();
  for (std::uint64_t seed = begin; seed < begin + seeds(); ++seed) {
    INFO("seed " << seed);
    const Outcome outcome = outcome_of(seed, SyncMode::Always);
    REQUIRE(outcome.opens);
    CHECK(outcome.broken_promises == 0);
    CHECK(outcome.channel_is_exact);
    CHECK(outcome.files_are_exact);
    CHECK(outcome.state_is_exact);
    if (!outcome.channel_is_exact || !outcome.files_are_exact) break;
  }
}

TEST_CASE("micro-batches: without the sync the same runs lose and double words") {
  const CapturedLog log(log::Level::Error);
  std::uint64_t channels = 0;
  std::uint64_t files = 0;
  for (std::uint64_t seed = 1; (channels == 0 || files == 0) && seed <= 200; ++seed) {
    const Outcome outcome = outcome_of(seed, SyncMode::Never);
    if (!outcome.opens) continue;
    channels += outcome.channel_is_exact ? 0 : 1;
    files += outcome.files_are_exact ? 0 : 1;
  }
  CHECK(channels > 0);
  CHECK(files > 0);
}

}  // namespace
}  // namespace sluice

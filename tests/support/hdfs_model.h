// Sinks of files, driven step by step: by hand, and by a model of a runner whose process dies.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/config/settings.h"
#include "sinks/catalog.h"
#include "sinks/make_hdfs_sink.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/fake_file_system.h"
#include "tests/support/fake_place.h"
#include "tests/support/settings.h"

namespace sluice::testing {

using Values = std::initializer_list<std::pair<std::string, std::string>>;

inline Settings hdfs_settings(Values more = {}) {
  const SinkType* const type = find_type(sink_types(), "hdfs");
  REQUIRE(type != nullptr);
  std::map<std::string, Settings::Value, std::less<>> values;
  values["hdfs.path"] = {"/out", {}, 0};
  values["hdfs.fileType"] = {"DataStream", {}, 0};
  values["hdfs.threadsPoolSize"] = {"0", {}, 0};  // step by step
  for (const auto& [key, value] : more) values[key] = {value, {}, 0};
  return {"sink k1", "k1", *type->info, values};
}

/// A sink of the settings, which writes to `storage` if there is one; then it is an hdfs sink.
inline std::unique_ptr<Sink> make_sink(const Settings& settings, SinkContext context,
                                       FakeStorage* storage) {
  if (storage == nullptr) {
    return find_type(sink_types(), settings.info().alias)->make(settings, std::move(context));
  }
  return make_hdfs_sink(
      settings, std::move(context),
      {.file_system = "hdfs://nn:8020", .place = std::make_unique<FakePlace>(*storage)});
}

/// A sink that the test drives by itself, behind a memory channel.
class Driven final : private DeliveryListener {
 public:
  explicit Driven(Values values = {}, FakeStorage* storage = nullptr)
      : settings_(hdfs_settings(values)), storage_(storage) {
    start();
  }

  void start() {
    SinkContext context{counters_, files, clock};
    if (storage_ != nullptr) context.state_directory = "/state";
    sink_ = make_sink(settings_, std::move(context), storage_);
    REQUIRE(sink_->open({}).ok());
  }
  Delivery deliver(const Batch& batch) {
    sink_->deliver(batch, {}, DeliveryDone(*this, 0));
    return outcome_;
  }
  Delivery deliver(const std::vector<std::string>& bodies, const TestHeaders& headers = {}) {
    return deliver(batch_of(pool, bodies, headers));
  }
  Sink& sink() { return *sink_; }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [path, content] : files.files()) all.push_back(path);
    return all;
  }
  std::string file(const std::string& path) const {
    const auto all = files.files();
    const auto found = all.find(path);
    return found == all.end() ? "no file" : found->second;
  }

  FakeFileSystem files;
  ManualClock clock;
  SlabPool pool{64 * 1024, keep_no_free_slabs};

 private:
  void delivered(std::uint32_t, Delivery delivery) override { outcome_ = std::move(delivery); }
  const Settings settings_;
  FakeStorage* const storage_;
  SinkCounters counters_;
  std::unique_ptr<Sink> sink_;
  Delivery outcome_;
};

/// A store in miniature: what is committed stays, and what is refused takes with it what is behind.
class SmallStore final : public Committer {
 public:
  explicit SmallStore(FakeFileSystem& files) : files_(files) {}
  void submit(Commit commit) override {
    // As good as at once: its owner waits for it.
    Status status;
    if (!files_.change_elsewhere()) status = Retry("the disk is full");
    if (status.ok()) keep(commit.notes());
    std::move(commit).complete(status);
  }
  std::vector<std::pair<std::string, std::string>> notes(std::string_view prefix) const override {
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& [key, value] : notes_) {
      if (key.starts_with(prefix)) found.emplace_back(key, value);
    }
    return found;
  }
  std::optional<std::string> note(std::string_view key) const override {
    const auto found = notes_.find(key);
    return found == notes_.end() ? std::nullopt : std::optional(found->second);
  }
  void keep(const Notes& notes) {
    for (const Note& note : notes) {
      notes_[note.key] = note.value;
      if (note.value.empty()) notes_.erase(note.key);
    }
  }

 private:
  FakeFileSystem& files_;
  std::map<std::string, std::string, std::less<>> notes_;
};

/// Offers numbers in order, and again those whose commits were refused or that died with the
/// process; a runner with its channel, on one thread and step by step.
class Model final : private DeliveryListener {
 public:
  Model(Settings settings, std::uint64_t seed, bool elsewhere = false)
      : random(seed), storage(seed), settings_(std::move(settings)), store_(files) {
    if (elsewhere) storage_ = &storage;
    start();
  }

  /// True when the sink is there.
  bool start() {
    sink_ = make_sink(settings_, {counters_, files, clock, &store_, "/state"}, storage_);
    outstanding_.clear();
    opened_ = sink_->open({}).ok();
    return opened_;
  }
  void put(std::uint64_t numbers) {
    for (std::uint64_t i = 0; i < numbers; ++i) waiting_.push_back(next_++);
  }
  void step() {
    if (!opened_ && !(opened_ = sink_->open({}).ok())) return;
    switch (random() % 8) {
      case 0: sink_->tend(); break;
      case 1: sink_->hurry(); break;
      case 2: clock.advance(milliseconds(random() % 700)); break;
      default: offer(); break;
    }
    settle();
  }
  /// The process dies where it stands; with `power`, the machine.
  void crash(bool power) {
    for (auto& each : outstanding_) give_back(each.numbers);
    sort_waiting();
    sink_.reset();
    if (power) files.cut_power();
    files.revive();
  }
  void finish() {
    while (!waiting_.empty() || !outstanding_.empty()) {
      step();
      sink_->tend();
      sink_->tend();
      settle();
    }
    sink_->close();
  }
  std::uint64_t put_so_far() const { return next_; }
  std::set<std::uint64_t> committed;
  FakeFileSystem files;
  ManualClock clock;
  std::mt19937_64 random;
  FakeStorage storage;  ///< Of a sink that writes elsewhere.
  /// Where the files are in the end, without the part of their names that is before "/out/".
  std::map<std::string, std::string> output() const {
    std::map<std::string, std::string> all;
    for (const auto& [path, content] : storage_ == nullptr ? files.files() : storage.files()) {
      const std::size_t begin = path.find("/out/");
      if (begin != path.npos) all[path.substr(begin)] = content;
    }
    return all;
  }
  /// Body of a number, and headers besides n.
  std::function<std::pair<std::string, TestHeaders>(std::uint64_t)> event_of =
      [](std::uint64_t number) { return std::pair(std::to_string(number), TestHeaders()); };

 private:
  struct Offered {
    std::vector<std::uint64_t> numbers;
    Batch batch;
    std::optional<Delivery> delivery;
  };

  void offer() {
    if (waiting_.empty() || outstanding_.size() >= sink_->in_flight_max()) return;
    const auto count = std::min<std::size_t>(1 + random() % 12, waiting_.size());
    Offered offered;
    BatchBuilder builder(pool_, EventHeaders::Own);
    builder.renew(16384);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t number = waiting_.front();
      waiting_.pop_front();
      offered.numbers.push_back(number);
      const auto [body, more] = event_of(number);
      TestHeaders headers{{"n", std::to_string(number % 3)}};
      headers.insert(headers.end(), more.begin(), more.end());
      REQUIRE(builder.append(body, encoded(headers)));
    }
    offered.batch = builder.seal();
    outstanding_.push_back(std::move(offered));
    offering_ = true;
    sink_->deliver(outstanding_.back().batch, {}, DeliveryDone(*this, 0));
    offering_ = false;
  }
  /// Deliveries end in order, but for one that cannot be written.
  void delivered(std::uint32_t, Delivery delivery) override {
    auto& at = offering_ ? outstanding_.back()
                         : *std::find_if(outstanding_.begin(), outstanding_.end(),
                                         [](const Offered& each) { return !each.delivery; });
    if (at.delivery) std::abort();
    at.delivery = std::move(delivery);
  }
  void settle() {
    const bool failed = std::any_of(outstanding_.begin(), outstanding_.end(), [](const Offered& o) {
      return o.delivery && !o.delivery->status.ok();
    });
    if (failed) sink_->hurry();
    bool refused = false;
    while (!outstanding_.empty() && outstanding_.front().delivery) {
      Offered offered = std::move(outstanding_.front());
      outstanding_.pop_front();
      if (!offered.delivery->status.ok()) {
        give_back(offered.numbers);
        continue;
      }
      refused = refused || files.is_dead() || random() % 20 == 0;
      if (refused) {
        give_back(offered.numbers);
      } else {
        store_.keep(offered.delivery->notes);
        committed.insert(offered.numbers.begin(), offered.numbers.end());
      }
      if (offered.delivery->committed) {
        offered.delivery->committed(refused ? Retry("refused") : Status());
      }
    }
    sort_waiting();
  }
  void give_back(const std::vector<std::uint64_t>& numbers) {
    waiting_.insert(waiting_.end(), numbers.begin(), numbers.end());
  }
  void sort_waiting() { std::sort(waiting_.begin(), waiting_.end()); }

  const Settings settings_;
  FakeStorage* storage_ = nullptr;
  SmallStore store_;
  SlabPool pool_{64 * 1024, keep_no_free_slabs};
  SinkCounters counters_;
  std::unique_ptr<Sink> sink_;
  bool opened_ = false;
  bool offering_ = false;
  std::deque<std::uint64_t> waiting_;
  std::deque<Offered> outstanding_;
  std::uint64_t next_ = 0;
};

inline std::vector<std::string> lines_of(const std::string& content) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end = content.find('\n'); end != content.npos; end = content.find('\n', begin)) {
    lines.push_back(content.substr(begin, end - begin));
    begin = end + 1;
  }
  CHECK(begin == content.size());
  return lines;
}

/// Every number once, in the directory it belongs to, in files that are complete. `events_of` says
/// what is in one.
template <typename EventsOf>
void check_once(const Model& model, EventsOf events_of) {
  std::map<std::uint64_t, int> seen;
  for (const auto& [path, content] : model.output()) {
    INFO(path << ": " << content);
    // One that was made and never told the book of is empty.
    if (path.ends_with(".tmp")) {
      CHECK(content.empty());
      continue;
    }
    for (const std::string& each : events_of(content)) {
      const std::uint64_t number = std::stoull(each);
      CHECK(path.find("/out/" + std::to_string(number % 3) + "/") == 0);
      ++seen[number];
    }
  }
  CHECK(seen.size() == model.put_so_far());
  for (const auto& [number, times] : seen) {
    INFO("number " << number);
    CHECK(times == 1);
  }
}

/// Several lives, each ended at any change of the file system, with disks that fail meanwhile.
inline void live_and_die(Model& model) {
  const auto heal = [&] {
    model.files.bytes_left(UINT64_MAX / 2);
    model.files.truncate_works(true);
    model.files.sync_works(true);
    model.files.rename_works(true);
    model.storage.working_percent(100);
  };
  for (int life = 0; life < 6; ++life) {
    model.put(20 + model.random() % 60);
    model.files.die_at(1 + model.random() % 80);
    for (int i = 0; i < 60 && !model.files.is_dead(); ++i) {
      switch (model.random() % 12) {
        case 0: model.files.bytes_left(model.random() % 60); break;
        case 1: model.files.truncate_works(false); break;
        case 2: model.files.sync_works(false); break;
        case 3: model.files.rename_works(false); break;
        case 4: model.storage.working_percent(30); break;
        default: heal(); break;
      }
      model.step();
    }
    heal();
    model.crash(model.random() % 2 == 0);
    model.start();
  }
  model.finish();
}

}  // namespace sluice::testing

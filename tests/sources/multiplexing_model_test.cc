// The way through interceptors and selector against a plain set of (event, channel) pairs.
//
// Channels fill up and are emptied by sinks that sometimes give back what they took; commits are
// late and refused for now, or go to a store; a source that is told to retry does so. A failure
// prints its seed.

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "channels/memory_channel.h"
#include "sources/channel_processor.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/drop_multiples.h"
#include "tests/support/durable_channels.h"
#include "tests/support/late_committer.h"
#include "tests/support/memory_channels.h"

namespace sluice {
namespace {

constexpr int channels_count = 4;
constexpr int batches_count = 150;
constexpr std::uint64_t dropped_multiples = 7;
const std::vector<std::string> values = {"a", "b", "c", "d", "", " "};

using Pairs = std::set<std::pair<std::uint64_t, int>>;  ///< (event, channel)

/// Where events with some value go; channels by number.
struct PlainRoute {
  std::vector<int> required;
  std::vector<int> optional;
};

/// What is still owed of each batch; a receipt that comes before is a finding. What is on disk in a
/// durable channel is owed no more, so there only a batch that was given up is one.
class Debts final : public ReceiptListener {
 public:
  explicit Debts(bool durable) : durable_(durable) {}
  void owe(std::uint64_t token, const Pairs& pairs) {
    const std::lock_guard lock(mutex_);
    owed_[token] = pairs;
  }
  void pay(std::uint64_t token, std::pair<std::uint64_t, int> pair) {
    const std::lock_guard lock(mutex_);
    owed_[token].erase(pair);
  }
  void settled(std::uint64_t token, bool delivered) noexcept override {
    const std::lock_guard lock(mutex_);
    ++settled_;
    if (!delivered || (!durable_ && !owed_[token].empty())) ++early_;
  }
  int settled_receipts() const {
    const std::lock_guard lock(mutex_);
    return settled_;
  }
  int early() const {
    const std::lock_guard lock(mutex_);
    return early_;
  }

 private:
  const bool durable_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Pairs> owed_;  // guarded by mutex_
  int settled_ = 0;                      // guarded by mutex_
  int early_ = 0;                        // guarded by mutex_
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), seed_(seed) {
    if (one_in(4)) {
      store_ = std::make_unique<SharedStore>(
          Store::Options{.path = directory_.path("store"), .free_bytes_min = 1 << 20},
          GroupCommit::Options{.sync = SyncMode::Never});
    }
    debts_ = std::make_shared<Debts>(store_ != nullptr);
    // A batch always fits, several do not.
    for (int i = 0; i < channels_count; ++i) add_channel("c" + std::to_string(i), 25 + below(40));
    otherwise_ = one_in(3) ? PlainRoute() : route();
    for (const char* value : {"a", "b", "c"}) by_value_[value] = route();
    reject_ = !store_ && one_in(3);
    if (!store_ && !one_in(3)) {
      late_ = std::make_unique<LateCommitter>(
          LateCommitter::Options{.seed = seed, .refusals = reject_ ? 0.0 : 0.02});
      late_->on_commit = [this](const Commit& commit) { check_whole(commit); };
    }
  }

  void run() {
    std::vector<std::jthread> sinks;
    for (int i = 0; i < channels_count; ++i) {
      sinks.emplace_back([this, i] { sink(i); });
    }
    {
      ChannelProcessor out(options(), counters_);
      for (std::uint64_t i = 0; i < batches_count; ++i) send(out, i);
      out.finish({});
    }
    over_ = true;
    sinks.clear();
    was_late_ = late_ != nullptr;
    late_.reset();
    check();
  }

  bool stored() const { return store_ != nullptr; }

 private:
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }

  void add_channel(const std::string& name, std::uint64_t capacity_events) {
    if (store_) {
      DurableChannel::Options options = stored_channel(name);
      options.capacity_events = capacity_events;
      channels_.push_back(std::make_unique<DurableChannel>(std::move(options), *store_, pool_));
    } else {
      MemoryChannel::Options options = roomy_channel(name);
      options.capacity_events = capacity_events;
      options.keep_alive = milliseconds(0);
      channels_.push_back(std::make_unique<MemoryChannel>(std::move(options), pool_));
    }
    REQUIRE(channels_.back()->open().ok());
  }

  Committer* committer() const {
    return store_ ? static_cast<Committer*>(store_.get()) : late_.get();
  }

  /// Some channels required, some others optional; maybe none at all.
  PlainRoute route() {
    PlainRoute made;
    for (int i = 0; i < channels_count; ++i) {
      switch (below(4)) {
        case 0: made.required.push_back(i); break;
        case 1: made.optional.push_back(i); break;
        default: break;
      }
    }
    return made;
  }

  Route wired(const PlainRoute& route) {
    Route result;
    for (const int i : route.required) result.required.push_back(channels_[i].get());
    for (const int i : route.optional) result.optional.push_back(channels_[i].get());
    return result;
  }

  ChannelProcessor::Options options() {
    ChannelProcessor::Options options;
    options.source_name = "source r1";
    Route otherwise = wired(otherwise_);
    options.required = std::move(otherwise.required);
    options.optional = std::move(otherwise.optional);
    options.header = "kind";
    for (const auto& [value, way] : by_value_) options.mappings.push_back({value, wired(way)});
    options.interceptors.push_back(std::make_unique<DropMultiples>(dropped_multiples));
    options.on_full = reject_ ? OnFull::Reject : OnFull::Wait;
    if (committer() != nullptr) options.stores = {committer()};
    options.in_flight_bytes_max = 200;
    return options;
  }

  /// The plain computation.
  const PlainRoute& way_of(const std::optional<std::string>& value) const {
    if (!value || value->find_first_not_of(" \t") == std::string::npos) return otherwise_;
    const auto found = by_value_.find(*value);
    return found == by_value_.end() ? otherwise_ : found->second;
  }

  std::optional<std::string> some_value() {
    if (one_in(5)) return std::nullopt;
    return values[below(values.size())];
  }

  /// Own headers for each event, and now and then one for all of them.
  Batch make(std::uint64_t token, Pairs& required) {
    const auto imposed = one_in(6) ? some_value() : std::nullopt;
    const auto fallback = one_in(3) ? some_value() : std::nullopt;
    const auto usual = some_value();
    BatchBuilder builder(pool_, EventHeaders::Own);
    builder.renew();
    const std::size_t events = 1 + below(20);
    const bool all_usual = one_in(4);
    for (std::size_t i = 0; i < events; ++i, ++next_) {
      const auto own = all_usual || one_in(2) ? usual : some_value();
      REQUIRE(builder.append(std::to_string(next_), own ? encoded({{"kind", *own}}) : ""));
      plan(imposed ? imposed : own ? own : fallback, required);
    }
    made_events_ += events;
    Batch batch = builder.seal();
    const auto block = [](const std::optional<std::string>& value) {
      return value ? HeaderBlock(encoded({{"kind", *value}})) : HeaderBlock();
    };
    batch = batch.with_shared_headers(block(imposed), block(fallback));
    return batch.with_receipt(Receipt::make(debts_, token, batch.size()));
  }

  void plan(const std::optional<std::string>& value, Pairs& required) {
    if (next_ % dropped_multiples == 0) {
      ++filtered_;
      return;
    }
    const PlainRoute& way = way_of(value);
    if (way.required.empty() && way.optional.empty()) ++unrouted_;
    for (const int channel : way.required) required.insert({next_, channel});
    const std::lock_guard lock(mutex_);
    for (const int channel : way.optional) optional_.insert({next_, channel});
  }

  void send(ChannelProcessor& out, std::uint64_t token) {
    Pairs required;
    const Batch batch = make(token, required);
    {
      const std::lock_guard lock(mutex_);
      for (std::uint64_t i = next_ - batch.size(); i < next_; ++i) batch_of_[i] = token;
      required_.insert(required.begin(), required.end());
      of_batch_[token] = required;
    }
    debts_->owe(token, required);
    Notes notes;
    if (committer() != nullptr) notes.push_back({"position", std::to_string(token)});
    for (;;) {
      const Status status = out.process(
          batch, {}, [this](const Status& outcome) { failed_ += outcome.ok() ? 0 : 1; }, notes);
      if (status.ok()) break;
      REQUIRE(reject_);
      REQUIRE(status.code() == Code::Retry);
      ++rejections_;
      std::this_thread::yield();
    }
  }

  /// All parts of a batch, and its note, in one commit.
  void check_whole(const Commit& commit) {
    const std::lock_guard lock(mutex_);
    Pairs inside;
    for (const Reservation& room : commit.puts()) {
      const int channel = room.channel()->name().back() - '0';
      for (const auto number : numbers_of(room.batch())) inside.insert({number, channel});
    }
    for (const Note& note : commit.notes()) {
      ++notes_;
      for (const auto& pair : of_batch_[std::stoull(note.value)]) {
        if (inside.count(pair) == 0) ++torn_;
      }
    }
  }

  void sink(int channel) {
    std::mt19937_64 random(seed_ * 10 + static_cast<std::uint64_t>(channel));
    Channel& from = *channels_[channel];
    while (!over_ || from.size_events() > 0) {
      Taken taken = from.take({.events_max = static_cast<std::uint32_t>(1 + random() % 12),
                               .wait_max = milliseconds(2)},
                              {});
      if (taken.empty() || random() % 4 == 0) continue;  // what was taken goes back
      for (const auto number : numbers_of(taken.batch())) {
        std::uint64_t token = 0;
        {
          const std::lock_guard lock(mutex_);
          delivered_[channel].push_back(number);
          token = batch_of_[number];
        }
        debts_->pay(token, {number, channel});
      }
      commit(std::move(taken));
    }
  }

  void check() {
    std::uint64_t pairs = 0;
    std::uint64_t passed_over = optional_.size();
    for (int i = 0; i < channels_count; ++i) {
      INFO("channel " << i);
      std::vector<std::uint64_t> in_order;
      std::set<std::uint64_t> seen;
      for (const auto number : delivered_[i]) {
        REQUIRE(seen.insert(number).second);  // each pair once
        const bool required = required_.count({number, i}) > 0;
        REQUIRE(required != (optional_.count({number, i}) > 0));
        if (required) in_order.push_back(number);
        passed_over -= required ? 0 : 1;
      }
      CHECK(std::is_sorted(in_order.begin(), in_order.end()));
      for (const auto& [number, channel] : required_) {
        if (channel == i) REQUIRE(seen.count(number) == 1);
      }
      pairs += seen.size();
    }
    CHECK(debts_->settled_receipts() == batches_count);
    CHECK(debts_->early() == 0);
    CHECK(failed_ == 0);
    CHECK(torn_ == 0);
    if (was_late_) CHECK(notes_ == batches_count);
    if (store_) CHECK(store_->note("position") == std::to_string(batches_count - 1));
    CHECK(counters_.made.events.get() == made_events_);
    CHECK(counters_.filtered.events.get() == filtered_);
    CHECK(counters_.unrouted.events.get() == unrouted_);
    CHECK(counters_.put.events.get() == pairs);
    CHECK(counters_.refused.events.get() == passed_over);
    CHECK(counters_.channel_failures.get() >= rejections_);
    for (const auto part : {&Flow::events, &Flow::bytes}) {
      const auto sum = [&](std::initializer_list<const Flow*> flows) {
        std::uint64_t total = 0;
        for (const Flow* flow : flows) total += (flow->*part).get();
        return total;
      };
      CHECK(sum({&counters_.made, &counters_.copied}) ==
            sum({&counters_.filtered, &counters_.unrouted, &counters_.refused, &counters_.put}));
    }
  }

  std::mt19937_64 random_;
  const std::uint64_t seed_;
  SlabPool pool_{64 * 1024, keep_no_free_slabs};
  SourceCounters counters_;
  std::shared_ptr<Debts> debts_;
  const testing::TempDirectory directory_;
  std::unique_ptr<SharedStore> store_;  ///< Of durable channels, in some worlds.
  std::vector<std::unique_ptr<Channel>> channels_;
  PlainRoute otherwise_;
  std::map<std::string, PlainRoute> by_value_;
  bool reject_ = false;
  std::unique_ptr<LateCommitter> late_;  ///< Of channels in memory, in some others.
  bool was_late_ = false;
  std::uint64_t next_ = 0;
  std::uint64_t made_events_ = 0;
  std::uint64_t filtered_ = 0;
  std::uint64_t unrouted_ = 0;
  std::uint64_t rejections_ = 0;
  std::atomic<int> failed_{0};
  std::atomic<bool> over_{false};

  std::mutex mutex_;
  Pairs required_;                                        // guarded by mutex_
  Pairs optional_;                                        // guarded by mutex_
  std::map<std::uint64_t, Pairs> of_batch_;               // guarded by mutex_
  std::map<std::uint64_t, std::uint64_t> batch_of_;       // guarded by mutex_
  std::vector<std::uint64_t> delivered_[channels_count];  // guarded by mutex_
  int notes_ = 0;                                         // guarded by mutex_
  int torn_ = 0;                                          // guarded by mutex_
};

TEST_CASE(
    "every event reaches the channels of its header, each once, whatever is refused meanwhile") {
  int stored = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    stored += world.stored() ? 1 : 0;
    world.run();
  }
  CHECK(stored > 3);
}

}  // namespace
}  // namespace sluice

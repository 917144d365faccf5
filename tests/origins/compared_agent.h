// An agent and what it should be, side by side: whatever is done to the one is worked out plainly
// for the other, and every event that comes out is compared.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "channels/channel_reader.h"
#include "channels/replay.h"
#include "core/event/origin_text.h"
#include "sinks/dead_letter_channel.h"
#include "sinks/sink_runner.h"
#include "tests/origins/plain_agent.h"
#include "tests/origins/wired_agent.h"
#include "tests/support/moved_clock.h"

namespace sluice::testing {

/// What an agent did otherwise than it should.
struct Finding {
  std::string text;
};

inline void expect(bool holds, const std::string& text) {
  if (!holds) throw Finding{text};
}
inline void expect(const Status& status, const std::string& text) {
  if (!status.ok()) throw Finding{text + ": " + status.message()};
}

/// Real origins and the names that the model has for them: one each.
class OriginNames {
 public:
  void check(const std::string& name, const Origin& real) {
    const auto key = std::make_pair(real.id, real.sequence);
    const auto by_name = real_.try_emplace(name, key).first;
    const auto by_real = names_.try_emplace(key, name).first;
    expect(by_name->second == key, "the origin " + name + " is another than before");
    expect(by_real->second == name, "one origin stands for " + name + " and " + by_real->second);
  }
  /// REQUIRES: it was seen.
  Origin real(const std::string& name) const {
    const auto found = real_.find(name);
    expect(found != real_.end(), "the origin " + name + " was never seen");
    return {found->second.first, found->second.second};
  }

 private:
  std::map<std::string, std::pair<OriginId, std::uint64_t>> real_;
  std::map<std::pair<OriginId, std::uint64_t>, std::string> names_;
};

/// What agents share that live together.
struct Surroundings {
  explicit Surroundings(std::uint64_t seed) : random(seed) {}
  std::uint64_t below(std::uint64_t n) { return random() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  std::mt19937_64 random;
  SlabPool pool{64 * 1024, 16};
  MovedClock clock;
  OriginNames origins;
  /// Numbers of events of which something happened that nobody can make up for.
  std::set<std::uint64_t> may_miss;
  std::set<std::uint64_t> may_double;
  /// What ever entered the channels of a name.
  std::map<std::string, std::set<std::string>> named;
  std::map<std::string, std::uint64_t> delivered;  ///< By the channel and what the event is.
  std::map<std::string, std::uint64_t> tally;      ///< What happened how often.
};

/// Takes one offer and says what became of it. Then its runner is to stop.
class OneOffer final : public Sink {
 public:
  using Script = std::function<Delivery(const Batch&)>;
  OneOffer(std::uint32_t events_max, std::stop_source over, Script script)
      : events_max_(events_max), over_(std::move(over)), script_(std::move(script)) {}
  Status open(const std::stop_token& /*stop*/) override { return {}; }
  void deliver(const Batch& batch, std::stop_token /*stop*/, DeliveryDone done) override {
    Delivery delivery = script_(batch);
    over_.request_stop();
    done(std::move(delivery));
  }
  void tend() override {
    if (deadline_.passed()) over_.request_stop();
  }
  void close() override {}
  TakeLimit take_limit() const override {
    return {.events_max = events_max_, .wait_max = milliseconds(20)};
  }

 private:
  const std::uint32_t events_max_;
  std::stop_source over_;
  const Script script_;
  const Deadline deadline_ = patiently();
};

/// Thread-safe.
class DeliveredReceipts final : public ReceiptListener {
 public:
  void settled(std::uint64_t token, bool delivered) noexcept override {
    const std::lock_guard lock(mutex_);
    if (delivered) delivered_.insert(token);
  }
  std::set<std::uint64_t> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(delivered_, {});
  }

 private:
  std::mutex mutex_;
  std::set<std::uint64_t> delivered_;  // guarded by mutex_
};

/// One thread. Everything throws a Finding.
class ComparedAgent {
 public:
  struct Options {
    std::string name;
    WiredAgent::Options wired;
    std::uint64_t source = 0;  ///< What its source reads; 0: it has none.
    bool names = false;        ///< The source knows origins, as that of Kafka does.
    bool terminal = false;     ///< What leaves its channels is delivered.
  };
  using Events = std::vector<std::pair<std::uint64_t, PlainEvent>>;  ///< With their sequences.
  /// A batch for an agent, in both forms.
  struct Both {
    Batch batch;
    std::vector<PlainEvent> events;
  };

  ComparedAgent(Options options, Surroundings& around)
      : options_(std::move(options)),
        around_(around),
        plain_{options_.wired.routing, options_.wired.channels,
               std::vector<std::optional<std::uint64_t>>(options_.wired.stores)},
        seen_(plain_.channels.size()),
        was_lost_(options_.wired.stores),
        troubled_(options_.wired.stores),
        wired_(options_.wired, around.pool) {}

  const std::string& name() const noexcept { return options_.name; }
  const Options& options() const noexcept { return options_; }
  const PlainAgent& plain() const noexcept { return plain_; }
  std::size_t channels() const noexcept { return plain_.channels.size(); }
  std::size_t stores() const noexcept { return options_.wired.stores; }
  bool empty(std::size_t channel) const { return plain_.channels[channel].waiting.empty(); }
  std::uint64_t reached() const noexcept { return reached_; }
  std::uint64_t position() const noexcept { return position_; }

  // ---- its life
  void start();
  void stop(bool cut);
  void trouble(std::size_t store, std::uint64_t soon);
  void wipe(std::size_t store);
  void back_up(std::size_t store);
  /// False: there is no backup.
  bool restore(std::size_t store);
  /// Both go on with what this one has on disk.
  std::unique_ptr<ComparedAgent> copy(Options options);

  // ---- what enters
  PlainEvent event_at(std::uint64_t offset) const;
  Both read(std::uint32_t events);
  bool put(const Both& both, bool from_source);
  void crash(const Both& both, bool from_source, std::uint64_t soon);

  // ---- what leaves
  struct Part {
    Taken taken;
    Events events;
  };
  Part take(std::size_t channel, std::uint32_t events_max);
  Part split_front(Part& part, std::uint32_t events);
  /// False: it was refused, and comes again.
  bool commit(std::size_t channel, Part part);
  void read_ahead(std::size_t channel, std::uint32_t events_max, bool commits);
  /// Offers events to a sink that fails behind the first ones.
  void fail(std::size_t channel, std::uint32_t events_max);
  /// Offers events to a sink that rejects some.
  void reject(std::size_t channel, std::size_t dead, std::uint32_t events_max);
  /// False: there is nothing to replay, or no room for it.
  bool replay(std::size_t channel, std::size_t to);

  void compare();

 private:
  void expect_here(bool holds, const std::string& text) const {
    expect(holds, options_.name + ": " + text);
  }
  void expect_here(const Status& status, const std::string& text) const {
    expect(status, options_.name + ": " + text);
  }
  bool any_trouble() const {
    return std::find(troubled_.begin(), troubled_.end(), true) != troubled_.end();
  }
  std::uint64_t real_size(std::size_t channel) { return wired_.channel(channel).size_events(); }
  bool fits(std::size_t store, const PlainAgent& state, bool with_note);
  void adopt(std::size_t store, const PlainAgent& after, const PlainOutcome& outcome);
  void note_entered(const PlainOutcome& outcome, std::optional<std::size_t> of_store);
  void compare_event(const PlainChannel& channel, const PlainEvent& event, const Event& real,
                     const std::optional<Origin>& origin);
  void check_counters(const PlainOutcome& outcome, const std::vector<std::uint64_t>& before);
  std::vector<std::uint64_t> counts() const;
  void check_receipts();
  void heal();
  void lose(const PlainChannel& channel);
  void start_source();
  void out(std::size_t channel, const Events& events);
  using Script = std::function<Delivery(const Events&)>;
  bool run_one_offer(std::size_t channel, std::uint32_t events_max, std::size_t dead,
                     const Script& script);
  Events compare_batch(std::size_t channel, const Batch& batch, std::size_t ahead);
  Notes notes_for(const Both& both, bool from_source) const;
  void came_in(const Both& both);
  void settle_crash(const PlainAgent& after, const PlainOutcome& outcome, bool with_notes,
                    bool acknowledged);
  PlainEvent dead_letter(const PlainChannel& from, std::uint64_t sequence, PlainEvent event) const;
  void settle_rejection(std::size_t channel, std::size_t dead, const Events& events,
                        const std::vector<std::uint32_t>& rejected, bool grew);

  const Options options_;
  Surroundings& around_;
  PlainAgent plain_;
  std::vector<std::set<std::string>> seen_;  ///< What ever entered each channel.
  std::vector<bool> was_lost_;               ///< Of a store: it forgot what it had accepted.
  std::vector<bool> troubled_;
  std::map<std::size_t, PlainAgent> backups_;
  // Of the source:
  bool starts_over_ = false;
  std::uint64_t position_ = 0;
  std::uint64_t reached_ = 0;
  std::uint64_t tokens_ = 0;
  std::map<std::uint64_t, std::uint64_t> open_;  ///< Receipts that wait, and where they begin.
  std::shared_ptr<DeliveredReceipts> receipts_;
  // Of the last offer:
  bool committed_ = false;
  SinkCounters sink_counters_;
  WiredAgent wired_;
};

}  // namespace sluice::testing

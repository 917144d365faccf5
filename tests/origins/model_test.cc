// test: timeout=600
// Positions and origins against plain sets of (event, channel) pairs, through whatever happens to a
// small fleet: edges with sources send to collectors, collectors to one aggregator, each through
// interceptors that drop and alter, and a selector into channels on disk and in memory, required
// and optional.
//
// Every event that comes out of a channel is compared with what should come out there. At the end
// the pairs are counted that were delivered: each is there once, but for what was in a memory, in a
// directory that was wiped, or in a store that was exchanged for its backup. A failure prints its
// seed and its moves. SLUICE_ORIGINS_LIVES sets the number of lives, SLUICE_ORIGINS_SEED the first.

#include <cstdlib>
#include <iostream>
#include <sstream>

#include "tests/catch.h"
#include "tests/origins/compared_agent.h"
#include "tests/support/captured_log.h"
#include "tests/support/seeds.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::ComparedAgent;
using testing::expect;
using testing::Finding;
using testing::PlainAgent;
using testing::PlainChannel;
using testing::PlainEvent;
using testing::PlainHeaders;
using testing::PlainRoute;
using testing::PlainRouting;
using testing::PlainStep;
using testing::Surroundings;
using testing::TempDirectory;

using Agents = std::vector<std::unique_ptr<ComparedAgent>>;

constexpr std::uint64_t roomy = 1'000'000;
enum Tier : std::size_t { edge, collector, aggregator, tiers };

/// A life of a fleet.
class Life {
 public:
  explicit Life(std::uint64_t seed) : around_(seed) {
    for (std::uint64_t i = 0, edges = 1 + below(2); i < edges; ++i) add_edge();
    const ComparedAgent::Options plan = some_agent("collector0", "c", 1 + below(3));
    add(collector, plan);
    if (one_in(2)) {
      // Where its channels lie is its own matter; what they are called and get is not.
      ComparedAgent::Options other =
          some_agent("collector1", "c", plan.wired.channels.size(), &plan.wired.routing);
      add(collector, other);
    }
    ComparedAgent::Options last = some_agent("aggregator", "z", 1 + below(2));
    last.terminal = true;
    add(aggregator, last);
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      one_move();
      compare();
    }
    say("finish");
    finish();
    check();
  }

  const Surroundings& around() const { return around_; }
  std::string trace() const { return trace_.str(); }
  std::uint64_t pairs() const { return pairs_; }
  std::uint64_t excused() const { return excused_; }

 private:
  std::uint64_t below(std::uint64_t n) { return around_.below(n); }
  bool one_in(std::uint64_t n) { return around_.one_in(n); }

  template <typename... Words>
  void say(const Words&... words) {
    (trace_ << ... << words) << "\n";
  }
  void count(const std::string& move) { ++around_.tally["move: " + move]; }

  // ---- what there is

  /// Some channels required, some others optional; rarely none at all.
  PlainRoute some_route(std::size_t channels, std::size_t only_optional) {
    PlainRoute route;
    for (std::size_t i = 0; i < channels; ++i) {
      switch (i == only_optional ? 3 + below(2) : below(5)) {
        case 0:
        case 1:
        case 2: route.required.push_back(i); break;
        case 3: route.optional.push_back(i); break;
        default: break;
      }
    }
    return route;
  }

  PlainRouting some_routing(const std::string& prefix, std::size_t channels) {
    PlainRouting routing;
    for (std::uint64_t i = 0, steps = below(3); i < steps; ++i) {
      const auto kind = static_cast<PlainStep::Kind>(below(4));
      const bool drops = kind == PlainStep::Kind::DropDigit;
      routing.steps.push_back(
          {kind, drops ? std::to_string(below(10)) : std::string(1, "abcd"[below(4)])});
    }
    // The first channel is not the one.
    const std::size_t only_optional =
        channels > 1 && one_in(2) ? 1 + below(channels - 1) : channels;
    routing.otherwise = some_route(channels, only_optional);
    if (routing.otherwise.required.empty() && !one_in(8)) {
      std::erase(routing.otherwise.optional, 0U);
      routing.otherwise.required.push_back(0);
    }
    if (one_in(3)) return routing;  // it replicates
    const bool by_way = prefix == "c" && one_in(3);
    routing.header = by_way ? "via1" : "kind";
    for (const std::string& value :
         by_way ? std::vector<std::string>{"e0", "e1"} : std::vector<std::string>{"a", "b", "c"}) {
      routing.by_value[value] = some_route(channels, only_optional);
    }
    return routing;
  }

  ComparedAgent::Options some_agent(const std::string& name, const std::string& prefix,
                                    std::size_t channels, const PlainRouting* same_as = nullptr) {
    ComparedAgent::Options options;
    options.name = name;
    options.wired.path = directory_.path(name);
    options.wired.routing = same_as != nullptr ? *same_as : some_routing(prefix, channels);
    options.wired.on_full = one_in(3) ? OnFull::Reject : OnFull::Wait;
    options.wired.budget_bytes = one_in(2) ? 64 << 20 : 0;
    options.wired.memtable_bytes = one_in(4) ? 64 << 10 : 1 << 20;
    options.wired.clock = &around_.clock;
    const std::uint64_t stores = one_in(4) ? 2 : 1;
    const std::uint64_t in_memory = one_in(2) ? 0 : 3;  // of ten
    const std::set<std::size_t> required = options.wired.routing.required();
    std::map<std::uint64_t, std::size_t> numbers;  // of the stores that are used
    for (std::size_t i = 0; i < channels; ++i) {
      PlainChannel channel;
      channel.name = prefix + std::to_string(i);
      if (below(10) >= in_memory) {
        // A store of its own has no say where no required channel lies in it.
        const std::uint64_t lies_in = required.count(i) == 0 && one_in(2) ? stores : below(stores);
        channel.store = numbers.try_emplace(lies_in, numbers.size()).first->second;
      }
      channel.capacity = one_in(3) ? 20 + below(40) : roomy;
      channel.keeps = channel.store && one_in(3);
      options.wired.channels.push_back(std::move(channel));
    }
    options.wired.stores = numbers.size();
    return options;
  }

  void say_plan(const ComparedAgent::Options& options) {
    say(options.name, options.names ? ", whose source knows origins" : "",
        options.wired.on_full == OnFull::Wait ? ", waits" : ", rejects");
    for (const PlainChannel& channel : options.wired.channels) {
      say("  ", channel.name, channel.store ? " in store " + std::to_string(*channel.store) : "",
          channel.keeps ? ", keeps" : "",
          channel.capacity < roomy ? ", room for " + std::to_string(channel.capacity) : "");
    }
    const PlainRouting& routing = options.wired.routing;
    for (const PlainStep& step : routing.steps) {
      say("  step ", static_cast<int>(step.kind), " ", step.value);
    }
    const auto say_route = [&](const std::string& value, const PlainRoute& route) {
      trace_ << "  " << value << ":";
      for (const std::size_t i : route.required) trace_ << " " << i;
      for (const std::size_t i : route.optional) trace_ << " (" << i << ")";
      say("");
    };
    say_route(routing.header.empty() ? "all" : "others", routing.otherwise);
    for (const auto& [value, route] : routing.by_value) say_route(value, route);
  }

  ComparedAgent& add(Tier tier, ComparedAgent::Options options) {
    say_plan(options);
    agents_[tier].push_back(std::make_unique<ComparedAgent>(std::move(options), around_));
    agents_[tier].back()->start();
    return *agents_[tier].back();
  }

  void add_edge() {
    const std::uint64_t number = agents_[edge].size();
    ComparedAgent::Options options = some_agent("edge" + std::to_string(number), "e", 1 + below(3));
    options.source = number + 1;
    options.names = one_in(3);
    add(edge, std::move(options));
  }

  ComparedAgent& any(Tier tier) { return *agents_[tier][below(agents_[tier].size())]; }
  ComparedAgent& any() { return any(static_cast<Tier>(below(tiers))); }
  /// One that has a store, or null.
  ComparedAgent* any_stored() {
    ComparedAgent& agent = any();
    return agent.stores() > 0 ? &agent : nullptr;
  }
  /// A channel with events, or nothing.
  std::optional<std::size_t> any_channel(ComparedAgent& agent) {
    const std::size_t channel = below(agent.channels());
    return agent.empty(channel) ? std::nullopt : std::optional<std::size_t>(channel);
  }

  // ---- what happens

  void one_move() {
    const std::uint64_t move = below(100);
    if (move < 24) return read();
    if (move < 46) return pass_on(edge, true);
    if (move < 62) return pass_on(collector, true);
    if (move < 74) return deliver(true);
    if (move < 78) return restart();
    if (move < 82) return crash();
    if (move < 84) return trouble();
    if (move < 87) return back_up_or_restore();
    if (move < 89) return wipe();
    if (move < 90) return copy_an_edge();
    if (move < 93) return reject();
    if (move < 95) return fail();
    if (move < 97) return read_ahead();
    return replay();
  }

  void read() {
    ComparedAgent& agent = any(edge);
    if (agent.options().source == 0) return;
    count("read");
    const auto events = static_cast<std::uint32_t>(1 + below(25));
    say("read ", agent.name(), " from ", agent.position(), ", ", events, " events");
    if (!agent.put(agent.read(events), true)) say("  refused");
  }

  /// The batch as it arrives at a receiver: by which channel it came is a header.
  ComparedAgent::Both sent(const ComparedAgent::Part& part, const std::string& header,
                           const std::string& channel) {
    ComparedAgent::Both both;
    const Batch& batch = part.taken.batch();
    both.batch = batch.with_receipt({}).with_shared_headers(
        batch.imposed_headers().with(header, channel), batch.fallback_headers());
    for (const auto& [sequence, event] : part.events) {
      both.events.push_back(event);
      both.events.back().headers[header] = channel;
      both.events.back().token = 0;
    }
    return both;
  }

  void pass_on(Tier tier, bool answers_get_lost) {
    ComparedAgent& from = any(tier);
    const auto channel = any_channel(from);
    if (channel) pass_on(tier, from, *channel, answers_get_lost);
  }

  /// A take goes to a receiver, or in slices to several of them, in any order; then the answer may
  /// get lost.
  void pass_on(Tier tier, ComparedAgent& from, std::size_t channel, bool answers_get_lost) {
    count("pass on");
    const std::string name = from.plain().channels[channel].name;
    std::vector<ComparedAgent::Part> parts;
    parts.push_back(from.take(channel, static_cast<std::uint32_t>(1 + below(40))));
    while (parts.size() < 3 && parts.back().events.size() > 1 && one_in(3)) {
      const auto events = static_cast<std::uint32_t>(1 + below(parts.back().events.size() - 1));
      ComparedAgent::Part front = from.split_front(parts.back(), events);
      parts.insert(std::prev(parts.end()), std::move(front));
    }
    if (parts.size() > 1) {
      count("slices");
      for (std::size_t i = parts.size(); i > 1; --i) std::swap(parts[i - 1], parts[below(i)]);
    }
    for (ComparedAgent::Part& part : parts) {
      ComparedAgent& receiver = any(static_cast<Tier>(tier + 1));
      const std::uint64_t first = part.events.front().first;
      say("pass ", part.events.size(), " events of ", name, " from ", first, " on: ", from.name(),
          " to ", receiver.name());
      const ComparedAgent::Both both = sent(part, tier == edge ? "via1" : "via2", name);
      if (answers_get_lost && one_in(60)) {
        count("crash of a receiver");
        say("  which crashes");
        receiver.crash(both, false, below(6));
        continue;
      }
      if (!receiver.put(both, false)) {
        say("  refused");
        continue;
      }
      if (answers_get_lost && one_in(3)) {
        count("lost answer");
        say("  the answer gets lost");
        continue;
      }
      if (!from.commit(channel, std::move(part))) say("  the take is refused");
    }
  }

  void deliver(bool answers_get_lost) {
    ComparedAgent& agent = any(aggregator);
    const auto channel = any_channel(agent);
    if (channel) deliver(agent, *channel, answers_get_lost);
  }

  void deliver(ComparedAgent& agent, std::size_t channel, bool comes_back) {
    count("deliver");
    ComparedAgent::Part part = agent.take(channel, static_cast<std::uint32_t>(1 + below(60)));
    const bool back = comes_back && one_in(4);
    say("deliver ", part.events.size(), " events of ", agent.plain().channels[channel].name,
        back ? ", in vain" : "");
    if (!back) agent.commit(channel, std::move(part));
  }

  void restart() {
    ComparedAgent& agent = any();
    const bool cut = one_in(3);
    count(cut ? "power cut" : "restart");
    say(cut ? "power cut: " : "restart: ", agent.name());
    agent.stop(cut);
    agent.start();
  }

  void crash() {
    ComparedAgent& agent = any(edge);
    if (agent.options().source == 0) return;
    count("crash while reading");
    const auto events = static_cast<std::uint32_t>(1 + below(25));
    say("crash of ", agent.name(), " while it reads from ", agent.position(), ", ", events,
        " events");
    agent.crash(agent.read(events), true, below(8));
  }

  void trouble() {
    ComparedAgent* const agent = any_stored();
    if (agent == nullptr || one_in(2)) return;
    count("disk fails once");
    const std::size_t store = below(agent->stores());
    const std::uint64_t soon = 1 + below(4);
    say("trouble: disk of store ", store, " of ", agent->name(), ", step ", soon);
    agent->trouble(store, soon);
  }

  void back_up_or_restore() {
    ComparedAgent* const agent = any_stored();
    if (agent == nullptr) return;
    const std::size_t store = below(agent->stores());
    if (!one_in(3) && agent->restore(store)) {
      count("restore");
      say("store ", store, " of ", agent->name(), " was exchanged for its backup");
    } else {
      count("back up");
      say("back up store ", store, " of ", agent->name());
      agent->back_up(store);
    }
  }

  void wipe() {
    ComparedAgent* const agent = any_stored();
    if (agent == nullptr || one_in(2)) return;
    count("wipe");
    const std::size_t store = below(agent->stores());
    say("wipe store ", store, " of ", agent->name());
    agent->wipe(store);
  }

  /// A backup that is started while the original goes on: both send what both had.
  void copy_an_edge() {
    ComparedAgent& original = any(edge);
    if (agents_[edge].size() >= 4 || original.stores() == 0) return;
    count("copy of a store");
    ComparedAgent::Options options = original.options();
    options.name += "-copy" + std::to_string(agents_[edge].size());
    options.wired.path = directory_.path(options.name);
    options.source = 0;
    say("a copy of ", original.name(), " is ", options.name);
    agents_[edge].push_back(original.copy(std::move(options)));
  }

  void reject() {
    ComparedAgent& agent = any();
    const auto channel = any_channel(agent);
    if (!channel || agent.channels() == 1) return;
    const std::size_t dead = (*channel + 1 + below(agent.channels() - 1)) % agent.channels();
    count("reject");
    say("events of ", agent.plain().channels[*channel].name, " of ", agent.name(),
        " are rejected and go to ", agent.plain().channels[dead].name);
    const auto store = agent.plain().channels[*channel].store;
    if (store && one_in(4)) {
      const std::uint64_t soon = 1 + below(3);
      say("  while the disk fails once, step ", soon);
      agent.trouble(*store, soon);
    }
    agent.reject(*channel, dead, static_cast<std::uint32_t>(1 + below(8)));
  }

  void fail() {
    ComparedAgent& agent = any(aggregator);
    const auto channel = any_channel(agent);
    if (!channel) return;
    count("fail in part");
    say("a delivery fails in part: ", agent.plain().channels[*channel].name);
    agent.fail(*channel, static_cast<std::uint32_t>(1 + below(20)));
  }

  void read_ahead() {
    ComparedAgent& agent = any(aggregator);
    const auto channel = any_channel(agent);
    if (!channel) return;
    const bool commits = !agent.plain().channels[*channel].durable() || one_in(2);
    count(commits ? "read ahead" : "read ahead in vain");
    say("read ahead in ", agent.plain().channels[*channel].name, commits ? "" : ", in vain");
    agent.read_ahead(*channel, static_cast<std::uint32_t>(1 + below(20)), commits);
  }

  void replay() {
    std::vector<std::pair<ComparedAgent*, std::size_t>> places;
    for_each_agent([&](Tier, ComparedAgent& agent) {
      for (std::size_t i = 0; i < agent.channels(); ++i) {
        if (!agent.plain().channels[i].kept.empty()) places.emplace_back(&agent, i);
      }
    });
    if (places.empty()) return;
    const auto [agent, from] = places[below(places.size())];
    const std::size_t to = below(agent->channels());
    say("replay of ", agent->plain().channels[from].name, " of ", agent->name(), " into ",
        agent->plain().channels[to].name);
    if (agent->replay(from, to)) count("replay");
  }

  // ---- what came of it

  void for_each_agent(const std::function<void(Tier, ComparedAgent&)>& f) {
    for (const Tier tier : {aggregator, collector, edge}) {
      for (const auto& agent : agents_[tier]) f(tier, *agent);
    }
  }
  void compare() {
    for_each_agent([](Tier, ComparedAgent& agent) { agent.compare(); });
  }

  /// Sources read again what they were told to, and all of it comes out at the end.
  void finish() {
    for (int round = 0; round < 10'000; ++round) {
      bool left = false;
      for_each_agent([&](Tier tier, ComparedAgent& agent) {
        for (std::size_t i = 0; i < agent.channels(); ++i) {
          if (agent.empty(i)) continue;
          left = true;
          if (tier == aggregator) {
            deliver(agent, i, false);
          } else {
            pass_on(tier, agent, i, false);
          }
        }
        if (agent.options().source == 0 || agent.position() >= agent.reached()) return;
        left = true;
        const auto events = std::min<std::uint64_t>(25, agent.reached() - agent.position());
        agent.put(agent.read(static_cast<std::uint32_t>(events)), true);
      });
      compare();
      if (!left) return;
    }
    expect(false, "the fleet does not come to rest");
  }

  /// Calls f for the event at the end of each way through required channels alone.
  void follow(std::size_t tier, const PlainAgent& plain, PlainEvent event,
              const std::function<void(const std::string&)>& f) {
    if (!plain.routing.apply_steps(event)) return;
    for (const std::size_t number : plain.routing.way_of(event).required) {
      const std::string& name = plain.channels[number].name;
      if (tier == aggregator) {
        f(name + ": " + event.identity());
      } else {
        PlainEvent next = event;
        next.headers[tier == edge ? "via1" : "via2"] = name;
        follow(tier + 1, agents_[tier + 1].front()->plain(), std::move(next), f);
      }
    }
  }

  void check() {
    for (const auto& agent : agents_[edge]) {
      if (agent->options().source == 0) continue;
      for (std::uint64_t at = 0; at < agent->reached(); ++at) {
        PlainEvent event = agent->event_at(at);
        const std::uint64_t number = event.number;
        const bool may_miss = around_.may_miss.count(number) > 0;
        const bool may_double = around_.may_double.count(number) > 0;
        follow(edge, agent->plain(), std::move(event), [&](const std::string& pair) {
          const auto found = around_.delivered.find(pair);
          const std::uint64_t times = found == around_.delivered.end() ? 0 : found->second;
          ++pairs_;
          excused_ += may_miss || may_double ? 1 : 0;
          expect(times > 0 || may_miss, pair + " is missing");
          expect(times < 2 || may_double, pair + " was delivered more than once");
        });
      }
    }
  }

  Surroundings around_;
  const TempDirectory directory_;
  std::ostringstream trace_;
  std::array<Agents, tiers> agents_;
  std::uint64_t pairs_ = 0;
  std::uint64_t excused_ = 0;
};

std::uint64_t number_or(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::stoull(text) : otherwise;
}

TEST_CASE("origins: every pair of event and channel is there once, through any life of a fleet") {
  const CapturedLog log(log::Level::Error);
  const std::uint64_t lives = number_or("SLUICE_ORIGINS_LIVES", seeds(25));
  const std::uint64_t first = number_or("SLUICE_ORIGINS_SEED", Catch::rngSeed());
  std::map<std::string, std::uint64_t> tally;
  std::uint64_t pairs = 0;
  std::uint64_t excused = 0;
  for (std::uint64_t seed = first; seed < first + lives; ++seed) {
    std::optional<Life> life;
    try {
      life.emplace(seed);
      life->run(60);
    } catch (const Finding& finding) {
      FAIL("seed " << seed << ": " << finding.text << "\n" << (life ? life->trace() : ""));
    }
    pairs += life->pairs();
    excused += life->excused();
    for (const auto& [what, times] : life->around().tally) tally[what] += times;
  }
  std::cout << lives << " lives, " << pairs << " pairs, " << excused << " of them excused\n";
  for (const auto& [what, times] : tally) std::cout << "  " << what << ": " << times << "\n";
  if (lives >= 10) CHECK(pairs > 2 * excused);  // or little was proved
}

}  // namespace
}  // namespace sluice

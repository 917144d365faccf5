// What the channels of an agent hold, worked out plainly: sets and maps of single events.
//
// No batch, no range, no commit: an event is its number, its headers and a name for its origin.
// What a design of origins promises can be read here in a few lines, and a model compares an agent
// with it event by event.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sluice::testing {

using PlainHeaders = std::map<std::string, std::string>;

struct PlainEvent {
  std::uint64_t number = 0;
  PlainHeaders headers;
  std::string origin;       ///< Empty: it has none yet.
  std::uint64_t token = 0;  ///< Of the source's receipt, where it waits for one.

  /// What the reader of a channel can tell it by.
  std::string identity() const {
    std::string text = std::to_string(number);
    for (const auto& [name, value] : headers) text += " " + name + "=" + value;
    return text;
  }
};

/// An interceptor: one of the built ones, and what it does to one event.
struct PlainStep {
  enum class Kind : unsigned char { DropDigit, SetMissing, SetAll, Remove };
  Kind kind;
  std::string value;  ///< The last digit of the dropped numbers, or of the header "kind".

  /// False: the event is dropped.
  bool apply(PlainEvent& event) const {
    switch (kind) {
      case Kind::DropDigit: return std::to_string(event.number).back() != value.front();
      case Kind::SetMissing: event.headers.emplace("kind", value); return true;
      case Kind::SetAll: event.headers["kind"] = value; return true;
      case Kind::Remove: event.headers.erase("kind"); return true;
    }
    return true;
  }
};

/// Where events with some value go; channels by number.
struct PlainRoute {
  std::vector<std::size_t> required;
  std::vector<std::size_t> optional;
};

struct PlainRouting {
  std::vector<PlainStep> steps;
  std::string header;  ///< Of the selector; without values it replicates.
  PlainRoute otherwise;
  std::map<std::string, PlainRoute> by_value;

  bool apply_steps(PlainEvent& event) const {
    return std::all_of(steps.begin(), steps.end(),
                       [&](const PlainStep& step) { return step.apply(event); });
  }
  const PlainRoute& way_of(const PlainEvent& event) const {
    const auto found = event.headers.find(header);
    if (found == event.headers.end()) return otherwise;
    const bool blank = found->second.find_first_not_of(" \t") == std::string::npos;
    const auto mapped = by_value.find(found->second);
    return blank || mapped == by_value.end() ? otherwise : mapped->second;
  }
  template <typename F>
  void for_each_route(F&& f) const {
    f(otherwise);
    for (const auto& [value, route] : by_value) f(route);
  }
  std::set<std::size_t> required() const {
    std::set<std::size_t> all;
    for_each_route([&](const PlainRoute& r) { all.insert(r.required.begin(), r.required.end()); });
    return all;
  }
  std::set<std::size_t> optional() const {
    std::set<std::size_t> all;
    for_each_route([&](const PlainRoute& r) { all.insert(r.optional.begin(), r.optional.end()); });
    return all;
  }
  /// With one way alone into one channel, what goes there is not marked as a part.
  bool marks() const { return required().size() + optional().size() > 1; }
};

struct PlainChannel {
  std::string name;
  std::optional<std::size_t> store;  ///< None: it is in memory.
  std::uint64_t capacity = 0;
  bool keeps = false;  ///< What it delivered can be replayed.

  std::map<std::uint64_t, PlainEvent> waiting;  ///< By sequence.
  std::map<std::uint64_t, PlainEvent> kept;
  std::uint64_t next = 0;
  std::set<std::string> accepted;  ///< Origins.

  bool durable() const { return store.has_value(); }
  bool has_room(std::uint64_t events, std::uint64_t beside = 0) const {
    const std::uint64_t used = waiting.size() + beside;
    return used == 0 || used + events <= capacity;
  }
  /// All that it holds is gone, as in a new directory or a new process.
  void forget() {
    waiting.clear();
    kept.clear();
    accepted.clear();
    next = 0;
  }
  void take_out(std::uint64_t sequence) {
    const auto at = waiting.find(sequence);
    if (keeps) kept[sequence] = at->second;
    waiting.erase(at);
  }
};

/// What became of one batch.
struct PlainOutcome {
  bool fits = true;  ///< False: nothing was done.
  std::uint64_t filtered = 0;
  std::uint64_t unrouted = 0;
  std::uint64_t doubles = 0;
  std::uint64_t put = 0;
  std::uint64_t passed_over = 0;  ///< Optional channels had no room for them.
  struct Entered {
    std::size_t channel = 0;
    std::uint64_t sequence = 0;
    bool nameless = false;  ///< It came without an origin: nobody could know a double.
  };
  std::vector<Entered> entered;
};

/// The channels of an agent, and where its source stands by each of its stores.
struct PlainAgent {
  PlainRouting routing;
  std::vector<PlainChannel> channels;
  std::vector<std::optional<std::uint64_t>> notes;  ///< A store.
  static inline std::uint64_t origins_given = 0;

  /// Puts one event as it comes, unless it is a double.
  void enter(std::size_t number, PlainEvent event, PlainOutcome& outcome) {
    PlainChannel& channel = channels[number];
    const bool nameless = event.origin.empty();
    if (channel.durable()) {
      event.token = 0;  // on disk it has arrived
      if (nameless) {
        event.origin = "o" + std::to_string(++origins_given);
      } else if (!channel.accepted.insert(event.origin).second) {
        ++outcome.doubles;
        return;
      }
    }
    ++outcome.put;
    outcome.entered.push_back({number, channel.next, nameless});
    channel.waiting.emplace(channel.next++, std::move(event));
  }

  /// Through interceptors and selector; `note`: what the stores of required channels are told.
  PlainOutcome put(std::vector<PlainEvent> events, std::optional<std::uint64_t> note) {
    PlainOutcome outcome;
    std::map<std::size_t, std::vector<PlainEvent>> required;
    std::map<std::size_t, std::vector<PlainEvent>> optional;
    for (PlainEvent& event : events) {
      if (!routing.apply_steps(event)) {
        ++outcome.filtered;
        continue;
      }
      const PlainRoute& way = routing.way_of(event);
      if (way.required.empty() && way.optional.empty()) ++outcome.unrouted;
      for (const std::size_t channel : way.required) {
        required[channel].push_back(event);
        std::string& origin = required[channel].back().origin;
        if (!origin.empty() && routing.marks()) origin += ">" + channels[channel].name;
      }
      for (const std::size_t channel : way.optional) {
        optional[channel].push_back(event);
        optional[channel].back().origin.clear();
        optional[channel].back().token = 0;
      }
    }
    for (const auto& [channel, part] : required) {
      outcome.fits = outcome.fits && channels[channel].has_room(part.size());
    }
    if (!outcome.fits) return outcome;
    for (auto part = optional.begin(); part != optional.end();) {
      const auto needed = required.find(part->first);
      const std::uint64_t beside = needed == required.end() ? 0 : needed->second.size();
      const bool room = channels[part->first].has_room(part->second.size(), beside);
      if (!room) outcome.passed_over += part->second.size();
      part = room ? std::next(part) : optional.erase(part);
    }
    for (auto* const parts : {&required, &optional}) {
      for (auto& [channel, part] : *parts) {
        for (PlainEvent& event : part) enter(channel, std::move(event), outcome);
      }
    }
    if (note) {
      for (const std::size_t store : required_stores()) notes[store] = note;
    }
    return outcome;
  }

  std::set<std::size_t> stores_of(const std::set<std::size_t>& numbers) const {
    std::set<std::size_t> stores;
    for (const std::size_t number : numbers) {
      if (channels[number].store) stores.insert(*channels[number].store);
    }
    return stores;
  }
  std::set<std::size_t> required_stores() const { return stores_of(routing.required()); }
  bool all_required_durable() const {
    const std::set<std::size_t> required = routing.required();
    return std::all_of(required.begin(), required.end(),
                       [&](std::size_t number) { return channels[number].durable(); });
  }

  /// Makes of this store what it is in `other`, an earlier or a possible state of the agent.
  void adopt(std::size_t store, const PlainAgent& other) {
    for (std::size_t i = 0; i < channels.size(); ++i) {
      if (channels[i].store == store) channels[i] = other.channels[i];
    }
    notes[store] = other.notes[store];
  }
  void forget(std::size_t store) {
    for (PlainChannel& channel : channels) {
      if (channel.store == store) channel.forget();
    }
    notes[store].reset();
  }
};

}  // namespace sluice::testing

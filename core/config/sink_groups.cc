#include "core/config/sink_groups.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>

#include "core/config/values.h"

namespace sluice {
namespace {

enum class Processor : unsigned char { Default, LoadBalance, Failover, Unknown };

Processor processor_of(const RawKey& type) {
  static constexpr std::array<std::pair<std::string_view, Processor>, 6> kNames = {
      {{"default", Processor::Default},
       {"load_balance", Processor::LoadBalance},
       {"failover", Processor::Failover},
       {"org.apache.flume.sink.DefaultSinkProcessor", Processor::Default},
       {"org.apache.flume.sink.LoadBalancingSinkProcessor", Processor::LoadBalance},
       {"org.apache.flume.sink.FailoverSinkProcessor", Processor::Failover}}};
  for (const auto& [name, processor] : kNames) {
    if (equal_ignoring_case(name, type.entry->value)) return processor;
  }
  return Processor::Unknown;
}

class Groups {
 public:
  Groups(Plan& plan, ComponentReader& reader) : plan_(plan), reader_(reader) {}

  void apply(const RawComponent& group) {
    if (group.keys.empty()) return;  // agent_keys has said so
    const std::vector<std::string> sinks = members(group);
    const RawKey* type = group.find("processor.type");
    if (type == nullptr) {
      if (!sinks.empty()) {
        reader_.note(group.where,
                     group.label +
                         " has no processor.type: its sinks run as if they were"
                         " in no group",
                     "Flume removes such a group, and its sinks never run");
      }
      return;
    }
    const Position where = type->entry->value_at;
    switch (processor_of(*type)) {
      case Processor::Default: return;
      case Processor::LoadBalance:
        reader_.note(where, group.label +
                                ": its sinks run side by side, each takes what the others"
                                " leave; processor.* keys have no effect yet");
        return;
      case Processor::Failover: return failover(group, sinks, where);
      case Processor::Unknown:
        reader_.error(
            where, "unknown processor type " + in_quotes(type->entry->value) + " of " + group.label,
            "known: default, load_balance, failover; its sinks are left out");
        for (const std::string& name : sinks) {
          drop(name, {"its " + group.label + " has an unknown processor", where});
        }
        return;
    }
  }

 private:
  /// The planned sinks of a group that no earlier group has.
  std::vector<std::string> members(const RawComponent& group) {
    std::vector<std::string> result;
    const RawKey* list = group.find("sinks");
    if (list == nullptr) {
      reader_.warning(group.where, group.label + " has no sinks", "it is ignored");
      return result;
    }
    for (const Word& word : split_words(*list->entry)) {
      const auto [owner, first] = owner_.emplace(word.text, group.label);
      if (!first) {
        reader_.warning(word.where, "sink " + printable(word.text) + " is in " + owner->second +
                                        " already; it stays there");
      } else if (is_planned(word.text)) {
        result.push_back(word.text);
      } else if (!is_left_out(word.text)) {
        reader_.warning(word.where,
                        "there is no sink " + in_quotes(word.text) + " for " + group.label,
                        "the group goes on without it");
      }
    }
    return result;
  }

  bool is_planned(std::string_view name) const {
    return std::any_of(plan_.sinks.begin(), plan_.sinks.end(),
                       [&](const SinkPlan& sink) { return sink.settings.name() == name; });
  }

  bool is_left_out(const std::string& name) const {
    return std::any_of(plan_.left_out.begin(), plan_.left_out.end(), [&](const LeftOut& each) {
      return each.component == "sink " + printable(name);
    });
  }

  void failover(const RawComponent& group, const std::vector<std::string>& sinks,
                const Position& where) {
    if (sinks.size() < 2) return;
    std::string best;
    std::int64_t best_priority = std::numeric_limits<std::int64_t>::min();
    for (const std::string& name : sinks) {
      const std::int64_t priority = priority_of(group, name);
      if (best.empty() || priority > best_priority) {
        best = name;
        best_priority = priority;
      }
    }
    reader_.warning(where,
                    "processor type failover of " + group.label + " is not built yet: only sink " +
                        printable(best) + ", which has the highest priority, runs",
                    "when it fails, its events wait in the channel until it works again");
    for (const std::string& name : sinks) {
      if (name == best) continue;
      drop(name,
           {"failover is not built yet, and sink " + printable(best) + " has a higher priority",
            where, true});
    }
  }

  /// Flume gives sinks without a priority falling negative ones, in the order of the list.
  std::int64_t priority_of(const RawComponent& group, const std::string& name) {
    const RawKey* key = group.find("processor.priority." + name);
    if (key == nullptr) return --default_priority_;
    auto value = parse_integer(key->entry->value);
    if (value.ok()) return *value;
    reader_.warning(key->entry->value_at,
                    "priority of sink " + printable(name) + ": " + value.status().message());
    return --default_priority_;
  }

  void drop(const std::string& name, const Reason& reason) {
    const auto sink =
        std::find_if(plan_.sinks.begin(), plan_.sinks.end(),
                     [&](const SinkPlan& each) { return each.settings.name() == name; });
    if (sink == plan_.sinks.end()) return;
    plan_.left_out.push_back(
        {sink->settings.component(), reason.because, reason.where, reason.not_built});
    plan_.sinks.erase(sink);
  }

  Plan& plan_;
  ComponentReader& reader_;
  std::map<std::string, std::string> owner_;  // sink -> label of the first group that has it
  std::int64_t default_priority_ = 0;
};

}  // namespace

void apply_sink_groups(const std::vector<RawComponent>& groups, Plan& plan,
                       ComponentReader& reader) {
  Groups applied(plan, reader);
  for (const RawComponent& group : groups) applied.apply(group);
}

}  // namespace sluice

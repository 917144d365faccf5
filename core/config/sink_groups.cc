#include "core/config/sink_groups.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <utility>

#include "core/config/values.h"

namespace sluice {
namespace {

constexpr std::string_view kPriority = "priority.";
constexpr std::array<std::string_view, 1> kProcessorKeys = {"type"};
constexpr std::array<std::string_view, 2> kGroupKeys = {"sinks", "processor.*"};

constexpr Key kFailoverKeys[] = {
    {.name = "priority.*",
     .type = KeyType::Text,
     .meaning = "A number for each sink; of those that work the one with the highest gets all. A "
                "sink without one is behind all that have one of 0 or more."},
    {.name = "maxpenalty",
     .type = KeyType::Millis,
     .default_value = "30000",
     .meaning = "The longest time that a sink which failed is left out.",
     .min = 0,
     .bad_means_default = true},
};

constexpr Key kLoadBalanceKeys[] = {
    {.name = "selector",
     .type = KeyType::Choice,
     .default_value = "round_robin",
     .meaning = "Which sink gets the next batch: each in its turn, or any.",
     .choices = "round_robin random"},
    {.name = "backoff",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Leave a sink that failed out for a while."},
    {.name = "selector.maxTimeOut",
     .type = KeyType::Millis,
     .default_value = "30000",
     .meaning = "The longest time that a sink which failed is left out, with backoff.",
     .min = 0},
};

constexpr ComponentInfo kDefault{.alias = "default",
                                 .class_name = "org.apache.flume.sink.DefaultSinkProcessor",
                                 .meaning = "For a single sink.",
                                 .keys = {}};
constexpr ComponentInfo kFailover{.alias = "failover",
                                  .class_name = "org.apache.flume.sink.FailoverSinkProcessor",
                                  .meaning = "Gives all batches to the best sink that works.",
                                  .keys = kFailoverKeys};
constexpr ComponentInfo kLoadBalance{
    .alias = "load_balance",
    .class_name = "org.apache.flume.sink.LoadBalancingSinkProcessor",
    .meaning = "Gives each batch to one of the sinks.",
    .keys = kLoadBalanceKeys};
constexpr std::array kProcessors = {&kDefault, &kFailover, &kLoadBalance};

constexpr ComponentInfo kGroup{.alias = "group",
                               .class_name = {},
                               .meaning = "Sinks that stand in for each other.",
                               .keys = {}};

/// Of a group: a sink, and what failover thinks of it.
struct Member {
  std::string name;
  std::int64_t priority = 0;
};
using Members = std::vector<Member>;

class Groups {
 public:
  Groups(Plan& plan, ComponentReader& reader) : plan_(plan), reader_(reader) {}

  void apply(const RawComponent& group) {
    if (group.keys.empty()) return;  // agent_keys has said so
    std::vector<Reason> reasons;
    static_cast<void>(reader_.settings_of(group, kGroup, kGroupKeys, reasons));
    Members members = members_of(group);
    const RawComponent raw = group.below("processor", group.label);
    if (raw.find("type") == nullptr) return without_type(group, members);
    const Position where = raw.find("type")->entry->value_at;
    const ComponentInfo* const info = reader_.type_of(raw, "processor", kProcessors, reasons);
    const auto settings =
        info == nullptr ? std::nullopt : reader_.settings_of(raw, *info, kProcessorKeys, reasons);
    if (!settings) {
      for (const Member& member : members) {
        drop(member.name, {"its " + group.label + " cannot run: " + reasons.front().because,
                           reasons.front().where});
      }
    } else if (info == &kDefault) {
      if (members.size() > 1) {
        reader_.note(where, "its sinks run as if they were in no group",
                     "Flume's default processor takes a single sink; several share the work with "
                     "load_balance, or stand in for each other with failover");
      }
    } else if (info == &kFailover) {
      read_priorities(group, raw, members);
      plan(group, where, members, FailoverPlan{{}, settings->duration("maxpenalty")});
    } else {
      plan(group, where, members,
           LoadBalancePlan{settings->text("selector") == "random", settings->boolean("backoff"),
                           settings->duration("selector.maxTimeOut")});
    }
  }

 private:
  void without_type(const RawComponent& group, const Members& members) {
    if (members.empty()) return;
    reader_.note(group.where,
                 group.label + " has no processor.type: its sinks run as if they were in no group",
                 "Flume removes such a group, and its sinks never run");
  }

  /// The planned sinks of a group that no earlier group has.
  Members members_of(const RawComponent& group) {
    Members result;
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
      } else if (const auto sink = find_sink(word.text); sink != plan_.sinks.end()) {
        if (!sink->settings.info().reads_long) {
          result.push_back({word.text});
          continue;
        }
        reader_.warning(word.where,
                        "sink " + printable(word.text) +
                            " cannot stand in for others: it runs on "
                            "its own",
                        "the group goes on without it");
      } else if (!is_left_out(word.text)) {
        reader_.warning(word.where,
                        "there is no sink " + in_quotes(word.text) + " for " + group.label,
                        "the group goes on without it");
      }
    }
    return result;
  }

  std::vector<SinkPlan>::iterator find_sink(std::string_view name) {
    return std::find_if(plan_.sinks.begin(), plan_.sinks.end(),
                        [&](const SinkPlan& sink) { return sink.settings.name() == name; });
  }

  bool is_left_out(const std::string& name) const {
    return std::any_of(plan_.left_out.begin(), plan_.left_out.end(), [&](const LeftOut& each) {
      return each.component == "sink " + printable(name);
    });
  }

  /// Sorts them, the highest first. Flume gives sinks without a priority falling negative ones, in
  /// some order; here it is that of the list. Of two with the same the later is left out.
  void read_priorities(const RawComponent& group, const RawComponent& raw, Members& members) {
    std::int64_t next_default = 0;
    std::map<std::int64_t, std::string> taken;
    Members result;
    for (Member& member : members) {
      const RawKey* const key = raw.find(std::string(kPriority) + member.name);
      const Position where = key == nullptr ? group.where : key->entry->value_at;
      const auto value = key == nullptr ? Result<std::int64_t>(Retry("not set"))
                                        : parse_integer(key->entry->value);
      if (key != nullptr && !value.ok()) {
        reader_.warning(where, "priority of sink " + printable(member.name) + ": " +
                                   value.status().message() + "; it counts as not set");
      }
      member.priority = value.ok() ? value.value() : --next_default;
      const auto [other, is_new] = taken.emplace(member.priority, member.name);
      if (is_new) {
        result.push_back(std::move(member));
        continue;
      }
      const std::string because = "its priority " + std::to_string(member.priority) + " in " +
                                  group.label + " is that of sink " + printable(other->second);
      reader_.warning(where, "sink " + printable(member.name) + " is left out: " + because,
                      "give each sink of the group a priority of its own");
      drop(member.name, {because, where});
    }
    std::sort(result.begin(), result.end(),
              [](const Member& a, const Member& b) { return a.priority > b.priority; });
    members = std::move(result);
    unknown_priorities(group, raw);
  }

  void unknown_priorities(const RawComponent& group, const RawComponent& raw) {
    for (const RawKey& key : raw.keys) {
      if (!key.name.starts_with(kPriority)) continue;
      const std::string name = key.name.substr(kPriority.size());
      const auto owner = owner_.find(name);
      if (owner != owner_.end() && owner->second == group.label) continue;
      reader_.warning(key_part_at(*key.entry, key.offset),
                      "there is no sink " + in_quotes(name) + " in " + group.label,
                      "its priority is ignored");
    }
  }

  template <typename Processor>
  void plan(const RawComponent& group, const Position& where, const Members& members,
            const Processor& processor) {
    if (members.size() == 1) {
      reader_.warning(where,
                      group.label + " has only sink " + printable(members.front().name) +
                          ", which runs as if it were in no group",
                      "Flume removes a load_balance group of one sink together with it");
    }
    const std::vector<std::string> channels = channels_of(members);
    if (channels.size() > 1) {
      std::string all;
      for (const std::string& channel : channels) {
        all += (all.empty() ? "" : ", ") + printable(channel);
      }
      reader_.warning(where,
                      "the sinks of " + group.label + " read different channels: " + all +
                          "; those of one channel stand in for each other",
                      "what waits in a channel can only be delivered by the sinks that read it");
    }
    for (const std::string& channel : channels) {
      SinkGroupPlan planned{group.label, group.name, channel, {}, processor};
      if (channels.size() > 1) planned.label += " on channel " + printable(channel);
      for (const Member& member : members) {
        if (find_sink(member.name)->channel != channel) continue;
        planned.sinks.push_back(member.name);
        if (auto* failover = std::get_if<FailoverPlan>(&planned.processor)) {
          failover->priorities.push_back(member.priority);
        }
      }
      if (planned.sinks.size() > 1) plan_.groups.push_back(std::move(planned));
    }
  }

  std::vector<std::string> channels_of(const Members& members) {
    std::vector<std::string> channels;
    for (const Member& member : members) {
      const std::string& channel = find_sink(member.name)->channel;
      if (std::find(channels.begin(), channels.end(), channel) == channels.end()) {
        channels.push_back(channel);
      }
    }
    return channels;
  }

  void drop(const std::string& name, const Reason& reason) {
    const auto sink = find_sink(name);
    plan_.left_out.push_back(
        {sink->settings.component(), reason.because, reason.where, reason.not_built});
    plan_.sinks.erase(sink);
  }

  Plan& plan_;
  ComponentReader& reader_;
  std::map<std::string, std::string> owner_;  // sink -> label of the first group that has it
};

}  // namespace

std::string_view processor_name(const SinkGroupPlan& group) noexcept {
  return std::holds_alternative<FailoverPlan>(group.processor) ? kFailover.alias
                                                               : kLoadBalance.alias;
}

void apply_sink_groups(const std::vector<RawComponent>& groups, Plan& plan,
                       ComponentReader& reader) {
  Groups applied(plan, reader);
  for (const RawComponent& group : groups) applied.apply(group);
}

}  // namespace sluice

#include "core/config/selector.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/config/agent_keys.h"

namespace sluice {
namespace {

constexpr std::string_view kMapping = "mapping.";
constexpr std::string_view kOptional = "optional.";
constexpr std::array<std::string_view, 1> kCommonKeys = {"type"};

constexpr Key kReplicatingKeys[] = {
    {.name = "optional",
     .type = KeyType::List,
     .meaning = "Channels that have no say: one without room is passed over."},
};

constexpr Key kMultiplexingKeys[] = {
    {.name = "header",
     .type = KeyType::Text,
     .default_value = "flume.selector.header",
     .meaning = "Name of the header whose value decides."},
    {.name = "mapping.*",
     .type = KeyType::List,
     .meaning = "Channels of events whose header has this value."},
    {.name = "default",
     .type = KeyType::List,
     .meaning = "Channels of events whose header is missing, blank, or has no mapping."},
    {.name = "optional.*",
     .type = KeyType::List,
     .meaning = "Channels that have no say, of events whose header has this value."},
};

constexpr ComponentInfo kReplicating{
    .alias = "replicating",
    .class_name = "org.apache.flume.channel.ReplicatingChannelSelector",
    .meaning = "Gives every event to every channel.",
    .keys = kReplicatingKeys};
constexpr ComponentInfo kMultiplexing{
    .alias = "multiplexing",
    .class_name = "org.apache.flume.channel.MultiplexingChannelSelector",
    .meaning = "Gives events to channels by the value of a header.",
    .keys = kMultiplexingKeys};
constexpr ComponentInfo kLoadBalancing{
    .alias = "load_balancing",
    .class_name = "org.apache.flume.channel.LoadBalancingChannelSelector",
    .meaning = "Gives each event to one of the channels in turn.",
    .keys = {},
    .built = false};
constexpr std::array kSelectors = {&kReplicating, &kMultiplexing, &kLoadBalancing};

bool holds(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void add_new(std::vector<std::string>& names, const std::string& name) {
  if (!holds(names, name)) names.push_back(name);
}

class SelectorReader {
 public:
  SelectorReader(const RawComponent& source, const SourceChannels& channels,
                 ComponentReader& reader, std::vector<Reason>& reasons)
      : source_(source),
        raw_(source.below("selector", "selector of " + source.label)),
        channels_(channels),
        reader_(reader),
        reasons_(reasons) {
    for (const Word& word : channels.usable) names_.push_back(word.text);
  }

  SelectorPlan read() {
    const ComponentInfo* const info = type();
    if (info == nullptr) return {};
    const auto settings = reader_.settings_of(raw_, *info, kCommonKeys, reasons_);
    if (!settings) return {};
    return info == &kMultiplexing ? multiplexing(*settings) : replicating();
  }

 private:
  const ComponentInfo* type() {
    const RawKey* const key = raw_.find("type");
    if (key == nullptr) return &kReplicating;
    const std::string& name = key->entry->value;
    const Position& where = key->entry->value_at;
    const ComponentInfo* const info = find_type(kSelectors, name);
    if (info == nullptr) {
      reader_.error(where, "unknown selector type " + in_quotes(name) + " of " + source_.label,
                    "known: replicating (default), multiplexing, load_balancing");
      reasons_.push_back({"its selector " + in_quotes(name) + " is not known", where});
    } else if (!info->built) {
      reader_.error(where, "selector type " + in_quotes(name) + " of " + source_.label +
                               " is known from Flume, but not built yet");
      reasons_.push_back({"its selector " + in_quotes(name) + " is not built yet", where, true});
      return nullptr;
    }
    return info;
  }

  SelectorPlan replicating() {
    SelectorPlan plan{names_, {}, {}};
    const RawKey* const key = raw_.find("optional");
    if (key == nullptr) return plan;
    for (const Word& word : split_words(*key->entry)) {
      const auto found = std::find(plan.required.begin(), plan.required.end(), word.text);
      if (found != plan.required.end()) {
        plan.required.erase(found);
        plan.optional.push_back(word.text);
      } else if (!holds(plan.optional, word.text) && channels_.lost.count(word.text) == 0) {
        reader_.warning(word.where, in_quotes(word.text) + " is not a channel of " + source_.label +
                                        ", so it cannot be an optional one");
      }
    }
    return plan;
  }

  SelectorPlan multiplexing(const Settings& settings) {
    MultiplexingPlan plan;
    plan.header = settings.text("header");
    if (const RawKey* const key = raw_.find("default")) plan.otherwise.channels = channels_of(*key);
    for_each_below(kMapping, [&](const std::string& value, const RawKey& key) {
      plan.mappings.push_back({value, {channels_of(key), {}}});
    });
    for_each_below(kOptional, [&](const std::string& value, const RawKey& key) {
      RoutePlan& route = route_of(plan, value);
      for (const std::string& name : channels_of(key)) {
        if (!holds(route.channels, name)) route.optional_channels.push_back(name);
      }
    });
    SelectorPlan result = summary(plan);
    say_where_nothing_goes(plan, result);
    result.multiplexing = std::move(plan);
    return result;
  }

  template <typename F>
  void for_each_below(std::string_view stem, F&& f) {
    for (const RawKey& key : raw_.keys) {
      if (!key.name.starts_with(stem) || key.name.size() == stem.size()) continue;
      if (!key.entry->value.empty()) f(key.name.substr(stem.size()), key);
    }
  }

  /// The way of events with this value; one of its own when it is not mapped: what is required of
  /// it is the default then.
  static RoutePlan& route_of(MultiplexingPlan& plan, const std::string& value) {
    const auto found = std::find_if(plan.mappings.begin(), plan.mappings.end(),
                                    [&](const MappingPlan& each) { return each.value == value; });
    if (found != plan.mappings.end()) return found->route;
    plan.mappings.push_back({value, {plan.otherwise.channels, {}}});
    return plan.mappings.back().route;
  }

  /// The channels that a key names, each once.
  std::vector<std::string> channels_of(const RawKey& key) {
    const std::vector<std::string_view> known(names_.begin(), names_.end());
    std::vector<std::string> result;
    for (const Word& word : clean_words(*key.entry, known, reader_)) {
      if (holds(names_, word.text)) {
        add_new(result, word.text);
      } else if (const auto lost = channels_.lost.find(word.text); lost != channels_.lost.end()) {
        reasons_.push_back(
            {"its selector needs channel " + printable(word.text) + ": " + lost->second.because,
             word.where, lost->second.not_built});
      } else {
        not_a_channel(word, known);
      }
    }
    return result;
  }

  void not_a_channel(const Word& word, const std::vector<std::string_view>& known) {
    const std::string_view nearest = reader_.nearest(word.text, known);
    reader_.error(word.where,
                  "Selector channel not found: " + in_quotes(word.text) + " is not a channel of " +
                      source_.label,
                  nearest.empty() ? "a selector chooses among the source's own 'channels'"
                                  : "did you mean '" + printable(nearest) + "'?");
    reasons_.push_back(
        {"its selector names " + in_quotes(word.text) + ", which is not one of its channels",
         word.where});
  }

  /// All channels that some way leads to.
  static SelectorPlan summary(const MultiplexingPlan& plan) {
    SelectorPlan result;
    const auto for_each_route = [&](auto&& f) {
      f(plan.otherwise);
      for (const MappingPlan& mapping : plan.mappings) f(mapping.route);
    };
    for_each_route([&](const RoutePlan& route) {
      for (const std::string& name : route.channels) add_new(result.required, name);
    });
    for_each_route([&](const RoutePlan& route) {
      for (const std::string& name : route.optional_channels) {
        if (!holds(result.required, name)) add_new(result.optional, name);
      }
    });
    return result;
  }

  void say_where_nothing_goes(const MultiplexingPlan& plan, const SelectorPlan& result) {
    if (!reasons_.empty()) return;
    if (plan.otherwise.channels.empty()) {
      std::string values;
      for (const MappingPlan& mapping : plan.mappings) {
        if (values.size() > 100) {
          values += ", ...";
          break;
        }
        values += (values.empty() ? "" : ", ") + printable(mapping.value);
      }
      const std::string what = values.empty()
                                   ? "every event of " + source_.label + " goes"
                                   : "events of " + source_.label + " whose header " +
                                         in_quotes(plan.header) +
                                         " is missing, blank, or none of " + values + " go";
      reader_.warning(raw_.find("type")->entry->value_at,
                      what + " to no channel: dropped, and counted as unrouted",
                      "'selector.default = <channel>' is where the others go");
    }
    for (const Word& word : channels_.usable) {
      if (holds(result.required, word.text) || holds(result.optional, word.text)) continue;
      reader_.warning(
          word.where,
          "the selector of " + source_.label + " sends nothing to channel " + printable(word.text),
          "no mapping, nor the default, names it");
    }
  }

  const RawComponent& source_;
  const RawComponent raw_;
  const SourceChannels& channels_;
  ComponentReader& reader_;
  std::vector<Reason>& reasons_;
  std::vector<std::string> names_;
};

}  // namespace

SelectorPlan read_selector(const RawComponent& raw, const SourceChannels& channels,
                           ComponentReader& reader, std::vector<Reason>& reasons) {
  return SelectorReader(raw, channels, reader, reasons).read();
}

}  // namespace sluice

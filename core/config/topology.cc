#include "core/config/topology.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/config/agent_keys.h"
#include "core/config/component_reader.h"
#include "core/config/selector.h"
#include "core/config/sink_groups.h"
#include "core/config/source_parts.h"
#include "core/config/values.h"

namespace sluice {
namespace {

constexpr std::array<std::string_view, 1> kChannelKeys = {"type"};
constexpr std::string_view kDeadLetterChannel = "deadLetterChannel";
constexpr std::array<std::string_view, 3> kSinkKeys = {"type", "channel", kDeadLetterChannel};
constexpr std::array<std::string_view, 7> kSourceKeys = {"type",           "channels",
                                                         "selector.*",     "interceptors",
                                                         "interceptors.*", "backoffSleepIncrement",
                                                         "maxBackoffSleep"};

bool has_key(const Settings& settings, std::string_view name) {
  return std::any_of(settings.info().keys.begin(), settings.info().keys.end(), [&](const Key& key) {
    return key.name == name && key.type == KeyType::Integer &&
           (settings.has(name) || !key.default_value.empty());
  });
}

class Planner {
 public:
  Planner(const Tree& tree, const std::string& agent, const Catalog& catalog)
      : tree_(tree), catalog_(catalog), reader_(plan_.diagnostics) {
    plan_.agent = agent;
  }

  Plan run() {
    keys_ = collect_agent_keys(tree_, plan_.agent, reader_);
    if (!keys_.found) {
      unknown_agent();
      return std::move(plan_);
    }
    for (const RawComponent& raw : keys_.filters.listed) {
      leave_out(raw, {"config filters are not built yet", raw.where, true}, Severity::Error);
    }
    read_memory_limit();
    name_channels();
    for (const RawComponent& raw : keys_.channels.listed) plan_channel(raw);
    for (const RawComponent& raw : keys_.sources.listed) plan_source(raw);
    for (const RawComponent& raw : keys_.sinks.listed) plan_sink(raw);
    for (const RawComponent& raw : keys_.sinks.listed) check_sole_reader(raw);
    apply_sink_groups(keys_.groups.listed, plan_, reader_);
    drop_unused_channels();
    judge();
    return std::move(plan_);
  }

 private:
  void unknown_agent() {
    Position where;
    if (!tree_.entries().empty()) where.file = tree_.entries().front().key_at.file;
    std::string names;
    for (const std::string& name : tree_.agents()) {
      if (names.size() > 500) break;
      names += (names.empty() ? "" : ", ") + printable(name);
    }
    reader_.error(
        where, "No configuration found for this host:" + printable(plan_.agent),
        names.empty() ? "no agent is configured in it" : "agents that are configured: " + names);
  }

  void read_memory_limit() {
    if (keys_.memory_limit == nullptr) return;
    auto bytes = parse_bytes(keys_.memory_limit->value);
    if (bytes.ok()) {
      plan_.memory_limit_bytes = *bytes;
    } else {
      reader_.warning(keys_.memory_limit->value_at,
                      "memoryLimit: " + bytes.status().message() + "; the default is used",
                      "budget of the memory channels without a byteCapacity, together");
    }
  }

  void leave_out(const RawComponent& raw, const Reason& reason, std::optional<Severity> said = {}) {
    if (said) {
      plan_.diagnostics.push_back({*said, reason.where, raw.label + ": " + reason.because, ""});
    }
    plan_.left_out.push_back({raw.label, reason.because, reason.where, reason.not_built});
  }

  /// The first reason is told; it is ours only when all of them are.
  void leave_out(const RawComponent& raw, const std::vector<Reason>& reasons) {
    Reason reason = reasons.front();
    for (const Reason& each : reasons) {
      if (each.not_built) continue;
      reason = each;
      break;
    }
    leave_out(raw, reason);
  }

  /// Listed without any key: agent_keys has said so already.
  bool is_empty(const RawComponent& raw) {
    if (!raw.keys.empty()) return false;
    leave_out(raw, {"nothing is configured for it", raw.where});
    return true;
  }

  // --- channels

  void name_channels() {
    channels_hint_ = "channels of this agent:";
    for (const RawComponent& raw : keys_.channels.listed) {
      channel_names_.push_back(raw.name);
      if (channels_hint_.size() < 200) channels_hint_ += " " + printable(raw.name);
    }
  }

  void plan_channel(const RawComponent& raw) {
    if (is_empty(raw)) {
      lost_channels_[raw.name] = false;
      return;
    }
    std::vector<Reason> reasons;
    std::optional<Settings> settings;
    if (const auto* info = reader_.type_of(raw, "channel", catalog_.channels, reasons)) {
      settings = reader_.settings_of(raw, *info, kChannelKeys, reasons);
    }
    if (settings) check_capacity(*settings, reasons);
    if (!reasons.empty()) {
      lost_channels_[raw.name] =
          std::all_of(reasons.begin(), reasons.end(), [](const Reason& r) { return r.not_built; });
      return leave_out(raw, reasons);
    }
    channel_index_.emplace(raw.name, plan_.channels.size());
    plan_.channels.push_back({*std::move(settings)});
  }

  void check_capacity(const Settings& settings, std::vector<Reason>& reasons) {
    if (!has_key(settings, "capacity") || !has_key(settings, "transactionCapacity")) return;
    const std::int64_t capacity = settings.integer("capacity");
    const std::int64_t transaction = settings.integer("transactionCapacity");
    if (transaction <= capacity) return;
    const bool is_set = settings.has("transactionCapacity");
    // Of a type of our own it is no limit, and nobody comes from a Flume that would refuse it.
    if (!is_set && settings.info().class_name.empty()) return;
    const Position where = settings.where(is_set ? "transactionCapacity" : "capacity");
    reader_.error(
        where,
        "Transaction Capacity of Memory Channel cannot be higher than the capacity: " +
            std::to_string(transaction) + " > " + std::to_string(capacity),
        is_set ? "raise capacity, or lower transactionCapacity"
               : "transactionCapacity is not set; its default is " + std::to_string(transaction));
    reasons.push_back({"its transactionCapacity is above its capacity", where});
  }

  const Settings* find_channel(std::string_view name) const {
    const auto found = channel_index_.find(name);
    return found == channel_index_.end() ? nullptr : &plan_.channels[found->second].settings;
  }

  /// Why a component cannot use the channel `name`; nothing when it can.
  std::optional<Reason> channel_problem(const RawComponent& raw, const std::string& name,
                                        const Position& where) {
    mentioned_.insert(name);
    if (find_channel(name) != nullptr) return std::nullopt;
    if (const auto lost = lost_channels_.find(name); lost != lost_channels_.end()) {
      return Reason{"its channel " + printable(name) + " is left out", where, lost->second};
    }
    const std::string_view nearest = reader_.nearest(name, channel_names_);
    std::string hint = channels_hint_;
    if (!nearest.empty()) hint = "did you mean '" + printable(nearest) + "'?";
    reader_.error(where, "there is no channel " + in_quotes(name) + " for " + raw.label, hint);
    return Reason{"there is no channel " + in_quotes(name), where};
  }

  // --- sources

  void plan_source(const RawComponent& raw) {
    if (is_empty(raw)) return;
    std::vector<Reason> reasons;
    std::optional<Settings> settings;
    if (const auto* info = reader_.type_of(raw, "source", catalog_.sources, reasons)) {
      settings = reader_.settings_of(raw, *info, kSourceKeys, reasons);
    }
    const SourceChannels channels = source_channels(raw, reasons);
    SelectorPlan selector = read_selector(raw, channels, reader_, reasons);
    std::vector<InterceptorPlan> interceptors =
        read_interceptors(raw, catalog_.interceptors, reader_, reasons);
    if (!reasons.empty()) return leave_out(raw, reasons);
    for (const auto& [name, reason] : channels.lost) {
      plan_.left_out.push_back({"channel " + printable(name) + " of " + raw.label, reason.because,
                                reason.where, reason.not_built});
    }
    for (const std::string& name : selector.required) check_batch_size(*settings, name);
    plan_.sources.push_back({*std::move(settings), std::move(selector.required),
                             std::move(selector.optional), std::move(interceptors),
                             std::move(selector.multiplexing)});
  }

  /// Flume goes on with the channels that are there; each that is not is a way that is lost.
  SourceChannels source_channels(const RawComponent& raw, std::vector<Reason>& reasons) {
    SourceChannels channels;
    const RawKey* key = raw.find("channels");
    if (key == nullptr) {
      const RawKey* singular = raw.find("channel");
      const Position where =
          singular == nullptr ? raw.where : key_part_at(*singular->entry, singular->offset);
      reader_.error(where, "No Channels configured for " + printable(raw.name),
                    singular == nullptr ? "add '" + printable(plan_.agent) + ".sources." +
                                              printable(raw.name) + ".channels = <channel>'"
                                        : "a source has 'channels', a sink has 'channel'");
      reasons.push_back({"it has no channel", where});
      return channels;
    }
    std::vector<Reason> problems;
    std::set<std::string> seen;
    for (Word& word : clean_words(*key->entry, channel_names_, reader_)) {
      if (!seen.insert(word.text).second) continue;
      if (auto problem = channel_problem(raw, word.text, word.where)) {
        problems.push_back(*problem);
        channels.lost.emplace(std::move(word.text), *std::move(problem));
      } else {
        channels.usable.push_back(std::move(word));
      }
    }
    if (!channels.usable.empty()) return channels;
    if (problems.empty()) problems.push_back({"it has no channel", raw.where});
    reasons.insert(reasons.end(), problems.begin(), problems.end());
    return channels;
  }

  // --- sinks

  void plan_sink(const RawComponent& raw) {
    if (is_empty(raw)) return;
    std::vector<Reason> reasons;
    std::optional<Settings> settings;
    if (const auto* info = reader_.type_of(raw, "sink", catalog_.sinks, reasons)) {
      settings = reader_.settings_of(raw, *info, kSinkKeys, reasons);
    }
    std::string channel = sink_channel(raw, reasons);
    std::string dead_letters = dead_letter_channel(raw, channel, reasons);
    std::vector<std::string> results;
    if (settings) results = result_channels(raw, *settings, channel, reasons);
    if (!reasons.empty()) return leave_out(raw, reasons);
    check_batch_size(*settings, channel);
    plan_.sinks.push_back(
        {*std::move(settings), std::move(channel), std::move(dead_letters), std::move(results)});
  }

  std::string sink_channel(const RawComponent& raw, std::vector<Reason>& reasons) {
    const RawKey* key = raw.find("channel");
    if (key == nullptr) {
      const RawKey* plural = raw.find("channels");
      const Position where =
          plural == nullptr ? raw.where : key_part_at(*plural->entry, plural->offset);
      reader_.error(where, "No channel configured for sink: " + printable(raw.name),
                    plural == nullptr ? "add '" + printable(plan_.agent) + ".sinks." +
                                            printable(raw.name) + ".channel = <channel>'"
                                      : "a sink has 'channel', a source has 'channels'");
      reasons.push_back({"it has no channel", where});
      return {};
    }
    const std::string& name = key->entry->value;
    const Position& where = key->entry->value_at;
    if (split_words(*key->entry).size() > 1) {
      const bool comment = name.find('#') != std::string::npos;
      reader_.error(where, "a sink reads exactly one channel, not " + in_quotes(name),
                    comment ? "a comment behind a value is part of the value, it needs its own line"
                            : "several sinks may read one channel, but not the other way round");
      reasons.push_back({in_quotes(name) + " is not one channel", where});
      return {};
    }
    if (auto problem = channel_problem(raw, name, where)) reasons.push_back(*std::move(problem));
    return name;
  }

  /// The channels that parts of the sink write to.
  std::vector<std::string> result_channels(const RawComponent& raw, const Settings& settings,
                                           const std::string& channel,
                                           std::vector<Reason>& reasons) {
    std::vector<std::string> found;
    for (const PartList& list : settings.info().parts) {
      if (list.channel_key.empty()) continue;
      for (const Settings& part : settings.parts(list.list)) {
        if (!part.knows(list.channel_key) || !part.has(list.channel_key)) continue;
        const std::string name = part.text(list.channel_key);
        const Position where = part.where(list.channel_key);
        if (auto problem = channel_problem(raw, name, where)) {
          reasons.push_back(*std::move(problem));
        } else if (const std::string way = way_back(name, channel, {}); !way.empty()) {
          reader_.error(where,
                        "results of " + raw.label +
                            " would come back to it: " + printable(channel) + " -> " + way,
                        "give results a channel of their own");
          reasons.push_back({"its results would come back to it", where});
        } else {
          found.push_back(name);
        }
      }
    }
    return found;
  }

  /// The channel for what the sink rejects; empty when the file names none.
  std::string dead_letter_channel(const RawComponent& raw, const std::string& channel,
                                  std::vector<Reason>& reasons) {
    const RawKey* key = raw.find(kDeadLetterChannel);
    if (key == nullptr) return {};
    const std::string& name = key->entry->value;
    const Position& where = key->entry->value_at;
    if (split_words(*key->entry).size() > 1) {
      reader_.error(where, "dead letters go into exactly one channel, not " + in_quotes(name),
                    name.find('#') == std::string::npos
                        ? ""
                        : "a comment behind a value is part of the value, it needs its own line");
      reasons.push_back({in_quotes(name) + " is not one channel", where});
      return {};
    }
    if (auto problem = channel_problem(raw, name, where)) {
      reasons.push_back(*std::move(problem));
      return {};
    }
    if (const std::string way = way_back(name, channel, {}); !way.empty()) {
      reader_.error(where,
                    "dead letters of " + raw.label +
                        " would come back to it: " + printable(channel) + " -> " + way,
                    "the sinks that empty a dead-letter channel need another one for their own, or "
                    "none: then those go to the agent's dead-letter file");
      reasons.push_back({"its dead letters would come back to it", where});
    }
    return name;
  }

  /// "dead -> c1": how what is in `from` gets into `to` by dead letters and results; empty when it
  /// does not.
  /// `passed` are the channels on the way so far.
  std::string way_back(const std::string& from, const std::string& to,
                       std::set<std::string> passed) const {
    if (from == to) return printable(to);
    if (!passed.insert(from).second) return {};
    for (const SinkPlan& sink : plan_.sinks) {
      if (sink.channel != from) continue;
      std::vector<std::string> next = sink.result_channels;
      if (!sink.dead_letter_channel.empty()) next.push_back(sink.dead_letter_channel);
      for (const std::string& each : next) {
        const std::string way = way_back(each, to, passed);
        if (!way.empty()) return printable(from) + " -> " + way;
      }
    }
    return {};
  }

  // --- what concerns several

  /// A sink that needs its channel for itself, and on disk, is left out where it is not so.
  void check_sole_reader(const RawComponent& raw) {
    const auto sink =
        std::find_if(plan_.sinks.begin(), plan_.sinks.end(),
                     [&](const SinkPlan& each) { return each.settings.name() == raw.name; });
    if (sink == plan_.sinks.end()) return;
    const auto wants = sink->settings.info().wants_channel_to_itself;
    if (wants == nullptr || !wants(sink->settings)) return;
    const std::string& channel = sink->channel;
    const Position where = raw.find("channel")->entry->value_at;
    const bool shared =
        std::any_of(plan_.sinks.begin(), plan_.sinks.end(), [&](const SinkPlan& each) {
          return each.channel == channel && each.settings.name() != raw.name;
        });
    std::string because;
    if (!find_channel(channel)->info().on_disk) {
      because = "exactly-once needs a channel on disk, and " + printable(channel) +
                " is not: " + "use type = rocksdb or file, or delivery = at-least-once";
    } else if (shared) {
      because = "exactly-once needs channel " + printable(channel) +
                " for itself, and another sink reads it too";
    }
    if (because.empty()) return;
    leave_out(raw, {because, where}, Severity::Error);
    plan_.sinks.erase(sink);
  }

  void check_batch_size(const Settings& settings, const std::string& channel_name) {
    const std::string_view key = settings.info().batch_size_key;
    const Settings* channel = find_channel(channel_name);
    if (key.empty() || channel == nullptr || !has_key(settings, key) ||
        !has_key(*channel, "transactionCapacity")) {
      return;
    }
    const std::int64_t batch = settings.integer(key);
    const std::int64_t transaction = channel->integer("transactionCapacity");
    if (batch <= transaction) return;
    reader_.warning(settings.where(key),
                    settings.component() + ": batch size " + std::to_string(batch) +
                        " is above the transactionCapacity " + std::to_string(transaction) +
                        " of channel " + printable(channel_name),
                    "Flume leaves such a component out; here it runs");
  }

  void drop_unused_channels() {
    std::set<std::string, std::less<>> written;
    std::set<std::string, std::less<>> read;
    for (const SourcePlan& source : plan_.sources) {
      written.insert(source.channels.begin(), source.channels.end());
      written.insert(source.optional_channels.begin(), source.optional_channels.end());
    }
    std::set<std::string, std::less<>> written_by_sinks;
    for (const SinkPlan& sink : plan_.sinks) {
      read.insert(sink.channel);
      if (!sink.dead_letter_channel.empty()) written_by_sinks.insert(sink.dead_letter_channel);
      written_by_sinks.insert(sink.result_channels.begin(), sink.result_channels.end());
    }
    std::vector<ChannelPlan> kept;
    for (ChannelPlan& channel : plan_.channels) {
      const std::string& name = channel.settings.name();
      const std::string label = "channel " + printable(name);
      const Position where = channel.settings.where("type");
      const bool has_source = written.count(name) > 0;
      const bool has_writer = has_source || written_by_sinks.count(name) > 0;
      const bool has_reader = read.count(name) > 0;
      if (!has_writer && !has_reader) {
        const bool mentioned = mentioned_.count(name) > 0;  // its users have said why, then
        const std::string because = mentioned ? "nothing that runs uses it" : "nothing uses it";
        if (!mentioned) reader_.warning(where, label + " is used by no source and no sink");
        plan_.left_out.push_back({label, because, where, false});
        continue;
      }
      if (channel.settings.info().has_others) {
        // Who writes or reads the other end is not this agent's to know.
      } else if (!has_reader) {
        reader_.warning(where, "no sink that runs reads " + label,
                        has_source ? "it fills up to its capacity, and then its sources wait"
                                   : "it fills up to its capacity, and then the sinks keep their "
                                     "dead letters");
      } else if (!has_writer) {
        reader_.warning(where, "no source that runs writes to " + label, "its sinks get nothing");
      }
      kept.push_back(std::move(channel));
    }
    plan_.channels = std::move(kept);
  }

  void judge() {
    if (!plan_.sources.empty() || !plan_.sinks.empty()) {
      plan_.verdict = plan_.left_out.empty() ? Verdict::Runs : Verdict::RunsWithout;
      return;
    }
    const bool ours = std::any_of(plan_.left_out.begin(), plan_.left_out.end(),
                                  [](const LeftOut& each) { return each.not_built; });
    plan_.verdict = ours ? Verdict::NotBuiltYet : Verdict::NothingToRun;
    Position where;
    for (const ComponentKind* kind : {&keys_.channels, &keys_.sinks, &keys_.sources}) {
      if (kind->list != nullptr) where = kind->list->key_at;
    }
    if (where.file.empty()) where.file = tree_.entries().front().key_at.file;
    reader_.error(where, "Agent configuration invalid for agent '" + printable(plan_.agent) +
                             "'. There is nothing to run.");
  }

  const Tree& tree_;
  const Catalog& catalog_;
  Plan plan_;
  ComponentReader reader_;
  AgentKeys keys_;
  std::vector<std::string_view> channel_names_;
  std::string channels_hint_;
  std::map<std::string, std::size_t, std::less<>> channel_index_;  // into plan_.channels
  std::set<std::string, std::less<>> mentioned_;            // channels that a source or sink names
  std::map<std::string, bool, std::less<>> lost_channels_;  // name -> left out as not built
};

}  // namespace

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::Runs: return "runs";
    case Verdict::RunsWithout: return "runs without";
    case Verdict::NotBuiltYet: return "not built yet";
    case Verdict::NothingToRun: return "nothing to run";
  }
  return "nothing to run";
}

Plan make_plan(const Tree& tree, const std::string& agent, const Catalog& catalog) {
  return Planner(tree, agent, catalog).run();
}

}  // namespace sluice

#include "core/config/source_parts.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "core/config/agent_keys.h"

namespace sluice {
namespace {

constexpr std::array<std::string_view, 1> kInterceptorKeys = {"type"};
constexpr std::string_view kSelectorPrefix = "org.apache.flume.channel.";

/// The list `channels`, with those that were left out.
std::set<std::string> listed_channels(const RawComponent& raw) {
  std::set<std::string> names;
  const RawKey* key = raw.find("channels");
  if (key == nullptr) return names;
  for (Word& word : split_words(*key->entry)) names.insert(std::move(word.text));
  return names;
}

}  // namespace

std::vector<std::string> read_selector(const RawComponent& raw, std::vector<std::string>& channels,
                                       ComponentReader& reader, std::vector<Reason>& reasons) {
  std::vector<std::string> optional;
  if (const RawKey* type = raw.find("selector.type")) {
    const std::string& name = type->entry->value;
    const auto is = [&name](std::string_view alias, std::string_view class_name) {
      return equal_ignoring_case(name, alias) ||
             name == std::string(kSelectorPrefix) + std::string(class_name);
    };
    const Position& where = type->entry->value_at;
    if (is("multiplexing", "MultiplexingChannelSelector") ||
        is("load_balancing", "LoadBalancingChannelSelector")) {
      reader.error(where, "selector type " + in_quotes(name) + " of " + raw.label +
                              " is known from Flume, but not built yet");
      reasons.push_back({"its selector " + in_quotes(name) + " is not built yet", where, true});
      return optional;
    }
    if (!is("replicating", "ReplicatingChannelSelector")) {
      reader.error(where, "unknown selector type " + in_quotes(name) + " of " + raw.label,
                   "known: replicating (default), multiplexing, load_balancing");
      reasons.push_back({"its selector " + in_quotes(name) + " is not known", where});
      return optional;
    }
  }
  const RawKey* key = raw.find("selector.optional");
  if (key == nullptr) return optional;
  const std::set<std::string> listed = listed_channels(raw);
  for (const Word& word : split_words(*key->entry)) {
    const auto found = std::find(channels.begin(), channels.end(), word.text);
    if (found == channels.end()) {
      if (listed.count(word.text) > 0) continue;  // it was left out, and that has been told
      reader.warning(word.where, in_quotes(word.text) + " is not a channel of " + raw.label +
                                     ", so it cannot be an optional one");
      continue;
    }
    channels.erase(found);
    optional.push_back(word.text);
  }
  return optional;
}

std::vector<InterceptorPlan> read_interceptors(const RawComponent& raw,
                                               std::span<const ComponentInfo* const> types,
                                               ComponentReader& reader,
                                               std::vector<Reason>& reasons) {
  std::vector<InterceptorPlan> result;
  std::set<std::string, std::less<>> listed;
  const RawKey* list = raw.find("interceptors");
  if (list != nullptr) {
    for (const Word& word : clean_words(*list->entry, {}, reader)) {
      listed.insert(word.text);
      RawComponent each = raw.below("interceptors." + word.text,
                                    "interceptor " + printable(word.text) + " of " + raw.label);
      each.name = word.text;
      if (each.keys.empty()) each.where = word.where;
      std::vector<Reason> own;
      std::optional<Settings> settings;
      if (const auto* info = reader.type_of(each, "interceptor", types, own)) {
        settings = reader.settings_of(each, *info, kInterceptorKeys, own);
      }
      for (Reason& reason : own) {
        reason.because = "interceptor " + printable(word.text) + ": " + reason.because;
        reasons.push_back(std::move(reason));
      }
      if (settings) result.push_back({*std::move(settings)});
    }
  }
  for (const RawKey& key : raw.keys) {
    if (!key.name.starts_with("interceptors.")) continue;
    const std::string rest = key.name.substr(std::string_view("interceptors.").size());
    const std::string name = rest.substr(0, rest.find('.'));
    if (!listed.insert(name).second) continue;
    reader.warning(key_part_at(*key.entry, key.offset),
                   "interceptor " + printable(name) + " of " + raw.label +
                       " is configured, but not listed: it is not used",
                   "add it to the list 'interceptors' of " + raw.label);
  }
  return result;
}

}  // namespace sluice

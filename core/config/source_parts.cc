#include "core/config/source_parts.h"

#include <array>
#include <optional>
#include <set>
#include <utility>

#include "core/config/agent_keys.h"

namespace sluice {
namespace {

constexpr std::array<std::string_view, 1> kInterceptorKeys = {"type"};

}  // namespace

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

#include "core/config/component_reader.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/config/agent_keys.h"
#include "core/config/values.h"

namespace sluice {
namespace {

constexpr std::string_view kBuilder = "$Builder";

std::string type_name(const ComponentInfo& info) {
  return std::string(info.alias.empty() ? info.class_name : info.alias);
}

bool matches(std::string_view pattern, std::string_view key) {
  if (!pattern.ends_with(".*")) return pattern == key;
  const std::string_view stem = pattern.substr(0, pattern.size() - 1);
  return key.size() > stem.size() && key.starts_with(stem);
}

bool lists_word(std::string_view words, std::string_view word) {
  const std::vector<std::string> all = parse_list(words);
  return std::find(all.begin(), all.end(), word) != all.end();
}

const Key* find_key(const ComponentInfo& info, std::string_view name) {
  const auto exact = std::find_if(info.keys.begin(), info.keys.end(), [&](const Key& key) {
    return key.name == name || lists_word(key.old_names, name);
  });
  if (exact != info.keys.end()) return &*exact;
  const auto family = std::find_if(info.keys.begin(), info.keys.end(),
                                   [&](const Key& key) { return matches(key.name, name); });
  return family == info.keys.end() ? nullptr : &*family;
}

bool is_set(const RawComponent& raw, const Key& key) {
  if (raw.find(key.name) != nullptr) return true;
  const std::vector<std::string> old = parse_list(key.old_names);
  return std::any_of(old.begin(), old.end(),
                     [&](const std::string& name) { return raw.find(name) != nullptr; });
}

/// "Largest number of events. Default: 100."
std::string explain(const Key& key) {
  std::string text(key.meaning);
  if (!key.choices.empty()) text += " One of: " + std::string(key.choices) + ".";
  if (!key.default_value.empty()) text += " Default: " + std::string(key.default_value) + ".";
  return text;
}

}  // namespace

const RawKey* RawComponent::find(std::string_view key) const {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const RawKey& each) {
    return each.name == key && !each.entry->value.empty();
  });
  return found == keys.end() ? nullptr : &*found;
}

RawComponent RawComponent::below(std::string_view prefix, std::string label_below) const {
  const std::string stem = std::string(prefix) + ".";
  RawComponent result;
  result.label = std::move(label_below);
  result.name = prefix.substr(prefix.rfind('.') + 1);
  result.where = where;
  for (const RawKey& key : keys) {
    if (!key.name.starts_with(stem) || key.name.size() == stem.size()) continue;
    if (result.keys.empty()) result.where = key_part_at(*key.entry, key.offset);
    result.keys.push_back(
        {key.name.substr(stem.size()), key.entry, key.offset + stem.size(), key.order});
  }
  return result;
}

const ComponentInfo* find_type(std::span<const ComponentInfo* const> types, std::string_view name) {
  std::string_view plain = name;
  if (plain.ends_with(kBuilder)) plain.remove_suffix(kBuilder.size());
  for (const ComponentInfo* info : types) {
    std::string_view class_name = info->class_name;
    if (class_name.ends_with(kBuilder)) class_name.remove_suffix(kBuilder.size());
    if (!info->alias.empty() && equal_ignoring_case(info->alias, name)) return info;
    if (!class_name.empty() && class_name == plain) return info;
  }
  return nullptr;
}

std::string ComponentReader::type_hint(std::string_view name,
                                       std::span<const ComponentInfo* const> types) {
  if (const std::size_t hash = name.find('#'); hash != std::string_view::npos) {
    return "a comment behind a value is part of the value; it needs a line of its own";
  }
  std::vector<std::string_view> names;
  for (const ComponentInfo* info : types) {
    if (!info->alias.empty()) names.push_back(info->alias);
    if (!info->class_name.empty()) names.push_back(info->class_name);
  }
  const std::string_view near_name = nearest(name, names);
  if (!near_name.empty()) {
    const ComponentInfo* info = find_type(types, near_name);
    return "did you mean '" + std::string(near_name) + "'? " + std::string(info->meaning);
  }
  if (name.find('.') != std::string_view::npos) {
    return "a Java class of your own cannot be loaded by a native agent";
  }
  std::string known;
  for (const ComponentInfo* info : types) {
    if (info->built) known += (known.empty() ? "" : ", ") + type_name(*info);
  }
  return "types that are built: " + known;
}

const ComponentInfo* ComponentReader::type_of(const RawComponent& raw, std::string_view kind,
                                              std::span<const ComponentInfo* const> types,
                                              std::vector<Reason>& reasons) {
  const RawKey* type = raw.find("type");
  if (type == nullptr) {
    error(raw.where, raw.label + " has no type",
          "Component has no type. Cannot configure. " + printable(raw.name));
    reasons.push_back({"it has no type", raw.where});
    return nullptr;
  }
  const std::string& name = type->entry->value;
  const Position& where = type->entry->value_at;
  const ComponentInfo* info = find_type(types, name);
  if (info == nullptr) {
    error(where, "unknown " + std::string(kind) + " type " + in_quotes(name) + " of " + raw.label,
          type_hint(name, types));
    reasons.push_back({"its type " + in_quotes(name) + " is not known", where});
    return nullptr;
  }
  if (!info->built) {
    error(where,
          std::string(kind) + " type " + in_quotes(name) + " of " + raw.label +
              " is known from Flume, but not built yet",
          std::string(info->meaning));
    reasons.push_back({"its type " + in_quotes(name) + " is not built yet", where, true});
    return nullptr;
  }
  return info;
}

std::optional<Settings> ComponentReader::settings_of(const RawComponent& as_it_is,
                                                     const ComponentInfo& info,
                                                     std::span<const std::string_view> common,
                                                     std::vector<Reason>& reasons) {
  RawComponent raw = as_it_is;
  std::deque<Entry> entries;
  Values values;
  std::vector<Reason> own;
  if (info.shorthand != nullptr && !write_out(*info.shorthand, raw, entries, own)) {
    reasons.insert(reasons.end(), own.begin(), own.end());
    return std::nullopt;
  }
  for (const RawKey& key : raw.keys) read_key(raw, key, info, common, values, own);
  for (const Key& key : info.keys) {
    if (!key.required || is_set(raw, key)) continue;
    error(raw.where, raw.label + " needs the key '" + std::string(key.name) + "'", explain(key));
    own.push_back({"its key '" + std::string(key.name) + "' is missing", raw.where});
  }
  if (const RawKey* type = raw.find("type")) {
    values.try_emplace("type",
                       Settings::Value{type->entry->value, type->entry->value_at, type->order});
  }
  Settings::Parts parts;
  for (const PartList& list : info.parts) {
    parts[std::string(list.list)] = parts_of(raw, list, own);
  }
  std::optional<Settings> settings;
  if (own.empty()) {
    settings.emplace(raw.label, raw.name, info, std::move(values));
    settings->set_parts(std::move(parts));
    if (info.judge != nullptr) judge(*settings, own);
  }
  reasons.insert(reasons.end(), own.begin(), own.end());
  if (!own.empty()) settings.reset();
  return settings;
}

/// Adds what the shorthand stands for, in `entries`. False: it cannot be understood, or says what
/// is said at length, too.
bool ComponentReader::write_out(const Shorthand& shorthand, RawComponent& raw,
                                std::deque<Entry>& entries, std::vector<Reason>& reasons) {
  const RawKey* const found = raw.find(shorthand.key);
  if (found == nullptr) return true;
  const RawKey key = *found;
  const Position begin = key.entry->value_at;
  std::vector<Finding> findings;
  const std::vector<LongForm> all = shorthand.write_out(key.entry->value, findings);
  for (Finding& finding : findings) tell(raw.label, std::move(finding), begin, reasons);
  if (!reasons.empty()) return false;
  for (const LongForm& each : all) {
    if (const RawKey* const other = raw.find(each.key); other != nullptr) {
      tell(raw.label,
           {Severity::Error, std::string(shorthand.key), "'" + other->name + "' says it, too",
            "keep one of them", 0},
           begin, reasons);
      return false;
    }
    Position where = begin;
    where.column += static_cast<decltype(where.column)>(each.offset);
    where.length = 1;
    entries.push_back({each.key, each.value, where, where, {}});
    // In the order in which it is said.
    raw.keys.push_back(
        {each.key, &entries.back(), 0, key.order + static_cast<std::uint32_t>(entries.size())});
  }
  return true;
}

std::vector<Settings> ComponentReader::parts_of(const RawComponent& raw, const PartList& list,
                                                std::vector<Reason>& reasons) {
  constexpr std::array<std::string_view, 1> common = {"type"};
  const std::string kind(list.kind);
  const std::string stem = std::string(list.list) + ".";
  std::vector<Settings> result;
  std::set<std::string, std::less<>> listed;
  const RawKey* const words = raw.find(list.list);
  if (words != nullptr) {
    for (const Word& word : clean_words(*words->entry, {}, *this)) {
      if (!listed.insert(word.text).second) continue;
      const std::string name = kind + " " + printable(word.text);
      RawComponent each = raw.below(stem + word.text, name + " of " + raw.label);
      each.name = word.text;
      if (each.keys.empty()) each.where = word.where;
      std::vector<Reason> own;
      std::optional<Settings> settings;
      if (const auto* info = type_of(each, kind, list.types, own)) {
        settings = settings_of(each, *info, common, own);
      }
      for (Reason& reason : own) {
        reason.because = name + ": " + reason.because;
        reasons.push_back(std::move(reason));
      }
      if (settings) result.push_back(*std::move(settings));
    }
  }
  for (const RawKey& key : raw.keys) {
    if (!key.name.starts_with(stem)) continue;
    const std::string rest = key.name.substr(stem.size());
    const std::string name = rest.substr(0, rest.find('.'));
    if (!listed.insert(name).second) continue;
    warning(key_part_at(*key.entry, key.offset),
            kind + " " + printable(name) + " of " + raw.label +
                " is configured, but not listed: it is not used",
            "add it to the list '" + std::string(list.list) + "' of " + raw.label);
  }
  return result;
}

/// Lets the component look at its settings.
void ComponentReader::judge(const Settings& settings, std::vector<Reason>& reasons) {
  for (Finding& each : settings.info().judge(settings)) {
    const Position where = settings.where(each.key);
    tell(settings.component(), std::move(each), where, reasons);
  }
}

/// `where`: of the value that the finding is about.
void ComponentReader::tell(const std::string& label, Finding finding, Position where,
                           std::vector<Reason>& reasons) {
  if (finding.offset > 0) where.column += static_cast<decltype(where.column)>(finding.offset);
  if (finding.severity == Severity::Error) {
    reasons.push_back({"its " + finding.key + ": " + finding.message, where});
  }
  say(finding.severity, where, finding.key + " of " + label + ": " + finding.message,
      std::move(finding.hint));
}

void ComponentReader::read_key(const RawComponent& raw, const RawKey& key,
                               const ComponentInfo& info, std::span<const std::string_view> common,
                               Values& values, std::vector<Reason>& reasons) {
  const Entry& entry = *key.entry;
  const Position key_at = key_part_at(entry, key.offset);
  if (entry.value.empty()) {
    warning(key_at, "Configuration property ignored: " + in_quotes(entry.key) + " has no value");
    return;
  }
  const Key* known = find_key(info, key.name);
  if (known == nullptr) {
    const bool is_part = std::any_of(info.parts.begin(), info.parts.end(), [&](const auto& list) {
      return key.name == list.list || key.name.starts_with(std::string(list.list) + ".");
    });
    if (is_part) return;
    const bool is_common = std::any_of(common.begin(), common.end(), [&](std::string_view pattern) {
      return matches(pattern, key.name);
    });
    if (!is_common) unknown_key(raw, key, info, common);
    return;
  }
  std::string name = key.name;
  if (lists_word(known->old_names, key.name)) {
    name = known->name;
    warning(key_at, "'" + printable(key.name) + "' is the old name of '" + name + "'",
            explain(*known));
    if (raw.find(name) != nullptr) return;  // the new name is set too, and wins
  }
  if (known->type == KeyType::Ignored) {
    note(key_at, "'" + printable(key.name) + "' has no meaning here", std::string(known->meaning));
  }
  Settings::Value value{entry.value, entry.value_at, key.order};
  if (const Status status = check_value(*known, entry.value); !status.ok()) {
    if (known->type != KeyType::Boolean) {
      return bad_value(raw.label, name, *known, entry, status, reasons);
    }
    warning(
        entry.value_at,
        name + " of " + raw.label + ": " + status.message() + "; it counts as false, as in Flume",
        explain(*known));
    value.text = "false";
  }
  values[name] = std::move(value);
}

/// Says what is wrong and what becomes of the component.
void ComponentReader::bad_value(const std::string& label, const std::string& name, const Key& known,
                                const Entry& entry, const Status& why,
                                std::vector<Reason>& reasons) {
  const std::string problem = name + " of " + label + ": " + why.message();
  if (known.bad_means_default) {
    warning(entry.value_at, problem + "; the default is used, as Flume does", explain(known));
  } else if (parse_choice(entry.value, known.choices_not_built).ok()) {
    const std::string choice = name + " " + in_quotes(entry.value);
    error(entry.value_at, choice + " of " + label + " is known from Flume, but not built yet",
          explain(known));
    reasons.push_back({"its " + choice + " is not built yet", entry.value_at, true});
  } else {
    error(entry.value_at, problem, explain(known));
    reasons.push_back({"its " + name + ": " + why.message(), entry.value_at});
  }
}

void ComponentReader::unknown_key(const RawComponent& raw, const RawKey& key,
                                  const ComponentInfo& info,
                                  std::span<const std::string_view> common) {
  // Of "prefix.anything" the prefix is what can be misspelt.
  std::vector<std::string_view> names;
  std::vector<std::string_view> stems;
  const auto sort_in = [&](std::string_view name) {
    if (name.ends_with(".*")) {
      stems.push_back(name.substr(0, name.size() - 2));
    } else {
      names.push_back(name);
    }
  };
  for (const Key& each : info.keys) sort_in(each.name);
  std::for_each(common.begin(), common.end(), sort_in);
  std::string hint;
  const std::size_t dot = key.name.find('.');
  if (dot != std::string::npos) {
    const std::string_view stem = nearest(std::string_view(key.name).substr(0, dot), stems);
    if (!stem.empty()) {
      hint = "did you mean '" + std::string(stem) + printable(key.name.substr(dot)) + "'?";
    }
  }
  const std::string_view near_name = hint.empty() ? nearest(key.name, names) : "";
  if (!near_name.empty()) {
    const Key* near_key = find_key(info, near_name);
    hint = "did you mean '" + std::string(near_name) + "'?";
    if (near_key != nullptr) hint += " " + explain(*near_key);
  }
  if (hint.empty()) {
    for (const Key& each : info.keys) {
      hint += (hint.empty() ? type_name(info) + " knows: " : ", ") + std::string(each.name);
    }
  }
  warning(key_part_at(*key.entry, key.offset),
          "unknown key " + in_quotes(key.name) + " of " + raw.label + " (" + type_name(info) +
              "); it is ignored",
          hint);
}

std::string_view ComponentReader::nearest(std::string_view word,
                                          const std::vector<std::string_view>& names) {
  constexpr std::size_t kProblemsMax = 1000;
  return diagnostics_.size() > kProblemsMax ? std::string_view() : nearest_name(word, names);
}

void ComponentReader::say(Severity severity, Position where, std::string message,
                          std::string hint) {
  diagnostics_.push_back({severity, std::move(where), std::move(message), std::move(hint)});
}

void ComponentReader::error(Position where, std::string message, std::string hint) {
  say(Severity::Error, std::move(where), std::move(message), std::move(hint));
}

void ComponentReader::warning(Position where, std::string message, std::string hint) {
  say(Severity::Warning, std::move(where), std::move(message), std::move(hint));
}

void ComponentReader::note(Position where, std::string message, std::string hint) {
  say(Severity::Note, std::move(where), std::move(message), std::move(hint));
}

}  // namespace sluice

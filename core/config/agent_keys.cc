#include "core/config/agent_keys.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>

namespace sluice {
namespace {

using Components = std::map<std::string, RawComponent, std::less<>>;

std::string list_key(std::string_view agent, std::string_view list) {
  return std::string(agent) + "." + std::string(list);
}

class Collector {
 public:
  Collector(const Tree& tree, std::string_view agent, ComponentReader& reader)
      : tree_(tree), agent_(agent), reader_(reader) {}

  AgentKeys run() {
    AgentKeys keys;
    const std::array<ComponentKind*, 5> kinds = {&keys.sources, &keys.channels, &keys.sinks,
                                                 &keys.groups, &keys.filters};
    std::array<Components, 5> components;
    const std::string prefix = std::string(agent_) + ".";
    const std::string memory_limit = prefix + "memoryLimit";
    for (std::size_t i = 0; i < tree_.entries().size(); ++i) {
      const Entry& entry = tree_.entries()[i];
      if (!entry.key.starts_with(prefix)) continue;
      keys.found = true;
      if (entry.key == memory_limit) {
        keys.memory_limit = &entry;
        continue;
      }
      sort_in(entry, prefix.size(), static_cast<std::uint32_t>(i), kinds, components);
    }
    for (std::size_t k = 0; k < kinds.size(); ++k) list_components(*kinds[k], components[k]);
    return keys;
  }

 private:
  void sort_in(const Entry& entry, std::size_t at, std::uint32_t order,
               const std::array<ComponentKind*, 5>& kinds, std::array<Components, 5>& components) {
    const std::string_view rest = std::string_view(entry.key).substr(at);
    const std::size_t dot = rest.find('.');
    const std::string_view head = rest.substr(0, dot);
    const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const ComponentKind* each) {
      return each->list_name == head;
    });
    if (kind == kinds.end()) return stray(entry, at, head);
    if (dot == std::string_view::npos) {
      (*kind)->list = &entry;
      return;
    }
    const std::string_view behind = rest.substr(dot + 1);
    const std::size_t second = behind.find('.');
    if (second == std::string_view::npos || second == 0 || second + 1 == behind.size()) {
      reader_.warning(key_part_at(entry, at), "Invalid property specified: " + printable(rest),
                      "a key of a component reads " + std::string(agent_) + "." +
                          std::string(head) + ".<name>.<key>");
      return;
    }
    const std::string name(behind.substr(0, second));
    RawComponent& component = components[static_cast<std::size_t>(kind - kinds.begin())][name];
    if (component.keys.empty()) {
      component.name = name;
      component.label = std::string((*kind)->singular) + " " + printable(name);
      component.where = entry.key_at;
    }
    component.keys.push_back(
        {std::string(behind.substr(second + 1)), &entry, at + dot + 1 + second + 1, order});
  }

  /// A key directly under the agent that is none of the five lists.
  void stray(const Entry& entry, std::size_t at, std::string_view head) {
    if (tree_.is_referenced(entry)) return;
    const std::vector<std::string_view> lists(std::begin(kListNames), std::end(kListNames));
    const std::string_view nearest = reader_.nearest(head, lists);
    std::string hint =
        "an agent has sources, channels, sinks, sinkgroups and configfilters, and the key "
        "memoryLimit";
    if (!nearest.empty()) {
      hint = "did you mean '" + std::string(agent_) + "." + std::string(nearest) +
             printable(entry.key.substr(at + head.size())) + "'?";
    }
    reader_.warning(key_part_at(entry, at),
                    "Invalid property specified: " + printable(entry.key.substr(at)), hint);
  }

  void list_components(ComponentKind& kind, Components& components) {
    std::vector<std::string_view> known;
    for (const auto& [name, component] : components) known.push_back(name);
    if (kind.list != nullptr) {
      const std::vector<Word> words = clean_words(*kind.list, known, reader_);
      std::set<std::string_view> seen;
      for (const Word& word : words) seen.insert(word.text);
      std::vector<std::string_view> free;
      for (std::string_view name : known) {
        if (seen.count(name) == 0) free.push_back(name);
      }
      seen.clear();
      for (const Word& word : words) {
        if (!seen.insert(word.text).second) {
          reader_.warning(word.where, in_quotes(word.text) + " is listed twice in " +
                                          std::string(kind.list_name));
          continue;
        }
        take(kind, components, word, free);
      }
    }
    for (const auto& [name, component] : components) not_listed(kind, component);
  }

  void take(ComponentKind& kind, Components& components, const Word& word,
            const std::vector<std::string_view>& free) {
    const auto found = components.find(word.text);
    if (found != components.end()) {
      kind.listed.push_back(std::move(found->second));
      components.erase(found);
      return;
    }
    RawComponent missing;
    missing.name = word.text;
    missing.label = std::string(kind.singular) + " " + printable(word.text);
    missing.where = word.where;
    const std::string_view nearest = reader_.nearest(word.text, free);
    std::string hint = nearest.empty() ? "" : "did you mean '" + printable(nearest) + "'?";
    if (word.text.find(',') != std::string::npos) {
      hint = "names in a list are separated by blanks; Flume takes " + in_quotes(word.text) +
             " for one name";
    }
    reader_.error(word.where, missing.label + " is listed, but nothing is configured for it", hint);
    kind.listed.push_back(std::move(missing));
  }

  void not_listed(const ComponentKind& kind, const RawComponent& component) {
    const std::string line = list_key(agent_, kind.list_name);
    reader_.warning(component.where,
                    component.label + " is configured, but not listed: it is not used",
                    (kind.list == nullptr ? "there is no line '" : "the line '") + printable(line) +
                        " = ...'" + (kind.list == nullptr ? "" : " probably forgets it"));
  }

  const Tree& tree_;
  std::string_view agent_;
  ComponentReader& reader_;
};

}  // namespace

std::vector<Word> clean_words(const Entry& entry, const std::vector<std::string_view>& known,
                              ComponentReader& reader) {
  const std::set<std::string_view> names(known.begin(), known.end());
  std::vector<Word> result;
  bool comment = false;
  const std::vector<Word> words = split_words(entry);
  if (words.size() == kWordsMax) {
    reader.error(entry.value_at, "a list holds at most " + std::to_string(kWordsMax) + " words");
  }
  for (const Word& word : words) {
    if (names.count(word.text) > 0) {
      result.push_back(word);
      continue;
    }
    if (word.text.front() == '#' && !comment) {
      comment = true;
      reader.warning(word.where, "a comment behind a value is part of the value",
                     "a comment needs a line of its own");
    }
    if (!comment) result.push_back(word);
  }
  return result;
}

AgentKeys collect_agent_keys(const Tree& tree, std::string_view agent, ComponentReader& reader) {
  return Collector(tree, agent, reader).run();
}

}  // namespace sluice

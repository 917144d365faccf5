// The keys of one agent, sorted into its lists and its components.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/component_reader.h"
#include "core/config/tree.h"

namespace sluice {

/// One of the five lists with the components below it.
struct ComponentKind {
  std::string_view list_name;  ///< "sources"
  std::string_view singular;   ///< "source"
  const Entry* list = nullptr;
  std::vector<RawComponent> listed;  ///< In the order of the list line; keys may be empty.
};

/// What belongs to one agent. Refers into the Tree.
struct AgentKeys {
  ComponentKind sources{"sources", "source", nullptr, {}};
  ComponentKind channels{"channels", "channel", nullptr, {}};
  ComponentKind sinks{"sinks", "sink", nullptr, {}};
  ComponentKind groups{"sinkgroups", "sink group", nullptr, {}};
  ComponentKind filters{"configfilters", "config filter", nullptr, {}};
  const Entry* memory_limit = nullptr;  ///< The agent's own key.
  bool found = false;                   ///< The tree has at least one key of this agent.
};

/// Sorts the keys of `agent`. Says, through `reader`, what is written where nothing reads it: keys
/// outside the five lists and memoryLimit, components that are configured but not listed or listed
/// but not configured, comments in lists. A component that is listed twice counts once.
AgentKeys collect_agent_keys(const Tree& tree, std::string_view agent, ComponentReader& reader);

/// The words of a list, without those of a `# comment` behind it, which costs one warning. Words
/// that are in `known` always stay: Flume would take them for names too.
std::vector<Word> clean_words(const Entry& entry, const std::vector<std::string_view>& known,
                              ComponentReader& reader);

}  // namespace sluice

// Bytes as a configuration: lexing, merging, substitution and planning must end, and must keep what
// they promise, whatever the bytes are. The first byte picks the language.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/flume_types.h"
#include "core/base/assert.h"
#include "core/config/topology.h"
#include "core/config/tree.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool yaml = data[0] % 4 == 0;
  std::vector<sluice::SourceText> texts;
  texts.emplace_back(yaml ? "fuzz.yaml" : "fuzz.conf",
                     std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  sluice::SubstitutionSources sources;
  sources.environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "X") return "a\nb.c = ${env:X}";
    return std::nullopt;
  };
  const sluice::Loaded loaded = sluice::load_texts(std::move(texts), sources);
  for (const sluice::Entry& entry : loaded.tree.entries()) {
    SLUICE_ASSERT(loaded.tree.find(entry.key) == &entry, "every key is there once");
    SLUICE_ASSERT(sluice::is_utf8(entry.key) && sluice::is_utf8(entry.value), "text is UTF-8");
    SLUICE_ASSERT(entry.key_at.line > 0 && entry.key_at.column > 0, "every key has a place");
  }
  const sluice::Catalog catalog = sluice::flume_types_not_built();
  std::vector<std::string> agents = loaded.tree.agents();
  agents.resize(agents.size() < 3 ? agents.size() : 3);
  agents.emplace_back("a1");
  for (const std::string& agent : agents) {
    const sluice::Plan plan = sluice::make_plan(loaded.tree, agent, catalog);
    SLUICE_ASSERT(plan.sources.empty() && plan.sinks.empty(), "nothing in this catalog is built");
  }
  return 0;
}

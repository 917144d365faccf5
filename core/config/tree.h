// The configuration files of an agent, merged into one set of keys with their places.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/diagnostics.h"
#include "core/config/document.h"
#include "core/config/source_text.h"
#include "core/config/substitute.h"

namespace sluice {

/// Every key once, the later file or line wins, ${...} resolved. Immutable.
class Tree {
 public:
  Tree() = default;
  /// REQUIRES: the keys are unique. `referenced` are the indices that ${...} points at.
  Tree(std::vector<Entry> entries, const std::vector<std::size_t>& referenced);

  /// In the order of the files and lines.
  const std::vector<Entry>& entries() const noexcept { return entries_; }
  /// Null when the key is not set.
  const Entry* find(std::string_view key) const;
  /// True when a value refers to this entry by ${key}.
  bool is_referenced(const Entry& entry) const;
  /// Agents that have a list line (`a1.sources = ...`), in the order of the files.
  std::vector<std::string> agents() const;

 private:
  std::vector<Entry> entries_;
  std::vector<bool> referenced_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

struct LoadOptions {
  std::vector<std::string> files;  ///< Later ones win.
  SubstitutionSources sources;
};

/// What came of loading. The tree holds what could be read even when `readable` is false.
struct Loaded {
  Tree tree;
  std::vector<SourceText> texts;  ///< For showing lines beside their diagnostics.
  std::vector<Diagnostic> diagnostics;
  bool readable = true;  ///< false: a file could not be read, or there is no key in any of them.
};

/// Reads and merges the files. Never fails: problems are diagnostics.
///
/// A file is YAML when its name ends in .yaml or .yml or its first sign is `{`, `---` or a line of
/// the form `a1:`, a comment behind it or not; otherwise Java properties. XML is refused in one
/// line.
Loaded load_files(const LoadOptions& options);

/// The same for texts that are already in memory.
Loaded load_texts(std::vector<SourceText> texts, const SubstitutionSources& sources);

/// The five lists of an agent, Flume's spelling.
inline constexpr std::string_view kListNames[] = {"sources", "channels", "sinks", "sinkgroups",
                                                  "configfilters"};

}  // namespace sluice

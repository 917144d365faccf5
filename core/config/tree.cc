#include "core/config/tree.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/config/properties.h"
#include "core/config/read_file.h"
#include "core/config/yaml.h"

namespace sluice {
namespace {

enum class Language : unsigned char { Properties, Yaml, Xml, Utf16 };

/// The first line that holds something, from its first sign on.
std::string_view first_line(std::string_view text) {
  while (true) {
    while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
    const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
    if (line.empty() || (line.front() != '#' && line.front() != '!')) return trim(line);
    text.remove_prefix(line.size());
  }
}

Language language_of(const SourceText& source) {
  const std::string_view text = source.text();
  // ISO-8859-1 spellings of the byte order marks FF FE and FE FF.
  if (text.starts_with("\xC3\xBF\xC3\xBE") || text.starts_with("\xC3\xBE\xC3\xBF")) {
    return Language::Utf16;
  }
  const std::string_view line = first_line(text);
  if (line.starts_with('<')) return Language::Xml;
  if (source.file().ends_with(".yaml") || source.file().ends_with(".yml")) return Language::Yaml;
  const std::string_view plain = trim(line.substr(0, line.find(" #")));
  if (line.starts_with('{') || plain == "---") return Language::Yaml;
  // `a1:` alone is a YAML map; as a property it would be a key without a dot and without a value.
  const bool map_line = plain.size() > 1 && plain.ends_with(':') &&
                        plain.find_first_of("=. \t") == std::string_view::npos;
  return map_line ? Language::Yaml : Language::Properties;
}

Document parse(const SourceText& source) {
  Document refused;
  refused.readable = false;
  switch (language_of(source)) {
    case Language::Properties: return parse_properties(source);
    case Language::Yaml: return parse_yaml(source);
    case Language::Xml: {
      const auto begin =
          static_cast<std::size_t>(first_line(source.text()).data() - source.text().data());
      refused.diagnostics.push_back({Severity::Error, source.at(begin, begin + 1),
                                     "this is XML, not a Flume configuration",
                                     "write Java properties ('a1.sources = r1') or YAML"});
      return refused;
    }
    case Language::Utf16:
      refused.diagnostics.push_back(
          {Severity::Error, source.at(0, 0), "this file is UTF-16; save it as UTF-8", ""});
      return refused;
  }
  return refused;
}

/// Later entries win. Two different values for a key in one file are worth a warning; another file
/// that overrides is what several files are for.
std::vector<Entry> merge(std::vector<Entry> all, std::vector<Diagnostic>& diagnostics) {
  std::unordered_map<std::string, std::size_t> last;
  std::vector<bool> kept(all.size(), true);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto [found, fresh] = last.try_emplace(all[i].key, i);
    if (fresh) continue;
    const Entry& earlier = all[found->second];
    if (earlier.value != all[i].value && earlier.key_at.file == all[i].key_at.file) {
      diagnostics.push_back({Severity::Warning, all[i].key_at,
                             in_quotes(all[i].key) + " is set twice; this later value wins",
                             "line " + std::to_string(earlier.key_at.line) + " set it to " +
                                 in_quotes(earlier.value)});
    }
    kept[found->second] = false;
    found->second = i;
  }
  std::vector<Entry> result;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (kept[i]) result.push_back(std::move(all[i]));
  }
  return result;
}

/// Keys that no agent can own: Flume ignores them with the same words.
void tell_strays(Loaded& loaded) {
  constexpr std::size_t kToldMax = 1000;
  const std::vector<std::string> agents = loaded.tree.agents();
  const std::set<std::string_view> known(agents.begin(), agents.end());
  const std::vector<std::string_view> names(agents.begin(), agents.end());
  std::set<std::string_view> told;
  for (const Entry& entry : loaded.tree.entries()) {
    const std::string_view key = entry.key;
    const std::size_t dot = key.find('.');
    const std::string_view agent = key.substr(0, dot);
    if (loaded.tree.is_referenced(entry) || told.size() == kToldMax) continue;
    if (dot != std::string_view::npos && known.count(agent) > 0) continue;
    if (!told.insert(agent).second) continue;
    if (key.starts_with("//")) {
      loaded.diagnostics.push_back({Severity::Warning, entry.key_at,
                                    "Configuration property ignored: " + in_quotes(key),
                                    "a comment begins with # or !"});
    } else if (dot == std::string_view::npos || dot == 0) {
      loaded.diagnostics.push_back({Severity::Warning, entry.key_at,
                                    "Configuration property ignored: " + in_quotes(key),
                                    "a key begins with the name of an agent and a dot"});
    } else {
      const std::string_view nearest = nearest_name(agent, names);
      loaded.diagnostics.push_back(
          {Severity::Warning, entry.key_at,
           "agent " + in_quotes(agent) +
               " has no list of sources, channels or sinks: it is ignored",
           nearest.empty() ? "" : "did you mean agent " + in_quotes(nearest) + "?"});
    }
  }
}

void nothing_found(Loaded& loaded) {
  loaded.readable = false;
  Position where;
  if (!loaded.texts.empty()) where.file = loaded.texts.front().file();
  loaded.diagnostics.push_back(
      {Severity::Error, where, "No configuration could be found: there is not one key in it", ""});
}

}  // namespace

Tree::Tree(std::vector<Entry> entries, const std::vector<std::size_t>& referenced)
    : entries_(std::move(entries)), referenced_(entries_.size(), false) {
  for (std::size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].key, i);
  for (std::size_t i : referenced) referenced_[i] = true;
}

const Entry* Tree::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

bool Tree::is_referenced(const Entry& entry) const {
  const auto found = index_.find(entry.key);
  return found != index_.end() && referenced_[found->second];
}

std::vector<std::string> Tree::agents() const {
  std::vector<std::string> names;
  std::set<std::string_view> seen;
  for (const Entry& entry : entries_) {
    const std::string_view key = entry.key;
    const std::size_t dot = key.find('.');
    if (dot == std::string_view::npos || dot == 0) continue;
    const std::string_view rest = key.substr(dot + 1);
    const std::string_view name = key.substr(0, dot);
    if (std::find(std::begin(kListNames), std::end(kListNames), rest) == std::end(kListNames)) {
      continue;
    }
    if (seen.insert(name).second) names.emplace_back(name);
  }
  return names;
}

Loaded load_texts(std::vector<SourceText> texts, const SubstitutionSources& sources) {
  Loaded loaded;
  loaded.texts = std::move(texts);
  std::vector<Entry> all;
  for (const SourceText& text : loaded.texts) {
    Document document = parse(text);
    loaded.readable = loaded.readable && document.readable;
    std::move(document.entries.begin(), document.entries.end(), std::back_inserter(all));
    std::move(document.diagnostics.begin(), document.diagnostics.end(),
              std::back_inserter(loaded.diagnostics));
  }
  if (all.empty() && loaded.readable) nothing_found(loaded);
  std::vector<Entry> merged = merge(std::move(all), loaded.diagnostics);
  std::vector<std::size_t> referenced;
  substitute(merged, sources, loaded.diagnostics, referenced);
  loaded.tree = Tree(std::move(merged), referenced);
  tell_strays(loaded);
  return loaded;
}

Loaded load_files(const LoadOptions& options) {
  std::vector<SourceText> texts;
  std::vector<Diagnostic> unreadable;
  for (const std::string& path : options.files) {
    Result<std::string> bytes = read_file(path, kConfigBytesMax);
    if (bytes.ok()) {
      texts.emplace_back(path, std::move(bytes).value());
      continue;
    }
    Position where;
    where.file = path;
    unreadable.push_back({Severity::Error, where, bytes.status().message(), ""});
  }
  if (texts.empty()) {
    Loaded loaded;
    loaded.readable = false;
    loaded.diagnostics = std::move(unreadable);
    return loaded;
  }
  Loaded loaded = load_texts(std::move(texts), options.sources);
  loaded.readable = loaded.readable && unreadable.empty();
  loaded.diagnostics.insert(loaded.diagnostics.begin(), unreadable.begin(), unreadable.end());
  return loaded;
}

}  // namespace sluice

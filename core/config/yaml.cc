#include "core/config/yaml.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace sluice {
namespace {

/// Keys whose children are components that Flume also wants listed.
constexpr std::array<std::string_view, 6> kListed = {"sources",    "channels",      "sinks",
                                                     "sinkgroups", "configfilters", "interceptors"};

class Flattener {
 public:
  explicit Flattener(const SourceText& source) : source_(source) {}

  Document run() {
    if (source_.text().size() > kYamlBytesMax) {
      problem(source_.at(0, 0),
              "YAML of more than " + std::to_string(kYamlBytesMax) + " bytes is not read",
              "use properties for files of this size");
      document_.readable = false;
      return std::move(document_);
    }
    try {
      const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(source_.text()));
      if (documents.size() > 1) {
        document_.diagnostics.push_back({Severity::Warning, place(documents[1]),
                                         "only the first YAML document of a file is read", ""});
      }
      if (!documents.empty()) top(documents.front());
    } catch (const YAML::Exception& error) {
      const std::size_t at = offset(error.mark);
      problem(source_.at(at, at + 1), "YAML: " + error.msg, "");
      document_.readable = false;
    }
    return std::move(document_);
  }

 private:
  void problem(Position where, std::string message, std::string hint) {
    document_.diagnostics.push_back(
        {Severity::Error, std::move(where), std::move(message), std::move(hint)});
  }

  std::size_t offset(const YAML::Mark& mark) const {
    return mark.is_null() ? 0 : std::min(static_cast<std::size_t>(mark.pos), source_.text().size());
  }

  /// Where a node stands; for a scalar with its quotes.
  Position place(const YAML::Node& node) const {
    const std::size_t begin = offset(node.Mark());
    std::size_t length = 1;
    if (node.IsScalar()) {
      const std::string& text = node.Scalar();
      length = text.size();
      const char first = begin < source_.text().size() ? source_.text()[begin] : ' ';
      if (first == '"' || first == '\'') {
        const std::size_t close = source_.text().find(first, begin + 1);
        length = close == std::string_view::npos ? 1 : close - begin + 1;
      } else if (source_.text().substr(begin, length) != text) {
        length = 1;  // a tag, an anchor or a block scalar stands there
      }
    }
    return source_.at(begin, begin + length);
  }

  /// The spelling of a scalar. yaml-cpp forgets that of null, which is a sink type.
  std::string spelling(const YAML::Node& node) const {
    if (node.IsScalar()) return node.Scalar();
    const std::string_view rest = source_.text().substr(offset(node.Mark()));
    for (std::string_view word : {"null", "Null", "NULL"}) {
      if (rest.starts_with(word)) return std::string(word);
    }
    return {};
  }

  void top(const YAML::Node& root) {
    if (root.IsNull()) return;
    if (!root.IsMap()) {
      problem(place(root), "the file must be a map of agents: 'a1: { sources: ..., sinks: ... }'",
              "");
      document_.readable = false;
      return;
    }
    map(root, "", 0);
  }

  void map(const YAML::Node& node, const std::string& prefix, int depth) {
    if (depth > kYamlDepthMax) {
      problem(place(node), "nested deeper than " + std::to_string(kYamlDepthMax) + " levels", "");
      return;
    }
    for (const auto& pair : node) {
      if (full()) return;
      if (!pair.first.IsScalar() && !pair.first.IsNull()) {
        problem(place(pair.first), "a key must be a word", "");
        continue;
      }
      value(pair.second, join(prefix, spelling(pair.first)), place(pair.first), depth);
    }
  }

  void value(const YAML::Node& node, const std::string& key, const Position& key_at, int depth) {
    // Aliases make small files large: empty maps inside maps would never reach add().
    if (++visited_ > 2 * kConfigEntriesMax) return overflow(key_at);
    if (node.IsMap()) {
      list_children(node, key, key_at);
      map(node, key, depth + 1);
    } else if (node.IsSequence()) {
      sequence(node, key, key_at, depth);
    } else {
      const std::string text = spelling(node);
      add({key, std::string(trim(text)), key_at, text.empty() ? key_at : place(node), {}});
    }
  }

  /// `sources: {r1: ..., r2: ...}` is also the line `sources = r1 r2`.
  void list_children(const YAML::Node& node, const std::string& key, const Position& key_at) {
    const std::string_view last = std::string_view(key).substr(key.rfind('.') + 1);
    if (std::find(kListed.begin(), kListed.end(), last) == kListed.end()) return;
    const auto dots = std::count(key.begin(), key.end(), '.');
    if ((last == "interceptors") != (dots != 1)) return;  // agent.sources, agent.sources.r1.interc.
    Entry entry{key, "", key_at, key_at, {}};
    std::set<std::string, std::less<>> seen;
    for (const auto& pair : node) {
      const std::string child = spelling(pair.first);
      const std::string name = child.substr(0, child.find('.'));
      if (seen.insert(name).second) append_word(entry, name, place(pair.first));
    }
    if (!entry.value.empty()) add(std::move(entry));
  }

  void sequence(const YAML::Node& node, const std::string& key, const Position& key_at, int depth) {
    if (depth > kYamlDepthMax) {
      problem(place(node), "nested deeper than " + std::to_string(kYamlDepthMax) + " levels", "");
      return;
    }
    Entry entry{key, "", key_at, place(node), {}};
    std::vector<std::pair<std::string, YAML::Node>> named;
    for (const auto& item : node) {
      if (full() || entry.value.size() > kYamlBytesMax) break;
      if (item.IsMap()) {
        const std::string name = name_of(item);
        if (name.empty()) {
          problem(place(item), "an item of this list needs a 'name'", "");
          continue;
        }
        append_word(entry, name, place(item));
        named.emplace_back(name, item);
      } else if (item.IsScalar() || item.IsNull()) {
        scalar_item(entry, item);
      } else {
        problem(place(item), "a list inside a list has no meaning here", "");
      }
    }
    add(std::move(entry));
    for (const auto& [name, item] : named) {
      named_item(item, join(key, name), depth);
    }
  }

  void scalar_item(Entry& entry, const YAML::Node& item) {
    const std::string word = spelling(item);
    if (word.find_first_of(" \t\n\r") != std::string::npos) {
      document_.diagnostics.push_back({Severity::Warning, place(item),
                                       "list items are words: this one falls apart at its blanks",
                                       "write it as one text value instead of a list"});
    }
    append_word(entry, word, place(item));
  }

  static std::string name_of(const YAML::Node& item) {
    for (const auto& pair : item) {
      if (pair.first.IsScalar() && pair.first.Scalar() == "name" && pair.second.IsScalar()) {
        return pair.second.Scalar();
      }
    }
    return {};
  }

  void named_item(const YAML::Node& item, const std::string& prefix, int depth) {
    for (const auto& pair : item) {
      if (full()) return;
      const std::string key = spelling(pair.first);
      if (key != "name") value(pair.second, join(prefix, key), place(pair.first), depth + 1);
    }
  }

  static std::string join(const std::string& prefix, const std::string& key) {
    return prefix.empty() ? key : prefix + "." + key;
  }

  static void append_word(Entry& entry, const std::string& word, Position where) {
    if (word.empty()) return;
    if (!entry.value.empty()) entry.value += ' ';
    entry.value += word;
    if (entry.words_at.size() < kWordsMax) entry.words_at.push_back(std::move(where));
  }

  bool full() const { return full_; }

  void overflow(const Position& where) {
    if (!full_) problem(where, "this file unfolds to more than a configuration may hold", "");
    full_ = true;
  }

  void add(Entry entry) {
    if (full_) return;
    bytes_ += entry.key.size() + entry.value.size();
    if (document_.entries.size() >= kConfigEntriesMax || bytes_ > 4 * kYamlBytesMax) {
      return overflow(entry.key_at);
    }
    document_.entries.push_back(std::move(entry));
  }

  const SourceText& source_;
  Document document_;
  std::size_t bytes_ = 0;
  std::size_t visited_ = 0;
  bool full_ = false;
};

}  // namespace

Document parse_yaml(const SourceText& source) { return Flattener(source).run(); }

}  // namespace sluice

#include "core/config/substitute.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace sluice {
namespace {

constexpr std::string_view kJavaHint =
    "there is no Java here; write the value itself, or give a default: ${java:version:-17}";

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

std::string padded(int value, std::size_t width) {
  std::string digits = std::to_string(value);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

/// One run of a letter of Java's SimpleDateFormat; numbers only.
std::optional<std::string> date_field(char letter, std::size_t width, const std::tm& t,
                                      int millis) {
  const int year = t.tm_year + 1900;
  if (letter == 'M' && width > 2) return std::nullopt;  // a month's name
  switch (letter) {
    case 'y': return width == 2 ? padded(year % 100, 2) : padded(year, width);
    case 'M': return padded(t.tm_mon + 1, width);
    case 'd': return padded(t.tm_mday, width);
    case 'H': return padded(t.tm_hour, width);
    case 'm': return padded(t.tm_min, width);
    case 's': return padded(t.tm_sec, width);
    case 'S': return padded(millis, width);
    default: return std::nullopt;
  }
}

std::optional<std::string> format_date(std::string_view pattern, std::int64_t wall_ms) {
  const std::time_t seconds = static_cast<std::time_t>(wall_ms / 1000);
  std::tm local{};
  if (pattern.size() > 100 || localtime_r(&seconds, &local) == nullptr) return std::nullopt;
  std::string result;
  for (std::size_t i = 0; i < pattern.size();) {
    const char c = pattern[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c == '\'') {
      const std::size_t close = pattern.find('\'', i + 1);
      if (close == std::string_view::npos) return std::nullopt;
      result += close == i + 1 ? "'" : pattern.substr(i + 1, close - i - 1);
      i = close + 1;
      continue;
    }
    std::size_t end = i + 1;
    while (end < pattern.size() && pattern[end] == c) ++end;
    if (letter) {
      const auto field = date_field(c, end - i, local, static_cast<int>(wall_ms % 1000));
      if (!field) return std::nullopt;
      result += *field;
    } else {
      result += pattern.substr(i, end - i);
    }
    i = end;
  }
  return result;
}

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// For every "${" the index of its "}"; one pass, so that unclosed ones cost nothing more.
std::unordered_map<std::size_t, std::size_t> match_braces(std::string_view text) {
  std::unordered_map<std::size_t, std::size_t> closes;
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 3, "$${") == 0) {
      i += 2;
    } else if (text.compare(i, 2, "${") == 0) {
      open.push_back(i++);
    } else if (text[i] == '}' && !open.empty()) {
      closes[open.back()] = i;
      open.pop_back();
    }
  }
  return closes;
}

class Substitutor {
 public:
  Substitutor(std::vector<Entry>& entries, const SubstitutionSources& sources,
              std::vector<Diagnostic>& diagnostics, std::vector<std::size_t>& referenced)
      : entries_(entries),
        sources_(sources),
        diagnostics_(diagnostics),
        referenced_(referenced),
        states_(entries.size(), State::Unseen) {
    for (std::size_t i = 0; i < entries.size(); ++i) index_.emplace(entries[i].key, i);
  }

  void run() {
    for (std::size_t i = 0; i < entries_.size(); ++i) resolve(i, 0);
  }

 private:
  enum class State : unsigned char { Unseen, Open, Done };

  void resolve(std::size_t index, int depth) {
    if (states_[index] != State::Unseen) return;
    states_[index] = State::Open;
    Entry& entry = entries_[index];
    if (entry.value.find("${") != std::string::npos) {
      const std::size_t outer = std::exchange(current_, index);
      std::string value = expand(entry.value, depth);
      current_ = outer;
      total_bytes_ += value.size();
      if (value.size() > kExpandedBytesMax || total_bytes_ > kExpandedBytesTotalMax) {
        warn(index, "this value expands to too much; it is left as it is written", "");
      } else if (value != entry.value) {
        entry.value = std::string(trim(value));
        // Its words no longer stand in the file one by one.
        entry.words_at.clear();
        entry.words_at.assign(std::min(split_words(entry).size(), kWordsMax), entry.value_at);
      }
    }
    states_[index] = State::Done;
  }

  std::string expand(std::string_view text, int depth) {
    const auto closes = match_braces(text);
    std::string result;
    for (std::size_t i = 0; i < text.size();) {
      const auto close = closes.find(i);
      if (text.compare(i, 3, "$${") == 0) {
        result += "${";
        i += 3;
      } else if (close == closes.end()) {
        result += text[i++];
      } else if (result.size() > kExpandedBytesMax) {
        break;  // resolve() refuses it
      } else {
        result += variable(text.substr(i + 2, close->second - i - 2), depth);
        i = close->second + 1;
      }
    }
    return result;
  }

  std::string variable(std::string_view inner, int depth) {
    if (depth >= kExpansionDepthMax) {
      warn(current_, "references nest deeper than " + std::to_string(kExpansionDepthMax), "");
      return "${" + std::string(inner) + "}";
    }
    const bool nested = inner.find("${") != std::string_view::npos;
    const std::string expression = nested ? expand(inner, depth + 1) : std::string(inner);
    const std::size_t separator = expression.find(":-");
    const std::string name = expression.substr(0, separator);
    if (auto value = look_up(name, depth)) return *std::move(value);
    if (separator != std::string::npos) return expression.substr(separator + 2);
    warn(current_, "${" + printable(name) + "} is not known; it stays as it is written",
         reason(name));
    return "${" + expression + "}";
  }

  std::optional<std::string> look_up(const std::string& name, int depth) {
    const auto environment = [this](const std::string& key) {
      return sources_.environment ? sources_.environment(key) : process_environment(key);
    };
    if (name.starts_with("env:")) return environment(name.substr(4));
    if (name.starts_with("date:")) return format_date(name.substr(5), sources_.clock->wall_ms());
    if (name.starts_with("java:")) return std::nullopt;
    if (name.starts_with("sys:")) {
      const auto found = sources_.system_properties.find(name.substr(4));
      if (found == sources_.system_properties.end()) return std::nullopt;
      return found->second;
    }
    if (sources_.bare_environment && is_word(name)) {
      if (auto value = environment(name)) return value;
    }
    const auto found = index_.find(name);
    if (found == index_.end()) return std::nullopt;
    resolve(found->second, depth + 1);
    if (states_[found->second] == State::Open) return std::nullopt;  // refers to itself
    referenced_.push_back(found->second);
    return entries_[found->second].value;
  }

  std::string reason(std::string_view name) const {
    if (name.starts_with("env:")) {
      return "no such environment variable; a default is written ${" + printable(name) + ":-value}";
    }
    if (name.starts_with("sys:")) {
      return "give it on the command line: -D" + printable(name.substr(4)) + "=value";
    }
    if (name.starts_with("date:")) return "a pattern of y M d H m s S and other signs is expected";
    if (name.starts_with("java:")) return std::string(kJavaHint);
    if (name.find('[') != std::string_view::npos) return "config filters are not built yet";
    if (index_.find(std::string(name)) != index_.end()) return "this value refers to itself";
    if (is_word(name)) {
      return "for an environment variable write ${env:" + printable(name) +
             "}, or add -DpropertiesImplementation=org.apache.flume.node.EnvVarResolverProperties";
    }
    return "no key of this name is in the file; a literal ${ is written $${";
  }

  void warn(std::size_t index, std::string message, std::string hint) {
    constexpr std::size_t kWarningsMax = 1000;
    if (++warnings_ > kWarningsMax) return;
    diagnostics_.push_back(
        {Severity::Warning, entries_[index].value_at, std::move(message), std::move(hint)});
  }

  std::vector<Entry>& entries_;
  const SubstitutionSources& sources_;
  std::vector<Diagnostic>& diagnostics_;
  std::vector<std::size_t>& referenced_;
  std::vector<State> states_;
  std::unordered_map<std::string, std::size_t> index_;
  std::size_t current_ = 0;
  std::size_t total_bytes_ = 0;
  std::size_t warnings_ = 0;
};

}  // namespace

void substitute(std::vector<Entry>& entries, const SubstitutionSources& sources,
                std::vector<Diagnostic>& diagnostics, std::vector<std::size_t>& referenced) {
  Substitutor(entries, sources, diagnostics, referenced).run();
}

}  // namespace sluice

#include "core/kafka/jaas.h"

#include <optional>

namespace sluice {
namespace {

bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  bool at_end() noexcept {
    skip_blanks();
    return rest_.empty();
  }
  bool take(char c) noexcept {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// A word, or what stands in quotes. Nothing: the quotes do not end.
  std::optional<std::string> next() {
    skip_blanks();
    if (!rest_.empty() && (rest_.front() == '"' || rest_.front() == '\'')) return quoted();
    std::size_t end = 0;
    while (end < rest_.size() && !is_blank(rest_[end]) && rest_[end] != '=' && rest_[end] != ';') {
      ++end;
    }
    std::string word(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return word;
  }

 private:
  void skip_blanks() noexcept {
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
  }
  std::optional<std::string> quoted() {
    const char quote = rest_.front();
    std::string word;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == quote) {
        rest_.remove_prefix(i + 1);
        return word;
      }
      if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
      word += rest_[i];
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

}  // namespace

std::string JaasEntry::option(const std::string& name) const {
  const auto found = options.find(name);
  return found == options.end() ? std::string() : found->second;
}

Result<JaasEntry> parse_jaas(std::string_view text) {
  const Status broken = Invalid(
      "is no login module: it is written as org...PlainLoginModule required username=\"...\" "
      "password=\"...\";");
  Words words(text);
  JaasEntry entry;
  const auto module = words.next();
  if (!module || module->empty()) return broken;
  entry.module = module->substr(module->rfind('.') + 1);
  const auto flag = words.next();
  if (!flag || (*flag != "required" && *flag != "requisite" && *flag != "sufficient" &&
                *flag != "optional")) {
    return broken;
  }
  while (!words.at_end() && !words.take(';')) {
    const auto name = words.next();
    if (!name || name->empty() || !words.take('=')) return broken;
    const auto value = words.next();
    if (!value) return Invalid("has quotes that do not end");
    entry.options[*name] = *value;
  }
  return entry;
}

}  // namespace sluice

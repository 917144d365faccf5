#include "core/config/document.h"

#include <cstdint>

#include "core/config/source_text.h"

namespace sluice {
namespace {

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r';
}

/// Every escape is longer than what it stands for, so equal lengths mean letter by letter.
bool verbatim(std::string_view text, const Position& where) noexcept {
  return where.length == count_characters(text);
}

Position shifted(const Position& from, std::string_view text, std::size_t offset,
                 std::size_t length) {
  Position result = from;
  result.column += static_cast<std::uint32_t>(count_characters(text.substr(0, offset)));
  result.length = static_cast<std::uint32_t>(count_characters(text.substr(offset, length)));
  return result;
}

}  // namespace

std::vector<Word> split_words(const Entry& entry) {
  std::vector<Word> words;
  const std::string_view value = entry.value;
  const bool computable = verbatim(value, entry.value_at);
  std::size_t counted_to = 0;
  Position cursor = entry.value_at;  // moves along, so that a long list stays linear
  for (std::size_t i = 0; i < value.size() && words.size() < kWordsMax;) {
    if (is_blank(value[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < value.size() && !is_blank(value[end])) ++end;
    Position where = entry.value_at;
    if (words.size() < entry.words_at.size()) {
      where = entry.words_at[words.size()];
    } else if (computable) {
      cursor = shifted(cursor, value.substr(counted_to), i - counted_to, end - i);
      counted_to = i;
      where = cursor;
    }
    words.push_back({std::string(value.substr(i, end - i)), where});
    i = end;
  }
  return words;
}

Position key_part_at(const Entry& entry, std::size_t offset) {
  if (offset >= entry.key.size() || !verbatim(entry.key, entry.key_at)) return entry.key_at;
  return shifted(entry.key_at, entry.key, offset, entry.key.size() - offset);
}

std::string_view trim(std::string_view text) noexcept {
  const auto blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace sluice

// One configuration file as a flat list of keys, whatever its language was.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/diagnostics.h"
#include "core/config/position.h"

namespace sluice {

/// "a1.sources.r1.type = netcat" with the places of both halves.
struct Entry {
  std::string key;
  std::string value;
  Position key_at;    ///< The whole dotted key; in YAML its innermost part.
  Position value_at;  ///< Up to the end of its first line.
  /// Where the blank-separated words of the value stand, when that cannot be computed from
  /// value_at: YAML sequences, values with escapes or continuation lines. Otherwise empty.
  std::vector<Position> words_at;
};

/// What a parser makes of a file. Entries are in file order; duplicates are still in.
struct Document {
  std::vector<Entry> entries;
  std::vector<Diagnostic> diagnostics;
  bool readable = true;  ///< false: not in the language it claims to be in.
};

/// Bounds on one file, so that hostile input costs only itself.
inline constexpr std::size_t kConfigBytesMax = std::size_t{4} * 1024 * 1024;
inline constexpr std::size_t kConfigEntriesMax = 50'000;
inline constexpr std::size_t kWordsMax = 10'000;  ///< Of one list.

/// A word of a blank-separated value.
struct Word {
  std::string text;
  Position where;
};

/// Splits on blanks as Flume does (`\s+`), each word with its place; at most kWordsMax words.
std::vector<Word> split_words(const Entry& entry);

/// The place of the key's part that starts `offset` bytes into it; the whole key when the file
/// does not hold it letter by letter.
Position key_part_at(const Entry& entry, std::size_t offset);

/// Java's String.trim().
std::string_view trim(std::string_view text) noexcept;

}  // namespace sluice

#include "core/config/properties.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace sluice {
namespace {

/// Text with, for every byte, the place in the file it came from.
struct Mapped {
  std::string text;
  std::vector<std::uint32_t> from;

  void add(char c, std::size_t offset) {
    text += c;
    from.push_back(static_cast<std::uint32_t>(offset));
  }
  void drop_last() {
    text.pop_back();
    from.pop_back();
  }
};

bool is_gap(char c) noexcept { return c == ' ' || c == '\t' || c == '\f'; }
bool is_line_end(char c) noexcept { return c == '\n' || c == '\r'; }

/// Joins physical lines; mirrors the state machine of java.util.Properties.LineReader.
class LogicalLines {
 public:
  explicit LogicalLines(std::string_view text) : text_(text) {}

  /// The next logical line that is neither blank nor a comment.
  std::optional<Mapped> next() {
    Mapped line;
    bool skipping = true;    // leading blanks of a physical line
    bool continued = false;  // this physical line continues the one above
    bool backslash = false;  // an odd number of backslashes stands before
    for (; next_ < text_.size(); ++next_) {
      const char c = text_[next_];
      if (skipping) {
        if (is_gap(c) || (!continued && is_line_end(c))) continue;
        skipping = continued = false;
      }
      if (line.text.empty() && (c == '#' || c == '!')) {
        skip_to_line_end();
        skipping = true;
      } else if (!is_line_end(c)) {
        line.add(c, next_);
        backslash = c == '\\' && !backslash;
      } else if (line.text.empty()) {
        skipping = true;
      } else if (backslash) {
        line.drop_last();
        skipping = continued = true;
        backslash = false;
        if (c == '\r' && next_ + 1 < text_.size() && text_[next_ + 1] == '\n') ++next_;
      } else {
        ++next_;
        return line;
      }
    }
    if (backslash) line.drop_last();
    if (line.text.empty()) return std::nullopt;
    return line;
  }

 private:
  void skip_to_line_end() {
    while (next_ + 1 < text_.size() && !is_line_end(text_[next_])) ++next_;
  }

  std::string_view text_;
  std::size_t next_ = 0;
};

struct Halves {
  std::size_t key_end = 0;
  std::size_t value_begin = 0;
};

Halves split(std::string_view line) {
  Halves halves;
  bool backslash = false;
  while (halves.key_end < line.size()) {
    const char c = line[halves.key_end];
    if (!backslash && (is_gap(c) || c == '=' || c == ':')) break;
    backslash = c == '\\' && !backslash;
    ++halves.key_end;
  }
  bool separated = false;
  halves.value_begin = halves.key_end;
  while (halves.value_begin < line.size()) {
    const char c = line[halves.value_begin];
    if (!is_gap(c)) {
      if (separated || (c != '=' && c != ':')) break;
      separated = true;
    }
    ++halves.value_begin;
  }
  return halves;
}

/// Four hex digits at `at`, or nothing.
std::optional<std::uint32_t> hex4(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return std::nullopt;
  std::uint32_t value = 0;
  for (char c : text.substr(at, 4)) {
    std::uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    } else {
      return std::nullopt;
    }
    value = value * 16 + digit;
  }
  return value;
}

/// Replaces the escapes of line[begin, end). `bad` gets the index of a malformed \u.
Mapped unescape(const Mapped& line, std::size_t begin, std::size_t end,
                std::optional<std::size_t>& bad) {
  Mapped result;
  const std::string_view text = std::string_view(line.text).substr(0, end);
  for (std::size_t i = begin; i < end; ++i) {
    const std::size_t start = i;
    // A lone backslash cannot stand last: it would have joined the next line or the separator.
    if (text[i] != '\\' || i + 1 == end) {
      result.add(text[i], line.from[i]);
      continue;
    }
    const char c = text[++i];
    if (c != 'u') {
      static constexpr std::string_view kNames = "tnrf";
      static constexpr std::string_view kMeanings = "\t\n\r\f";
      const std::size_t known = kNames.find(c);
      result.add(known == std::string_view::npos ? c : kMeanings[known], line.from[start]);
      continue;
    }
    std::optional<std::uint32_t> unit = hex4(text, i + 1);
    if (!unit) {
      bad = start;
      return result;
    }
    i += 4;
    const bool high = *unit >= 0xD800 && *unit <= 0xDBFF;
    if (high && i + 2 < end && text[i + 1] == '\\' && text[i + 2] == 'u') {
      const auto low = hex4(text, i + 3);
      if (low && *low >= 0xDC00 && *low <= 0xDFFF) {
        unit = 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00);
        i += 6;
      }
    }
    std::string encoded;
    append_utf8(encoded, *unit);
    for (char byte : encoded) result.add(byte, line.from[start]);
  }
  return result;
}

class Parser {
 public:
  explicit Parser(const SourceText& source) : source_(source) {}

  Document run() {
    LogicalLines lines(source_.text());
    while (std::optional<Mapped> line = lines.next()) {
      if (document_.entries.size() == kConfigEntriesMax) {
        document_.diagnostics.push_back({Severity::Error, source_.at(line->from[0], line->from[0]),
                                         "more than " + std::to_string(kConfigEntriesMax) +
                                             " keys in one file; the rest is not read",
                                         ""});
        break;
      }
      add(*line);
    }
    return std::move(document_);
  }

 private:
  void add(const Mapped& line) {
    const Halves halves = split(line.text);
    std::optional<std::size_t> bad;
    const Mapped key = unescape(line, 0, halves.key_end, bad);
    Mapped value;
    if (!bad) value = unescape(line, halves.value_begin, line.text.size(), bad);
    if (bad) {
      const std::size_t at = line.from[*bad];
      document_.diagnostics.push_back(
          {Severity::Error, source_.at(at, at + 6),
           "Malformed \\uxxxx encoding; this line is ignored",
           "\\u takes four hexadecimal digits; a backslash itself is written \\\\"});
      return;
    }
    Entry entry;
    entry.key = trim(key.text);
    entry.value = trim(value.text);
    entry.key_at = place(line, 0, halves.key_end);
    entry.value_at = place(line, halves.value_begin, line.text.size());
    if (entry.value_at.length != count_characters(entry.value)) place_words(value, entry);
    document_.entries.push_back(std::move(entry));
  }

  /// The trimmed bytes [begin, end) of the line; where they would be when there are none.
  Position place(const Mapped& line, std::size_t begin, std::size_t end) const {
    while (begin < end && static_cast<unsigned char>(line.text[end - 1]) <= ' ') --end;
    if (begin == end) {
      const std::size_t last = line.from[begin < line.from.size() ? begin : line.from.size() - 1];
      return source_.at(begin < line.from.size() ? last : last + 1, 0);
    }
    // Up to where the file stops being one run: a continuation line begins elsewhere.
    std::size_t run_end = begin + 1;
    while (run_end < end && line.from[run_end] == line.from[run_end - 1] + 1) ++run_end;
    return source_.at(line.from[begin], line.from[run_end - 1] + std::size_t{1});
  }

  void place_words(const Mapped& value, Entry& entry) const {
    constexpr std::size_t kPlacedMax = 200;  // beyond, words stand at the value itself
    const std::string_view text = value.text;
    for (std::size_t i = 0; i < text.size() && entry.words_at.size() < kPlacedMax;) {
      if (static_cast<unsigned char>(text[i]) <= ' ') {
        ++i;
        continue;
      }
      std::size_t end = i;
      while (end < text.size() && static_cast<unsigned char>(text[end]) > ' ') ++end;
      entry.words_at.push_back(source_.at(value.from[i], value.from[end - 1] + std::size_t{1}));
      i = end;
    }
  }

  const SourceText& source_;
  Document document_;
};

}  // namespace

Document parse_properties(const SourceText& source) { return Parser(source).run(); }

}  // namespace sluice

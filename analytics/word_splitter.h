// Cuts texts into words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "analytics/rows.h"
#include "analytics/unicode.h"
#include "core/base/java_pattern.h"

namespace sluice::analytics {

/// A way to cut texts, chosen by name:
///
/// - `space`: at each blank, as Python's split(' ') does: two blanks have an empty word between
///   them, a blank at the end one behind it.
/// - `whitespace`: at runs of white space, Unicode's too, as Python's split() does; no empty words.
/// - `ascii-word`: runs of A-Z, a-z, 0-9 and _ are words, as between Java's \W+; no empty words.
///   All that is not ASCII is dropped.
/// - `unicode-word`: the same with the letters, marks and digits of all scripts.
/// - `regex:<expression>`: at what matches; empty words are kept.
/// - anything else is the text that stands between words, in "double quotes" when it looks like
///   one of the names; empty words are kept.
///
/// Bytes that are no UTF-8 are parts of words. One thread at a time.
class WordSplitter {
 public:
  static std::variant<WordSplitter, Problem> make(std::string_view on);

  /// A text on its way through cut().
  struct Cursor {
    const char* at = nullptr;  ///< Where the next word begins.
    const char* end = nullptr;
    bool done = false;
    /// The text is of whole lines, each with its line feed: they are cut as if each came alone.
    bool lines = false;
    const char* text = nullptr;  ///< Where it begins.
  };
  static Cursor begin(std::string_view text) noexcept {
    return {text.data(), text.data() + text.size(), false, false, text.data()};
  }
  /// REQUIRES: takes_lines(), the text ends in a line feed.
  static Cursor begin_lines(std::string_view text) noexcept {
    return {text.data(), text.data() + text.size(), text.empty(), true, text.data()};
  }

  /// The next words of the text, at most `max`, into out[0 ..]; returns how many. They view the
  /// text. Sets `done` behind the last. REQUIRES: max > 0.
  std::size_t cut(Cursor& cursor, Cell* out, std::size_t max);

  /// True when many lines may be cut in one go (see Cursor::lines).
  bool takes_lines() const noexcept { return way_ == Way::Bytes; }
  /// True when it keeps empty words.
  bool keeps_empty() const noexcept { return keep_empty_; }

  /// Without wide registers, for tests that compare the two.
  void use_portable() noexcept { wide_ = false; }

  /// ASCII characters as a set that 16 bytes can be looked up in at once: bit h of byte l is
  /// character 16 h + l.
  using ByteSet = std::array<std::uint8_t, 16>;

 private:
  enum class Way : unsigned char { Bytes, Text, Regex };
  enum class Beyond : unsigned char {  ///< What bytes from 0x80 on are.
    Word,
    Separator,
    Unicode,  ///< Parts of characters to look at.
  };
  WordSplitter() = default;

  bool separates(const Character& character) const noexcept;
  bool in_set(unsigned char byte) const noexcept {
    return byte < 0x80 && (separators_[byte & 15U] >> (byte >> 4) & 1U) != 0;
  }
  std::size_t cut_bytes(Cursor& cursor, Cell* out, std::size_t max) const;
  std::size_t cut_bytes_wide(Cursor& cursor, Cell* out, std::size_t max) const;
  std::size_t cut_at_text(Cursor& cursor, Cell* out, std::size_t max) const;
  std::size_t cut_at_pattern(Cursor& cursor, Cell* out, std::size_t max) const;

  Way way_ = Way::Bytes;
  Beyond beyond_ = Beyond::Word;
  bool keep_empty_ = false;
  bool wide_ = true;
  bool unicode_words_ = false;  ///< With Beyond::Unicode: words by letters, else by white space.
  ByteSet separators_{};
  std::string text_;
  std::unique_ptr<JavaPattern> pattern_;
};

}  // namespace sluice::analytics

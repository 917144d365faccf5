// The text of one configuration file, and where in it things stand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/position.h"

namespace sluice {

/// True for well-formed UTF-8 (no surrogates, no overlong forms).
bool is_utf8(std::string_view bytes) noexcept;

/// ISO-8859-1 as UTF-8; every input is valid.
std::string latin1_to_utf8(std::string_view bytes);

/// Appends one code point; surrogates and values beyond Unicode become U+FFFD.
void append_utf8(std::string& out, std::uint32_t code_point);

/// Code points in UTF-8 text.
std::size_t count_characters(std::string_view utf8) noexcept;

/// A file's text as UTF-8 with its lines. Immutable.
///
/// Lines end at \n, \r\n or a lone \r, as Java's properties see them; columns count characters.
class SourceText {
 public:
  /// Bytes that are not UTF-8 are taken as ISO-8859-1, Java's encoding of properties. A UTF-8 byte
  /// order mark is dropped.
  SourceText(std::string file, std::string bytes);

  const std::string& file() const noexcept { return file_; }
  std::string_view text() const noexcept { return text_; }
  bool was_latin1() const noexcept { return was_latin1_; }

  /// The place of the bytes [begin, end) of text(); what lies beyond the first line is not counted.
  Position at(std::size_t begin, std::size_t end) const;

  /// Line `number` (1-based) without its end; empty when there is none.
  std::string_view line(std::uint32_t number) const noexcept;

 private:
  std::size_t line_end(std::size_t index) const noexcept;

  std::string file_;
  std::string text_;
  std::vector<std::size_t> line_starts_;
  bool was_latin1_ = false;
};

}  // namespace sluice

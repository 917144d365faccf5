#include "analytics/text_table.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "analytics/characters.h"
#include "analytics/result_text.h"

namespace sluice::analytics {
namespace {

constexpr std::size_t least_width = 3;
constexpr std::size_t cell_characters_max = 20;
constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();
constexpr std::string_view ellipsis = "...";

/// How Spark writes a control character that would break the frame; empty for all others.
std::string_view escape_of(std::uint32_t code) noexcept {
  switch (code) {
    case '\a': return "\\a";
    case '\b': return "\\b";
    case '\t': return "\\t";
    case '\n': return "\\n";
    case '\v': return "\\v";
    case '\f': return "\\f";
    case '\r': return "\\r";
    default: return {};
  }
}

/// Java's chars of a character.
std::size_t java_chars(std::uint32_t code) noexcept { return code > 0xFFFF ? 2 : 1; }

}  // namespace

void TextTable::clear() noexcept {
  text_.clear();
  cells_.clear();
  widths_.clear();
}

void TextTable::begin(const Schema& schema) {
  widths_.assign(schema.size(), least_width);
  for (const Schema::Field& field : schema.fields()) add_cell(field.name, no_limit);
}

void TextTable::add(const Rows& rows, const Schema& schema, std::size_t row) {
  for (std::size_t i = 0; i < schema.size(); ++i) {
    scratch_.clear();
    append_cell(scratch_, *rows.columns[i], schema[i].type, row);
    add_cell(scratch_, cell_characters_max);
  }
}

void TextTable::add_cell(std::string_view text, std::size_t characters_max) {
  Cell cut{text_.size(), 0};  // What is left of it should it be too long, which shows only later.
  std::size_t characters = 0;
  std::size_t width = 0;
  const auto append = [&](std::string_view bytes, std::size_t chars, std::size_t columns) {
    text_ += bytes;
    characters += chars;
    width += columns;
    if (characters <= characters_max - ellipsis.size()) cut = {text_.size(), width};
  };
  for (std::size_t at = 0; at < text.size() && characters <= characters_max;) {
    const Character character = character_at(text, at);
    const std::size_t chars = java_chars(character.code);
    if (const auto escape = escape_of(character.code); !escape.empty()) {
      append(escape.substr(0, 1), 1, 1);
      append(escape.substr(1), 1, 1);
    } else if (character.valid) {
      append(text.substr(at, character.bytes), chars,
             chars + (is_full_width(character.code) ? 1 : 0));
    } else {
      append("\uFFFD", 1, 1);
    }
    at += character.bytes;
  }
  if (characters > characters_max) {
    text_.resize(cut.end);
    text_ += ellipsis;
    width = cut.width + ellipsis.size();
  }
  std::size_t& column = widths_[cells_.size() % widths_.size()];
  column = std::max(column, width);
  cells_.push_back({text_.size(), width});
}

void TextTable::append_to(std::string& out) const {
  std::string rule = "+";
  for (const std::size_t width : widths_) rule.append(width, '-').append("+");
  rule += '\n';

  out += rule;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const std::size_t column = i % widths_.size();
    out += '|';
    out.append(widths_[column] - cells_[i].width, ' ');
    out.append(text_, begin, cells_[i].end - begin);
    begin = cells_[i].end;
    if (column + 1 == widths_.size()) out += "|\n";
    if (i + 1 == widths_.size()) out += rule;
  }
  out += rule;
}

}  // namespace sluice::analytics

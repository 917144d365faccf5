#include "analytics/record_row.h"

#include <charconv>
#include <cmath>

#include "core/base/nearest_name.h"

namespace sluice::analytics {
namespace {

std::string_view without_blanks(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

/// All of the text as a number; from_chars() knows all of the grammar but the plus.
template <typename Number>
bool read_number(std::string_view text, Number& number) noexcept {
  if (text.front() == '+' && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stopped == end;
}

bool read_truth(std::string_view text, bool& truth) noexcept {
  for (const std::string_view word : {"true", "1", "yes", "on"}) {
    if (equal_ignoring_case(text, word)) return truth = true;
  }
  truth = false;
  for (const std::string_view word : {"false", "0", "no", "off"}) {
    if (equal_ignoring_case(text, word)) return true;
  }
  return false;
}

}  // namespace

Conversion convert(std::string_view text, ColumnType type, Cell& cell) noexcept {
  if (type == ColumnType::Text) {
    cell = Cell::of(text);
    return Conversion::Value;
  }
  text = without_blanks(text);
  if (text.empty()) return Conversion::Null;
  Cell made;
  bool good = false;
  switch (type) {
    case ColumnType::Bool: good = read_truth(text, made.truth); break;
    case ColumnType::Int: good = read_number(text, made.integer); break;
    default: made.real = 0; good = read_number(text, made.real) && std::isfinite(made.real);
  }
  if (good) cell = made;
  return good ? Conversion::Value : Conversion::Bad;
}

RecordRow::RecordRow(const std::vector<Schema::Field>& fields, const std::vector<bool>& used,
                     std::span<Column> out, std::size_t size, TextArena& arena)
    : slots_(fields.size()), arena_(arena) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    slots_[i].type = fields[i].type;
    if (!used[i]) continue;
    out[i].cells.resize(size);
    out[i].nulls.assign(size, 1);
    slots_[i].cells = out[i].cells.data();
    slots_[i].nulls = out[i].nulls.data();
  }
}

void RecordRow::set_all_null() noexcept {
  for (const Slot& slot : slots_) {
    if (slot.cells != nullptr) slot.nulls[row_] = 1;
  }
}

bool RecordRow::set_converted(std::size_t field, std::string_view text) noexcept {
  Cell cell;
  switch (convert(text, type(field), cell)) {
    case Conversion::Value: set(field, cell); return true;
    case Conversion::Null: set_null(field); return true;
    default: return false;
  }
}

std::size_t FieldNames::find(std::string_view name) noexcept {
  for (std::size_t tried = 0; tried < fields_.size(); ++tried) {
    const std::size_t i = next_;
    next_ = next_ + 1 < fields_.size() ? next_ + 1 : 0;
    if (fields_[i].name == name) return i;
  }
  return none;
}

}  // namespace sluice::analytics

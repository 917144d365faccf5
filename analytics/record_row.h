// Where a parser puts the values of one record; for the parsers of this room only.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "analytics/rows.h"

namespace sluice::analytics {

/// What became of a text that should be a value.
enum class Conversion : unsigned char { Value, Null, Bad };

/// The text as a value of `type`, by the rules of RecordParser. A Text is the text itself.
Conversion convert(std::string_view text, ColumnType type, Cell& cell) noexcept;

/// The record without the line end that may stand behind it.
inline std::string_view without_line_end(std::string_view record) noexcept {
  if (record.ends_with('\n')) record.remove_suffix(1);
  if (record.ends_with('\r')) record.remove_suffix(1);
  return record;
}

/// One row of the columns that are being filled; moved on from row to row. All cells are null at
/// first; the last of several values of a field counts. REQUIRES everywhere: field < fields.size().
class RecordRow {
 public:
  /// The columns that are used get `size` nulls.
  RecordRow(const std::vector<Schema::Field>& fields, const std::vector<bool>& used,
            std::span<Column> out, std::size_t size, TextArena& arena);

  void move_to(std::size_t row) noexcept { row_ = row; }
  /// Whether anyone reads it. What is not wanted may be set all the same.
  bool wanted(std::size_t field) const noexcept { return slots_[field].cells != nullptr; }
  ColumnType type(std::size_t field) const noexcept { return slots_[field].type; }
  TextArena& arena() const noexcept { return arena_; }

  /// REQUIRES: the cell is of the field's type.
  void set(std::size_t field, Cell cell) noexcept {
    const Slot& slot = slots_[field];
    if (slot.cells == nullptr) return;
    slot.cells[row_] = cell;
    slot.nulls[row_] = 0;
  }
  void set_null(std::size_t field) noexcept {
    if (wanted(field)) slots_[field].nulls[row_] = 1;
  }
  /// Sets what the text is converted to. False: it cannot be, whether wanted or not.
  bool set_text(std::size_t field, std::string_view text) noexcept {
    if (type(field) == ColumnType::Text) {
      set(field, Cell::of(text));
      return true;
    }
    return set_converted(field, text);
  }
  void set_all_null() noexcept;

 private:
  struct Slot {
    Cell* cells = nullptr;
    std::uint8_t* nulls = nullptr;
    ColumnType type = ColumnType::Text;
  };
  bool set_converted(std::size_t field, std::string_view text) noexcept;

  std::vector<Slot> slots_;
  std::size_t row_ = 0;
  TextArena& arena_;
};

/// Finds fields by their names; quickly where they come in the order of the fields.
class FieldNames {
 public:
  explicit FieldNames(const std::vector<Schema::Field>& fields) : fields_(fields) {}
  static constexpr std::size_t none = ~std::size_t{0};
  std::size_t find(std::string_view name) noexcept;

 private:
  const std::vector<Schema::Field>& fields_;
  std::size_t next_ = 0;
};

}  // namespace sluice::analytics

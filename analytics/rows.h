// Rows on their way through the steps of an analysis: columns of cells, a few hundred at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/event/batch.h"

namespace sluice::analytics {

enum class ColumnType : unsigned char { Bool, Int, Double, Text };

/// "bool", "int", "double", "text".
std::string_view to_string(ColumnType type) noexcept;
/// The type of this name, as users write it; nothing for any other word.
std::optional<ColumnType> column_type(std::string_view name) noexcept;

/// One value; its column knows the type. A text is a view (see Rows).
union Cell {
  bool truth;
  std::int64_t integer = 0;
  double real;
  struct {
    const char* data;
    std::size_t bytes;
  } text;

  static Cell of(bool value) noexcept;
  static Cell of(std::int64_t value) noexcept;
  static Cell of(double value) noexcept;
  static Cell of(std::string_view value) noexcept;
  std::string_view view() const noexcept { return {text.data, text.bytes}; }
};

/// The values of one field, a cell a row. What the cell of a null holds is unspecified.
struct Column {
  std::vector<Cell> cells;
  std::vector<std::uint8_t> nulls;  ///< 1: there is no value. Empty: every row has one.

  bool is_null(std::size_t row) const noexcept { return !nulls.empty() && nulls[row] != 0; }
  /// REQUIRES: row < cells.size().
  void set_null(std::size_t row);
  void clear() noexcept {
    cells.clear();
    nulls.clear();
  }
  void push_back(Cell cell) {
    cells.push_back(cell);
    if (!nulls.empty()) nulls.push_back(0);
  }
  void push_null() {
    cells.emplace_back();
    nulls.resize(cells.size() - 1);
    nulls.push_back(1);
  }
};

/// What the columns of some rows are called and hold.
class Schema {
 public:
  struct Field {
    std::string name;
    ColumnType type = ColumnType::Text;
    bool operator==(const Field&) const = default;
  };
  Schema() = default;
  explicit Schema(std::vector<Field> fields, bool with_headers = false)
      : fields_(std::move(fields)), with_headers_(with_headers) {}

  const std::vector<Field>& fields() const noexcept { return fields_; }
  std::size_t size() const noexcept { return fields_.size(); }
  const Field& operator[](std::size_t column) const noexcept { return fields_[column]; }
  /// The column of this name.
  std::optional<std::size_t> find(std::string_view name) const noexcept;
  /// The rows still know the events they come from, so header('x') has a meaning.
  bool with_headers() const noexcept { return with_headers_; }
  /// Adds a column, or replaces the type of one that is there; returns its place.
  std::size_t set(std::string_view name, ColumnType type);

  bool operator==(const Schema&) const = default;

 private:
  std::vector<Field> fields_;
  bool with_headers_ = false;
};

/// A chunk of rows. Passed on by reference; valid, with the texts its cells view, until the step
/// that gets it returns: who keeps a text copies it.
struct Rows {
  /// Steps that make rows pass them on in chunks of about so many: their cells stay in the cache.
  static constexpr std::uint32_t chunk = 256;

  std::uint32_t size = 0;
  /// By the places in the schema; null where nobody reads the column.
  std::vector<const Column*> columns;
  /// The event each row comes from; null when rows are results, or when nobody asks.
  const Batch* batch = nullptr;
  const std::uint32_t* events = nullptr;
};

/// Something wrong in a text that a user wrote, and where in it.
struct Problem {
  std::size_t offset = 0;  ///< In bytes, from the start of the text.
  std::size_t bytes = 0;   ///< How much of it is meant.
  std::string message;
  std::string hint = {};
};

/// Memory for texts that steps make; all of it is given back at once. Not thread-safe.
class TextArena {
 public:
  /// `bytes` writable bytes, which stay where they are until clear().
  char* room(std::size_t bytes) {
    if (bytes > left_) {
      if (bytes > shared_max) return own_block(bytes);
      grow();
    }
    char* const at = next_;
    next_ += bytes;
    left_ -= bytes;
    return at;
  }
  std::string_view keep(std::string_view text) {
    char* const at = room(text.size());
    std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }
  /// Everything is given back; one block is kept for what comes next.
  void clear() noexcept;
  /// Bytes of memory that it holds.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t block_bytes = 64 * 1024;
  /// A larger text has a block of its own, so that little is left unused at the end of a block.
  static constexpr std::size_t shared_max = block_bytes / 8;
  struct Block {
    std::unique_ptr<char[]> data;
    std::size_t bytes = 0;
  };
  void grow();
  char* own_block(std::size_t bytes);

  std::vector<Block> blocks_;
  char* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t bytes_ = 0;
};

// ---- inline

inline Cell Cell::of(bool value) noexcept {
  Cell cell;
  cell.truth = value;
  return cell;
}
inline Cell Cell::of(std::int64_t value) noexcept {
  Cell cell;
  cell.integer = value;
  return cell;
}
inline Cell Cell::of(double value) noexcept {
  Cell cell;
  cell.real = value;
  return cell;
}
inline Cell Cell::of(std::string_view value) noexcept {
  Cell cell;
  cell.text = {value.data(), value.size()};
  return cell;
}

}  // namespace sluice::analytics

// What an expression is compiled to: a list of operations, each on all rows of a chunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "analytics/rows.h"
#include "core/base/java_pattern.h"

namespace sluice::analytics {

struct Operation;

/// The values an operation reads: a cell a row, or one for all rows.
struct Operand {
  const Cell* cells = nullptr;
  const std::uint8_t* nulls = nullptr;  ///< nullptr: every row has a value.
  std::size_t step = 1;                 ///< 0: one value for all rows.

  bool is_null(std::size_t row) const noexcept {
    return nulls != nullptr && nulls[row * step] != 0;
  }
  const Cell& operator[](std::size_t row) const noexcept { return cells[row * step]; }
};

/// One run of one operation.
struct Run {
  Operation& operation;
  const Operand* operands;
  std::size_t count;  ///< Of operands.
  std::size_t rows;
  TextArena& arena;
  const Rows* source;  ///< nullptr while a constant is computed.
};

/// Fills operation.result with run.rows cells.
using Kernel = void (*)(Run& run);

/// An operation, a column of the rows, or a constant.
struct Operation {
  enum class Kind : unsigned char { Compute, Column, Constant };
  Kind kind = Kind::Constant;
  ColumnType type = ColumnType::Text;
  bool untyped = false;     ///< A bare null, which takes any type.
  bool null_among = false;  ///< Of `members`.
  Kernel kernel = nullptr;
  std::vector<std::uint32_t> inputs;  ///< Operations before this one.
  std::size_t number = 0;             ///< The column, or the group of the pattern.
  Column result;                      ///< Of a constant: one cell.
  std::string text;                   ///< The name of a header.
  std::unique_ptr<JavaPattern> pattern;
  std::vector<Cell> members;  ///< Of a list after `in`, ascending.
  std::size_t offset = 0;     ///< Where it stands in the text.
  std::size_t bytes = 0;
};

struct ExpressionProgram {
  std::vector<Operation> operations;  ///< Each after what it reads.
  std::uint32_t root = 0;
  std::vector<std::size_t> columns;  ///< Ascending.
  TextArena literals;
  std::vector<Operand> operands;  ///< Scratch.

  /// Runs operation `at` alone, on operands that are there.
  void run(std::uint32_t at, std::size_t rows, TextArena& arena, const Rows* source);
  /// The values of operation `at`.
  Operand operand(std::uint32_t at, const Rows* source) const noexcept;
};

}  // namespace sluice::analytics

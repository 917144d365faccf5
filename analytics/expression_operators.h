// The operations behind the operators of expressions.
#pragma once

#include <cstdint>
#include <vector>

#include "analytics/expression_program.h"

namespace sluice::analytics {

enum class Arithmetic : unsigned char { Add, Subtract, Multiply, Divide, Remainder };
enum class Comparison : unsigned char {
  Equal,
  NotEqual,
  Less,
  LessOrEqual,
  Greater,
  GreaterOrEqual
};

/// On two operands of `type`, which is Int or Double; the result has it too.
Kernel arithmetic_kernel(Arithmetic operation, ColumnType type) noexcept;
/// On two operands of `type`; bools are false < true.
Kernel comparison_kernel(Comparison operation, ColumnType type) noexcept;
/// On one operand of `type`, which is Int or Double.
Kernel negation_kernel(ColumnType type) noexcept;

void and_kernel(Run& run);
void or_kernel(Run& run);
void not_kernel(Run& run);
void is_null_kernel(Run& run);
void is_not_null_kernel(Run& run);
/// if(c, a, b).
void if_kernel(Run& run);
/// The first operand that is not null.
void coalesce_kernel(Run& run);

/// Whether the operand is among operation.members. REQUIRES: those are of `type`, not Bool, and
/// went through order_members().
Kernel member_kernel(ColumnType type) noexcept;
void order_members(std::vector<Cell>& members, ColumnType type);

}  // namespace sluice::analytics

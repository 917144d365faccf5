#include "analytics/expression_operators.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "analytics/expression_kernel.h"

namespace sluice::analytics {
namespace {

// ---- arithmetic; ints wrap around, which C++ promises of unsigned ones only

std::uint64_t bits(std::int64_t value) noexcept { return static_cast<std::uint64_t>(value); }
std::int64_t wrapped(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }

std::int64_t add(std::int64_t a, std::int64_t b) { return wrapped(bits(a) + bits(b)); }
std::int64_t subtract(std::int64_t a, std::int64_t b) { return wrapped(bits(a) - bits(b)); }
std::int64_t multiply(std::int64_t a, std::int64_t b) { return wrapped(bits(a) * bits(b)); }
std::int64_t negate(std::int64_t a) { return wrapped(0 - bits(a)); }
std::optional<std::int64_t> divide(std::int64_t a, std::int64_t b) {
  if (b == 0) return std::nullopt;
  if (b == -1) return negate(a);  // 2^63 does not fit: the processor would trap
  return a / b;
}
std::optional<std::int64_t> remainder_of(std::int64_t a, std::int64_t b) {
  if (b == 0) return std::nullopt;
  if (b == -1) return 0;
  return a % b;
}

double add_real(double a, double b) { return a + b; }
double subtract_real(double a, double b) { return a - b; }
double multiply_real(double a, double b) { return a * b; }
double divide_real(double a, double b) { return a / b; }
double remainder_real(double a, double b) { return std::fmod(a, b); }
double negate_real(double a) { return -a; }

// ---- comparisons

template <typename T>
bool equal(T a, T b) {
  return a == b;
}
template <typename T>
bool not_equal(T a, T b) {
  return a != b;
}
template <typename T>
bool less(T a, T b) {
  return a < b;
}
template <typename T>
bool less_or_equal(T a, T b) {
  return a <= b;
}
template <typename T>
bool greater(T a, T b) {
  return a > b;
}
template <typename T>
bool greater_or_equal(T a, T b) {
  return a >= b;
}

template <typename T>
Kernel comparison_of(Comparison operation) noexcept {
  switch (operation) {
    case Comparison::Equal: return kernel_of<&equal<T>>();
    case Comparison::NotEqual: return kernel_of<&not_equal<T>>();
    case Comparison::Less: return kernel_of<&less<T>>();
    case Comparison::LessOrEqual: return kernel_of<&less_or_equal<T>>();
    case Comparison::Greater: return kernel_of<&greater<T>>();
    case Comparison::GreaterOrEqual: break;
  }
  return kernel_of<&greater_or_equal<T>>();
}

// ---- three-valued logic

/// and: `decides` is false; or: it is true. What decides does so whatever the other one is.
template <bool decides>
void logic_kernel(Run& run) {
  Column& result = run.operation.result;
  result.cells.resize(run.rows);
  result.nulls.clear();
  const Operand& a = run.operands[0];
  const Operand& b = run.operands[1];
  if (a.nulls == nullptr && b.nulls == nullptr) {
    for (std::size_t row = 0; row < run.rows; ++row) {
      const bool x = read_cell<bool>(a[row]);
      const bool y = read_cell<bool>(b[row]);
      result.cells[row] = Cell::of(decides ? x || y : x && y);
    }
    return;
  }
  result.nulls.resize(run.rows);
  for (std::size_t row = 0; row < run.rows; ++row) {
    const bool null_a = a.is_null(row);
    const bool null_b = b.is_null(row);
    const bool decided = (!null_a && read_cell<bool>(a[row]) == decides) ||
                         (!null_b && read_cell<bool>(b[row]) == decides);
    result.cells[row] = Cell::of(decided ? decides : !decides);
    result.nulls[row] = !decided && (null_a || null_b);
  }
}

bool negate_truth(bool a) { return !a; }

template <bool wanted>
void nullness_kernel(Run& run) {
  Column& result = run.operation.result;
  result.cells.resize(run.rows);
  result.nulls.clear();
  for (std::size_t row = 0; row < run.rows; ++row) {
    result.cells[row] = Cell::of(run.operands[0].is_null(row) == wanted);
  }
}

/// Copies the cell and the nullness of one operand. REQUIRES: the nulls of the result have room.
void take(Run& run, const Operand& from, std::size_t row) {
  Column& result = run.operation.result;
  result.cells[row] = from[row];
  result.nulls[row] = from.is_null(row);
}

// ---- lists

template <typename T>
bool before(const Cell& a, const Cell& b) noexcept {
  return read_cell<T>(a) < read_cell<T>(b);
}

template <typename T>
void member_kernel_of(Run& run) {
  begin_results(run);
  Column& result = run.operation.result;
  const std::vector<Cell>& members = run.operation.members;
  for (std::size_t row = 0; row < run.rows; ++row) {
    if (run.operands[0].is_null(row)) continue;
    const Cell& cell = run.operands[0][row];
    // Not binary_search(): it takes what is not ordered, as NaN is, for equal.
    const auto found = std::lower_bound(members.begin(), members.end(), cell, before<T>);
    const bool in = found != members.end() && read_cell<T>(*found) == read_cell<T>(cell);
    result.cells[row] = Cell::of(in);
    if (!in && run.operation.null_among) result.set_null(row);
  }
}

}  // namespace

Kernel arithmetic_kernel(Arithmetic operation, ColumnType type) noexcept {
  const bool ints = type == ColumnType::Int;
  switch (operation) {
    case Arithmetic::Add: return ints ? kernel_of<&add>() : kernel_of<&add_real>();
    case Arithmetic::Subtract: return ints ? kernel_of<&subtract>() : kernel_of<&subtract_real>();
    case Arithmetic::Multiply: return ints ? kernel_of<&multiply>() : kernel_of<&multiply_real>();
    case Arithmetic::Divide: return ints ? kernel_of<&divide>() : kernel_of<&divide_real>();
    case Arithmetic::Remainder: break;
  }
  return ints ? kernel_of<&remainder_of>() : kernel_of<&remainder_real>();
}

Kernel comparison_kernel(Comparison operation, ColumnType type) noexcept {
  switch (type) {
    case ColumnType::Bool: return comparison_of<bool>(operation);
    case ColumnType::Int: return comparison_of<std::int64_t>(operation);
    case ColumnType::Double: return comparison_of<double>(operation);
    case ColumnType::Text: break;
  }
  return comparison_of<std::string_view>(operation);
}

Kernel negation_kernel(ColumnType type) noexcept {
  return type == ColumnType::Int ? kernel_of<&negate>() : kernel_of<&negate_real>();
}

void and_kernel(Run& run) { logic_kernel<false>(run); }
void or_kernel(Run& run) { logic_kernel<true>(run); }
void not_kernel(Run& run) { kernel_of<&negate_truth>()(run); }
void is_null_kernel(Run& run) { nullness_kernel<true>(run); }
void is_not_null_kernel(Run& run) { nullness_kernel<false>(run); }

void if_kernel(Run& run) {
  Column& result = run.operation.result;
  result.cells.resize(run.rows);
  const Operand& condition = run.operands[0];
  const Operand& yes = run.operands[1];
  const Operand& no = run.operands[2];
  const auto holds = [&](std::size_t row) {
    return !condition.is_null(row) && read_cell<bool>(condition[row]);
  };
  if (yes.nulls == nullptr && no.nulls == nullptr) {
    result.nulls.clear();
    for (std::size_t row = 0; row < run.rows; ++row) {
      result.cells[row] = holds(row) ? yes[row] : no[row];
    }
    return;
  }
  result.nulls.resize(run.rows);
  for (std::size_t row = 0; row < run.rows; ++row) take(run, holds(row) ? yes : no, row);
}

void coalesce_kernel(Run& run) {
  Column& result = run.operation.result;
  result.cells.resize(run.rows);
  result.nulls.resize(run.rows);
  for (std::size_t row = 0; row < run.rows; ++row) {
    std::size_t chosen = 0;
    while (chosen + 1 < run.count && run.operands[chosen].is_null(row)) ++chosen;
    take(run, run.operands[chosen], row);
  }
}

Kernel member_kernel(ColumnType type) noexcept {
  if (type == ColumnType::Int) return member_kernel_of<std::int64_t>;
  return type == ColumnType::Double ? member_kernel_of<double> : member_kernel_of<std::string_view>;
}

void order_members(std::vector<Cell>& members, ColumnType type) {
  if (type == ColumnType::Int) {
    std::sort(members.begin(), members.end(), before<std::int64_t>);
  } else if (type == ColumnType::Double) {
    // NaN equals nothing, itself included, and would spoil the order.
    std::erase_if(members, [](const Cell& cell) { return std::isnan(cell.real); });
    std::sort(members.begin(), members.end(), before<double>);
  } else {
    std::sort(members.begin(), members.end(), before<std::string_view>);
  }
}

}  // namespace sluice::analytics

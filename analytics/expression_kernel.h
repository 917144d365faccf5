// Makes kernels, which work on chunks, out of functions of single values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "analytics/expression_program.h"

namespace sluice::analytics {

template <typename T>
T read_cell(const Cell& cell) noexcept {
  if constexpr (std::is_same_v<T, bool>) {
    // Not as a bool: that of a null may be any byte.
    return *reinterpret_cast<const unsigned char*>(&cell) != 0;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return cell.integer;
  } else if constexpr (std::is_same_v<T, double>) {
    return cell.real;
  } else {
    static_assert(std::is_same_v<T, std::string_view>);
    return cell.view();
  }
}

/// Makes room for the results; null wherever an operand is.
inline void begin_results(Run& run) {
  Column& result = run.operation.result;
  result.cells.resize(run.rows);
  result.nulls.clear();
  for (std::size_t each = 0; each < run.count; ++each) {
    const Operand& operand = run.operands[each];
    if (operand.nulls == nullptr) continue;
    result.nulls.resize(run.rows);
    for (std::size_t row = 0; row < run.rows; ++row) {
      result.nulls[row] |= operand.nulls[row * operand.step];
    }
  }
}

/// The values of an operand. The one for all rows is copied, or each store to a result might be to
/// it and the loop would read it again.
template <typename T, std::size_t step>
class Values {
 public:
  explicit Values(const Operand& operand) noexcept : cells_(operand.cells) {}
  T operator[](std::size_t row) const noexcept { return read_cell<T>(cells_[row]); }

 private:
  const Cell* cells_;
};
template <typename T>
class Values<T, 0> {
 public:
  explicit Values(const Operand& operand) noexcept : value_(read_cell<T>(operand.cells[0])) {}
  T operator[](std::size_t) const noexcept { return value_; }

 private:
  T value_;
};
constexpr std::size_t any_step = 2;
template <typename T>
class Values<T, any_step> {
 public:
  explicit Values(const Operand& operand) noexcept : operand_(operand) {}
  T operator[](std::size_t row) const noexcept { return read_cell<T>(operand_[row]); }

 private:
  Operand operand_;
};

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

/// Calls f of each row that has all values; an empty optional makes a null.
///
/// `safe`: f may see what the cells of nulls hold, so that the loop has no branch.
template <bool safe, typename F, typename... V>
void for_rows(Run& run, F f, V... values) {
  begin_results(run);
  Column& result = run.operation.result;
  Cell* const cells = result.cells.data();
  const auto one = [&](std::size_t row) {
    const auto value = f(values[row]...);
    if constexpr (IsOptional<std::remove_const_t<decltype(value)>>::value) {
      if (value) {
        cells[row] = Cell::of(*value);
      } else {
        result.set_null(row);
      }
    } else {
      cells[row] = Cell::of(value);
    }
  };
  const bool check = !safe && !result.nulls.empty();
  if (!check) {
    for (std::size_t row = 0; row < run.rows; ++row) one(row);
    return;
  }
  for (std::size_t row = 0; row < run.rows; ++row) {
    if (result.nulls[row] == 0) one(row);
  }
}

template <typename... A>
constexpr bool no_text = !(std::is_same_v<A, std::string_view> || ...);

template <typename... A, typename F, std::size_t... place>
void for_operands(Run& run, F f, std::index_sequence<place...>) {
  const Operand* const of = run.operands;
  if constexpr (sizeof...(A) == 1) {
    for_rows<no_text<A...>>(run, f, Values<A, 1>(of[place])...);
  } else if constexpr (sizeof...(A) == 2) {
    if (of[1].step == 0) {
      for_rows<no_text<A...>>(run, f, Values < A, place == 1 ? 0 : 1 > (of[place])...);
    } else if (of[0].step == 0) {
      for_rows<no_text<A...>>(run, f, Values < A, place == 0 ? 0 : 1 > (of[place])...);
    } else {
      for_rows<no_text<A...>>(run, f, Values<A, 1>(of[place])...);
    }
  } else {
    for_rows<no_text<A...>>(run, f, Values<A, any_step>(of[place])...);
  }
}

template <typename F>
struct KernelOf;
template <typename R, typename... A>
struct KernelOf<R (*)(A...)> {
  template <R (*f)(A...)>
  static void run(Run& run) {
    for_operands<A...>(
        run, [](A... values) { return f(values...); }, std::index_sequence_for<A...>{});
  }
};
template <typename R, typename... A>
struct KernelOf<R (*)(TextArena&, A...)> {
  template <R (*f)(TextArena&, A...)>
  static void run(Run& run) {
    for_operands<A...>(
        run, [&arena = run.arena](A... values) { return f(arena, values...); },
        std::index_sequence_for<A...>{});
  }
};

/// A kernel that calls f, a function of bool, int64, double and string_view, for each row; null
/// where a value is null or f returns an empty optional. A first parameter TextArena& is where f
/// puts the texts it makes. Functions without texts may be called for nulls, with any values.
template <auto f>
constexpr Kernel kernel_of() noexcept {
  return &KernelOf<decltype(f)>::template run<f>;
}

}  // namespace sluice::analytics

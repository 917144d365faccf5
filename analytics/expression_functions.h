// The functions of expressions: their names, what they take, and the operations behind them.
#pragma once

#include <span>
#include <string_view>

#include "analytics/expression_program.h"

namespace sluice::analytics {

struct Function {
  enum class Kind : unsigned char {
    Plain,    ///< What `parameters` says, and nothing more to it.
    Numeric,  ///< Of numbers; the result has their type.
    Convert,  ///< To `result`, from any type.
    If,
    Coalesce,
    Concat,
    Hash,
    Header,
    Regex,  ///< The second value is a regex, a third one the number of a group.
  };
  std::string_view name;
  std::string_view signature;   ///< For messages.
  std::string_view parameters;  ///< A letter each: t(ext), i(nt), n(umber), b(ool), x: any.
  Kind kind;
  ColumnType result;
  Kernel kernel;            ///< Plain, Regex, Header; Numeric: of ints.
  Kernel on_doubles;        ///< Numeric.
  bool any_number = false;  ///< The last parameter may come again and again.
};

/// All of them.
std::span<const Function> functions() noexcept;

/// From `from` to `to`, which is not Bool; nullptr when there is nothing to do.
Kernel conversion_kernel(ColumnType from, ColumnType to) noexcept;
/// A hash of the first operand, of `type`; with the second one, a hash so far, of both.
Kernel hash_kernel(ColumnType type, bool more) noexcept;
/// On texts, any number of them.
void concat_kernel(Run& run);
/// text like pattern.
Kernel like_kernel() noexcept;

}  // namespace sluice::analytics

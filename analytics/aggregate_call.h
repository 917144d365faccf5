// What a user writes for an aggregate: `quantile(latency, 0.99)`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "analytics/rows.h"

namespace sluice::analytics {

enum class AggregateFunction : unsigned char {
  Count,  ///< count(): of rows. count(x): of those where x is not null.
  Sum,    ///< Of ints, an int that wraps at 64 bits as in Java and Spark; of doubles, a double.
  Min,    ///< Texts compare by their bytes, false is below true, NaN is above all numbers.
  Max,
  Avg,     ///< A double; the sum of ints in it is exact.
  Var,     ///< Of a sample, so over n - 1 (var_samp of Spark); null for less than two values.
  Stddev,  ///< The square root of that.
  First,   ///< In order of arrival.
  Last,
  Collect,   ///< collect(x, 1000): the first so many values, as "[a, b]".
  Distinct,  ///< How many different values: exact for few, within about 1 % above (HyperLogLog).
  Quantile,  ///< quantile(x, 0.99): within 1 % of the value (DDSketch).
  Rate,      ///< rate(): rows a second.
};

/// "count", "sum", ... as users write them.
std::string_view to_string(AggregateFunction function) noexcept;

/// One call, read but for its argument, which is an expression.
struct AggregateCall {
  /// The most that collect() may be told to keep of a group.
  static constexpr std::size_t limit_max = 1'000'000;

  AggregateFunction function = AggregateFunction::Count;
  std::string argument = {};        ///< The text of the expression; empty: there is none.
  std::size_t argument_offset = 0;  ///< Where that begins in the text read.
  double quantile = 0.5;            ///< Of Quantile, which must be told: from 0 to 1.
  std::size_t limit = 1000;         ///< Of Collect: from 1 to limit_max.

  bool has_argument() const noexcept { return !argument.empty(); }
};

/// Reads one call, with white space anywhere between its words.
///
/// The argument is everything up to the comma or bracket that ends it: brackets nest, and text in
/// single or double quotes, where a backslash guards the character behind it, has none. A Problem
/// points to what is wrong, with "did you mean 'sum'?" for names that are nearly right or are
/// another system's.
std::variant<AggregateCall, Problem> read_aggregate(std::string_view text);

/// The type of what a call gives for an argument of this type (ignored when it has none), or the
/// problem with it, which points to the argument in the text that was read.
std::variant<ColumnType, Problem> result_type(const AggregateCall& call, ColumnType argument);

}  // namespace sluice::analytics

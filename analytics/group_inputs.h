// What an aggregation reads of its rows: keys, and arguments of functions.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "analytics/expression.h"
#include "analytics/rows.h"
#include "analytics/step.h"

namespace sluice::analytics {

/// An argument of an aggregate function.
struct AggregateArgument {
  std::optional<Expression> value;  ///< None: the function has none.
  bool reads_events = false;
};

/// Columns of keys, and of evaluated arguments, chunk by chunk. One thread.
class GroupInputs {
 public:
  /// `keys`: columns of the rows.
  GroupInputs(std::vector<std::size_t> keys, std::vector<AggregateArgument> arguments);

  /// Valid until the next call, and as long as the rows.
  void read(const Rows& rows);
  std::span<const Column* const> keys() const noexcept { return key_columns_; }
  /// One a function; null where it has no argument.
  std::span<const Column* const> arguments() const noexcept { return argument_columns_; }

  /// Marks what is read of the rows.
  void use(Used& reads) const;

 private:
  const std::vector<std::size_t> keys_;
  std::vector<AggregateArgument> arguments_;
  TextArena arena_;
  std::vector<Column> values_;
  std::vector<const Column*> key_columns_;
  std::vector<const Column*> argument_columns_;
};

/// Marks what the expression reads of rows.
void use_expression(const Expression& value, bool reads_events, Used& reads);

}  // namespace sluice::analytics

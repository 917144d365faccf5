// The functions of one aggregate step, and what they keep of its groups.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/aggregate_call.h"
#include "analytics/rows.h"
#include "analytics/state_budget.h"

namespace sluice::analytics {

struct AccumulatorTable;

/// One function of a step: `agg.NAME = CALL`.
struct Aggregate {
  std::string name;  ///< Of the result.
  AggregateCall call;
  ColumnType argument = ColumnType::Int;  ///< What its argument is; ignored when it has none.
};

/// Folds rows into groups, and makes a row of results of each group.
///
/// A group is words() words of memory, aligned to 8 bytes, that belong to the caller, who may move
/// them while nobody uses them. A group whose words are all zero has seen nothing. What does not
/// fit (sketches, collected values, texts) hangs on it: each group must end in destroy(), of the
/// object that it was folded, merged or decoded with.
///
/// A null argument is passed over. Then count, rate and distinct of nothing are 0, collect is "[]",
/// everything else is null.
///
/// Not thread-safe. Groups of several objects made of the same functions may be merged.
class Aggregates {
 public:
  using Group = std::uint64_t*;

  /// REQUIRES: result_type() has no problem with any of them.
  explicit Aggregates(std::vector<Aggregate> aggregates);
  Aggregates(Aggregates&&) = default;
  Aggregates& operator=(Aggregates&&) = default;

  /// Name and type of each result, in the order of the functions.
  const Schema& fields() const noexcept { return fields_; }
  /// What a group takes, 8 bytes each: 1 for count, rate, distinct, quantile and collect, 3 for avg
  /// of ints, var and stddev, 2 for the others.
  std::size_t words() const noexcept { return words_; }
  /// The functions and the types of their arguments: what encode() writes can be decoded by an
  /// object whose layout is the same. `quantile` and `limit` are no part of it.
  const std::string& layout() const noexcept { return layout_; }

  /// Charges owned_bytes() to a budget, which outlives this. From now on fold() leaves values out
  /// that would take more of it than there is: collect, first, last, min and max of texts, distinct
  /// and quantile. Nothing else is bounded: what merges come to was there before.
  void limit_to(StateBudget& budget);

  void init(Group group) const noexcept;
  /// Folds row i of `arguments` into groups[i], for every row, in this order.
  ///
  /// `arguments` has a column for each function, null for those without an argument. The same group
  /// may come any number of times.
  void fold(std::span<const Column* const> arguments, std::span<const Group> groups);
  /// Adds what `from` has seen, which came later for first, last and collect. They differ.
  void merge(Group into, const std::uint64_t* from);

  /// Whether there is a subtract(): true if there is nothing but count, rate, quantile, and sum and
  /// avg of ints. Doubles would drift from what is summed afresh.
  bool invertible() const noexcept { return invertible_; }
  /// Takes out what was merged into `from` before; as if it never had been, but for the limits of
  /// DDSketch. REQUIRES: invertible().
  void subtract(Group from, const std::uint64_t* what);

  /// Appends the results to `out`, a column for each function.
  ///
  /// `length` is that of the window, for rate(), which is null when it is not above zero. Texts are
  /// in the group or in `texts`: valid until either changes.
  void finish(const std::uint64_t* group, std::span<Column> out, TextArena& texts,
              std::chrono::milliseconds length) const;
  /// Appends one result of each of many groups, that of function `result`.
  void finish_one(std::span<const std::uint64_t* const> groups, std::size_t result, Column& out,
                  TextArena& texts, std::chrono::milliseconds length) const;

  /// Appends what the group has seen. Has no version and no length of its own: see layout().
  void encode(const std::uint64_t* group, std::string& out) const;
  /// Reads what encode() wrote off the front of `in` into a group that has seen nothing. False when
  /// it is anything else; then `in` is unspecified and the group has still seen nothing.
  [[nodiscard]] bool decode(std::string_view& in, Group group);

  /// Frees what hangs on the group, which then has seen nothing again.
  void destroy(Group group) noexcept;
  /// Memory that hangs on all groups folded, merged and decoded here and not destroyed.
  std::uint64_t owned_bytes() const noexcept { return owned_bytes_; }

 private:
  struct Part {
    const AccumulatorTable* table = nullptr;
    std::size_t word = 0;  ///< Where its words begin in a group.
    std::size_t limit = 0;
    double quantile = 0;
  };

  std::vector<Part> parts_;
  Schema fields_;
  std::string layout_;
  std::size_t words_ = 0;
  bool invertible_ = true;
  std::uint64_t owned_bytes_ = 0;
  StateBudget* budget_ = nullptr;
  StateBudget::Share share_;
};

}  // namespace sluice::analytics

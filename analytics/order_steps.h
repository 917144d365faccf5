// Steps that look at all the rows of a batch together: top, sort, limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analytics/row_picker.h"
#include "analytics/state_budget.h"
#include "analytics/step.h"

namespace sluice::analytics {

/// Passes on the first rows of a batch by an order; of equal ones those that came first. Nulls come
/// last. Rows that it has no room for are left out as they come, and counted.
class TopStep final : public Step {
 public:
  struct By {
    std::size_t column = 0;
    bool falling = false;
  };
  /// `most`: so many rows; all of them when it is 0.
  TopStep(const Schema& input, std::vector<By> order, std::uint64_t most,
          std::uint64_t bytes_max = StateBudget::no_limit);

  Used use(const Used& used) override;
  void push(const Rows& rows) override;
  /// The last row that it keeps.
  std::optional<RowBound> bound() const override;
  void tick(const Tick& tick) override;
  std::vector<LeftOut> left_out() const override {
    return {{LeftOut::oversized, budget_.rows_refused()}};
  }

 private:
  struct Value {
    Cell cell;
    bool is_null = true;
    std::string text;  ///< Of a text, whose cell is not used: rows move.
    Cell get(ColumnType type) const noexcept {
      return type == ColumnType::Text ? Cell::of(std::string_view(text)) : cell;
    }
  };
  struct Row {
    std::vector<Value> values;
    std::uint64_t came = 0;
  };
  int compare(const Row& a, const Row& b) const noexcept;
  bool goes_before(const Row& a, const Row& b) const noexcept;
  bool worth_keeping(const Rows& rows, std::uint32_t row) const noexcept;
  Row copy_of(const Rows& rows, std::uint32_t row);
  std::uint64_t cost_of(const Rows& rows, std::uint32_t row) const noexcept;
  static std::uint64_t cost_of(const Row& row) noexcept;
  bool admit(std::uint64_t cost, std::uint64_t instead_of) noexcept;

  const std::vector<By> order_;
  const std::uint64_t most_;
  StateBudget budget_;
  StateBudget::Share share_{&budget_};
  Used used_;
  std::uint64_t came_ = 0;
  std::vector<Row> rows_;  ///< With a bound: a heap, the last one by the order in front.
  std::vector<Column> columns_;
  Rows out_;
};

/// Passes on the first rows of each batch, as they come.
class LimitStep final : public Step {
 public:
  LimitStep(const Schema& input, std::uint64_t most) : Step(input), most_(most), left_(most) {}

  Used use(const Used& used) override { return used; }
  void push(const Rows& rows) override;
  void tick(const Tick& tick) override;

 private:
  const std::uint64_t most_;
  std::uint64_t left_;
  RowPicker picker_;
};

}  // namespace sluice::analytics

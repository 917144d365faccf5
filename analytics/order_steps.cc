#include "analytics/order_steps.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace sluice::analytics {
namespace {

/// Short ones lie in their values.
constexpr std::uint64_t cost_of_text(std::size_t bytes) { return bytes < 16 ? 0 : bytes + 16; }

}  // namespace

TopStep::TopStep(const Schema& input, std::vector<By> order, std::uint64_t most,
                 std::uint64_t bytes_max)
    : Step(Schema(input.fields())),
      order_(std::move(order)),
      most_(most),
      budget_(bytes_max),
      columns_(input.size()) {}

Used TopStep::use(const Used& used) {
  used_ = used;
  used_.back() = false;
  for (const By& by : order_) used_[by.column] = true;
  out_.columns.assign(schema_.size(), nullptr);
  for (std::size_t i = 0; i < schema_.size(); ++i) {
    if (used_[i]) out_.columns[i] = &columns_[i];
  }
  return used_;
}

int TopStep::compare(const Row& a, const Row& b) const noexcept {
  for (const By& by : order_) {
    const Value& left = a.values[by.column];
    const Value& right = b.values[by.column];
    const ColumnType type = schema_[by.column].type;
    const int order = compare_in_order(type, by.falling, left.is_null, left.get(type),
                                       right.is_null, right.get(type));
    if (order != 0) return order;
  }
  return 0;
}

bool TopStep::goes_before(const Row& a, const Row& b) const noexcept {
  const int order = compare(a, b);
  return order != 0 ? order < 0 : a.came < b.came;
}

/// Whether it goes before the last of those that are kept; most rows do not.
bool TopStep::worth_keeping(const Rows& rows, std::uint32_t row) const noexcept {
  const Row& last = rows_.front();
  for (const By& by : order_) {
    const Column& column = *rows.columns[by.column];
    const Value& value = last.values[by.column];
    const ColumnType type = schema_[by.column].type;
    const int order = compare_in_order(type, by.falling, column.is_null(row), column.cells[row],
                                       value.is_null, value.get(type));
    if (order != 0) return order < 0;
  }
  return false;
}

TopStep::Row TopStep::copy_of(const Rows& rows, std::uint32_t row) {
  Row copy;
  copy.came = came_++;
  copy.values.resize(schema_.size());
  for (std::size_t i = 0; i < schema_.size(); ++i) {
    if (!used_[i] || rows.columns[i]->is_null(row)) continue;
    Value& value = copy.values[i];
    value.is_null = false;
    value.cell = rows.columns[i]->cells[row];
    if (schema_[i].type == ColumnType::Text) value.text = value.cell.view();
  }
  return copy;
}

// ---- what rows cost: twice their place in a vector that grows, their values, and texts

std::uint64_t TopStep::cost_of(const Rows& rows, std::uint32_t row) const noexcept {
  std::uint64_t cost = 2 * sizeof(Row) + schema_.size() * sizeof(Value) + 16;
  for (std::size_t i = 0; i < schema_.size(); ++i) {
    if (!used_[i] || schema_[i].type != ColumnType::Text || rows.columns[i]->is_null(row)) continue;
    cost += cost_of_text(rows.columns[i]->cells[row].text.bytes);
  }
  return cost;
}

std::uint64_t TopStep::cost_of(const Row& row) noexcept {
  std::uint64_t cost = 2 * sizeof(Row) + row.values.size() * sizeof(Value) + 16;
  for (const Value& value : row.values) cost += cost_of_text(value.text.size());
  return cost;
}

bool TopStep::admit(std::uint64_t cost, std::uint64_t instead_of) noexcept {
  const bool fits = cost <= budget_.room() + instead_of;
  if (fits) share_.set(share_.bytes() + cost - instead_of);
  if (!fits) budget_.refuse_row();
  return fits;
}

void TopStep::push(const Rows& rows) {
  const auto before = [this](const Row& a, const Row& b) { return goes_before(a, b); };
  for (std::uint32_t row = 0; row < rows.size; ++row) {
    if (most_ == 0 || rows_.size() < most_) {
      if (!admit(cost_of(rows, row), 0)) continue;
      rows_.push_back(copy_of(rows, row));
      if (most_ > 0) std::push_heap(rows_.begin(), rows_.end(), before);
    } else if (worth_keeping(rows, row)) {
      if (!admit(cost_of(rows, row), cost_of(rows_.front()))) continue;
      std::pop_heap(rows_.begin(), rows_.end(), before);
      rows_.back() = copy_of(rows, row);
      std::push_heap(rows_.begin(), rows_.end(), before);
    }
  }
}

std::optional<RowBound> TopStep::bound() const {
  if (most_ == 0 || rows_.size() < most_) return std::nullopt;
  const By& by = order_.front();
  const Value& last = rows_.front().values[by.column];
  const ColumnType type = schema_[by.column].type;
  return RowBound{.column = by.column,
                  .type = type,
                  .falling = by.falling,
                  .with_equal = order_.size() == 1,
                  .is_null = last.is_null,
                  .last = last.get(type)};
}

void TopStep::tick(const Tick& tick) {
  std::sort(rows_.begin(), rows_.end(),
            [this](const Row& a, const Row& b) { return goes_before(a, b); });
  for (std::size_t begin = 0; begin < rows_.size(); begin += Rows::chunk) {
    const std::size_t end = std::min<std::size_t>(rows_.size(), begin + Rows::chunk);
    for (Column& column : columns_) column.clear();
    for (std::size_t row = begin; row < end; ++row) {
      for (std::size_t i = 0; i < schema_.size(); ++i) {
        if (!used_[i]) continue;
        const Value& value = rows_[row].values[i];
        if (value.is_null) {
          columns_[i].push_null();
        } else {
          columns_[i].push_back(value.get(schema_[i].type));
        }
      }
    }
    out_.size = static_cast<std::uint32_t>(end - begin);
    pass(out_);
  }
  rows_.clear();
  share_.set(0);
  came_ = 0;
  tick_next(tick);
}

void LimitStep::push(const Rows& rows) {
  if (left_ == 0) return;
  if (rows.size <= left_) {
    left_ -= rows.size;
    return pass(rows);
  }
  std::vector<std::uint32_t> first(std::exchange(left_, 0));
  std::iota(first.begin(), first.end(), 0);
  pass(picker_.pick(rows, first));
}

void LimitStep::tick(const Tick& tick) {
  left_ = most_;
  tick_next(tick);
}

}  // namespace sluice::analytics

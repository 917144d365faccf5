#include "analytics/row_picker.h"

namespace sluice::analytics {

const Rows& RowPicker::pick(const Rows& rows, std::span<const std::uint32_t> chosen) {
  columns_.resize(rows.columns.size());
  picked_.columns.assign(rows.columns.size(), nullptr);
  picked_.size = static_cast<std::uint32_t>(chosen.size());
  for (std::size_t i = 0; i < rows.columns.size(); ++i) {
    const Column* const from = rows.columns[i];
    if (from == nullptr) continue;
    Column& to = columns_[i];
    to.clear();
    for (const std::uint32_t row : chosen) to.cells.push_back(from->cells[row]);
    if (!from->nulls.empty()) {
      for (const std::uint32_t row : chosen) to.nulls.push_back(from->nulls[row]);
    }
    picked_.columns[i] = &to;
  }
  picked_.batch = rows.batch;
  picked_.events = nullptr;
  if (rows.events != nullptr) {
    events_.clear();
    for (const std::uint32_t row : chosen) events_.push_back(rows.events[row]);
    picked_.events = events_.data();
  }
  return picked_;
}

}  // namespace sluice::analytics

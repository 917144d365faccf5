// Rows that own their columns, as tests write them.
#pragma once

#include <vector>

#include "analytics/rows.h"

namespace sluice::analytics {

/// Becomes Rows, which view it.
struct OwnedRows {
  std::uint32_t size = 0;
  std::vector<Column> columns;
  const Batch* batch = nullptr;
  std::vector<std::uint32_t> events;

  Rows view() const {
    Rows rows{.size = size, .columns = {}, .batch = batch, .events = nullptr};
    for (const Column& column : columns) rows.columns.push_back(&column);
    if (!events.empty()) rows.events = events.data();
    return rows;
  }
  operator Rows() const { return view(); }
};

}  // namespace sluice::analytics

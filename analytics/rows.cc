#include "analytics/rows.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::analytics {
namespace {

constexpr std::array<std::pair<std::string_view, ColumnType>, 10> type_names{{
    {"bool", ColumnType::Bool},
    {"int", ColumnType::Int},
    {"double", ColumnType::Double},
    {"text", ColumnType::Text},
    // What users of other systems write:
    {"boolean", ColumnType::Bool},
    {"long", ColumnType::Int},
    {"integer", ColumnType::Int},
    {"float", ColumnType::Double},
    {"string", ColumnType::Text},
    {"str", ColumnType::Text},
}};

}  // namespace

std::string_view to_string(ColumnType type) noexcept {
  return type_names[static_cast<std::size_t>(type)].first;
}

std::optional<ColumnType> column_type(std::string_view name) noexcept {
  const auto found = std::find_if(type_names.begin(), type_names.end(),
                                  [&](const auto& each) { return each.first == name; });
  if (found == type_names.end()) return std::nullopt;
  return found->second;
}

void Column::set_null(std::size_t row) {
  nulls.resize(cells.size());
  nulls[row] = 1;
}

std::optional<std::size_t> Schema::find(std::string_view name) const noexcept {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const Field& field) { return field.name == name; });
  if (found == fields_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - fields_.begin());
}

std::size_t Schema::set(std::string_view name, ColumnType type) {
  const auto place = find(name);
  if (place) {
    fields_[*place].type = type;
    return *place;
  }
  fields_.push_back({std::string(name), type});
  return fields_.size() - 1;
}

void TextArena::clear() noexcept {
  if (blocks_.empty()) return;
  // The largest block serves the next round alone.
  std::swap(blocks_.front(),
            *std::max_element(blocks_.begin(), blocks_.end(),
                              [](const Block& a, const Block& b) { return a.bytes < b.bytes; }));
  blocks_.resize(1);
  next_ = blocks_.front().data.get();
  left_ = bytes_ = blocks_.front().bytes;
}

void TextArena::grow() {
  next_ = own_block(block_bytes);
  left_ = block_bytes;
}

char* TextArena::own_block(std::size_t bytes) {
  blocks_.push_back({std::make_unique_for_overwrite<char[]>(bytes), bytes});
  bytes_ += bytes;
  return blocks_.back().data.get();
}

}  // namespace sluice::analytics

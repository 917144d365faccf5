#include "core/event/headers.h"

#include <cstring>

#include "core/base/assert.h"

namespace sluice {
namespace {

constexpr std::size_t lengths_bytes = 2 * sizeof(std::uint32_t);

void append_length(std::string& block, std::size_t length) {
  const auto value = static_cast<std::uint32_t>(length);
  SLUICE_ASSERT(value == length, "a header of 4 GiB must have been refused by its source");
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  block.append(bytes, sizeof bytes);
}

std::uint32_t load_length(const char* at) noexcept {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

void append_header(std::string& block, std::string_view name, std::string_view value) {
  append_length(block, name.size());
  append_length(block, value.size());
  block.append(name);
  block.append(value);
}

bool HeaderCursor::next(std::string_view& name, std::string_view& value) noexcept {
  if (rest_.empty()) return false;
  SLUICE_ASSERT(rest_.size() >= lengths_bytes, "a header block is torn");
  const std::size_t name_bytes = load_length(rest_.data());
  const std::size_t value_bytes = load_length(rest_.data() + sizeof(std::uint32_t));
  SLUICE_ASSERT(rest_.size() >= lengths_bytes + name_bytes + value_bytes, "a header block is torn");
  name = rest_.substr(lengths_bytes, name_bytes);
  value = rest_.substr(lengths_bytes + name_bytes, value_bytes);
  rest_.remove_prefix(lengths_bytes + name_bytes + value_bytes);
  return true;
}

bool find_header(std::string_view block, std::string_view name, std::string_view& value) noexcept {
  HeaderCursor cursor(block);
  std::string_view found_name;
  std::string_view found_value;
  while (cursor.next(found_name, found_value)) {
    if (found_name != name) continue;
    value = found_value;
    return true;
  }
  return false;
}

HeaderBlock::HeaderBlock(std::string encoded) {
  if (!encoded.empty()) rep_ = new Rep{1, std::move(encoded)};
}

HeaderBlock::HeaderBlock(const HeaderBlock& other) noexcept : rep_(other.rep_) {
  if (rep_) rep_->refs.fetch_add(1, std::memory_order_relaxed);
}

HeaderBlock::~HeaderBlock() {
  if (rep_ && rep_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete rep_;
}

HeaderBlock HeaderBlock::with(std::string_view name, std::string_view value) const {
  std::string encoded;
  bool replaced = false;
  HeaderCursor cursor(bytes());
  std::string_view old_name;
  std::string_view old_value;
  while (cursor.next(old_name, old_value)) {
    replaced = replaced || old_name == name;
    append_header(encoded, old_name, old_name == name ? value : old_value);
  }
  if (!replaced) append_header(encoded, name, value);
  return HeaderBlock(std::move(encoded));
}

HeaderBlock HeaderBlock::without(std::string_view name) const {
  std::string encoded;
  HeaderCursor cursor(bytes());
  std::string_view old_name;
  std::string_view old_value;
  while (cursor.next(old_name, old_value)) {
    if (old_name != name) append_header(encoded, old_name, old_value);
  }
  return HeaderBlock(std::move(encoded));
}

bool HeaderView::find(std::string_view name, std::string_view& value) const noexcept {
  for (const std::string_view block : blocks_) {
    if (find_header(block, name, value)) return true;
  }
  return false;
}

bool HeaderView::hidden(std::string_view name, int before) const noexcept {
  std::string_view ignored;
  for (int i = 0; i < before; ++i) {
    if (find_header(blocks_[i], name, ignored)) return true;
  }
  return false;
}

}  // namespace sluice

#include "analytics/group_table.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

#include "analytics/state_codec.h"
#include "core/base/assert.h"

namespace sluice::analytics {
namespace {

constexpr std::string_view other_text = "(other)";
/// What a group costs: as a table is full by 3/8 at least once it has grown, 85 bytes of slots, and
/// its place in the order.
constexpr std::uint64_t group_bytes = 96;
/// Keys up to so many bytes lie in their slots.
constexpr std::size_t key_bytes_free = 16;

/// What long keys cost: up to an eighth of a block stays unused.
constexpr std::uint64_t cost_of_texts(std::uint64_t bytes) { return bytes + bytes / 6; }

template <typename T>
void append_raw(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
bool read_raw(std::string_view& in, T& value) {
  if (in.size() < sizeof value) return false;
  std::memcpy(&value, in.data(), sizeof value);
  in.remove_prefix(sizeof value);
  return true;
}

bool read_text(std::string_view& in, std::size_t bytes, std::string_view& text) {
  if (in.size() < bytes) return false;
  text = in.substr(0, bytes);
  in.remove_prefix(bytes);
  return true;
}

/// One value of a key of several parts: a byte that says whether there is one, then the value.
void append_part(std::string& out, ColumnType type, bool is_null, const Cell& cell) {
  out += is_null ? '\0' : '\1';
  if (is_null) return;
  switch (type) {
    case ColumnType::Bool: out += cell.truth ? '\1' : '\0'; break;
    case ColumnType::Int: append_raw(out, cell.integer); break;
    case ColumnType::Double: {
      // Both zeros are one key, and so is everything that is no number.
      const double plain = cell.real == 0 ? 0.0 : cell.real;
      append_raw(out, std::isnan(plain) ? std::numeric_limits<double>::quiet_NaN() : plain);
      break;
    }
    case ColumnType::Text:
      append_raw(out, static_cast<std::uint32_t>(cell.text.bytes));
      out.append(cell.text.data, cell.text.bytes);
      break;
  }
}

/// False: the bytes are no such value.
bool read_part(std::string_view& in, ColumnType type, Column& out) {
  char has_value = 0;
  if (!read_raw(in, has_value)) return false;
  if (has_value == 0) {
    out.push_null();
    return true;
  }
  Cell cell;
  bool ok = false;
  switch (type) {
    case ColumnType::Bool: {
      char truth = 0;
      ok = read_raw(in, truth);
      cell.truth = truth != 0;
      break;
    }
    case ColumnType::Int: ok = read_raw(in, cell.integer); break;
    case ColumnType::Double: ok = read_raw(in, cell.real); break;
    case ColumnType::Text: {
      std::uint32_t bytes = 0;
      std::string_view text;
      ok = read_raw(in, bytes) && read_text(in, bytes, text);
      cell = Cell::of(text);
      break;
    }
  }
  if (ok) out.push_back(cell);
  return ok;
}

}  // namespace

GroupTable::GroupTable(Options options, Aggregates& aggregates)
    : options_(std::move(options)),
      aggregates_(&aggregates),
      own_words_(aggregates.words()),
      words_(own_words_ + options_.extra_words),
      table_(options_.seed),
      other_(other_key()),
      share_(options_.budget) {
  SLUICE_ASSERT(words_ > 0, "groups that remember nothing");
  charge();
  if (options_.keys.empty()) add({}, false);
}

// ---- what groups cost

std::uint64_t GroupTable::cost_of(std::size_t key_bytes) const noexcept {
  const std::uint64_t words = words_ == 1 ? 0 : words_ * sizeof(std::uint64_t);
  return group_bytes + words + options_.owner_bytes +
         (key_bytes <= key_bytes_free ? 0 : cost_of_texts(key_bytes));
}

std::uint64_t GroupTable::base_bytes(std::size_t words) noexcept {
  // A table makes room for all keys of a chunk before it knows which of them are new.
  constexpr std::uint64_t chunk_bytes = (Rows::chunk + 16) * group_bytes;
  return chunk_bytes + (words == 1 ? 0 : groups_a_block * words * sizeof(std::uint64_t));
}

/// By what there is, not by the memory it lies in: see StateBudget.
void GroupTable::charge() noexcept {
  share_.set(base_bytes(words_) + table_.size() * cost_of(0) +
             cost_of_texts(table_.long_key_bytes()));
}

std::uint64_t GroupTable::room() const noexcept {
  const StateBudget& budget = *options_.budget;
  if (!options_.leaves_half) return budget.room();
  const std::uint64_t own = share_.bytes();
  const std::uint64_t half = (budget.room() + own) / 2;
  return half - std::min(half, own);
}

bool GroupTable::has_room(std::span<const Cell> keys,
                          std::span<const std::uint8_t> nulls) const noexcept {
  if (options_.budget == nullptr) return true;
  constexpr std::size_t key_bytes_some = 64 * 1024;  // words are no longer
  const std::uint64_t room = this->room();
  if (room >= keys.size() * cost_of(key_bytes_some)) return true;
  std::uint64_t cost = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    cost += cost_of(!nulls.empty() && nulls[i] != 0 ? 0 : keys[i].text.bytes);
  }
  return cost <= room;
}

void GroupTable::destroy_groups() noexcept {
  if (aggregates_->owned_bytes() == 0) return;
  for (std::size_t i = 0; i < table_.size(); ++i) aggregates_->destroy(group(i));
}

GroupTable::~GroupTable() { destroy_groups(); }

std::string GroupTable::other_key() const {
  if (plain_key()) return std::string(other_text);
  std::string key;
  for (const ColumnType type : options_.keys) {
    append_part(key, type, type != ColumnType::Text, Cell::of(other_text));
  }
  return key;
}

/// The words of a new or a known group. New ones are asked for in the order of their keys.
Aggregates::Group GroupTable::group_of(std::uint64_t* word) {
  if (words_ == 1) return word;
  if (*word == 0) {
    if (groups_made_ == blocks_.size() * groups_a_block) {
      blocks_.push_back(std::make_unique<std::uint64_t[]>(groups_a_block * words_));
    }
    *word = ++groups_made_;
  }
  return dense_group(*word - 1);
}

void GroupTable::append_key(std::span<const Column* const> keys, std::size_t row) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    append_part(key_text_, options_.keys[i], keys[i]->is_null(row), keys[i]->cells[row]);
  }
}

/// Keys of several parts, or of other types than text, as texts.
std::span<const Cell> GroupTable::encoded_keys(std::span<const Column* const> keys,
                                               std::uint32_t rows) {
  key_text_.clear();
  key_ends_.clear();
  for (std::uint32_t row = 0; row < rows; ++row) {
    append_key(keys, row);
    key_ends_.push_back(key_text_.size());
  }
  key_cells_.clear();
  std::size_t begin = 0;
  for (const std::size_t end : key_ends_) {
    key_cells_.push_back(Cell::of(std::string_view(key_text_).substr(begin, end - begin)));
    begin = end;
  }
  return key_cells_;
}

/// Keys that have no room any more become the one of the others.
void GroupTable::divert(std::span<Cell> keys, std::span<std::uint8_t> nulls) {
  std::size_t room = options_.keys_max - std::min(options_.keys_max, table_.size());
  std::uint64_t room_bytes = options_.budget == nullptr ? StateBudget::no_limit : this->room();
  std::unordered_set<std::string_view> admitted;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if ((!nulls.empty() && nulls[i] != 0) || table_.find(keys[i].view()) != nullptr) continue;
    if (admitted.contains(keys[i].view())) continue;
    const std::uint64_t cost = cost_of(keys[i].text.bytes);
    if (room > 0 && cost <= room_bytes) {
      --room;
      room_bytes -= cost;
      admitted.insert(keys[i].view());
      continue;
    }
    keys[i] = Cell::of(std::string_view(other_));
    room == 0 ? static_cast<void>(++overflowed_) : options_.budget->refuse_row();
  }
}

void GroupTable::find_groups(std::span<const Cell> keys, std::span<const std::uint8_t> nulls) {
  found_.resize(keys.size());
  groups_.resize(keys.size());
  if (table_.size() + keys.size() > options_.keys_max || !has_room(keys, nulls)) {
    std::vector<Cell> diverted(keys.begin(), keys.end());
    nulls_.assign(nulls.begin(), nulls.end());
    divert(diverted, nulls_);
    table_.find_or_add(diverted, nulls_, found_);
  } else {
    table_.find_or_add(keys, nulls, found_);
  }
  charge();
  if (words_ == 1) {
    std::copy(found_.begin(), found_.end(), groups_.begin());
  } else {
    std::transform(found_.begin(), found_.end(), groups_.begin(),
                   [this](std::uint64_t* word) { return group_of(word); });
  }
}

void GroupTable::fold(std::span<const Column* const> keys, std::span<const Column* const> arguments,
                      std::uint32_t rows) {
  if (keys.empty()) {
    groups_.assign(rows, group(0));
  } else if (plain_key()) {
    find_groups(std::span(keys[0]->cells).first(rows), keys[0]->nulls);
  } else {
    find_groups(encoded_keys(keys, rows), {});
  }
  aggregates_->fold(arguments, groups_);
}

std::uint64_t* GroupTable::add_key(std::string_view key, bool is_null) {
  const Cell cell = Cell::of(key);
  const std::uint8_t null = is_null ? 1 : 0;
  std::uint64_t* word = nullptr;
  table_.find_or_add(std::span(&cell, 1), std::span(&null, 1), std::span(&word, 1));
  return word;
}

Aggregates::Group GroupTable::add(std::string_view key, bool is_null) {
  std::uint64_t* const word = add_key(key, is_null);
  charge();
  return group_of(word);
}

void GroupTable::merge(GroupTable& from) {
  for (std::size_t i = 0; i < from.size(); ++i) {
    const KeyTable::Entry entry = from.table_.entry(i);
    const Aggregates::Group source = from.group(i);
    const bool known = entry.is_null || table_.find(entry.key) != nullptr;
    const bool full = !known && table_.size() >= options_.keys_max && !options_.keys.empty();
    if (full) ++overflowed_;
    aggregates_->merge(add(full ? std::string_view(other_) : entry.key, entry.is_null), source);
  }
}

bool GroupTable::add_keys(GroupTable& from) {
  const std::size_t before = table_.size();
  for (std::size_t i = 0; i < from.size(); ++i) {
    const KeyTable::Entry entry = from.table_.entry(i);
    if (!entry.is_null && table_.find(entry.key) != nullptr) continue;
    if (table_.size() >= options_.keys_max) continue;
    if (options_.budget != nullptr && room() < cost_of(entry.key.size())) continue;
    add(entry.key, entry.is_null);
  }
  return table_.size() > before;
}

void GroupTable::decode_key(std::string_view key, bool is_null, std::span<Column> out) const {
  if (plain_key()) {
    if (is_null) return out[0].push_null();
    return out[0].push_back(Cell::of(key));
  }
  for (std::size_t i = 0; i < options_.keys.size(); ++i) {
    const bool ok = read_part(key, options_.keys[i], out[i]);
    SLUICE_ASSERT(ok, "a key that this table did not make");
  }
}

GroupTable::Entry GroupTable::entry(std::size_t i) noexcept {
  const KeyTable::Entry entry = table_.entry(i);
  return {entry.key, entry.is_null, words_ == 1 ? entry.word : dense_group(i)};
}

void GroupTable::finish(const Entry& entry, std::span<Column> keys, std::span<Column> results,
                        TextArena& texts, std::chrono::milliseconds length) const {
  decode_key(entry.key, entry.is_null, keys);
  aggregates_->finish(entry.group, results, texts, length);
}

std::uint64_t GroupTable::key_hash(std::size_t i) noexcept {
  const std::string_view key = table_.entry(i).key;
  return XXH3_64bits(key.data(), key.size());
}

/// Null, or one more than its length and the key.
void GroupTable::encode_key(std::size_t i, std::string& out) {
  const KeyTable::Entry entry = table_.entry(i);
  put_number(entry.is_null ? 0 : entry.key.size() + 1, out);
  out += entry.key;
}

void GroupTable::encode(std::size_t i, std::string& out) {
  encode_key(i, out);
  encode_results(i, out);
}

/// The group of a new key at the front of the text; null where it is no such key.
Aggregates::Group GroupTable::add_key_of(std::string_view& text) {
  std::uint64_t bytes = 0;
  std::string_view key;
  if (!take_number(text, bytes)) return nullptr;
  const bool is_null = bytes == 0;
  if (is_null ? !plain_key() : !read_text(text, bytes - 1, key)) return nullptr;
  if (!plain_key()) {
    std::string_view rest = key;
    Column part;
    for (const ColumnType type : options_.keys) {
      part.clear();
      if (!read_part(rest, type, part)) return nullptr;
    }
    if (!rest.empty()) return nullptr;
  }
  const std::size_t before = table_.size();
  const Aggregates::Group its = add(key, is_null);
  // The one group of a table without keys is there from the start.
  return table_.size() > before || options_.keys.empty() ? its : nullptr;
}

bool GroupTable::decode_group(std::string_view& text) {
  const Aggregates::Group its = add_key_of(text);
  return its != nullptr && aggregates_->decode(text, its);
}

bool GroupTable::decode_results(std::size_t i, std::string_view& text) {
  aggregates_->destroy(group(i));
  return aggregates_->decode(text, group(i));
}

bool GroupTable::decode(std::string_view text) {
  while (!text.empty()) {
    if (!decode_group(text)) return false;
  }
  return true;
}

void GroupTable::retain(std::span<const std::uint8_t> keep) {
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (keep[i] == 0) aggregates_->destroy(group(i));
  }
  if (words_ > 1) close_gaps(keep);
  table_.retain(keep);
  charge();
  if (options_.budget != nullptr && bytes() > share_.bytes() / 4 * 5 + (256 << 10)) compact();
  if (options_.keys.empty() && table_.size() == 0) add({}, false);
}

/// The groups that stay lie one behind the other again. Before their keys do.
void GroupTable::close_gaps(std::span<const std::uint8_t> keep) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (keep[i] == 0) continue;
    if (kept != i) std::copy_n(dense_group(i), words_, dense_group(kept));
    *table_.entry(i).word = ++kept;
  }
  blocks_.resize((kept + groups_a_block - 1) / groups_a_block);
  for (std::size_t i = kept; i < blocks_.size() * groups_a_block; ++i) {
    std::fill_n(dense_group(i), words_, 0);
  }
  groups_made_ = kept;
}

/// What has gone gives its memory back, which nobody is charged for any more.
void GroupTable::compact() {
  KeyTable keys = std::exchange(table_, KeyTable(options_.seed));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const KeyTable::Entry entry = keys.entry(i);
    *add_key(entry.key, entry.is_null) = *entry.word;
  }
}

void GroupTable::clear() {
  destroy_groups();
  table_.clear();
  blocks_.clear();
  groups_made_ = 0;
  charge();
  if (options_.keys.empty()) add({}, false);
}

std::size_t GroupTable::bytes() const noexcept {
  return table_.bytes() + blocks_.size() * groups_a_block * words_ * sizeof(std::uint64_t);
}

}  // namespace sluice::analytics

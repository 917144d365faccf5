#include "analytics/part_table.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "analytics/state_codec.h"

namespace sluice::analytics {
namespace {

constexpr std::uint64_t key_bytes =
    sizeof(PartTable::Key) + 2 * sizeof(std::unique_ptr<PartTable::Key>) + 16;

GroupTable::Options with_address(GroupTable::Options options) {
  options.extra_words = 1;
  options.owner_bytes = key_bytes;
  return options;
}

}  // namespace

PartTable::PartTable(GroupTable::Options options, Aggregates& aggregates)
    : aggregates_(aggregates),
      budget_(options.budget),
      table_(with_address(std::move(options)), nothing_),
      share_(budget_) {}

PartTable::~PartTable() {
  for (const auto& key : keys_) {
    for (const Part& part : key->parts) aggregates_.destroy(part.group);
  }
}

void PartTable::know_new_keys() {
  for (std::size_t i = keys_.size(); i < table_.size(); ++i) {
    keys_.push_back(std::make_unique<Key>());
    keys_.back()->place = i;
    keys_.back()->shard = ShardedState::shard_of(table_.key_hash(i));
    *table_.extra(table_.group(i)) = std::bit_cast<std::uint64_t>(keys_.back().get());
  }
}

std::span<PartTable::Key* const> PartTable::find(std::span<const Column* const> keys,
                                                 std::uint32_t rows) {
  table_.fold(keys, {}, rows);
  know_new_keys();
  found_.clear();
  for (const Aggregates::Group group : table_.groups()) {
    found_.push_back(std::bit_cast<Key*>(*table_.extra(group)));
    touch(*found_.back());
  }
  return found_;
}

Aggregates::Group PartTable::new_group() {
  const std::size_t words = aggregates_.words();
  if (free_.empty()) {
    if (block_used_ == groups_a_block) {
      blocks_.push_back(std::make_unique<std::uint64_t[]>(groups_a_block * words));
      block_used_ = 0;
    }
    return blocks_.back().get() + block_used_++ * words;
  }
  const Aggregates::Group group = free_.back();
  free_.pop_back();
  return group;
}

void PartTable::free_group(Aggregates::Group group) noexcept {
  aggregates_.destroy(group);
  free_.push_back(group);
}

/// A part lies in its key, or in memory that has grown to twice as much.
std::uint64_t PartTable::part_bytes() const noexcept {
  return 2 * sizeof(Part) + aggregates_.words() * sizeof(std::uint64_t);
}

void PartTable::count_parts(std::size_t now) noexcept {
  parts_ = now;
  share_.set(parts_ * part_bytes());
}

bool PartTable::has_room() const noexcept {
  return budget_ == nullptr || budget_->room() >= part_bytes();
}

PartTable::Part& PartTable::add(Key& key, std::size_t index, std::int64_t first,
                                std::int64_t last) {
  count_parts(parts_ + 1);
  return *key.parts.insert(key.parts.begin() + static_cast<std::ptrdiff_t>(index),
                           Part{first, last, new_group()});
}

Aggregates::Group PartTable::take_off(Key& key, std::size_t index) {
  const Aggregates::Group group = key.parts[index].group;
  key.parts.erase(key.parts.begin() + static_cast<std::ptrdiff_t>(index));
  count_parts(parts_ - 1);
  touch(key);
  return group;
}

void PartTable::take_off_front(Key& key, std::size_t count,
                               std::vector<Aggregates::Group>& groups) {
  if (count == 0) return;
  const auto end = key.parts.begin() + static_cast<std::ptrdiff_t>(count);
  for (auto part = key.parts.begin(); part != end; ++part) groups.push_back(part->group);
  key.parts.erase(key.parts.begin(), end);
  count_parts(parts_ - count);
  touch(key);
}

void PartTable::forget_empty() {
  std::vector<std::uint8_t> keep;
  keep.reserve(keys_.size());
  for (const auto& key : keys_) keep.push_back(key->parts.empty() ? 0 : 1);
  if (std::find(keep.begin(), keep.end(), 0) == keep.end()) return;
  table_.retain(keep);
  std::erase_if(keys_, [](const auto& key) { return key->parts.empty(); });
  for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i]->place = i;
}

void PartTable::append_key(const Key& key, std::span<Column> out, TextArena& texts) {
  table_.finish(key.place, out, {}, texts, std::chrono::milliseconds(0));
}

// ---- state

void PartTable::encode(std::size_t i, std::string& out) {
  const Key& key = *keys_[i];
  table_.encode_key(i, out);
  put_number(key.rows, out);
  put_number(key.parts.size(), out);
  for (const Part& part : key.parts) {
    put_signed(part.first, out);
    put_signed(part.last, out);
    aggregates_.encode(part.group, out);
  }
}

void PartTable::save(StateWriter& state) {
  saved_.save(state, {.count = keys_.size(),
                      .shard = [this](std::size_t i) { return keys_[i]->shard; },
                      .encode = [this](std::size_t i, ShardedState::Piece,
                                       std::string& out) { encode(i, out); }});
}

bool PartTable::load(std::string_view key, std::string_view value) {
  if (saved_.load(key, value.size()).piece != ShardedState::Piece::Whole) return false;
  while (!value.empty()) {
    if (!table_.decode_key_of(value)) return false;
    know_new_keys();
    Key& its = *keys_.back();
    std::uint64_t parts = 0;
    // Without `by` the one group was there already.
    if (!its.parts.empty() || !take_number(value, its.rows) || !take_number(value, parts)) {
      return false;
    }
    for (; parts > 0; --parts) {
      std::int64_t first = 0;
      std::int64_t last = 0;
      if (!take_signed(value, first) || !take_signed(value, last)) return false;
      if (!aggregates_.decode(value, add(its, its.parts.size(), first, last).group)) return false;
    }
  }
  return true;
}

std::uint64_t PartTable::bytes() const noexcept {
  return table_.bytes() + keys_.size() * key_bytes + parts_ * sizeof(Part) +
         blocks_.size() * groups_a_block * aggregates_.words() * sizeof(std::uint64_t);
}

}  // namespace sluice::analytics

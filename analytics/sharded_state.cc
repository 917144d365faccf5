#include "analytics/sharded_state.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sluice::analytics {
namespace {

constexpr std::size_t piece_bytes = 48 * 1024;
/// Then a shard is saved as a whole, however small they are.
constexpr std::size_t changes_max = 1000;
/// Of the numbers of pieces, that their keys keep the order.
constexpr std::size_t digits = 6;

std::string padded(std::size_t number) {
  const std::string text = std::to_string(number);
  return std::string(digits - text.size(), '0') + text;
}

std::string piece_key(std::size_t shard, std::size_t piece) {
  return std::to_string(shard) + "/" + padded(piece);
}

std::string change_key(std::size_t shard, std::size_t change) {
  return std::to_string(shard) + "/d" + padded(change);
}

bool read_number(std::string_view text, std::size_t& number) {
  const char* const last = text.data() + text.size();
  const auto read = std::from_chars(text.data(), last, number);
  return read.ec == std::errc() && read.ptr == last;
}

}  // namespace

/// Whether it is time to save it as a whole. Not the same for all, so that they take turns.
bool ShardedState::is_worn(std::size_t number, const Shard& shard) noexcept {
  const std::size_t percent = 50 + number * 101 % shards * 100 / shards;
  return shard.change_bytes * 100 >= shard.whole_bytes * percent || shard.changes >= changes_max;
}

void ShardedState::put_piece(StateWriter& state, std::size_t number, Shard& shard,
                             std::string content) {
  if (shard.whole) {
    shard.whole_bytes += content.size();
    state.put(piece_key(number, shard.pieces++), std::move(content));
  } else {
    shard.change_bytes += content.size();
    state.put(change_key(number, shard.changes++), std::move(content));
  }
}

/// What it was saved in before it was saved in `pieces` anew.
void ShardedState::forget(StateWriter& state, std::size_t number, const Shard& before,
                          std::size_t pieces) {
  for (std::size_t gone = pieces; gone < before.pieces; ++gone) {
    state.put(piece_key(number, gone), "");
  }
  for (std::size_t gone = 0; gone < before.changes; ++gone) {
    state.put(change_key(number, gone), "");
  }
}

/// What has to be saved.
std::vector<ShardedState::Chosen> ShardedState::choose(const Items& items) const {
  std::vector<Chosen> chosen;
  const auto look_at = [&](std::size_t item) {
    const std::size_t number = items.shard(item);
    const Shard& shard = shards_[number];
    if (!shard.changed || (!shard.whole && !items.changed(item))) return;
    chosen.push_back({static_cast<std::uint32_t>(item), static_cast<std::uint32_t>(number)});
  };
  if (items.chosen != nullptr) {
    for (const std::uint32_t item : *items.chosen) look_at(item);
  } else {
    for (std::size_t item = 0; item < items.count; ++item) look_at(item);
  }
  return chosen;
}

void ShardedState::save(StateWriter& state, const Items& items) {
  const auto has_changed = [](const Shard& shard) { return shard.changed; };
  if (std::none_of(shards_.begin(), shards_.end(), has_changed)) return;
  const std::vector<Shard> before = shards_;
  std::vector<std::string> content(shards);
  for (std::size_t number = 0; number < shards; ++number) {
    Shard& shard = shards_[number];
    if (!shard.changed) continue;
    shard.whole = shard.whole || items.changed == nullptr;
    if (shard.whole) shard.pieces = shard.changes = shard.whole_bytes = shard.change_bytes = 0;
    content[number].reserve(std::min(piece_bytes, before[number].whole_bytes) + 64);
  }
  constexpr std::size_t ahead = 16;
  const std::vector<Chosen> all = choose(items);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (items.expect != nullptr && i + ahead < all.size()) items.expect(all[i + ahead].item);
    const auto [item, number] = all[i];
    Shard& shard = shards_[number];
    items.encode(item, shard.whole ? Piece::Whole : Piece::Change, content[number]);
    if (content[number].size() < piece_bytes) continue;
    put_piece(state, number, shard, std::exchange(content[number], {}));
  }
  for (std::size_t number = 0; number < shards; ++number) {
    Shard& shard = shards_[number];
    if (!std::exchange(shard.changed, false)) continue;
    if (!content[number].empty()) put_piece(state, number, shard, std::move(content[number]));
    if (shard.whole) forget(state, number, before[number], shard.pieces);
    shard.whole = is_worn(number, shard);
  }
}

ShardedState::Loaded ShardedState::load(std::string_view key, std::size_t bytes) {
  const std::size_t slash = key.find('/');
  std::size_t number = 0;
  if (slash == key.npos || !read_number(key.substr(0, slash), number) || number >= shards) {
    return {};
  }
  Shard& shard = shards_[number];
  std::string_view place = key.substr(slash + 1);
  const bool is_change = place.starts_with('d');
  if (is_change) place.remove_prefix(1);
  std::size_t piece = 0;
  if (!read_number(place, piece) || place.size() != digits) return {};
  std::size_t& count = is_change ? shard.changes : shard.pieces;
  count = std::max(count, piece + 1);
  (is_change ? shard.change_bytes : shard.whole_bytes) += bytes;
  shard.whole = is_worn(number, shard);
  return {is_change ? Piece::Change : Piece::Whole, number};
}

}  // namespace sluice::analytics

#include "analytics/sharded_state.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sluice::analytics {
namespace {

constexpr std::size_t piece_bytes = 48 * 1024;

std::string piece_key(std::size_t shard, std::size_t piece) {
  return std::to_string(shard) + "/" + std::to_string(piece);
}

bool read_piece_key(std::string_view key, std::size_t& shard, std::size_t& piece) {
  const char* const last = key.data() + key.size();
  const auto first = std::from_chars(key.data(), last, shard);
  if (first.ec != std::errc() || first.ptr == last || *first.ptr != '/') return false;
  const auto second = std::from_chars(first.ptr + 1, last, piece);
  return second.ec == std::errc() && second.ptr == last;
}

}  // namespace

void ShardedState::save(StateWriter& state, std::size_t items,
                        const std::function<std::size_t(std::size_t)>& shard,
                        const std::function<void(std::size_t, std::string&)>& encode) {
  if (std::find(dirty_.begin(), dirty_.end(), 1) == dirty_.end()) return;
  std::vector<std::string> content(shards);
  std::vector<std::size_t> pieces(shards, 0);
  for (std::size_t item = 0; item < items; ++item) {
    const std::size_t its = shard(item);
    if (dirty_[its] == 0) continue;
    encode(item, content[its]);
    if (content[its].size() < piece_bytes) continue;
    state.put(piece_key(its, pieces[its]++), std::exchange(content[its], {}));
  }
  for (std::size_t each = 0; each < shards; ++each) {
    if (std::exchange(dirty_[each], 0) == 0) continue;
    if (!content[each].empty()) {
      state.put(piece_key(each, pieces[each]++), std::move(content[each]));
    }
    for (std::size_t gone = pieces[each]; gone < pieces_[each]; ++gone) {
      state.put(piece_key(each, gone), "");
    }
    pieces_[each] = pieces[each];
  }
}

bool ShardedState::load(std::string_view key) {
  std::size_t shard = 0;
  std::size_t piece = 0;
  if (!read_piece_key(key, shard, piece) || shard >= shards) return false;
  pieces_[shard] = std::max(pieces_[shard], piece + 1);
  return true;
}

}  // namespace sluice::analytics

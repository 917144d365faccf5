// A table as small saved values, of which only what has changed is written again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analytics/step.h"

namespace sluice::analytics {

/// Items of a table go into 256 shards by a hash of their keys. A shard is saved whole, in pieces
/// of about 48 KiB under the keys "SHARD/PIECE", or as its changes since, under "SHARD/dNUMBER",
/// until these are about as much again as the whole was; so a save costs what has changed, and all
/// that is there is at most about three times what the table takes. One thread.
class ShardedState {
 public:
  static constexpr std::size_t shards = 256;

  ShardedState() : shards_(shards) {}

  static std::size_t shard_of(std::uint64_t hash) noexcept { return hash % shards; }
  /// An item of it is not as it was saved, or new.
  void touch(std::size_t shard) noexcept { shards_[shard].changed = true; }
  /// An item of it has gone, which changes cannot say.
  void shrink(std::size_t shard) noexcept { shards_[shard].changed = shards_[shard].whole = true; }

  /// The items of a table as save() sees them.
  struct Items {
    std::size_t count = 0;
    std::function<std::size_t(std::size_t item)> shard;
    /// Whether it is not as it was saved; null: that is not known.
    std::function<bool(std::size_t item)> changed = nullptr;
    /// It will be encoded soon: its memory may be asked for. Null: that is of no use.
    std::function<void(std::size_t item)> expect = nullptr;
    std::function<void(std::size_t item, std::string& out)> encode;
  };
  /// Puts the shards that changed.
  void save(StateWriter& state, const Items& items);

  enum class Piece : unsigned char { None, Whole, Change };
  /// Notes that a piece is there, and says of what kind. In the order of their keys the changes of
  /// a shard come behind what is whole of it, older ones first. None: its key is not of this kind.
  Piece load(std::string_view key, std::size_t bytes);

 private:
  struct Shard {
    bool changed = false;
    bool whole = true;             ///< It has to be saved as a whole.
    std::size_t pieces = 0;        ///< It was saved in.
    std::size_t changes = 0;       ///< The number of the next one.
    std::size_t whole_bytes = 0;   ///< Of those pieces.
    std::size_t change_bytes = 0;  ///< Of what was saved since.
  };
  std::vector<std::pair<std::size_t, std::size_t>> chosen(const Items& items) const;
  static bool is_worn(std::size_t number, const Shard& shard) noexcept;
  static void put_piece(StateWriter& state, std::size_t number, Shard& shard, std::string content);
  static void forget(StateWriter& state, std::size_t number, const Shard& before,
                     std::size_t pieces);

  std::vector<Shard> shards_;
};

}  // namespace sluice::analytics

// A table as small saved values, of which only what has changed is written again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/step.h"

namespace sluice::analytics {

/// Items of a table go into 256 shards by a hash of their keys. A shard is saved whole, in pieces
/// of about 48 KiB under the keys "SHARD/NUMBER", or as its changes since, under "SHARD/dNUMBER",
/// until these are about as much again as the whole was; so a save costs what has changed, and all
/// that is there is at most about three times what the table takes. One thread.
class ShardedState {
 public:
  static constexpr std::size_t shards = 256;
  enum class Piece : unsigned char { None, Whole, Change };

  ShardedState() : shards_(shards) {}

  static std::size_t shard_of(std::uint64_t hash) noexcept { return hash % shards; }
  /// An item of it is not as it was saved, or new.
  void touch(std::size_t shard) noexcept { shards_[shard].changed = true; }
  /// An item of it has gone, which changes cannot say.
  void shrink(std::size_t shard) noexcept { shards_[shard].changed = shards_[shard].whole = true; }

  /// If it changes, it is saved whole the next time.
  bool is_whole(std::size_t shard) const noexcept { return shards_[shard].whole; }

  /// The items of a table as save() sees them.
  struct Items {
    std::size_t count = 0;
    /// Null, or those that changed and all of the shards that is_whole(), in any case in order.
    const std::vector<std::uint32_t>* chosen = nullptr;
    std::function<std::size_t(std::size_t item)> shard;
    /// Whether it is not as it was saved; null: that is not known.
    std::function<bool(std::size_t item)> changed = nullptr;
    /// It will be encoded soon: its memory may be asked for. Null: that is of no use.
    std::function<void(std::size_t item)> expect = nullptr;
    /// Whole: as one of all that a shard has. Change: as one that is not as it was saved.
    std::function<void(std::size_t item, Piece piece, std::string& out)> encode;
  };
  /// Puts the shards that changed.
  void save(StateWriter& state, const Items& items);

  struct Loaded {
    Piece piece = Piece::None;
    std::size_t shard = 0;
  };
  /// Notes that a piece is there, and says of what kind. In the order of their keys the changes of
  /// a shard come behind what is whole of it, all as they were saved. None: its key is not of this
  /// kind.
  Loaded load(std::string_view key, std::size_t bytes);

 private:
  struct Shard {
    bool changed = false;
    bool whole = true;             ///< As is_whole().
    std::size_t pieces = 0;        ///< It was saved in.
    std::size_t changes = 0;       ///< The number of the next one.
    std::size_t whole_bytes = 0;   ///< Of those pieces.
    std::size_t change_bytes = 0;  ///< Of what was saved since.
  };
  struct Chosen {
    std::uint32_t item;
    std::uint32_t shard;
  };
  std::vector<Chosen> choose(const Items& items) const;
  static bool is_worn(std::size_t number, const Shard& shard) noexcept;
  static void put_piece(StateWriter& state, std::size_t number, Shard& shard, std::string content);
  static void forget(StateWriter& state, std::size_t number, const Shard& before,
                     std::size_t pieces);

  std::vector<Shard> shards_;
};

}  // namespace sluice::analytics

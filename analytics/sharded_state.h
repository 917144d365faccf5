// A table as small saved values, of which only those that changed are written again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/step.h"

namespace sluice::analytics {

/// Items of a table go into 256 shards by a hash of their keys, and a shard into pieces of about
/// 48 KiB, under keys "SHARD/PIECE". One thread.
class ShardedState {
 public:
  static constexpr std::size_t shards = 256;

  ShardedState() : dirty_(shards, 0), pieces_(shards, 0) {}

  static std::size_t shard_of(std::uint64_t hash) noexcept { return hash % shards; }
  /// An item of it is not as it was saved.
  void touch(std::size_t shard) noexcept { dirty_[shard] = 1; }

  /// Puts the shards that changed: of `items` items those that they have.
  void save(StateWriter& state, std::size_t items,
            const std::function<std::size_t(std::size_t item)>& shard,
            const std::function<void(std::size_t item, std::string& out)>& encode);
  /// Notes that a piece is there. False: its key is not of this kind.
  bool load(std::string_view key);

 private:
  std::vector<std::uint8_t> dirty_;
  std::vector<std::size_t> pieces_;  ///< By shard: what it was saved in.
};

}  // namespace sluice::analytics

// Groups that lie in several parts a key: sessions, and the pieces of counted windows.
#pragma once

#include <boost/container/small_vector.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/aggregates.h"
#include "analytics/group_table.h"
#include "analytics/rows.h"
#include "analytics/sharded_state.h"
#include "analytics/step.h"

namespace sluice::analytics {

/// Keys, each with its parts in order; what a part's rows have come to is a group. Not thread-safe.
class PartTable {
 public:
  struct Part {
    std::int64_t first = 0;  ///< Where it begins and ends, as its owner counts.
    std::int64_t last = 0;
    Aggregates::Group group = nullptr;
  };
  struct Key {
    boost::container::small_vector<Part, 1> parts;
    std::uint64_t rows = 0;  ///< For the owner's use.
    std::size_t place = 0;   ///< Among the keys, which keep the order in which they came.
    std::size_t shard = 0;
  };
  /// `aggregates` outlives it.
  PartTable(GroupTable::Options options, Aggregates& aggregates);
  PartTable(const PartTable&) = delete;
  PartTable& operator=(const PartTable&) = delete;
  ~PartTable();

  /// The key of each row, which counts as changed. Valid until the next find() or forget_empty().
  std::span<Key* const> find(std::span<const Column* const> keys, std::uint32_t rows);
  /// Whether the budget has room for another part.
  bool has_room() const noexcept;
  /// A new part of the key before the part at `index`. Its group has seen nothing.
  Part& add(Key& key, std::size_t index, std::int64_t first, std::int64_t last);
  /// Takes a part off its key. Its group is free once that is destroyed, by free_group().
  Aggregates::Group take_off(Key& key, std::size_t index);
  /// So many parts at the front; their groups are appended.
  void take_off_front(Key& key, std::size_t count, std::vector<Aggregates::Group>& groups);
  void free_group(Aggregates::Group group) noexcept;
  /// One that belongs to no part.
  Aggregates::Group new_group();

  std::span<const std::unique_ptr<Key>> keys() const noexcept { return keys_; }
  std::size_t parts() const noexcept { return parts_; }
  void touch(const Key& key) { saved_.touch(key.shard); }
  /// Keys without parts go.
  void forget_empty();

  /// Appends the values of the key.
  void append_key(const Key& key, std::span<Column> out, TextArena& texts);

  /// Puts what has changed; keys as ShardedState has them.
  void save(StateWriter& state);
  /// False: it is not what save() put.
  [[nodiscard]] bool load(std::string_view key, std::string_view value);

  std::uint64_t overflowed() const noexcept { return table_.overflowed(); }
  std::uint64_t bytes() const noexcept;

 private:
  static constexpr std::size_t groups_a_block = 256;

  void know_new_keys();
  void encode(std::size_t i, std::string& out);
  std::uint64_t part_bytes() const noexcept;
  void count_parts(std::size_t now) noexcept;

  Aggregates& aggregates_;
  StateBudget* const budget_;
  Aggregates nothing_{{}};  ///< The table of keys has no functions of its own.
  GroupTable table_;        ///< Each group is the address of its key.
  std::vector<std::unique_ptr<Key>> keys_;
  std::vector<Key*> found_;
  std::vector<std::unique_ptr<std::uint64_t[]>> blocks_;
  std::size_t block_used_ = groups_a_block;
  std::vector<Aggregates::Group> free_;
  std::size_t parts_ = 0;
  StateBudget::Share share_;  ///< Of the parts.
  ShardedState saved_;
};

}  // namespace sluice::analytics

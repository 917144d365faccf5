// The groups of an aggregation: their keys and what their rows have come to.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/aggregates.h"
#include "analytics/key_table.h"
#include "analytics/rows.h"
#include "analytics/state_budget.h"

namespace sluice::analytics {

/// Rows by key. Groups keep the order in which their keys came. Not thread-safe.
class GroupTable {
 public:
  struct Options {
    std::vector<ColumnType> keys;  ///< None: all rows are one group, which is always there.
    std::uint64_t seed = 0;
    /// What comes with a key beyond so many goes into one group of its own, whose texts are
    /// "(other)" and whose other keys are null.
    std::size_t keys_max = 2'000'000;
    /// What the groups are charged to; rows of keys that it has no room for go into that one group,
    /// too. It outlives the table. Null: there is no such bound.
    StateBudget* budget = nullptr;
    /// Of the budget the table takes at most half of what others left: there are more tables to
    /// come.
    bool leaves_half = false;
    /// What a group costs its owner beside this.
    std::size_t owner_bytes = 0;
    /// Words of 64 bits that a group has for its owner's use, 0 at first; see extra().
    std::size_t extra_words = 0;
  };
  /// `aggregates` outlives it.
  GroupTable(Options options, Aggregates& aggregates);
  GroupTable(GroupTable&&) noexcept = default;
  ~GroupTable();

  /// Folds rows into their groups. The words of extra() may be written at groups()[row] behind it.
  void fold(std::span<const Column* const> keys, std::span<const Column* const> arguments,
            std::uint32_t rows);
  /// Of the last fold(), by row; valid until the next.
  std::span<const Aggregates::Group> groups() const noexcept { return groups_; }
  std::uint64_t* extra(Aggregates::Group group) const noexcept { return group + own_words_; }

  /// Adds the groups of another one of the same options and layout, which came later.
  void merge(GroupTable& from);

  /// Adds groups that have seen nothing for those of its keys that are new here, and that there is
  /// room for. True: there were any.
  bool add_keys(GroupTable& from);

  std::size_t size() const noexcept { return table_.size(); }
  Aggregates::Group group(std::size_t i) noexcept {
    return words_ == 1 ? table_.entry(i).word : dense_group(i);
  }
  struct Entry {
    std::string_view key;  ///< As the table keeps it.
    bool is_null = false;
    Aggregates::Group group = nullptr;
  };
  /// Group i, and its key. Valid until the table changes.
  Entry entry(std::size_t i) noexcept;
  /// Appends key and results of a group: a column each. Valid as the entry, or `texts`.
  void finish(const Entry& entry, std::span<Column> keys, std::span<Column> results,
              TextArena& texts, std::chrono::milliseconds length) const;
  void finish(std::size_t i, std::span<Column> keys, std::span<Column> results, TextArena& texts,
              std::chrono::milliseconds length) {
    finish(entry(i), keys, results, texts, length);
  }
  /// Appends one of the results of groups of this table. Valid as above.
  void finish_result(std::span<const std::uint64_t* const> groups, std::size_t result, Column& out,
                     TextArena& texts, std::chrono::milliseconds length) const {
    aggregates_->finish_one(groups, result, out, texts, length);
  }
  /// Who asks for keys here and there says so a little before.
  void expect(std::size_t i) const noexcept {
    table_.expect(i);
    if (words_ > 1) __builtin_prefetch(dense_group(i));
  }
  /// A hash of the key of group i; the same in every process.
  std::uint64_t key_hash(std::size_t i) noexcept;

  /// Appends key and what group i has seen, but for its extra words.
  void encode(std::size_t i, std::string& out);
  /// Reads a group that encode() wrote off the front of the text: the last one then. False: it is
  /// anything else, or its key is there already.
  [[nodiscard]] bool decode_group(std::string_view& text);
  /// The same without the key, which is known from elsewhere: what the group has seen takes the
  /// place of what it had. False: the text is anything else; the group has seen nothing then.
  void encode_results(std::size_t i, std::string& out) { aggregates_->encode(group(i), out); }
  [[nodiscard]] bool decode_results(std::size_t i, std::string_view& text);
  /// Adds groups that encode() wrote, until the text ends. False: it is anything else.
  [[nodiscard]] bool decode(std::string_view text);

  // The keys alone, for owners that keep elsewhere what belongs to them:
  void encode_key(std::size_t i, std::string& out);
  /// Adds a key that encode_key() wrote at the front of the text, as the last one. False: it is
  /// anything else.
  [[nodiscard]] bool decode_key_of(std::string_view& text) { return add_key_of(text) != nullptr; }

  /// Keeps group i where keep[i] is not 0.
  void retain(std::span<const std::uint8_t> keep);
  void clear();

  /// Rows that went to the group of others since the table was made, as keys_max says; the budget
  /// counts those that went there as it says.
  std::uint64_t overflowed() const noexcept { return overflowed_; }
  std::size_t bytes() const noexcept;
  /// What the budget is charged for a table without groups, which take so many words each.
  static std::uint64_t base_bytes(std::size_t words) noexcept;

 private:
  static constexpr std::size_t groups_a_block = 512;

  bool plain_key() const noexcept {
    return options_.keys.size() == 1 && options_.keys[0] == ColumnType::Text;
  }
  std::span<const Cell> encoded_keys(std::span<const Column* const> keys, std::uint32_t rows);
  void append_key(std::span<const Column* const> keys, std::size_t row);
  std::string other_key() const;
  std::uint64_t room() const noexcept;
  std::uint64_t cost_of(std::size_t key_bytes) const noexcept;
  bool has_room(std::span<const Cell> keys, std::span<const std::uint8_t> nulls) const noexcept;
  void charge() noexcept;
  std::uint64_t* add_key(std::string_view key, bool is_null);
  void close_gaps(std::span<const std::uint8_t> keep);
  void compact();
  void divert(std::span<Cell> keys, std::span<std::uint8_t> nulls);
  Aggregates::Group group_of(std::uint64_t* word);
  Aggregates::Group dense_group(std::size_t i) const noexcept {
    return blocks_[i / groups_a_block].get() + i % groups_a_block * words_;
  }
  void find_groups(std::span<const Cell> keys, std::span<const std::uint8_t> nulls);
  Aggregates::Group add(std::string_view key, bool is_null);
  Aggregates::Group add_key_of(std::string_view& text);
  void destroy_groups() noexcept;
  void decode_key(std::string_view key, bool is_null, std::span<Column> out) const;

  Options options_;
  Aggregates* aggregates_;
  std::size_t own_words_;
  std::size_t words_;  ///< Of a group, with its extra words.
  /// The word of a key: its group, where that is one word; else its place among the groups, and 1.
  KeyTable table_;
  /// Groups of several words, in the order of their keys: who looks at all of them reads memory
  /// from front to back.
  std::vector<std::unique_ptr<std::uint64_t[]>> blocks_;
  std::size_t groups_made_ = 0;  ///< In the blocks.
  std::string other_;
  std::uint64_t overflowed_ = 0;
  StateBudget::Share share_;
  // Scratch of a chunk:
  std::vector<std::uint64_t*> found_;
  std::vector<Aggregates::Group> groups_;
  std::string key_text_;
  std::vector<Cell> key_cells_;
  std::vector<std::size_t> key_ends_;
  std::vector<std::uint8_t> nulls_;
};

}  // namespace sluice::analytics

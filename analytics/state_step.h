// What lives longer than a batch, by key: running totals.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/aggregates.h"
#include "analytics/group_rows.h"
#include "analytics/group_table.h"
#include "analytics/sharded_state.h"
#include "analytics/state_budget.h"
#include "analytics/step.h"
#include "core/base/status.h"

namespace sluice::analytics {

/// Merges the rows of each batch into what it knows of their keys.
///
/// Running: every batch passes on all keys, as updateStateByKey does. Changes: only those that came
/// in this batch, and once more those that go, as mapWithState does. A key that did not come for
/// `timeout_ms` goes. Behind a window its batches are those in which one ends.
class StateStep final : public Step {
 public:
  struct Options {
    std::vector<std::size_t> keys = {};    ///< Columns of the input.
    std::vector<std::size_t> values = {};  ///< Columns of the input, one a function.
    bool changes_only = false;
    std::int64_t timeout_ms = 0;  ///< 0: never.
    std::size_t keys_max = 2'000'000;
    std::uint64_t state_bytes_max = StateBudget::no_limit;
    std::uint64_t seed = 0;
  };
  /// `aggregates`: a function of one argument for each value, whose results have its name.
  StateStep(const Schema& input, Options options, std::vector<Aggregate> aggregates);

  /// What it begins with where nothing was saved: lines of CSV with the columns of its input.
  /// Before the first push(). Errors: Invalid, with the number of the line.
  Status begin_with(std::string_view csv);

  Used use(const Used& used) override;
  void push(const Rows& rows) override;
  bool takes_parts(std::span<const std::optional<AggregateFunction>> how) const noexcept override;
  void tick(const Tick& tick) override;
  void save(StateWriter& state) override;
  bool load(const SavedState& state) override;
  std::uint64_t state_bytes() const noexcept override;
  std::vector<LeftOut> left_out() const override {
    return {{LeftOut::overflowed, overflowed_},
            {LeftOut::oversized, budget_.rows_refused()},
            {LeftOut::valueless, budget_.values_refused()}};
  }
  std::uint64_t keys() const noexcept override { return groups_.size(); }

 private:
  /// The words that a group has beside those of its functions. Last: a Mark. Time: of the batch
  /// that it came in last, ms since 1970, 0 before its first batch is over.
  enum Extra : std::size_t { Last, Time, Count };
  /// Where a group is saved and in which batch it came last, in one word, so that who looks for
  /// changes need not look at keys.
  struct Mark {
    static constexpr unsigned shard_bits = 8;
    static constexpr unsigned place_bits = 22;
    static constexpr unsigned place_shift = shard_bits;
    static constexpr unsigned batch_shift = shard_bits + place_bits;
    /// Of keys beyond so many of a shard, which is saved whole then: a thousand million of all.
    static constexpr std::uint64_t no_place = (std::uint64_t{1} << place_bits) - 1;
    static_assert(ShardedState::shards == std::size_t{1} << shard_bits);

    static std::size_t shard(std::uint64_t word) noexcept { return word % ShardedState::shards; }
    /// Among the keys of its shard, in the order in which they came.
    static std::uint64_t place(std::uint64_t word) noexcept {
      return word >> place_shift & no_place;
    }
    static std::uint64_t batch(std::uint64_t word) noexcept { return word >> batch_shift; }
    static std::uint64_t with_batch(std::uint64_t word, std::uint64_t batch) noexcept {
      return batch << batch_shift | (word & ((std::uint64_t{1} << batch_shift) - 1));
    }
    static std::uint64_t with_home(std::uint64_t word, std::size_t shard,
                                   std::uint64_t place) noexcept {
      return batch(word) << batch_shift | std::min(place, no_place) << place_shift | shard;
    }
  };
  using ByShard = std::array<std::uint64_t, ShardedState::shards>;

  static Schema schema_of(const Schema& input, const Options& options,
                          const std::vector<Aggregate>& aggregates);
  static std::vector<AggregateFunction> functions_of(const std::vector<Aggregate>& aggregates);
  void note_change(std::uint64_t* extra) noexcept;
  void settle();
  void pass_chosen();
  void take_out();
  std::uint64_t& last_of(std::size_t i) noexcept {
    return groups_.extra(groups_.group(i))[Extra::Last];
  }
  void find_home(std::size_t i) noexcept;
  void encode(std::size_t i, ShardedState::Piece piece, std::string& out);
  bool decode_whole(std::string_view& text, std::size_t shard);
  bool decode_change(std::string_view& text, std::size_t shard);
  bool decode_time(std::string_view& text, std::size_t i);

  const Options options_;
  const Schema input_;
  StateBudget budget_;
  std::vector<AggregateFunction> functions_;
  Aggregates aggregates_;
  GroupTable groups_;
  std::uint64_t batch_ = 1;          ///< Rises with the ticks.
  std::int64_t now_ms_ = 0;          ///< Of the last tick.
  std::vector<std::uint8_t> going_;  ///< By group: its time is over.
  ShardedState saved_;
  std::uint64_t saved_up_to_ = 1;  ///< What came in earlier batches is saved.
  ByShard homes_{};                ///< Keys of a shard that have a place in it,
  ByShard saved_homes_{};          ///< and those of them that are saved.
  /// Of the last batch, for save(), where `has_chosen_`; empty before that.
  std::vector<std::uint32_t> chosen_;
  bool has_chosen_ = false;
  bool has_begun_with_ = false;  ///< It began with something, and there was no batch since.
  /// While it is loaded: the groups of a shard, by place.
  std::vector<std::vector<std::uint32_t>> loaded_;
  std::atomic<std::uint64_t> overflowed_{0};  ///< Rows of keys beyond keys_max.
  std::vector<const Column*> key_columns_;
  std::vector<const Column*> value_columns_;
  GroupRows rows_;
};

}  // namespace sluice::analytics

// What lives longer than a batch, by key: running totals.
#pragma once

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
  /// The words that a group has beside those of its functions. Batch: the last one that it came
  /// in, times 256, and its shard, so that who looks for changes need not look at keys.
  enum Extra : std::size_t { Batch, Time, Count };
  static_assert(ShardedState::shards == 256);

  static Schema schema_of(const Schema& input, const Options& options,
                          const std::vector<Aggregate>& aggregates);
  static std::vector<AggregateFunction> functions_of(const std::vector<Aggregate>& aggregates);
  void pass_chosen();
  void take_out();
  std::size_t shard_of(std::size_t i) noexcept {
    return groups_.extra(groups_.group(i))[Extra::Batch] % ShardedState::shards;
  }
  std::uint64_t batch_of(std::size_t i) noexcept {
    return groups_.extra(groups_.group(i))[Extra::Batch] / ShardedState::shards;
  }
  void note_shard(std::size_t i) noexcept;
  void encode(std::size_t i, std::string& out);
  bool decode(std::string_view text, ShardedState::Piece piece);

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
  std::uint64_t saved_up_to_ = 1;             ///< What came in earlier batches is saved.
  std::atomic<std::uint64_t> overflowed_{0};  ///< Rows of keys beyond keys_max.
  std::vector<const Column*> key_columns_;
  std::vector<const Column*> value_columns_;
  GroupRows rows_;
};

}  // namespace sluice::analytics

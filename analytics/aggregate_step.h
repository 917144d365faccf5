// Rows by key and window: counts, sums, extremes, sketches.
#pragma once

#include <atomic>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "analytics/aggregates.h"
#include "analytics/aside_rows.h"
#include "analytics/expression.h"
#include "analytics/group_inputs.h"
#include "analytics/group_rows.h"
#include "analytics/group_table.h"
#include "analytics/row_picker.h"
#include "analytics/row_times.h"
#include "analytics/state_budget.h"
#include "analytics/step.h"
#include "analytics/window.h"

namespace sluice::analytics {

/// Folds rows into groups as they come, and passes on a row a group at the end of each window.
/// Where windows are of event time, its rows begin with the columns window_start and window_end.
///
/// Windows of event time are passed on once the watermark (the latest time seen less the delay, as
/// it was at the end of the batch before) has reached their end. A row belongs to the windows
/// that its time lies in; one whose windows have all been passed on is late. What lies further
/// ahead of the clock than `future_ms`, or has no time (or one before 1970), is left out. All three
/// are counted; late rows are passed on by aside(), too.
///
/// With Window::keep_zero every window has the keys of all windows before it, those first that came
/// first.
class AggregateStep final : public Step {
 public:
  struct Options {
    std::vector<std::size_t> keys = {};  ///< Columns of the input.
    Window window = {};
    std::optional<Expression> time = {};  ///< Of a row, with event time: an int.
    bool time_reads_events = false;
    std::size_t keys_max = 2'000'000;
    std::uint64_t state_bytes_max = StateBudget::no_limit;
    std::uint64_t seed = 0;
    std::int64_t interval_ms = 0;  ///< Of batches.
  };
  AggregateStep(const Schema& input, Options options, std::vector<Aggregate> aggregates,
                std::vector<AggregateArgument> arguments);

  Used use(const Used& used) override;
  /// Late rows; there are none by processing time.
  AsideRows* aside() noexcept override {
    return options_.window.event_time ? &late_rows_ : nullptr;
  }
  void set_now(std::int64_t now_ms) override { times_.set_now(now_ms); }
  void push(const Rows& rows) override;
  void start(std::int64_t now_ms) override;
  void rest() override;
  void tick(const Tick& tick) override;
  void save(StateWriter& state) override;
  bool load(const SavedState& state) override;
  std::uint64_t state_bytes() const noexcept override;
  std::vector<LeftOut> left_out() const override;
  std::uint64_t keys() const noexcept override;

 private:
  /// What came in a piece of time, which lies in as many windows as its length times slide gives.
  struct Pane {
    explicit Pane(GroupTable its) : groups(std::move(its)) {}
    GroupTable groups;
    bool changed = true;     ///< Since it was saved.
    std::size_t pieces = 0;  ///< It was saved in.
  };
  using Panes = std::map<std::int64_t, Pane>;  ///< By their ends.

  static Schema schema_of(const Schema& input, const Options& options,
                          const std::vector<Aggregate>& aggregates);
  bool goes_in_parts() const;
  GroupTable make_table(StateBudget* budget);
  Pane& pane_at(std::int64_t end);
  bool has_room_at(std::int64_t end, std::size_t rows);
  void fold(const Rows& rows, Pane& pane);
  void fold_by_time(const Rows& rows);
  std::int64_t pane_of(std::int64_t time, bool& is_late);
  void tick_batch(const Tick& tick);
  bool tick_windows(const Tick& tick);
  void tick_event_time(const Tick& tick);
  void close_pane(std::int64_t end);
  std::set<std::int64_t> missed_windows(std::int64_t now) const;
  void pass_on_windows(std::int64_t up_to);
  void emit_window(std::int64_t end);
  void emit(GroupTable& groups, std::int64_t window_end, std::int64_t length_ms);
  void drop_panes(std::int64_t passed);
  std::int64_t first_window_end(std::int64_t pane_end) const noexcept;
  std::int64_t last_window_end(std::int64_t pane_end) const noexcept;
  void save_pane(StateWriter& state, std::int64_t end, Pane& pane);
  static void forget_pane(StateWriter& state, std::int64_t end, std::size_t from, std::size_t to);

  Options options_;
  StateBudget budget_;
  const std::size_t inputs_;
  const std::int64_t pane_ms_;
  std::vector<ColumnType> key_types_;
  const std::vector<Aggregate> functions_;
  Aggregates aggregates_;
  GroupInputs reader_;
  bool in_parts_ = false;  ///< What is behind it takes groups before the batch ends.
  Panes panes_;
  std::optional<Pane> zeros_;  ///< All keys that windows had, where those that left them stay.
  std::vector<std::pair<std::int64_t, std::size_t>>
      gone_;                   ///< Panes that were saved and are no more.
  std::int64_t open_end_ = 0;  ///< When the pane that rows come into ends; 0: it has none yet.
  RowTimes times_;
  std::int64_t passed_on_ms_ =
      std::numeric_limits<std::int64_t>::min();  ///< End of the last window.
  std::set<std::int64_t> updated_;               ///< Panes that late rows came into.
  std::atomic<std::uint64_t> late_{0};
  std::atomic<std::uint64_t> overflowed_{0};  ///< Rows of keys beyond keys_max.
  // Scratch of a chunk:
  TextArena arena_;
  std::vector<std::int64_t> pane_ends_;
  std::vector<std::uint32_t> late_chosen_;
  AsideRows late_rows_;
  RowPicker picker_;
  GroupRows rows_;
};

}  // namespace sluice::analytics

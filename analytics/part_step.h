// Aggregations whose windows are each key's own: sessions, and windows of so many rows.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "analytics/aggregates.h"
#include "analytics/aside_rows.h"
#include "analytics/group_inputs.h"
#include "analytics/part_table.h"
#include "analytics/row_picker.h"
#include "analytics/row_times.h"
#include "analytics/state_budget.h"
#include "analytics/step.h"

namespace sluice::analytics {

/// What both have: keys with parts, and rows of results.
class PartStep : public Step {
 public:
  struct Options {
    std::vector<std::size_t> keys = {};  ///< Columns of the input.
    std::size_t keys_max = 2'000'000;
    std::uint64_t state_bytes_max = StateBudget::no_limit;
    std::uint64_t seed = 0;
  };
  Used use(const Used& used) override;
  void save(StateWriter& state) override { parts_.save(state); }
  bool load(const SavedState& state) override;
  std::uint64_t state_bytes() const noexcept override;
  std::vector<LeftOut> left_out() const override;
  std::uint64_t keys() const noexcept override { return parts_.keys().size(); }

 protected:
  /// `front`: columns of results before the keys.
  PartStep(const Schema& input, const Options& options, std::vector<Schema::Field> front,
           std::vector<Aggregate> aggregates, std::vector<AggregateArgument> arguments);

  /// Puts a row of results together, and passes on what fills a chunk.
  void emit(std::span<const Cell> front, const PartTable::Key& key, const std::uint64_t* group,
            std::chrono::milliseconds length);
  /// Passes on the rest.
  void flush();
  /// The group of rows that are on their way: it is free once they are passed on.
  void free_behind(Aggregates::Group group) { spent_.push_back(group); }
  /// As free_behind(), of so many parts at the front of a key.
  void spend_front(PartTable::Key& key, std::size_t parts) {
    parts_.take_off_front(key, parts, spent_);
  }
  /// Takes what belongs nowhere; seen nothing again behind free_spare().
  Aggregates::Group spare();
  void free_spare() noexcept;
  void count_overflowed();

  const std::size_t inputs_;
  const std::size_t keys_;
  StateBudget budget_;
  Aggregates aggregates_;
  GroupInputs reader_;
  PartTable parts_;
  std::vector<Aggregates::Group> groups_;  ///< By row of a chunk.
  std::atomic<std::uint64_t> overflowed_{0};

 private:
  static Schema schema_of(const Schema& input, const Options& options,
                          std::vector<Schema::Field> front,
                          const std::vector<Aggregate>& aggregates);
  static std::vector<ColumnType> types_of(const Schema& input, const Options& options);

  std::uint64_t diverted_ = 0;  ///< Rows of keys beyond keys_max, as the table counts them.
  std::vector<Aggregates::Group> spent_;
  Aggregates::Group spare_ = nullptr;
  std::vector<Column> out_columns_;
  TextArena out_texts_;
  Rows out_;
};

/// Sessions: rows of a key that follow on one another within a gap. A session ends that long after
/// its last row; a row that comes in time between two joins them.
///
/// Its rows begin with window_start, the time of the first row, and window_end, the gap behind that
/// of the last one. By event time a session is passed on when the watermark has reached its end,
/// and a row whose own session would have ended by then is late: aside() has it. By processing time
/// a row's time is when it came, and a session is passed on when a batch ends further behind it
/// than the gap. At most keys_max sessions are open, and no more than state_bytes_max has room for;
/// rows that would open another are left out.
class SessionStep final : public PartStep {
 public:
  struct Session {
    std::int64_t gap_ms = 0;
    std::optional<Expression> time = {};  ///< Of a row, an int; none: processing time.
    bool time_reads_events = false;
    RowTimes::Options times = {};
  };
  SessionStep(const Schema& input, const Options& options, Session session,
              std::vector<Aggregate> aggregates, std::vector<AggregateArgument> arguments);

  Used use(const Used& used) override;
  /// Late rows; there are none by processing time.
  AsideRows* aside() noexcept override { return session_.time ? &late_rows_ : nullptr; }
  void start(std::int64_t now_ms) override { times_.set_now(now_ms); }
  void set_now(std::int64_t now_ms) override { times_.set_now(now_ms); }
  void push(const Rows& rows) override;
  void tick(const Tick& tick) override;
  void save(StateWriter& state) override;
  bool load(const SavedState& state) override;
  std::vector<LeftOut> left_out() const override;

 private:
  std::span<const std::int64_t> times_of(const Rows& rows);
  Aggregates::Group join(PartTable::Key& key, std::int64_t time);
  void pass_on(std::int64_t up_to);

  Session session_;
  const std::size_t sessions_max_;
  RowTimes times_;
  std::atomic<std::uint64_t> late_{0};
  std::atomic<std::uint64_t> roomless_{0};  ///< Rows that would have opened one session too many.
  // Scratch of a chunk:
  TextArena arena_;
  std::vector<std::int64_t> now_;
  std::vector<std::uint32_t> chosen_;
  std::vector<std::int64_t> chosen_times_;
  std::vector<std::uint32_t> late_chosen_;
  AsideRows late_rows_;
  RowPicker picker_;
  /// Sessions that turned out to be one: the second goes into the first.
  std::vector<std::pair<Aggregates::Group, Aggregates::Group>> joined_;
};

/// Windows of so many rows of a key, every so many of them; passed on as soon as they are full. At
/// the start of a key those that slide have fewer rows. Rows for whose window state_bytes_max has
/// no room are left out, as if they had not come.
class CountStep final : public PartStep {
 public:
  /// `length` and `slide` in rows.
  CountStep(const Schema& input, const Options& options, std::uint64_t length, std::uint64_t slide,
            std::vector<Aggregate> aggregates, std::vector<AggregateArgument> arguments);

  void push(const Rows& rows) override;

 private:
  void pass_on(PartTable::Key& key, std::uint64_t end);
  void drop_parts(PartTable::Key& key);

  const std::uint64_t length_;
  const std::uint64_t slide_;
  const std::uint64_t part_rows_;
  std::vector<std::pair<PartTable::Key*, std::uint64_t>> full_;  ///< Windows, by their ends.
};

}  // namespace sluice::analytics

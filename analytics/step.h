// One operation of an analysis, and how rows pass through a tree of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/aggregate_call.h"
#include "analytics/row_order.h"
#include "analytics/rows.h"
#include "core/event/batch.h"

namespace sluice::analytics {

/// The end of a batch.
struct Tick {
  std::int64_t time_ms = 0;      ///< Its name: the wall time at which it ends, exclusive.
  std::int64_t interval_ms = 0;  ///< How long batches are.
  /// False: behind a window that did not end in this batch, for which there is no result then, not
  /// even an empty one. Spark has it so, of all that is behind a window.
  bool due = true;
};

/// Columns that somebody reads, by their places; the last one stands for the events themselves
/// (Rows::events), which header('x') needs.
using Used = std::vector<bool>;

/// What state is kept as: small values under keys of their own. Keys are the step's own.
class StateWriter {
 public:
  virtual ~StateWriter() = default;
  /// An empty value: there is no such key any more.
  virtual void put(std::string_view key, std::string value) = 0;
};
/// What a step has saved, key by key.
using SavedState = std::map<std::string, std::string, std::less<>>;

/// Rows that a step counted and left out, and why.
struct LeftOut {
  static constexpr std::string_view bad = "bad records";
  static constexpr std::string_view late = "late rows";
  static constexpr std::string_view future = "rows of the future";
  static constexpr std::string_view timeless = "rows without a time";
  static constexpr std::string_view roomless = "rows without room for a session";
  /// They are not left out, but lose their key.
  static constexpr std::string_view overflowed = "rows of keys beyond maxKeys";
  /// So do they, or they are left out where the key had a place and the row has none.
  static constexpr std::string_view oversized = "rows beyond maxStateBytes";
  /// Their rows count, but these values do not.
  static constexpr std::string_view valueless = "values beyond maxStateBytes";

  std::string_view why;
  std::uint64_t rows = 0;
};

class AsideRows;

/// A step. Rows are pushed into it, chunk by chunk; at the end of the batch tick() makes it pass on
/// what it held back. One thread. It does not own the steps behind it.
class Step {
 public:
  explicit Step(Schema schema) : schema_(std::move(schema)) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  /// Of the rows that it passes on.
  const Schema& schema() const noexcept { return schema_; }
  void add_next(Step& next) { next_.push_back(&next); }
  const std::vector<Step*>& next() const noexcept { return next_; }

  /// `used`: what the steps behind it read of schema(). Returns what it reads of its input. Called
  /// once, before any rows.
  virtual Used use(const Used& used) = 0;

  /// Before any rows: what the clock on the wall says.
  virtual void start(std::int64_t /*now_ms*/) {}

  /// Before rows that have just come: what the clock on the wall says.
  virtual void set_now(std::int64_t /*now_ms*/) {}

  /// The rows, and what they view, are valid until it returns.
  virtual void push(const Rows& rows) = 0;
  /// True when it takes events as they come; then push(batch) is called, not push(rows).
  virtual bool takes_events() const noexcept { return false; }
  virtual void push(const Batch& /*events*/) {}
  /// What has the rows that this step leaves out, for others; null: nobody gets any from it.
  virtual AsideRows* aside() noexcept { return nullptr; }
  /// Which of the rows that may still come in this batch it has no use for; nothing: it has for
  /// all. Changes with every push().
  virtual std::optional<RowBound> bound() const { return std::nullopt; }
  /// True: rows of a batch may come as parts, any number of each, of which column i goes together
  /// by how[i]; where that is nothing, all parts have the same value. Results are the same.
  virtual bool takes_parts(
      std::span<const std::optional<AggregateFunction>> /*how*/) const noexcept {
    return false;
  }
  /// Nothing comes just now: what tick() would have to do may be done before.
  virtual void rest() {}

  /// Every row of the batch has been pushed.
  virtual void tick(const Tick& tick) { tick_next(tick); }

  /// What must outlive the process, as it is behind the last tick(). Only what has changed since
  /// the last call need be put.
  virtual void save(StateWriter& /*state*/) {}
  /// Before any rows. False: this is not what such a step saved.
  virtual bool load(const SavedState& /*state*/) { return true; }
  /// Of what it keeps beyond a batch.
  virtual std::uint64_t state_bytes() const noexcept { return 0; }
  /// Since it was made; every reason that it knows, also where there were none. From any thread.
  virtual std::vector<LeftOut> left_out() const { return {}; }
  /// Groups that it holds just now, of the open batch too.
  virtual std::uint64_t keys() const noexcept { return 0; }

 protected:
  /// As bound(), of what is behind it.
  std::optional<RowBound> next_bound() const {
    return next_.size() == 1 ? next_.front()->bound() : std::nullopt;
  }
  void pass(const Rows& rows) {
    if (rows.size == 0) return;
    for (Step* const each : next_) each->push(rows);
  }
  void tick_next(const Tick& tick) {
    for (Step* const each : next_) each->tick(tick);
  }

  Schema schema_;

 private:
  std::vector<Step*> next_;
};

}  // namespace sluice::analytics

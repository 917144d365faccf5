// Results as people look at them: what views remember, and who is told when there is more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"

namespace sluice {

/// The rows of one batch as they are sent.
struct ShownBatch {
  std::int64_t time_ms = 0;  ///< What the batch is called.
  std::string json;          ///< An object, in one line.
};

/// What one output shows of the rows of one step, and what it remembers of earlier batches: those
/// of the last `remember`, of them the latest `batches_max` that fit `bytes_max`, and always the
/// last one. Thread-safe.
class ResultView {
 public:
  using Batch = std::shared_ptr<const ShownBatch>;
  struct Plan {
    std::string sink;
    std::string output;
    std::string step = {};     ///< Where an output has the rows of several.
    std::string columns_json;  ///< [{"name":"word","type":"text"}]
    milliseconds interval{0};  ///< Of batches.
    milliseconds remember{60'000};
    std::size_t bytes_max = 8 << 20;  ///< Of the JSON that it remembers.
    std::size_t batches_max = 2'000;  ///< A page draws all of them, with each batch.
  };
  explicit ResultView(Plan plan) : plan_(std::move(plan)) {}

  const Plan& plan() const noexcept { return plan_; }
  /// {sink, output} or {sink, output, step}
  std::vector<std::string> path() const;

  /// One whose time is not behind the last one's takes the place of all from its time on: the
  /// clock was put back and the agent began anew.
  void add(ShownBatch batch);
  /// All that are remembered, in their order.
  std::vector<Batch> batches() const;
  Batch last() const;  ///< Null: there is none yet.
  /// The first one behind this time; null: there is none yet.
  Batch after(std::int64_t time_ms) const;

 private:
  const Plan plan_;
  mutable std::mutex mutex_;
  std::deque<Batch> batches_;  // guarded by mutex_
  std::size_t bytes_ = 0;      // of batches_; guarded by mutex_
};

/// All views of an agent. Thread-safe.
class ViewBoard {
 public:
  using View = std::shared_ptr<ResultView>;

  /// The view of this sink, output and step; what it remembers stays as long as its plan is the
  /// same.
  View open(ResultView::Plan plan);
  /// In the order of their paths.
  std::vector<View> views() const;
  /// Adds it, and tells all listeners.
  void show(ResultView& view, ShownBatch batch);

  /// Ends the listening with its life.
  class Listener {
   public:
    Listener(ViewBoard& board, std::function<void()> told);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

   private:
    ViewBoard& board_;
    const std::uint64_t number_;
  };
  /// `told` is called when there is more in some view: by whoever has shown it, under a lock; it
  /// neither waits nor calls the board. The board outlives the listener.
  std::unique_ptr<Listener> listen(std::function<void()> told);

 private:
  mutable std::mutex mutex_;
  std::map<std::vector<std::string>, View> views_;            // guarded by mutex_
  std::map<std::uint64_t, std::function<void()>> listeners_;  // guarded by mutex_
  std::uint64_t next_listener_ = 0;                           // guarded by mutex_
};

}  // namespace sluice

// From settings to steps.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/aggregates.h"
#include "analytics/expression.h"
#include "analytics/group_inputs.h"
#include "analytics/order_steps.h"
#include "analytics/step.h"
#include "analytics/window.h"
#include "core/config/component.h"
#include "core/config/settings.h"

namespace sluice::analytics {

/// What a step is made from, beside its own settings.
struct StepInput {
  const Schema* schema = nullptr;
  bool is_events = false;            ///< Rows are the events as they come.
  const Settings* window = nullptr;  ///< The window that applies to them; null: the batch.
};

/// A step and what builds on it needs to know. None: it is no step of its own (a window).
struct BuiltStep {
  std::unique_ptr<Step> step;
  std::string fingerprint;  ///< Of what it keeps beyond a batch; empty: nothing.
};

/// Makes steps of settings. What is wrong becomes findings, with keys "steps.NAME.KEY".
class StepBuilder {
 public:
  /// `origin_ms`: what windows of processing time are counted from.
  StepBuilder(std::chrono::milliseconds interval, std::uint64_t seed, std::int64_t origin_ms,
              std::vector<Finding>& findings)
      : interval_ms_(interval.count()), seed_(seed), origin_ms_(origin_ms), findings_(findings) {}

  /// Nothing when it cannot be made. REQUIRES: not a window.
  std::optional<BuiltStep> build(const Settings& settings, const StepInput& input);
  /// Whether a window's own settings fit together. False: no.
  bool check_window(const Settings& settings);

  void error(const Settings& step, std::string_view key, std::string message, std::string hint = {},
             std::size_t offset = 0);
  void warning(const Settings& step, std::string_view key, std::string message, std::string hint);

 private:
  std::optional<BuiltStep> parse(const Settings& step, const Schema& input);
  std::optional<BuiltStep> split(const Settings& step, const StepInput& input);
  std::optional<BuiltStep> map(const Settings& step, const Schema& input);
  std::optional<BuiltStep> filter(const Settings& step, const Schema& input);
  std::optional<BuiltStep> aggregate(const Settings& step, const StepInput& input);
  std::optional<BuiltStep> state(const Settings& step, const Schema& input);
  std::optional<BuiltStep> order(const Settings& step, const Schema& input);

  std::optional<std::size_t> column(const Settings& step, std::string_view key,
                                    std::string_view name, const Schema& schema);
  std::optional<std::size_t> text_column(const Settings& step, std::string_view key,
                                         const Schema& schema);
  std::optional<Expression> expression(const Settings& step, const std::string& key,
                                       std::string_view text, std::size_t offset,
                                       const Schema& schema);
  std::optional<std::vector<TopStep::By>> order_by(const Settings& step, const Schema& schema);
  std::optional<Window> window_of(const Settings& window);
  bool check_session(const Settings& window);
  bool check_count(const Settings& window);
  /// What an aggregate step is told, apart from its window.
  struct Grouping {
    std::vector<std::size_t> keys;
    std::vector<Aggregate> aggregates;
    std::vector<AggregateArgument> arguments;
  };
  std::optional<Grouping> grouping_of(const Settings& step, const Schema& schema);
  struct RowTime {
    std::optional<Expression> value;
    bool reads_events = false;
  };
  std::optional<RowTime> row_time(const Settings& window, const Schema& schema);
  std::optional<BuiltStep> key_windows(const Settings& step, const StepInput& input,
                                       Grouping grouping, std::string fingerprint);
  void problem(const Settings& step, std::string_view key, const Problem& what,
               std::size_t offset = 0);

  const std::int64_t interval_ms_;
  const std::uint64_t seed_;
  const std::int64_t origin_ms_;
  std::vector<Finding>& findings_;
};

}  // namespace sluice::analytics

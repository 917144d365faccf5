// Pipelines as tests write them, and what comes out of them, batch by batch.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analytics/pipeline.h"
#include "analytics/result_text.h"
#include "analytics/step_types.h"
#include "tests/catch.h"
#include "tests/support/batches.h"

namespace sluice::analytics {

/// A step as a file has it; the keys keep their order.
struct StepLines {
  std::string name;
  std::string type;
  std::vector<std::pair<std::string, std::string>> values = {};
};

inline Settings settings_of(const StepLines& step) {
  const auto types = step_types();
  const auto type = std::find_if(types.begin(), types.end(),
                                 [&](const auto* each) { return each->alias == step.type; });
  REQUIRE(type != types.end());
  std::map<std::string, Settings::Value, std::less<>> map;
  std::uint32_t order = 0;
  map["type"] = {step.type, {}, order++};
  for (const auto& [key, value] : step.values) map[key] = {value, {}, order++};
  return {"step " + step.name, step.name, **type, std::move(map)};
}

inline std::vector<Settings> settings_of(const std::vector<StepLines>& steps) {
  std::vector<Settings> all;
  for (const StepLines& step : steps) all.push_back(settings_of(step));
  return all;
}

/// What is saved, as a store would keep it.
class KeptState final : public StateWriter {
 public:
  void put(std::string_view key, std::string value) override {
    saved_.erase(std::string(key));
    if (!value.empty()) saved_.emplace(key, std::move(value));
  }
  const SavedState& saved() const noexcept { return saved_; }

 private:
  SavedState saved_;
};

using Results = std::vector<std::string>;

/// Keeps each row as a line of CSV: null is nothing, an empty text is "".
class CollectedRows final : public Step {
 public:
  explicit CollectedRows(const Schema& schema) : Step(schema) {}
  Used use(const Used& /*used*/) override {
    Used all(schema_.size() + 1, true);
    all.back() = false;
    return all;
  }
  void push(const Rows& rows) override {
    for (std::size_t row = 0; row < rows.size; ++row) {
      rows_.emplace_back();
      append_csv(rows_.back(), rows, schema_, row);
    }
  }
  void tick(const Tick& tick) override {
    ++ticks_;
    due_ = tick.due;
  }

  /// In the order in which they came; they are gone then.
  Results take() { return std::exchange(rows_, {}); }
  int ticks() const noexcept { return ticks_; }
  /// Of the last tick: the batch is one for what stands here.
  bool due() const noexcept { return due_; }

 private:
  Results rows_;
  int ticks_ = 0;
  bool due_ = false;
};

inline Results sorted(Results rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// A pipeline that is fed batch by batch, and restarted between them where a test says so.
class Analysis {
 public:
  struct Options {
    std::chrono::milliseconds interval{1000};
    /// When the first batch begins; a whole minute, so that windows of 1 to 6 s begin too.
    std::int64_t begin_ms = 1'699'999'980'000;
    std::int64_t origin_ms = 0;                        ///< What windows are counted from.
    std::vector<std::string> outputs = {};             ///< The steps shown; empty: the last one.
    std::pair<std::string, std::string> initial = {};  ///< A state, and what it begins with.
  };
  explicit Analysis(const std::vector<StepLines>& steps) : Analysis(steps, Options()) {}
  Analysis(const std::vector<StepLines>& steps, Options options)
      : settings_(settings_of(steps)), options_(std::move(options)), now_ms_(options_.begin_ms) {
    if (options_.outputs.empty()) options_.outputs.emplace_back();
    make();
    const auto& [state, csv] = options_.initial;
    if (!state.empty()) REQUIRE(pipeline_->begin_with(state, csv).ok());
  }

  void push(const std::vector<std::string>& bodies, const TestHeaders& headers = {}) {
    if (!bodies.empty()) pipeline_->push(batch_of(pool_, bodies, headers));
  }
  /// Rows that come so long behind the last tick.
  void push_later(std::chrono::milliseconds later, const std::vector<std::string>& bodies) {
    pipeline_->push(batch_of(pool_, bodies), now_ms_ + later.count());
  }
  /// The end of the batch. Returns what the steps shown passed on, one after the other.
  Results tick() {
    now_ms_ += options_.interval.count();
    pipeline_->tick({now_ms_, options_.interval.count()});
    Results all;
    for (const auto& output : collected_) {
      const Results rows = output->take();
      all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
  }
  Results batch(const std::vector<std::string>& bodies) {
    push(bodies);
    return tick();
  }
  /// The last batch was one for the first of the steps shown.
  bool due() const noexcept { return collected_.front()->due(); }

  /// Nothing comes just now.
  void rest() { pipeline_->rest(); }
  /// Saves what has changed, as a sink does behind every tick.
  void keep() { pipeline_->save(kept_); }
  /// Saves everything and goes on with a new pipeline that was told it.
  void restart() {
    pipeline_->save(kept_);
    make();
    const Status loaded = pipeline_->load(kept_.saved());
    INFO(loaded.message());
    REQUIRE(loaded.ok());
  }

  /// The batch ends only now that the time of so many has passed.
  Results skip(int batches) {
    now_ms_ += (batches - 1) * options_.interval.count();
    return tick();
  }
  /// As restart(), when the time of so many batches has passed.
  void restart_later(int batches) {
    pipeline_->save(kept_);
    now_ms_ += batches * options_.interval.count();
    make();
    REQUIRE(pipeline_->load(kept_.saved()).ok());
    pipeline_->start(now_ms_);
  }

  Pipeline& pipeline() noexcept { return *pipeline_; }
  const KeptState& kept() const noexcept { return kept_; }
  std::int64_t now_ms() const noexcept { return now_ms_; }

 private:
  void make() {
    std::vector<Finding> findings;
    pipeline_ = Pipeline::make(
        settings_, {.interval = options_.interval, .seed = 7, .origin_ms = options_.origin_ms},
        findings);
    for (const Finding& finding : findings) UNSCOPED_INFO(finding.key << ": " << finding.message);
    REQUIRE(pipeline_ != nullptr);
    collected_.clear();
    for (const std::string& output : options_.outputs) {
      const Step* const step = pipeline_->step(output);
      REQUIRE(step != nullptr);
      collected_.push_back(std::make_unique<CollectedRows>(step->schema()));
      pipeline_->attach(output, *collected_.back());
    }
    pipeline_->start(now_ms_);
  }

  SlabPool pool_{4096, keep_no_free_slabs};
  const std::vector<Settings> settings_;
  Options options_;
  std::int64_t now_ms_;
  KeptState kept_;
  std::vector<std::unique_ptr<CollectedRows>> collected_;
  std::unique_ptr<Pipeline> pipeline_;
};

/// What is wrong with these steps.
inline std::vector<Finding> findings_of(const std::vector<StepLines>& steps) {
  std::vector<Finding> findings;
  const auto made =
      Pipeline::make(settings_of(steps), {.interval = std::chrono::seconds(1)}, findings);
  CHECK(made == nullptr);
  return findings;
}

}  // namespace sluice::analytics

// The steps of one analysis, wired.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/step.h"
#include "core/base/status.h"
#include "core/config/component.h"
#include "core/config/settings.h"

namespace sluice::analytics {

/// A tree of steps: events in, at the end of each batch results out. One thread.
class Pipeline {
 public:
  struct Options {
    std::chrono::milliseconds interval{2000};  ///< How long batches are.
    std::uint64_t seed = 0;                    ///< Of hash tables; nobody else knows it.
    /// What windows of processing time are counted from, in milliseconds since 1970.
    std::int64_t origin_ms = 0;
  };
  /// Wires `steps`, whose types are of step_types(). Null, with findings whose keys begin with
  /// "steps.NAME.", when something is wrong; warnings may come with a pipeline too.
  static std::unique_ptr<Pipeline> make(const std::vector<Settings>& steps, const Options& options,
                                        std::vector<Finding>& findings);
  ~Pipeline();

  /// The step of this name; null when there is none. An empty name: the last step, or where there
  /// is none the events themselves. A name and what AsideRows says behind it: the rows that this
  /// step left out.
  const Step* step(std::string_view name) const noexcept;
  /// Steps that no other step reads, in the order of the file: what outputs show if they do not
  /// say.
  std::vector<std::string> ends() const;
  /// Lets `output`, which has the schema of that step, have its rows. It outlives the pipeline.
  void attach(std::string_view step, Step& output);
  /// To be called once, behind all attach(); `now_ms`: what the clock on the wall says.
  void start(std::int64_t now_ms);

  /// `now_ms`: what the clock on the wall says; 0: it stands at the last tick.
  void push(const Batch& events, std::int64_t now_ms = 0);
  /// When nothing comes: what can be done before the tick is done.
  void rest();
  void tick(const Tick& tick);

  /// Whether anything outlives a batch.
  bool keeps_state() const noexcept;
  /// What the state depends on: steps whose settings differ cannot read each other's.
  std::string fingerprint() const;
  /// What a state begins with where nothing was saved: lines of CSV. REQUIRES: `step` is a state.
  Status begin_with(std::string_view step, std::string_view csv);
  /// Keys begin with the names of the steps.
  void save(StateWriter& state);
  /// Errors: Invalid (it was saved by other steps).
  Status load(const SavedState& state);
  std::uint64_t state_bytes() const noexcept;
  /// Groups that its steps hold just now; a key that lies in several panes of a window counts in
  /// each.
  std::uint64_t keys() const noexcept;

  /// What was counted and left out, by step and reason: "p bad records", "count late rows".
  std::map<std::string, std::uint64_t> left_out() const;

 private:
  struct Node {
    std::string name;
    std::string fingerprint;  ///< Empty: it keeps nothing.
    std::unique_ptr<Step> step;
    bool is_read = false;  ///< By another step.
  };
  class Source;
  friend class PipelineBuilder;
  Pipeline();

  Node* find(std::string_view name) noexcept;
  Used use(Step& step);

  std::unique_ptr<Source> source_;
  std::vector<Node> nodes_;
};

}  // namespace sluice::analytics

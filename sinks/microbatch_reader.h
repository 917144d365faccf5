// Micro-batches: events in, at every tick of a clock results out.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "analytics/pipeline.h"
#include "core/base/backoff.h"
#include "core/config/settings.h"
#include "sinks/batch_clock.h"
#include "sinks/batch_output.h"
#include "sinks/long_reader.h"
#include "sinks/view_server.h"

namespace sluice {

/// Runs the pipeline of one sink.
///
/// Events are folded as they are taken, and let go at once. At the end of a batch one commit holds
/// the takes, the state behind it, what the outputs are to deliver (the outbox) and what goes into
/// channels; then the outbox is delivered, and the next commit that there is removes it. So state,
/// files and channels of the same store have every event once, whatever dies; what is printed may
/// be printed again behind a crash.
///
/// A commit that is refused takes the state back to the one before, as a crash would, and the
/// events come again. Without a channel on disk nothing is kept: state begins anew with the
/// process.
class MicrobatchReader final : public LongReader {
 public:
  MicrobatchReader(const Settings& settings, LongReaderContext context);
  ~MicrobatchReader() override;

  Status run(Channel& channel, std::stop_token stop) override;
  bool healthy() const noexcept override { return healthy_; }

  /// The pipeline of the settings; null, with findings, when they are wrong.
  static std::unique_ptr<analytics::Pipeline> make_pipeline(const Settings& settings,
                                                            std::uint64_t seed,
                                                            std::vector<Finding>& findings,
                                                            std::int64_t origin_ms = 0);

 private:
  /// A text on its way out.
  struct Parcel {
    std::string label;  ///< Of its output.
    std::string text;
  };
  class State;
  /// What goes into channels, by their names.
  using Results = std::map<std::string, std::pair<Channel*, Batch>>;

  Status run_batches(Channel& channel, const std::stop_token& stop);
  Status open(const std::stop_token& stop);
  void tell_query() const;
  Status restore();
  Status begin_anew();
  void find_origin();
  std::string plan() const;
  Status read_outbox(const std::vector<std::pair<std::string, std::string>>& notes);
  void attach_outputs();
  Status check_channels() const;
  Status go_round(Channel& channel, const std::stop_token& stop);
  Status end_batch(std::int64_t name, const std::stop_token& stop);
  Status commit(bool changed, const std::stop_token& stop);
  Status commit_in_memory(const Results& results, const std::stop_token& stop);
  Status finish(Commit commit);
  Results take_results();
  static Status put_results(const Results& results, Commit& commit, const std::stop_token& stop);
  void let_pending_go();
  void note_outbox(Commit& commit);
  bool deliver(const std::stop_token& stop);
  void forget_outbox();
  void count_left_out();
  void report_left_out();
  Status fail(const Status& status, const std::stop_token& stop);
  std::string key(std::string_view rest) const { return prefix_ + std::string(rest); }

  const Settings& settings_;
  const LongReaderContext context_;
  const std::string prefix_;  ///< Of its notes.
  const milliseconds interval_;
  const TakeLimit limit_;
  const std::uint64_t seed_;
  const bool from_start_;       ///< Batches are counted from origin_ms_.
  std::int64_t origin_ms_ = 0;  ///< 0 as long as nobody needs it.
  bool origin_is_noted_ = false;
  BatchClock clock_;
  std::vector<std::unique_ptr<BatchOutput>> outputs_;
  std::vector<std::unique_ptr<ViewServer>> view_servers_;  ///< Ports of outputs.
  std::unique_ptr<analytics::Pipeline> pipeline_;          ///< Before the outputs it leads to.
  Taken pending_;                                          ///< Of the open batch: let go.
  std::uint64_t pending_bytes_ = 0;
  std::uint64_t pending_events_ = 0;
  std::int64_t last_ = 0;         ///< The name of the last batch that was committed.
  std::int64_t delivered_ = 0;    ///< The name of the last batch that was delivered.
  std::uint64_t number_ = 0;      ///< Of the open batch, from 0.
  std::vector<Parcel> outbox_;    ///< Committed, or about to be, and not delivered.
  std::size_t outbox_notes_ = 0;  ///< Pieces of an outbox that lie in the store.
  bool begun_ = false;            ///< The store knows what steps the state is of.
  std::map<std::string, std::uint64_t> left_out_;  ///< Of this pipeline, as it was counted.
  LeftOutRows::Counts reported_;
  SteadyTime reported_at_{};
  Backoff backoff_;
  std::atomic<bool> healthy_{false};
};

}  // namespace sluice

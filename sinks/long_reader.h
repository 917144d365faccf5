// A sink that reads many batches ahead of one commit.
#pragma once

#include <functional>
#include <ostream>
#include <stop_token>
#include <string>

#include "channels/channel.h"
#include "channels/commit.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/event/slab.h"
#include "core/metrics/counters.h"
#include "core/metrics/microbatch_counters.h"
#include "core/metrics/result_gauges.h"
#include "sinks/view_board.h"

namespace sluice {

/// What a long reader is given. Everything outlives it.
struct LongReaderContext {
  SinkCounters& counters;
  MicrobatchCounters& microbatch;  ///< Its own, too.
  ViewBoard& views;                ///< Of the agent.
  ResultGauges& gauges;            ///< Of the agent.
  FileSystem& files;
  const Clock& clock;
  SlabPool& pool;
  /// Of its channel; null where that keeps nothing on disk.
  Committer* committer = nullptr;
  /// Where it prints.
  std::ostream& out;
  /// A channel of the agent by its name. REQUIRES: the plan has it.
  std::function<Channel*(const std::string&)> channel_of;
  /// What it kept of an earlier life is not wanted any more.
  bool reset_state = false;
};

/// Takes, digests, and commits what it has taken together with what it has come to. It owns the
/// transaction, which for other sinks a SinkRunner does.
class LongReader {
 public:
  virtual ~LongReader() = default;

  /// Runs on the sink's own thread until stop, or until the channel is drained; what is taken by
  /// then is committed first. Errors: Invalid (it cannot run), Fatal.
  virtual Status run(Channel& channel, std::stop_token stop) = 0;
  /// False while it cannot go on. Any thread.
  virtual bool healthy() const noexcept = 0;
};

}  // namespace sluice

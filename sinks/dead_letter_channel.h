// Dead letters as events of a channel, where another sink can take them up.
#pragma once

#include <string>

#include "channels/dead_letters.h"
#include "core/base/clock.h"
#include "core/metrics/counters.h"

namespace sluice {

/// Puts each dead letter into a channel, with its headers and these beside them, which replace
/// those of an earlier rejection: deadletter.sink, deadletter.channel, deadletter.sequence,
/// deadletter.reason, deadletter.attempts, deadletter.time (milliseconds since 1970 UTC) and, where
/// it is known, deadletter.origin.
///
/// In memory and within a store the put is part of the commit that takes the event; where two
/// stores are concerned, it is on disk before that commit begins. A put of the latter kind is
/// counted in `counters` here, the others by who commits.
class DeadLetterChannel final : public DeadLetters {
 public:
  /// All of them outlive this.
  DeadLetterChannel(Channel& channel, SlabPool& pool, SinkCounters& counters, const Clock& clock);

  Status keep(const Rejection& rejection, Commit& taking) override;
  const std::string& name() const noexcept override { return name_; }

 private:
  Batch batch_of(const Rejection& rejection) const;

  Channel& channel_;
  SlabPool& pool_;
  SinkCounters& counters_;
  const Clock& clock_;
  const std::string name_;
};

}  // namespace sluice

// What a reader has let go of and not committed: everything about it but its bytes.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/event/receipt.h"
#include "core/metrics/counters.h"

namespace sluice {

/// Runs of a channel's events, by their sequences.
///
/// Neighbours that are added one behind the other become one run: whole frames any number, parts of
/// one frame until they are all of it. So what millions of events leave here is a few runs where
/// one reader reads alone, and a run for each piece where several take turns. Runs are apart. One
/// thread.
class ReadAhead {
 public:
  struct Run {
    std::uint64_t sequence = 0;  ///< Of its first event.
    std::uint64_t events = 0;
    /// The frame on disk that it lies in, or, of whole frames, the first one.
    std::uint64_t frame = 0;
    std::uint32_t frame_events = 0;  ///< In that frame, of which it is a part; 0: whole frames.

    std::uint64_t end() const noexcept { return sequence + events; }
  };

  /// `receipt`: of the run's events; may be none.
  void add(const Run& run, std::uint64_t bytes, const Receipt& receipt);
  void append(ReadAhead&& next);

  const std::vector<Run>& runs() const noexcept { return runs_; }
  const Amount& amount() const noexcept { return amount_; }
  /// The part whose room in the channel is not free yet.
  const Amount& claimed() const noexcept { return claimed_; }
  Amount freed() const noexcept { return amount_ - claimed_; }
  void claim_all() noexcept { claimed_ = amount_; }

  /// All of it has arrived. REQUIRES: called once.
  void settle_receipts() const noexcept;

 private:
  void join(const Run& run);

  std::vector<Run> runs_;
  std::vector<std::pair<Receipt, std::uint64_t>> receipts_;  ///< And of how many events.
  Amount amount_;
  Amount claimed_;
};

}  // namespace sluice

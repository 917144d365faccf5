#include "channels/read_ahead.h"

namespace sluice {

void ReadAhead::add(const Run& run, std::uint64_t bytes, const Receipt& receipt) {
  amount_ += {run.events, bytes};
  join(run);
  if (!receipt) return;
  if (!receipts_.empty() && receipts_.back().first == receipt) {
    receipts_.back().second += run.events;
  } else {
    receipts_.emplace_back(receipt, run.events);
  }
}

void ReadAhead::append(ReadAhead&& next) {
  for (const Run& run : next.runs_) join(run);
  for (auto& receipt : next.receipts_) receipts_.push_back(std::move(receipt));
  amount_ += next.amount_;
  claimed_ += next.claimed_;
  next = {};
}

void ReadAhead::join(const Run& run) {
  Run joined = run;
  if (joined.frame == joined.sequence && joined.frame_events == joined.events) {
    joined.frame_events = 0;
  }
  if (!runs_.empty() && runs_.back().end() == joined.sequence) {
    Run& last = runs_.back();
    const bool whole = last.frame_events == 0 && joined.frame_events == 0;
    const bool parts =
        last.frame_events > 0 && joined.frame_events > 0 && last.frame == joined.frame;
    if (whole) {
      last.events += joined.events;
      return;
    }
    if (parts) {
      joined.sequence = last.sequence;
      joined.events += last.events;
      runs_.pop_back();
      return join(joined);  // it may be all of the frame now
    }
  }
  runs_.push_back(joined);
}

void ReadAhead::settle_receipts() const noexcept {
  for (const auto& [receipt, events] : receipts_) receipt.settle(events);
}

}  // namespace sluice

// What a sink that computes counts beside SinkCounters.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "core/metrics/counters.h"

namespace sluice {

/// Rows that do not count in results, by step and reason. Thread-safe.
class LeftOutRows {
 public:
  using Reason = std::pair<std::string, std::string>;  ///< "count", "late rows"
  using Counts = std::map<Reason, std::uint64_t>;

  void add(const std::string& step, const std::string& reason, std::uint64_t rows) {
    const std::lock_guard lock(mutex_);
    counts_[{step, reason}] += rows;
  }
  Counts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }
  std::uint64_t sum() const {
    const std::lock_guard lock(mutex_);
    std::uint64_t all = 0;
    for (const auto& [reason, rows] : counts_) all += rows;
    return all;
  }

 private:
  mutable std::mutex mutex_;
  Counts counts_;  // guarded by mutex_
};

/// Of a microbatch sink. Those of a batch that was not committed are not in it.
struct MicrobatchCounters {
  Counter batches;        ///< Ended and committed.
  Counter result_rows;    ///< That outputs got.
  Counter keys;           ///< That steps held as the last batch ended. A gauge.
  Counter state_bytes;    ///< Of what steps keep beyond the last batch. A gauge.
  Counter processing_us;  ///< From the end of the last batch until its results were out. A gauge.
  Counter delay_ms;       ///< How late the last batch was ended. A gauge.
  Counter batch_ms;       ///< What the last batch is called: its time. A gauge.
  LeftOutRows left_out;
};

}  // namespace sluice

// Everything that is counted in an agent, by component, and how it is shown.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/event/memory_account.h"
#include "core/metrics/counters.h"
#include "core/metrics/microbatch_counters.h"
#include "core/metrics/result_gauges.h"

namespace sluice {

/// One component's counters. They outlive the registry.
struct SourceMetrics {
  std::string name;  ///< "r1"
  std::string type;  ///< "netcat"
  const SourceCounters* counters;
};
struct ChannelMetrics {
  std::string name;
  std::string type;
  const ChannelCounters* counters;
  std::uint64_t capacity_events;
};
struct SinkMetrics {
  std::string name;
  std::string type;
  std::string channel;
  const SinkCounters* counters;
  const MicrobatchCounters* microbatch = nullptr;  ///< Null: it computes nothing.
};

/// Filled while the agent is wired, then only read. Rendering is safe from any thread.
class MetricsRegistry {
 public:
  void add(SourceMetrics source) { sources_.push_back(std::move(source)); }
  void add(ChannelMetrics channel) { channels_.push_back(std::move(channel)); }
  void add(SinkMetrics sink) { sinks_.push_back(std::move(sink)); }
  void add(const MemoryAccount* account) { accounts_.push_back(account); }
  /// What users compute; it outlives the registry. Without a call there is none.
  void set_results(const ResultGauges* results) { results_ = results; }
  /// Shown as a label of sluice_build_info; "unknown" without a call.
  void set_version(std::string version) { version_ = std::move(version); }

  /// What Flume's JSON server answers: {"SOURCE.r1":{"Type":"SOURCE",...},...}, all values strings.
  std::string flume_json() const;
  /// Prometheus text exposition, format 0.0.4.
  std::string prometheus() const;

  const std::vector<SourceMetrics>& sources() const noexcept { return sources_; }
  const std::vector<ChannelMetrics>& channels() const noexcept { return channels_; }
  const std::vector<SinkMetrics>& sinks() const noexcept { return sinks_; }
  const std::vector<const MemoryAccount*>& accounts() const noexcept { return accounts_; }
  const ResultGauges* results() const noexcept { return results_; }
  const std::string& version() const noexcept { return version_; }

 private:
  std::vector<SourceMetrics> sources_;
  std::vector<ChannelMetrics> channels_;
  std::vector<SinkMetrics> sinks_;
  std::vector<const MemoryAccount*> accounts_;
  const ResultGauges* results_ = nullptr;
  std::string version_ = "unknown";
};

}  // namespace sluice

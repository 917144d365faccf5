#include "core/metrics/registry.h"

#include "core/metrics/flume_json.h"
#include "core/metrics/prometheus_text.h"

namespace sluice {

std::string MetricsRegistry::flume_json() const { return flume_metrics_json(*this); }

std::string MetricsRegistry::prometheus() const {
  return prometheus_text(*this, read_process_stats());
}

}  // namespace sluice

// Every counter as Prometheus reads it: text exposition, format 0.0.4.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/process_stats.h"
#include "core/metrics/registry.h"

namespace sluice {

/// Names are sluice_<kind>_<what>_<unit>_total; each family has HELP and TYPE once and a sample for
/// each component. What a family means is in docs/guide/monitoring.md, which sums balance is in
/// docs/guide/books.md. Without `process` the process_* families are left out.
std::string prometheus_text(const MetricsRegistry& registry,
                            const std::optional<ProcessStats>& process);

/// The text between the quotes of a label's value.
std::string escape_label_value(std::string_view value);

}  // namespace sluice

// Our counters under the names that Flume's monitoring has, for whoever reads those today.
#pragma once

#include <cstdint>
#include <string>

#include "core/metrics/registry.h"

namespace sluice {

/// {"SOURCE.r1":{"Type":"SOURCE",...},...}: every value a string, as Flume's HTTP server writes it.
///
/// Flume has no group for netcat, netcatudp, stress, logger and null; here every component has one.
/// What each name is made of is in docs/guide/monitoring.md.
std::string flume_metrics_json(const MetricsRegistry& registry);

/// A number as Java's Double.toString() writes it: "0.0", "33.3", "1.0E-4".
/// REQUIRES: finite and not negative.
std::string java_double_text(double number);

/// ChannelFillPercentage: 100 * size / capacity; Java's largest double for a capacity of 0.
double fill_percentage(std::uint64_t size_events, std::uint64_t capacity_events) noexcept;

}  // namespace sluice

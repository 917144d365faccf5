// What Flume's sink groups mean for a plan.
#pragma once

#include <vector>

#include "core/config/component_reader.h"
#include "core/config/topology.h"

namespace sluice {

/// Applies the groups to the planned sinks.
///
/// default, or no processor.type (where Flume loses the group): its sinks run as they are.
/// load_balance: its sinks run side by side, each taking what the others leave. failover: only the
/// sink of the highest priority runs, the others are left out as not built yet, loudly.
void apply_sink_groups(const std::vector<RawComponent>& groups, Plan& plan,
                       ComponentReader& reader);

}  // namespace sluice

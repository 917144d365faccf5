// What Flume's sink groups mean for a plan.
#pragma once

#include <vector>

#include "core/config/component_reader.h"
#include "core/config/topology.h"

namespace sluice {

/// Applies the groups to the planned sinks.
///
/// failover and load_balance: its sinks become a group of the plan, one for each channel that they
/// read; a sink that is left alone runs by itself. default, or no processor.type (where Flume loses
/// the group): its sinks run as they are. A processor that cannot run takes its sinks with it.
void apply_sink_groups(const std::vector<RawComponent>& groups, Plan& plan,
                       ComponentReader& reader);

}  // namespace sluice

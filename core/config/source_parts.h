// The interceptors of a source.
#pragma once

#include <span>
#include <vector>

#include "core/config/component_reader.h"
#include "core/config/topology.h"

namespace sluice {

/// The interceptors of a source, in the order of its list. One that cannot run is a reason: Flume
/// leaves the source out, rather than let events pass unchanged.
std::vector<InterceptorPlan> read_interceptors(const RawComponent& raw,
                                               std::span<const ComponentInfo* const> types,
                                               ComponentReader& reader,
                                               std::vector<Reason>& reasons);

}  // namespace sluice

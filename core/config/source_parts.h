// The selector and the interceptors of a source.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/config/component_reader.h"
#include "core/config/topology.h"

namespace sluice {

/// Takes the optional channels out of `channels` and returns them. A selector that cannot run here
/// is a reason.
std::vector<std::string> read_selector(const RawComponent& raw, std::vector<std::string>& channels,
                                       ComponentReader& reader, std::vector<Reason>& reasons);

/// The interceptors of a source, in the order of its list. One that cannot run is a reason: Flume
/// leaves the source out, rather than let events pass unchanged.
std::vector<InterceptorPlan> read_interceptors(const RawComponent& raw,
                                               std::span<const ComponentInfo* const> types,
                                               ComponentReader& reader,
                                               std::vector<Reason>& reasons);

}  // namespace sluice

// The selector of a source: which of its channels an event goes into.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config/component_reader.h"
#include "core/config/topology.h"

namespace sluice {

/// The list `channels` of a source.
struct SourceChannels {
  std::vector<Word> usable;                         ///< Each once.
  std::map<std::string, Reason, std::less<>> lost;  ///< Named, but not there: that has been told.
};

/// A source's ways into its channels.
struct SelectorPlan {
  std::vector<std::string> required;  ///< That an event may have to reach.
  std::vector<std::string> optional;  ///< The others that an event may reach.
  std::optional<MultiplexingPlan> multiplexing;
};

/// Reads the keys `selector.*`. A selector that cannot run here, or that names a channel which is
/// not the source's, is a reason: Flume leaves the source out, rather than let events go astray.
SelectorPlan read_selector(const RawComponent& raw, const SourceChannels& channels,
                           ComponentReader& reader, std::vector<Reason>& reasons);

}  // namespace sluice

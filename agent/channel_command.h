// `sluice channel`: what waits in durable channels, told to a person or as JSON, and put again.
#pragma once

#include <ostream>

#include "agent/command_line.h"

namespace sluice {

/// The verb `channel`. ls, stat, peek, verify and export look at stores as StoreReader does, so an
/// agent may be at work on them, and nothing is changed. replay puts what a channel kept of what it
/// delivered into a channel; that one's store it opens, so no agent may be at work on it.
///
/// Returns the exit status: 0; 1 when something is damaged, cannot be read or cannot be written
/// (what can be read was told all the same); 2 when there is no such store or channel. A reader of
/// `out` that has gone ends it quietly.
int run_channel(const CommandLine& line, std::ostream& out, std::ostream& err);

}  // namespace sluice

// `sluice files`: what sinks have written, put in order.
#pragma once

#include <ostream>

#include "agent/command_line.h"

namespace sluice {

/// The verb `files`. compact merges small complete files of a directory, as compact_directory()
/// promises; a line on `out` for each merge and each file that stays and why, then a summary.
/// Agents may be at work on the directory; of two runs of this the second is refused.
///
/// Returns the exit status: 0; 1 when something is damaged or failed (what could be merged was
/// merged all the same); 2 when there is no such directory. It goes on when nobody reads `out`.
int run_files(const CommandLine& line, std::ostream& out, std::ostream& err);

}  // namespace sluice

// The verb `agent`: loads the files, runs the agent in the foreground, obeys signals.
#pragma once

#include "agent/agent.h"
#include "agent/command_line.h"

namespace sluice {

/// Returns the exit status: 0 after SIGTERM, SIGINT or the end of `--once`; 1 when nothing can run,
/// a file cannot be read, `--strict` or `--once` refuses, `--once` lost events or had a component
/// that failed, or a promise of our own broke. SIGHUP reopens the log.
int run_agent(const CommandLine& line);

}  // namespace sluice

// `sluice check`: what a configuration amounts to, told to a person or as JSON.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "agent/command_line.h"
#include "core/config/component.h"
#include "core/config/topology.h"
#include "core/config/tree.h"

namespace sluice {

/// Everything one look at the files brought up.
struct Report {
  Loaded loaded;
  std::vector<Plan> plans;  ///< One an agent.
};

/// Loads the files and plans the named agent, or each agent of the files when `agent` is empty.
Report make_report(const LoadOptions& options, const std::string& agent, const Catalog& catalog);

/// Prints every problem with its line underlined, then what each agent runs and what is left out.
/// Control characters of the files are shown as \xNN. `colour`: for a terminal.
void print_report(const Report& report, std::ostream& out, bool colour);

/// The same as one JSON object: {"readable", "diagnostics", "agents"}.
void print_report_json(const Report& report, std::ostream& out);

/// 0: every agent runs whole; 1: something is left out, nothing runs, or there is an error; 2:
/// unreadable, or an agent that is not there.
int exit_status(const Report& report);

/// The verb `check`: the report on `out`, the command line's warnings on `err`; returns the exit
/// status.
int run_check(const CommandLine& line, const Catalog& catalog, std::ostream& out, std::ostream& err,
              bool colour);

/// "file:line:column", "file" when the line is not known, "" without a file.
std::string to_string(const Position& position);

}  // namespace sluice

// The program: reads the command line and runs what it asks for.

#include <unistd.h>

#include <csignal>
#include <iostream>

#include "agent/check.h"
#include "agent/command_line.h"
#include "agent/run_agent.h"
#include "agent/version.h"

int main(int argc, char** argv) {
  using namespace sluice;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  auto line = parse_command_line(arguments);
  if (!line.ok()) {
    std::cerr << line.status().message() << "\n";
    return 2;
  }
  switch (line->verb) {
    case Verb::Agent:
      if (!line->dry_run) return run_agent(*line);
      [[fallthrough]];
    case Verb::Check: {
      return run_check(*line, built_catalog(), std::cout, std::cerr, isatty(STDOUT_FILENO) == 1);
    }
    case Verb::Version: std::cout << version_text(); return 0;
    case Verb::Help: std::cout << usage_text(); return 0;
  }
  return 2;
}

// The program: reads the command line and runs what it asks for.

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "agent/avro_client_command.h"
#include "agent/channel_command.h"
#include "agent/check.h"
#include "agent/command_line.h"
#include "agent/files_command.h"
#include "agent/run_agent.h"
#include "agent/version.h"
#include "core/base/system_properties.h"

namespace {

/// What Flume's script hands to Java, in its order.
std::string java_options() {
  std::string words;
  for (const char* name : {"JAVA_OPTS", "FLUME_JAVA_OPTS"}) {
    if (const char* value = std::getenv(name)) words += std::string(value) + " ";
  }
  return words;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace sluice;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  auto line = parse_command_line(arguments, java_options());
  if (!line.ok()) {
    std::cerr << line.status().message() << "\n";
    return 2;
  }
  auto properties = line->properties;
  // Components may look for files of other systems there: hdfs-site.xml.
  if (!line->conf_dir.empty()) properties.emplace("sluice.conf.dir", line->conf_dir);
  set_system_properties(std::move(properties));
  switch (line->verb) {
    case Verb::Agent:
      if (!line->dry_run) return run_agent(*line);
      [[fallthrough]];
    case Verb::Check: {
      return run_check(*line, built_catalog(), std::cout, std::cerr, isatty(STDOUT_FILENO) == 1);
    }
    case Verb::Channel: return run_channel(*line, std::cout, std::cerr);
    case Verb::Files: return run_files(*line, std::cout, std::cerr);
    case Verb::AvroClient: {
      return run_avro_client(*line, std::cout, std::cerr, isatty(STDERR_FILENO) == 1);
    }
    case Verb::Version: std::cout << version_text(); return 0;
    case Verb::Help: std::cout << usage_text(); return 0;
  }
  return 2;
}

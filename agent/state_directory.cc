#include "agent/state_directory.h"

#include <algorithm>
#include <cstdlib>

#include "agent/agent.h"
#include "channels/catalog.h"
#include "core/config/diagnostics.h"
#include "core/config/topology.h"

namespace sluice {
namespace {

/// Of each durable channel that the agent would run.
Result<std::vector<std::string>> configured_directories(const CommandLine& line) {
  const Loaded loaded = load_files(line.load_options());
  if (!loaded.readable) {
    return Invalid("the configuration cannot be read: sluice check tells why; or give --store DIR");
  }
  const Plan plan = make_plan(loaded.tree, line.agent, built_catalog());
  const std::string shared = shared_store_directory(state_directory(line));
  std::vector<std::string> all;
  for (const ChannelPlan& channel : plan.channels) {
    for (const ChannelType* type : channel_types()) {
      if (type->info != &channel.settings.info() || type->store_directory == nullptr) continue;
      const std::string own = type->store_directory(channel.settings);
      const std::string& directory = own.empty() ? shared : own;
      if (std::find(all.begin(), all.end(), directory) == all.end()) all.push_back(directory);
    }
  }
  if (all.empty()) {
    return Invalid("agent " + printable(line.agent) +
                   " of that configuration runs no channel that keeps events on disk (types: "
                   "rocksdb, file, spillablememory)");
  }
  return all;
}

}  // namespace

std::string state_directory(const CommandLine& line) {
  const std::string given = line.property("sluice.state.dir");
  if (!given.empty()) return given;
  if (const char* const systemd = std::getenv("STATE_DIRECTORY"); systemd != nullptr) {
    const std::string all(systemd);
    return all.substr(0, all.find(':'));
  }
  const char* const home = std::getenv("HOME");
  return std::string(home != nullptr ? home : ".") + "/.sluice/" + line.agent;
}

std::string shared_store_directory(const std::string& state_directory) {
  return state_directory + "/store";
}

Result<std::vector<std::string>> store_directories(const CommandLine& line) {
  if (!line.on_channel.store.empty()) return std::vector<std::string>{line.on_channel.store};
  if (!line.conf_files.empty()) return configured_directories(line);
  const bool known = !line.agent.empty() || !line.property("sluice.state.dir").empty() ||
                     std::getenv("STATE_DIRECTORY") != nullptr;
  if (!known) {
    return Invalid(
        "which store? --store DIR, or --name AGENT for that of an agent (with its "
        "-Dsluice.state.dir, if it has one; under systemd it is /var/lib/sluice/AGENT/store)");
  }
  return std::vector<std::string>{shared_store_directory(state_directory(line))};
}

}  // namespace sluice

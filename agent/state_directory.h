// Where an agent keeps what must survive it.
#pragma once

#include <string>
#include <vector>

#include "agent/command_line.h"

namespace sluice {

/// -Dsluice.state.dir, else what systemd gives us, else a folder at home.
std::string state_directory(const CommandLine& line);

/// The store in it that channels without a directory of their own share.
std::string shared_store_directory(const std::string& state_directory);

/// The stores that the verb `channel` is asked about: that of --store; or those of the durable
/// channels in --conf-file; or the shared one of the agent. Each once.
///
/// Errors: Invalid (nothing says which; no readable file; no durable channel in it).
Result<std::vector<std::string>> store_directories(const CommandLine& line);

}  // namespace sluice

// -Dname=value of the command line, for those who ask for one by name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// Replaces all properties. Before the first thread that asks, like log::configure().
void set_system_properties(std::map<std::string, std::string, std::less<>> properties);

/// Java's System.getProperty(): nothing when it was not given. Thread-safe.
std::optional<std::string> system_property(std::string_view name);

/// A variable of the environment; nothing when it is not set, or empty.
std::optional<std::string> environment_variable(const std::string& name);

}  // namespace sluice

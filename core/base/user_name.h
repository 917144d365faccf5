// Whose process this is.
#pragma once

#include <string>

namespace sluice {

/// Name of the user whose rights the process has; its number where it has no name.
std::string user_name();

}  // namespace sluice

// Which Sluice this is.
#pragma once

#include <string>

namespace sluice {

/// "0.1.0".
std::string version_number();

/// "Sluice 0.1.0" and how it was built, in the five lines that `flume-ng version` prints.
std::string version_text();

}  // namespace sluice

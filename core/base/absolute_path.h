// Paths that mean the same whatever the working directory is.
#pragma once

#include <string>

namespace sluice {

/// The path as it is where it is absolute (or empty); else below the working directory. Links and
/// steps up stay in it.
std::string absolute_path(const std::string& path);

}  // namespace sluice

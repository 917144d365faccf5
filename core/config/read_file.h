// Reading a configuration file whole.
#pragma once

#include <cstddef>
#include <string>

#include "core/base/status.h"

namespace sluice {

/// The bytes of a file or pipe.
///
/// Errors: Invalid, with a sentence for a person (missing, a directory, not permitted, larger than
/// `bytes_max`). Never reads more than bytes_max + 1 bytes, whatever it is pointed at.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

}  // namespace sluice

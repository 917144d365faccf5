// A place in a configuration file.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

/// 1-based; line 0 means "the file as a whole", an empty file "no file" (command line, default).
struct Position {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::uint32_t length = 0;  ///< Characters to underline; 0 or 1 underlines one.
};

}  // namespace sluice

#include "core/base/absolute_path.h"

#include <filesystem>

namespace sluice {

std::string absolute_path(const std::string& path) {
  std::error_code error;
  std::filesystem::path whole = std::filesystem::current_path(error);
  if (error || path.empty() || path.front() == '/') return path;
  for (const auto& part : std::filesystem::path(path)) {
    if (part != ".") whole /= part;
  }
  return whole.string();
}

}  // namespace sluice

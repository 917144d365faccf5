// Damage to files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace sluice::testing {

/// Turns one bit around.
inline void flip_bit(const std::string& path, std::uint64_t at) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get() ^ 4);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

/// The largest file of a directory with this ending; "" when there is none.
inline std::string largest_file(const std::string& directory, const std::string& ending) {
  std::string largest;
  std::uint64_t most = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ending) continue;
    std::error_code gone;  // by an agent, meanwhile
    const std::uint64_t bytes = entry.file_size(gone);
    if (gone || bytes < most) continue;
    most = bytes;
    largest = entry.path().string();
  }
  return largest;
}

}  // namespace sluice::testing

#include "core/config/read_file.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace sluice {

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    // Flume 1.9's words, which people search for.
    return Invalid("The specified configuration file does not exist: " + path);
  }
  if (std::filesystem::is_directory(status)) {
    return Invalid("Unable to read file " + path + ": it is a directory");
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return Invalid("Unable to read file " + path + ": " + errno_text(errno));

  std::string bytes;
  std::string chunk(std::size_t{64} * 1024, '\0');
  while (bytes.size() <= bytes_max) {
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    bytes.append(chunk, 0, static_cast<std::size_t>(in.gcount()));
    if (!in) break;
  }
  if (in.bad()) return Invalid("Unable to read file " + path + ": " + errno_text(errno));
  if (bytes.size() > bytes_max) {
    return Invalid("Unable to read file " + path + ": it is larger than " +
                   std::to_string(bytes_max) + " bytes, too large for a configuration");
  }
  return bytes;
}

}  // namespace sluice

// Directories whose own names may not be on the disk yet.
#pragma once

#include <string>
#include <vector>

#include "core/base/file.h"

namespace sluice {

/// Those above `directory` in which this agent may make others, nearest first.
///
/// An agent before this one may have made `directory`, or one of these, and died before it had
/// synced the name: then it is there, and a power cut still takes it with all that was synced in
/// it. Who syncs these, once a process, need not know.
inline std::vector<std::string> doubtful_above(FileSystem& files, const std::string& directory) {
  std::vector<std::string> above;
  for (std::size_t end = directory.find_last_not_of('/'); end != std::string::npos;) {
    const std::size_t slash = directory.rfind('/', end);
    if (slash == std::string::npos) {
      if (directory != ".") above.emplace_back(".");
      return above;
    }
    std::string next = directory.substr(0, slash + 1);
    // What lies in one that others own, others have made.
    if (!files.check_directory(next).ok()) return above;
    above.push_back(std::move(next));
    end = directory.find_last_not_of('/', slash);
  }
  return above;
}

}  // namespace sluice

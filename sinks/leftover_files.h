// Files that the agent before this one left unfinished.
#pragma once

#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/base/status.h"
#include "sinks/file_book.h"
#include "sinks/file_finisher.h"

namespace sluice {

/// What is done about them at the start.
struct Leftovers {
  std::string component;    ///< As in log lines.
  std::string file_system;  ///< "hdfs://nn:8020": what remote names begin with. Empty: none.
  std::string spool_directory;
};

/// Cuts files of this machine to the length that counts and gives them their final names; what lies
/// in a spool, or elsewhere, is handed to the finisher. The slots of those, which are not free
/// before they are over. What belongs to a file system that this sink does not write to, and what
/// should be in a spool that is not there, stays in the book, and is said. So are spools that the
/// book does not know.
///
/// Errors: Retry; nothing may be written before it has succeeded. It can be called again.
Result<std::vector<std::uint32_t>> finish_leftovers(const Leftovers& options, FileSystem& files,
                                                    FileBook& book, FileFinisher& finisher);

}  // namespace sluice

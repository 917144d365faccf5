// Flume's position file: what TAILDIR has read, a list of {"inode", "pos", "file"}.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"
#include "core/base/input_file.h"
#include "sources/file_generation.h"

namespace sluice {

struct PositionFile {
  std::vector<FilePosition> positions;
  /// They were kept nowhere else when it was written; else it is a report of what is in a store.
  bool alone = false;
};

/// The JSON text. Each entry is Flume's, with members "sluice" and "alone" that Flume passes over.
std::string position_file_text(const PositionFile& file);

/// Reads Flume's files and ours. An entry of Flume's has no identity but its inode, and no hashes;
/// one whose "pos" was edited by hand is read as Flume's. Errors: Reject (it is no such list).
Result<PositionFile> parse_position_file(std::string_view text);

/// Replaces the file, so that a crash leaves the old one or the new one. Errors: Retry.
Status write_position_file(FileSystem& files, const std::string& path, std::string_view text);

}  // namespace sluice

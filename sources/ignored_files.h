// Files that were there before a source began, and are none of its business for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/file.h"
#include "core/base/input_file.h"

namespace sluice {

/// A list in a file, written once. A file is known by inode and time of birth, where the file
/// system tells it, so that a rename changes nothing; elsewhere by inode and path. The device is
/// left out: its number changes when the machine starts anew. One thread.
class IgnoredFiles {
 public:
  struct Entry {
    std::string path;
    FileIdentity identity;
  };
  /// The list of an earlier start. Errors: Closed (there is none), Retry, Reject (it is no list).
  static Result<IgnoredFiles> read(InputFiles& input, const std::string& path);
  /// Writes it durably. Errors: Retry.
  static Result<IgnoredFiles> write(FileSystem& files, const std::string& path,
                                    std::vector<Entry> entries);

  bool contains(const std::string& path, const FileIdentity& identity) const;
  std::size_t size() const noexcept { return born_.size() + named_.size(); }

 private:
  void add(const std::string& path, const FileIdentity& identity);

  std::set<std::pair<std::uint64_t, std::int64_t>> born_;  ///< Inode, time of birth.
  std::set<std::pair<std::uint64_t, std::string>> named_;  ///< Inode, path.
};

}  // namespace sluice

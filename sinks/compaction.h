// Merges small complete files of a directory of this machine into large ones of the same format.
//
// For who reads the directory after a crash and another run, each record is in one file: neither
// lost nor doubled. While a merge comes to its end a reader may see its records in some of the old
// files only, or in none: the merged file gets its name when the old ones are gone.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/input_file.h"
#include "core/base/status.h"

namespace sluice {

/// Of a directory: who compacts it has its lock (core/base/file_lock.h).
constexpr std::string_view compaction_lock_name = ".compact-lock";

struct CompactionOptions {
  /// A merged file is complete from here on; files of half of it or more are left alone.
  std::uint64_t size_bytes = 128 << 20;
  /// Files that were modified later are left alone.
  std::chrono::seconds age_min{600};
  bool dry_run = false;  ///< Reads and tells, changes nothing.
};

/// A merge that was made, or with dry_run one that would be.
struct Merge {
  std::string first;
  std::string last;
  std::uint64_t files = 0;
  std::uint64_t bytes_before = 0;
  std::string name;               ///< Of the merged file.
  std::uint64_t bytes_after = 0;  ///< 0 with dry_run: nobody knows.
};

/// Hears what happens, as it happens.
class CompactionListener {
 public:
  virtual ~CompactionListener() = default;
  virtual void merged(const Merge& merge) = 0;
  /// A merge of an earlier run was brought to its end; with dry_run it would be.
  virtual void finished(const std::string& name, std::uint64_t files) = 0;
  /// `name` stays as it is. `trouble`: because something is damaged or failed.
  virtual void left(const std::string& name, const std::string& why, bool trouble) = 0;
};

/// Files that stay as they are and are fine, by the reason, which left() did not hear of.
struct CompactionCounts {
  std::uint64_t young = 0;   ///< Modified a short while ago.
  std::uint64_t in_use = 0;  ///< Open for writing, or under an in-use name.
  std::uint64_t large = 0;
  std::uint64_t empty = 0;
  std::uint64_t alone = 0;  ///< Without neighbours of the same format and prefix.
};

/// Merges what can be merged in this directory, not below it.
///
/// First finishes the merges that an earlier run had decided on, and removes what others had begun
/// and not decided on, when it is older than age_min. Then each format and prefix by itself, in the
/// natural order of names: neighbours until size_bytes are reached. A file that is damaged costs
/// itself, one that changes meanwhile its merge.
///
/// Errors: Retry (the directory cannot be read or written, the disk is full, a journal is damaged;
/// what was merged before is reported and fine, all other files are as they were). Memory: as
/// ContentMerger, and some hundred bytes a file. One thread; takes as long as reading everything
/// twice. REQUIRES: the caller has the directory's lock, unless dry_run.
Result<CompactionCounts> compact_directory(const std::string& directory,
                                           const CompactionOptions& options, FileSystem& files,
                                           InputFiles& inputs, const Clock& clock,
                                           CompactionListener& listener);

/// The directory and all below it, but for links and names that begin with '.' or '_'; by name.
/// Errors: Closed (there is none), Retry; `unread` gets those that could not be looked into.
Result<std::vector<std::string>> directories_below(const std::string& directory, InputFiles& inputs,
                                                   std::vector<Status>& unread);

}  // namespace sluice

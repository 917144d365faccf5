// A merge that is decided: what takes the place of what. docs/formats/compaction-journal.md has the
// bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"
#include "core/base/input_file.h"
#include "core/base/status.h"

namespace sluice {

/// Names in the directory of a compaction, which hidden names are its own.
constexpr std::string_view compaction_prefix = ".compact-";
constexpr std::string_view compaction_part_suffix = ".part";        ///< A merged file.
constexpr std::string_view compaction_journal_suffix = ".journal";  ///< A decided merge.
constexpr std::string_view compaction_draft_suffix = ".draft";      ///< A journal to be.

/// A file that the merged one takes the place of, as it was when it was read.
struct Original {
  std::string name;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
};

/// What a journal says. Names are those of files in its directory.
struct CompactionJournal {
  std::string token;             ///< Of the part and the journal.
  std::string final_name;        ///< Of the merged file, unless it is taken.
  std::uint64_t part_bytes = 0;  ///< Length of the merged file.
  std::vector<Original> originals;

  std::string part_name() const;
  std::string journal_name() const;
  std::string draft_name() const;
};

std::string encode(const CompactionJournal& journal);
/// `name` is the journal's own. Errors: Reject, these are not the bytes of a journal.
Result<CompactionJournal> decode_compaction_journal(std::string_view name, std::string_view bytes);

/// Decides: from when this returns Ok the merge is finished by whoever comes next. After an error
/// the journal may be there or not, and nothing else is changed. Errors: Retry.
/// REQUIRES: the part is whole and synced.
Status write_journal(const std::string& directory, const CompactionJournal& journal,
                     FileSystem& files);

/// What became of a decided merge.
struct FinishedMerge {
  std::string name;  ///< Of the merged file. Empty: it was finished before, or taken back.
  /// Originals that are no longer as they were read, and stay: what was read is in the merged file.
  std::vector<std::string> changed;
};

/// Brings a decided merge to its end, however often it was begun: the originals go, the merged file
/// gets its name, the journal goes.
///
/// Without a part there is nothing to do: either it has its name, and the originals are gone, or
/// the merge was taken back. Errors: Retry (the journal stays, try again), Reject (the part is not
/// the one that was decided on; nothing is touched).
Result<FinishedMerge> finish_merge(const std::string& directory, const CompactionJournal& journal,
                                   FileSystem& files, InputFiles& inputs);

}  // namespace sluice

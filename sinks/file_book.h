// Which files a sink is writing, told to the one who comes after a crash.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "channels/commit.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace sluice {

/// A file that was begun and is not finished.
struct BookedFile {
  std::uint32_t slot = 0;   ///< Its place in the book; free again once it has ended.
  std::string in_use;       ///< The name under which it is made.
  std::string final_name;   ///< The one it gets when it is complete.
  std::string spool = {};   ///< Where its events are, unless they are in the file itself.
  std::string making = {};  ///< With a spool: what turns it into the file.
  /// So much of the file (or its spool) holds events that have left the channel. Nothing: all of
  /// it.
  std::optional<std::uint64_t> bytes = std::nullopt;
};

/// The list of them. A book that says nothing of a file never heard of it, or it is complete. One
/// thread.
class FileBook {
 public:
  virtual ~FileBook() = default;

  /// Those that have not ended, as the last process left them. Errors: Retry.
  virtual Result<std::vector<BookedFile>> read() = 0;
  /// Ok: whoever comes after a crash will hear of these files, and that nothing in them has left
  /// the channel. Errors: Retry.
  virtual Status begin(std::span<const BookedFile> files) = 0;
  /// For the commit that takes the events of the file up to there out of the channel; nothing where
  /// the book keeps no lengths.
  virtual std::optional<Note> length(std::uint32_t slot, std::uint64_t bytes) = 0;
  /// It is complete, or gone. Written down some time later: to hear of it again does no harm.
  virtual void end(std::uint32_t slot) = 0;
  /// Writes down what ended. Errors: Retry.
  virtual Status flush() = 0;
};

/// Kept as notes in the store of the sink's channel: lengths and takes become true together. The
/// committer outlives it. Spools in `spools` are kept by their names there, so that the directory
/// can be moved while nobody uses it; so in both books.
std::unique_ptr<FileBook> make_note_book(Committer& committer, const std::string& prefix,
                                         const std::string& spools = {});

/// A small file of its own, for sinks whose channel keeps nothing: it knows the files, but not how
/// much of them counts. An empty path: nothing is kept. `files` outlives it.
std::unique_ptr<FileBook> make_journal_book(FileSystem& files, const std::string& path,
                                            const std::string& spools = {});

/// One line for a file, and back; for notes and journals.
std::string encode(const BookedFile& file, const std::string& spools = {});
std::optional<BookedFile> decode_booked_file(std::string_view line, const std::string& spools = {});

}  // namespace sluice

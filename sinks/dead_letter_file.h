// Dead letters as lines of JSON in a file, for those who have no channel for them.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "channels/dead_letters.h"
#include "core/base/clock.h"
#include "core/base/file.h"

namespace sluice {

/// Appends each dead letter to a file as a line (docs/formats/dead-letter-file.md) and syncs it
/// before it says that it is kept.
///
/// The file is opened anew each time, so it may be moved away, emptied or removed at any time. What
/// a crash or a full disk left of a line is cut off before the next one is written. Retry: the file
/// has reached its bound, or the disk is full.
class DeadLetterFile final : public DeadLetters {
 public:
  struct Options {
    std::string path;  ///< Its directory is made when it is needed.
    /// A batch that makes it longer is refused, unless the file is empty. 0: nothing is kept.
    std::uint64_t bytes_max = 64 << 20;
  };
  /// Files and clock outlive this.
  DeadLetterFile(Options options, FileSystem& files, const Clock& clock);

  Status keep(const Rejection& rejection, Commit& taking) override;
  const std::string& name() const noexcept override { return options_.path; }

 private:
  Result<std::unique_ptr<OutputFile>> open();
  Status make_directory();
  Status cut_torn_line(OutputFile& file);
  Status append(OutputFile& file, const std::string& lines);

  const Options options_;
  const std::string directory_;
  FileSystem& files_;
  const Clock& clock_;
  std::mutex mutex_;
  bool entry_synced_ = false;  // guarded by mutex_; the file's name survives a power cut
};

}  // namespace sluice

// Complete files on their way to their final names.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "sinks/file_book.h"
#include "sinks/file_place.h"

namespace sluice {

/// Takes files whose events have all left the channel, and gives each its final name, never over a
/// name that is taken; then the book forgets it. One that cannot be finished is tried again after a
/// second, then after longer, without end, and holds up nobody else.
///
/// What lies in a spool becomes a file first: made, which takes long, and given its name, by
/// threads of its own; in between the book is told that the file counts now. Then the spool goes.
///
/// One thread calls everything. What is handed in outlives it.
class FileFinisher {
 public:
  struct Options {
    std::string component;                 ///< As in log lines.
    milliseconds retry_interval{180'000};  ///< At most, between two tries.
    std::string spool_directory = {};      ///< Its names are synced, too. Empty: beside the files.
    std::size_t threads = 0;               ///< At most; 0: everything is done by the caller's.
    /// An in-use name for a file elsewhere that nobody has or had. A call that was given up may
    /// reach its server late, and would replace what is there by then.
    std::function<std::string(const std::string& final_name)> fresh_in_use;
    /// Another name for a file of this slot: its own is taken.
    std::function<std::string(std::uint32_t slot)> other_name;
  };
  /// `remote` may be null: all names are of this machine.
  FileFinisher(Options options, FileSystem& files, FilePlace* remote, const Clock& clock,
               FileBook& book);
  ~FileFinisher();

  struct Complete {
    BookedFile booked;         ///< `bytes`: so many of the spool count, or of the file.
    std::uint64_t events = 0;  ///< 0: the file is removed.
    /// The file or its spool; null for one that an agent before this one left.
    std::unique_ptr<OutputFile> open = nullptr;
    bool dirty = false;  ///< Something in it is not synced.
    bool left = false;   ///< By an agent before this one.
  };
  void add(Complete file);
  /// Goes on as far as it can without waiting. Slots whose files are over are added to `over`.
  void tend(std::vector<std::uint32_t>& over);
  /// The same to the end, for so long; then calls that are under way are given up. What is not
  /// finished then waits for the next agent.
  void close(milliseconds patience, std::vector<std::uint32_t>& over);

  std::size_t files() const noexcept { return files_at_hand_.size(); }
  /// Bytes of spools that wait to become files.
  std::uint64_t waiting_bytes() const noexcept { return waiting_bytes_; }
  /// Why the last one could not be finished; empty once one could.
  const std::string& trouble() const noexcept { return trouble_; }

 private:
  enum class Step : unsigned char {
    Begin,  ///< Nothing was done, or a thread makes it of its spool.
    Book,   ///< It is made; the book does not know.
    Name,   ///< It gets its name.
    Sync,   ///< It has its name, or is gone.
  };
  struct File;
  class Workers;

  /// Files at this step that no thread has in hand and whose time to try again has come.
  std::vector<File*> due(Step step);
  void collect();
  void begin();
  void clear(File& file);
  Status renew_in_use(std::span<File* const> again);
  void make(File& file);
  void tell_book();
  void name(File& file);
  void named(File& file, Status status);
  Status give_name(File& file);
  Status remove_empty(const BookedFile& booked);
  void sync_names(std::vector<std::uint32_t>& over);
  void postpone(std::span<File* const> files, const Status& why);
  FilePlace& place_of(const std::string& name) const;
  bool working() const noexcept;

  const Options options_;
  FileSystem& files_;
  FilePlace* const remote_;
  const std::unique_ptr<FilePlace> local_;
  const Clock& clock_;
  FileBook& book_;
  std::vector<std::unique_ptr<File>> files_at_hand_;  ///< In the order in which they came.
  std::uint64_t waiting_bytes_ = 0;
  std::string trouble_;
  std::uint64_t failures_ = 0;         ///< Since something was finished.
  std::atomic<bool> given_up_{false};  ///< Makes threads end what they make.
  std::unique_ptr<Workers> workers_;
};

/// Syncs these files and directories together; a directory that somebody has removed needs none,
/// and holds up nobody. Errors: Retry.
Status sync_those_there(FileSystem& files, std::span<OutputFile* const> open,
                        std::vector<std::string> directories);

}  // namespace sluice

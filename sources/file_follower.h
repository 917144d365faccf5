// Recognises files through renames, truncation and re-use of names and inodes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/input_file.h"
#include "core/base/name_pattern.h"
#include "sources/file_generation.h"

namespace sluice {

/// The files of one directory whose names match.
struct FileGroup {
  std::string name;
  std::string directory;
  NamePattern pattern;
};

/// Says which files there are to be read on, and where.
///
/// A file is known by device, inode and time of birth, by its first bytes, and by the bytes before
/// the place up to which it was read; never by its name alone. When one of these does not fit any
/// more, it is another generation and is read from its beginning. So
///   - a renamed file is read on, whatever it is called now (one whose new name does not match is
///     read to its end through the open handle, or found by its inode);
///   - a truncated or re-created one begins anew, and a copy that was made just before (logrotate's
///     copytruncate) takes the old place over, so that nothing comes twice;
///   - several names of one file are one file.
/// A new file that begins like a known one is held back for `copy_grace`, in case it is such a copy
/// whose original will be truncated in a moment.
///
/// One thread. Reads at most 1.3 KB of a file to recognise it, only of files that have changed.
class FileFollower {
 public:
  struct Options {
    std::string name;  ///< Of the source, for messages.
    std::vector<FileGroup> groups;
    bool skip_to_end = false;  ///< Files that are there at the first scan and unknown: not read.
    milliseconds idle_timeout{120'000};  ///< Then a handle is closed.
    milliseconds copy_grace{2'000};
    milliseconds group_timeout{2'000};  ///< How long a held group waits for its file to grow.
    std::size_t open_files_max = 400;
  };
  FileFollower(Options options, InputFiles& files, const Clock& clock);
  ~FileFollower();

  /// Positions of the last run. Before the first scan().
  void restore(std::vector<FilePosition> known);

  /// Looks at all directories. What is found to be readable is handed out by next().
  /// Errors: Retry, when a directory cannot be listed; the others were looked at all the same.
  Status scan();
  /// Something was written to this file: a scan() of it alone. False: a scan() is needed.
  bool look_at(const std::string& path);

  /// The next file with unread bytes, open and compared; null when there is none.
  FileGeneration* next();
  /// Its turn is over, there are more bytes: it comes again after the others.
  void read_later(FileGeneration& generation);
  /// It was read to `looked_to`; the bytes from its offset to there are no whole line.
  /// `holds_group`: some of these are whole lines, to which more may belong. When the file has not
  /// grown for group_timeout next() hands it out again, and it is `quiet`.
  void at_end(FileGeneration& generation, std::uint64_t looked_to, bool holds_group = false);
  /// It cannot be read just now, which is said: a later scan tries again.
  void set_aside(FileGeneration& generation, const Status& why);

  /// Generations, by number. Which ones there are changes in scan() only.
  const std::map<std::uint64_t, std::unique_ptr<FileGeneration>>& generations() const noexcept {
    return generations_;
  }
  /// True once after a generation came or went.
  bool take_changed() noexcept { return std::exchange(changed_, false); }
  /// A scan() is needed: a file is not what it was.
  bool wants_scan() const noexcept { return wants_scan_; }
  /// A new file waits for its grace; scan() again soon.
  bool holds_back() const noexcept { return !held_back_.empty(); }
  /// Some file hides behind a symbolic link, where a watch on the directory does not see writes.
  bool has_symbolic_links() const noexcept { return symbolic_links_; }
  std::uint64_t lost_bytes() const noexcept { return lost_bytes_; }
  /// Times that a file could not be read, or compared.
  std::uint64_t read_failures() const noexcept { return read_failures_; }
  /// When next() should be asked again for files that are quiet by then; never when none may be.
  Deadline quiet_at() const noexcept { return Deadline::at(quiet_at_); }

 private:
  using Inode = std::pair<std::uint64_t, std::uint64_t>;  ///< Device and inode.
  /// A file as one scan sees it.
  struct Seen {
    std::string path;
    std::size_t group;
    FileLook look;
    bool known = false;  ///< It was followed before it was truncated or made anew.
  };
  struct Replaced {
    std::unique_ptr<FileGeneration> old;
    Seen now;
  };
  struct HeldBack {
    SteadyTime since;
    SteadyTime until_quiet;
    Seen seen;
    std::uint64_t like = 0;  ///< Number of the generation that it may be a copy of.
  };
  struct Scan;

  Status list_groups(Scan& scan);
  void see(Scan& scan, std::size_t group, const DirectoryEntry& entry);
  void place(Scan& scan, Seen& seen);
  void rename(FileGeneration& generation, const Seen& seen);
  Result<bool> is_still(FileGeneration& generation, const Seen& seen);
  Result<bool> compare(FileGeneration& generation, const FileLook& look);
  void adopt_restored(Scan& scan);
  void list_again(Scan& scan);
  void follow_copies(Scan& scan);
  std::optional<Seen> find_copy(const FileGeneration& old, Scan& scan, bool hidden_too);
  bool is_ended(FileGeneration& generation, const Scan& scan);
  bool is_followed(const Seen& seen);
  Result<bool> is_copy(const FileGeneration& old, const Seen& seen);
  void move_to(std::unique_ptr<FileGeneration> old, const Seen& copy);
  void begin_new(Scan& scan);
  bool hold_back(const Seen& seen, const std::vector<FileGeneration*>& known);
  void look_for_held_back(Scan& scan);
  Result<const FileGeneration*> resembles(const Seen& seen,
                                          const std::vector<FileGeneration*>& known);
  bool resembles_young(const FileGeneration& young, std::string_view path, std::string_view head);
  std::uint64_t take_skipped(const Seen& seen);
  void begin(const Seen& seen);
  void follow_unnamed(const Scan& scan);
  bool follow_open(FileGeneration& generation);
  bool find_by_inode(FileGeneration& generation, const DirectoryEntry* entry);
  void grown(FileGeneration& generation, const FileLook& look);
  bool open(FileGeneration& generation);
  Status open_at(FileGeneration& generation, const std::string& path, const FileIdentity& identity);
  void close(FileGeneration& generation);
  void close_idle();
  void release_quiet();
  void say_unreadable(const std::string& path, const Status& why);
  void say_readable(const std::string& path);
  void forget_gone();
  void say_lost(const FileGeneration& generation, const char* how);
  void say_lost(const std::string& path, std::uint64_t bytes, const char* how);
  bool matches(std::size_t group, std::string_view path) const;
  FileGeneration& add(std::unique_ptr<FileGeneration> generation);
  std::unique_ptr<FileGeneration> remove(std::uint64_t number);

  const Options options_;
  InputFiles& files_;
  const Clock& clock_;
  std::map<std::uint64_t, std::unique_ptr<FileGeneration>> generations_;
  std::map<Inode, FileGeneration*> by_inode_;
  std::unordered_map<std::string, FileGeneration*> by_path_;
  std::map<Inode, HeldBack> held_back_;
  std::map<Inode, Seen> skipped_;  ///< By skip_to_end, and not begun yet: as they were then.
  SteadyTime last_scan_{};
  std::vector<std::uint64_t> turns_;  ///< Numbers of what waits to be read, in order.
  std::size_t next_turn_ = 0;
  std::set<std::uint64_t> holding_;          ///< Numbers of what holds a group of lines.
  SteadyTime quiet_at_ = SteadyTime::max();  ///< No group of them is over before.
  std::uint64_t next_number_ = 1;
  std::uint64_t open_files_ = 0;
  std::uint64_t lost_bytes_ = 0;
  std::uint64_t read_failures_ = 0;
  std::map<std::string, std::uint64_t> unreadable_;  ///< Failures in a row, by path.
  std::vector<FileGeneration*> young_;  ///< Begun in this scan, or with nothing taken yet.
  bool first_scan_ = true;
  bool adopts_ = true;  ///< Restored positions may belong to files of other identities.
  bool wants_scan_ = false;
  bool changed_ = false;
  bool symbolic_links_ = false;
};

}  // namespace sluice

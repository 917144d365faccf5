// The files that a sink has open, one for each bucket: begun, written, rolled, finished.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/event/batch.h"
#include "core/metrics/counters.h"
#include "sinks/bucket_path.h"
#include "sinks/event_encoder.h"
#include "sinks/event_sorter.h"
#include "sinks/file_book.h"
#include "sinks/file_finisher.h"
#include "sinks/file_place.h"

namespace sluice {

/// Writes events into the files of their buckets, so that each of them counts once.
///
/// A file counts as far as its events have left the channel. What is written beyond that is cut off
/// again when the commit is refused (cut_back()), and by the next process when this one dies
/// (recover()), which learns the lengths from the book. A file gets its final name when all of it
/// counts and is on the disk, and never over a name that is taken.
///
/// A file that cannot be cut, because it is compressed or lies elsewhere, is made at its end out of
/// a spool, which can: until all of the file is safe, and the book knows, the spool is what counts.
///
/// One thread calls everything. What is handed in outlives it.
class BucketFiles {
 public:
  struct Options {
    std::string component;  ///< As in log lines.
    std::string in_use_prefix = {};
    std::string in_use_suffix = {};
    std::string suffix = {};
    milliseconds roll_interval{0};  ///< These three: 0 never begins another file.
    std::uint64_t roll_bytes = 0;   ///< Of bodies.
    std::uint64_t roll_events = 0;
    milliseconds idle_timeout{0};  ///< 0: a file without new events stays open.
    std::size_t open_max = 5000;   ///< The one that was used longest ago is finished first.
    /// At most, until a file that could not be finished is tried again.
    milliseconds retry_interval{180'000};
    /// For the file of a kind, as the sorter tells them.
    std::function<std::unique_ptr<EventEncoder>(const std::string& kind)> make_encoder;
    bool durable = false;  ///< sync() is asked for before anything lands.
    /// Set: the name of the next file, which it has from its first byte to its last; then prefixes
    /// and suffixes do not count.
    std::function<std::string()> next_name = nullptr;
    bool make_directories = true;     ///< False: they must be there.
    bool roll_by_file_bytes = false;  ///< `roll_bytes` are the file's, looked at between batches.
    /// Not empty: what is written is kept in a spool, and FileMaker makes the file of it at its
    /// end.
    std::string recipe = {};
    std::string spool_directory = {};  ///< Empty: beside the file.
    /// "hdfs://nn:8020": files lie there, and not on this machine. Then there is a recipe and a
    /// directory for spools.
    std::string file_system = {};
    std::size_t threads = 0;  ///< That make files of spools; 0: none but the caller's.
    /// While more bytes than this wait to become files, nothing is written.
    std::uint64_t backlog_bytes_max = UINT64_MAX;
    milliseconds close_patience{15'000};  ///< Of close(), for what is under way.
  };
  /// `remote` is null where the files are on this machine; `sorter`: where any events may share a
  /// file.
  BucketFiles(Options options, std::unique_ptr<BucketPath> path, EventSorter* sorter,
              FileSystem& files, FilePlace* remote, const Clock& clock, FileBook& book,
              SinkCounters& counters);
  ~BucketFiles();

  /// Finishes what the process before left: cuts what does not count, and renames; what takes long
  /// goes on behind it. Errors: Retry; nothing may be written before it has succeeded.
  Status recover();

  /// What one write() has put where.
  struct Extent {
    std::uint64_t bytes = 0;
    std::uint64_t events = 0;
    std::uint64_t body_bytes = 0;
  };
  struct File;
  struct Mark {
    File* file;
    Extent end;
  };
  struct Written {
    boost::container::small_vector<Mark, 2> marks;
    std::vector<std::uint32_t> refused;  ///< Events that belong nowhere.
    std::string refused_because;
  };

  /// All events of the batch but the refused ones are in their files, or, with an error, none.
  /// Whoever calls it says with landed() or cut_back() what became of them. Errors: Retry.
  Status write(const Batch& batch, Written& written);
  /// Ok: all that was written survives a power cut. Errors: Retry; then cut_back() is due.
  Status sync();
  /// The notes that make it true.
  void add_notes(const Written& written, Notes& notes) const;
  /// These events have left the channel. In the order of the writes.
  void landed(const Written& written) noexcept;
  /// All that has not landed comes again: it is cut off.
  void cut_back();

  /// Finishes what is due. Failures are said, and tried again later.
  void tend();
  /// Finishes everything. What could not be finished is for recover(). REQUIRES: all has landed, or
  /// was cut back.
  void close();

  std::size_t open_files() const noexcept;

 private:
  struct Bucket;
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const noexcept {
      return std::hash<std::string_view>()(key);
    }
  };
  using Buckets =
      std::unordered_map<std::string, std::unique_ptr<Bucket>, KeyHash, std::equal_to<>>;

  void plan(const Batch& batch, Written& written);
  void plan_event(Bucket& bucket, std::uint32_t event, std::uint64_t body_bytes);
  const std::string* kind_of(const Batch& batch, std::uint32_t event, Written& written) const;
  Bucket& bucket_of_path(const std::string& kind);
  std::uint64_t bytes_to_roll(const File& file) const noexcept;
  bool full(const File& file) const noexcept;
  void add_file(Bucket& bucket);
  Status begin_planned();
  Status create(File& file);
  Status append(File& file, const Batch& batch);
  void undo();
  Status cut_pending();
  void cut(File& file, const Extent& to);
  void stop_filling(File& file);
  void close_least_recently_used();
  void look_for_due(SteadyTime now);
  void hand_over_complete();
  void let_go(const std::vector<std::uint32_t>& over);
  std::string fresh_in_use(const std::string& final_name) const;
  std::string other_name(std::uint32_t slot);
  void leave_bucket(File& file);
  std::string name(const Bucket& bucket, bool in_use) const;
  /// It, and those above it; what of that is to be synced is noted.
  Status make_path(const std::string& directory);
  Status create_in_place(File& file);
  Status create_spool(File& file);

  const Options options_;
  const std::unique_ptr<BucketPath> path_;
  EventSorter* const sorter_;
  FileSystem& files_;
  const Clock& clock_;
  FileBook& book_;
  SinkCounters& counters_;
  Buckets buckets_;
  std::vector<std::unique_ptr<File>> slots_;  ///< By slot; null where it is free.
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::unique_ptr<File>> planned_;  ///< Of the batch at hand, not begun.
  std::vector<File*> touched_;                  ///< Of the batch at hand.
  std::vector<File*> dirty_;
  std::vector<File*> closing_;       ///< Get no more events, but not all of them have landed.
  std::set<std::string> new_names_;  ///< Directories whose names are not synced.
  std::set<std::string> doubted_;    ///< Those above which names may not have been.
  SteadyTime now_{};                 ///< When the batch at hand came.
  std::uint64_t writes_ = 0;
  std::uint64_t opened_ = 0;
  SteadyTime next_due_ = SteadyTime::max();
  const std::string token_;  ///< In names of spools, which nobody may have had before.
  FileFinisher finisher_;
};

}  // namespace sluice

// What an agent keeps on disk: frames of channels, their accounts, notes. RocksDB, and the only
// room that knows it.
//
// Frames lie in a column family of their own, under (channel number, first sequence), so that they
// are only ever appended and their tables do not overlap; everything small is a row in the other
// one. Rows: "store/format", "opening/N" -> id, "channel/NAME" -> number, "account/NUMBER",
// "accepted/NUMBER/ID/BEGIN", "note/KEY".
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/event/frame.h"
#include "core/event/provenance.h"

namespace rocksdb {
class Env;
}

namespace sluice {

class FilesBeforeOpen;

/// What is written at once. Made by Store::batch(); used up by Store::write(). One thread.
class StoreBatch {
 public:
  StoreBatch() noexcept;
  StoreBatch(StoreBatch&&) noexcept;
  StoreBatch& operator=(StoreBatch&&) noexcept;
  ~StoreBatch();

  /// Copies the frame in. REQUIRES: this channel has no frame under this sequence.
  void put_frame(std::uint32_t channel, std::uint64_t first_sequence, const Frame& frame);
  void remove_frame(std::uint32_t channel, std::uint64_t first_sequence);
  void put_row(std::string_view key, std::string_view value);
  void remove_row(std::string_view key);

  std::uint64_t bytes() const noexcept;
  void clear() noexcept;

 private:
  friend class Store;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A directory with a database in it. One agent at a time.
///
/// Thread rule: write(), sync() and reopen() belong to the group committer (write and sync may run
/// at once); everything else may be called by any thread.
class Store {
 public:
  struct Options {
    std::string path;
    std::uint64_t memtable_bytes = 16 << 20;
    /// write() of frames is refused while the disk has less than this left.
    std::uint64_t free_bytes_min = 64 << 20;
    rocksdb::Env* env = nullptr;  ///< None: the machine's. Tests cut the power here.
    milliseconds sync_takes{0};   ///< Added to every sync, to measure what slow disks cost.
  };

  /// Makes the directory if need be. A log that can be read only in part is said, the files are
  /// kept, and what lies behind the damage is brought back: see core/store/salvage.h.
  ///
  /// Errors: Retry (in use by another agent, no room, no right to it), Invalid (not a store of
  /// this release), Reject (damaged so that nothing of it can be opened).
  static Result<std::unique_ptr<Store>> open(Options options);
  ~Store();

  const std::string& path() const noexcept { return options_.path; }
  /// Drawn when the store was opened; names what enters from now on.
  OriginId opening() const noexcept { return opening_; }

  StoreBatch batch();
  /// Writes all of it or nothing; it survives a kill -9, but a power cut only after sync().
  /// Errors: Retry; then the store must be reopened.
  Status write(StoreBatch& batch);
  /// What was written before the call survives a power cut. Errors: Retry; then nothing is known of
  /// what was written since the last one, and the store must be reopened.
  Status sync();
  /// Closes and opens again, after a failure. Errors: Retry, Reject (as open()).
  Status reopen();

  /// Ok while there is room for more frames. Asks the system about ten times a second, and when
  /// much was written meanwhile, or when it is told to.
  Status check_room(bool ask_now = false);

  /// Nobody will ask for frames of this channel below `below` again: they need not be removed one
  /// by one. Tables with nothing else in them are deleted now, and what is left goes when tables
  /// are rewritten. REQUIRES: what says so is on disk. To be said again after an opening.
  void abandon_frames(std::uint32_t channel, std::uint64_t below);
  /// Lets the database rewrite tables with frames of this channel below `below`, in the background:
  /// else the room of those that are gone is given back when enough new ones were written.
  void give_room_back(std::uint32_t channel, std::uint64_t below);

  /// Errors: as read_frames().
  Result<std::optional<std::string>> row(std::string_view key) const;
  /// Calls f(key, value) for every row whose key starts with `prefix`. Errors: as read_frames().
  Status for_each_row(std::string_view prefix,
                      const std::function<void(std::string_view, std::string_view)>& f) const;

  /// Calls f(first sequence, bytes) for the channel's frames in [from, below), in order, until it
  /// returns false. Never looks at what lies before `from`.
  /// Errors: Reject (damaged on disk at the next frame), Retry.
  Status read_frames(std::uint32_t channel, std::uint64_t from, std::uint64_t below,
                     const std::function<bool(std::uint64_t, std::string_view)>& f) const;

  /// The first sequence in [from, below) of a frame that can be read; `below` when there is none.
  /// Between two damaged places it may overlook some. Errors: Retry.
  Result<std::uint64_t> next_readable(std::uint32_t channel, std::uint64_t from,
                                      std::uint64_t below) const;

  /// The number of a channel, given once and kept.
  Result<std::uint32_t> channel_number(std::string_view name);
  /// Names and numbers of all channels that ever were in this store. Errors: as read_frames().
  Result<std::vector<std::pair<std::string, std::uint32_t>>> channels() const;

 private:
  struct Database;
  class AbandonedFrames;
  explicit Store(Options options);
  Status open_database();
  void flush_rows();
  Status open_past_damaged_logs(FilesBeforeOpen& before, const std::string& why);
  Status salvage(FilesBeforeOpen& before, std::uint64_t synced);
  Status sync_logs();
  Status begin_opening();
  Status closed_after_failure() const;

  const Options options_;
  const std::unique_ptr<AbandonedFrames> abandoned_;  ///< Outlives the databases.
  OriginId opening_;
  std::atomic<bool> failed_{false};       ///< Nothing more until reopen().
  std::atomic<bool> past_damage_{false};  ///< A table is damaged: it must not stop the rest.
  mutable std::shared_mutex mutex_;       ///< Held by readers; reopen() has it alone.
  std::unique_ptr<Database> database_;    // guarded by mutex_
  std::atomic<std::int64_t> room_asked_ms_{0};
  std::atomic<std::uint64_t> written_since_asked_{0};
  std::atomic<bool> room_{true};
};

}  // namespace sluice

// What is done about a log that can be read only in part.
//
// RocksDB reads its logs up to the first damaged record and forgets the rest, without a word. So
// the store knows how far its logs were synced, keeps the files as they are before it is opened,
// and brings back what lies behind the damage.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace sluice {

/// The last database sequence that is known to be on disk, in a file beside the logs. Not synced
/// itself: an older mark is true, too. One thread at a time.
class SyncedMark {
 public:
  SyncedMark(std::shared_ptr<rocksdb::FileSystem> files, std::string path)
      : files_(std::move(files)), path_(std::move(path)) {}

  /// 0 when there is none, or one that is torn. Needs no right to write. Errors: Retry.
  Result<std::uint64_t> read();
  /// A mark that cannot be written stays older.
  void write(std::uint64_t sequence);

 private:
  rocksdb::FSRandomRWFile* file();

  const std::shared_ptr<rocksdb::FileSystem> files_;
  const std::string path_;
  std::unique_ptr<rocksdb::FSRandomRWFile> file_;
};

/// Hard links to a database's files, made before it is opened. One thread.
class FilesBeforeOpen {
 public:
  FilesBeforeOpen(std::shared_ptr<rocksdb::FileSystem> files, std::string database);

  /// Keeps what an opening that was interrupted has left. Where links cannot be made there are
  /// none, and have() is false.
  void make();
  bool have() const noexcept { return have_; }
  const std::string& path() const noexcept { return path_; }
  void drop();
  /// When the opening failed: what it found stays.
  void drop_if_made_now();
  /// Gives them a name of their own, for good. Errors: Retry.
  Result<std::string> keep();

 private:
  void remove(const std::string& directory);

  const std::shared_ptr<rocksdb::FileSystem> files_;
  const std::string database_;
  const std::string path_;
  bool have_ = false;
  bool made_now_ = false;
};

struct Salvaged {
  std::uint64_t frames = 0;
  std::uint64_t events = 0;
};

/// A database with the column families rows and frames.
struct OpenDatabase {
  rocksdb::DB* db;
  rocksdb::ColumnFamilyHandle* rows;
  rocksdb::ColumnFamilyHandle* frames;
};

/// Makes `cut` what `whole` is, which was read past its damage: puts the frames that it lacks,
/// removes those that were taken since, and then, all at once, sets the rows. It can be interrupted
/// and begun again. Behind a damaged table no more frames are brought: what is missing then shows
/// as holes in the queues. Errors: Retry.
Result<Salvaged> bring_back(const OpenDatabase& cut, const OpenDatabase& whole);

}  // namespace sluice

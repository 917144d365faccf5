#include "core/store/salvage.h"

#include <rocksdb/write_batch.h>
#include <xxhash.h>

#include <cstring>
#include <string_view>

#include "core/base/clock.h"
#include "core/event/frame.h"
#include "core/store/store_rows.h"

namespace sluice {
namespace {

const rocksdb::IOOptions io;

constexpr std::uint64_t chunk_bytes = 4 << 20;

struct Mark {
  std::uint64_t sequence = 0;
  std::uint64_t check = 0;  ///< XXH3 of the sequence: half a mark is none.
};

std::uint64_t check_of(std::uint64_t sequence) { return XXH3_64bits(&sequence, sizeof sequence); }

bool is_of_database(std::string_view name) {
  const auto ends_in = [&](std::string_view end) {
    return name.size() > end.size() && name.substr(name.size() - end.size()) == end;
  };
  return ends_in(".log") || ends_in(".sst") || name.starts_with("MANIFEST-") ||
         name.starts_with("OPTIONS-") || name == "CURRENT" || name == "IDENTITY";
}

/// Rows that say something of this opening, not of what is stored.
bool is_of_opening(rocksdb::Slice key) {
  return key.starts_with("opening/") || key.starts_with("store/");
}

/// Writes what was gathered once it is large.
class Chunks {
 public:
  explicit Chunks(rocksdb::DB& db) : db_(db) {}
  rocksdb::WriteBatch& batch() noexcept { return batch_; }
  rocksdb::Status grown() {
    if (batch_.GetDataSize() < chunk_bytes) return {};
    return flush();
  }
  rocksdb::Status flush() {
    const rocksdb::Status status = db_.Write(rocksdb::WriteOptions(), &batch_);
    batch_.Clear();
    return status;
  }

 private:
  rocksdb::DB& db_;
  rocksdb::WriteBatch batch_;
};

rocksdb::Status bring_frames(const OpenDatabase& cut, const OpenDatabase& whole, Chunks& chunks,
                             Salvaged& salvaged) {
  const std::unique_ptr<rocksdb::Iterator> have(cut.db->NewIterator(scan_options(), cut.frames));
  const std::unique_ptr<rocksdb::Iterator> want(
      whole.db->NewIterator(scan_options(), whole.frames));
  have->SeekToFirst();
  want->SeekToFirst();
  while (have->Valid() || want->Valid()) {
    // An end that is an error is no end: nothing may be taken for removed.
    if (!want->status().ok() || !have->status().ok()) break;
    const int order = !have->Valid() ? 1 : !want->Valid() ? -1 : have->key().compare(want->key());
    rocksdb::Status status;
    if (order > 0) {
      status = chunks.batch().Put(cut.frames, want->key(), want->value());
      const auto info = peek_frame({want->value().data(), want->value().size()});
      ++salvaged.frames;
      if (info.ok()) salvaged.events += info->events;
    } else if (order < 0) {
      status = chunks.batch().SingleDelete(cut.frames, have->key());
    }
    if (status.ok()) status = chunks.grown();
    if (!status.ok()) return status;
    if (order <= 0) have->Next();
    if (order >= 0) want->Next();
  }
  const rocksdb::Status end = want->status().ok() ? have->status() : want->status();
  return end.IsCorruption() ? rocksdb::Status() : end;
}

rocksdb::Status bring_rows(const OpenDatabase& cut, const OpenDatabase& whole, Chunks& chunks) {
  const std::unique_ptr<rocksdb::Iterator> want(whole.db->NewIterator(scan_options(), whole.rows));
  for (want->SeekToFirst(); want->Valid(); want->Next()) {
    if (is_of_opening(want->key())) continue;
    const auto status = chunks.batch().Put(cut.rows, want->key(), want->value());
    if (!status.ok()) return status;
  }
  if (!want->status().ok()) return want->status();
  const std::unique_ptr<rocksdb::Iterator> have(cut.db->NewIterator(scan_options(), cut.rows));
  for (have->SeekToFirst(); have->Valid(); have->Next()) {
    if (is_of_opening(have->key())) continue;
    std::string value;
    const auto found = whole.db->Get({}, whole.rows, have->key(), &value);
    if (found.ok()) continue;
    if (!found.IsNotFound()) return found;
    const auto status = chunks.batch().Delete(cut.rows, have->key());
    if (!status.ok()) return status;
  }
  return have->status();
}

}  // namespace

// ---- SyncedMark

rocksdb::FSRandomRWFile* SyncedMark::file() {
  if (file_) return file_.get();
  const auto open = [this] {
    return files_->NewRandomRWFile(path_, rocksdb::FileOptions(), &file_, nullptr).ok();
  };
  if (open()) return file_.get();
  // The call opens a file, it does not make one.
  std::unique_ptr<rocksdb::FSWritableFile> made;
  if (!files_->NewWritableFile(path_, rocksdb::FileOptions(), &made, nullptr).ok()) return nullptr;
  static_cast<void>(made->Close(io, nullptr));
  return open() ? file_.get() : nullptr;
}

Result<std::uint64_t> SyncedMark::read() {
  Mark mark;
  std::string bytes;
  const auto status = rocksdb::ReadFileToString(files_.get(), path_, &bytes);
  const bool there = !status.IsNotFound() && !status.IsPathNotFound();
  // Without it a log that ends too early would pass for whole.
  if (!status.ok() && there) return store_failure("read", path_, status);
  if (!status.ok() || bytes.size() != sizeof mark) return std::uint64_t{0};
  std::memcpy(&mark, bytes.data(), sizeof mark);
  return mark.check == check_of(mark.sequence) ? mark.sequence : 0;
}

void SyncedMark::write(std::uint64_t sequence) {
  const Mark mark{sequence, check_of(sequence)};
  if (file() == nullptr) return;
  const rocksdb::Slice bytes(reinterpret_cast<const char*>(&mark), sizeof mark);
  static_cast<void>(file()->Write(0, bytes, io, nullptr));
}

// ---- FilesBeforeOpen

FilesBeforeOpen::FilesBeforeOpen(std::shared_ptr<rocksdb::FileSystem> files, std::string database)
    : files_(std::move(files)), database_(std::move(database)), path_(database_ + "/before-open") {}

void FilesBeforeOpen::make() {
  have_ = files_->FileExists(path_, io, nullptr).ok();
  if (have_) return;
  const std::string making = path_ + ".making";
  remove(making);
  std::vector<std::string> names;
  if (!files_->GetChildren(database_, io, &names, nullptr).ok()) return;
  if (!files_->CreateDirIfMissing(making, io, nullptr).ok()) return;
  for (const std::string& name : names) {
    if (!is_of_database(name)) continue;
    if (!files_->LinkFile(database_ + "/" + name, making + "/" + name, io, nullptr).ok()) {
      return remove(making);
    }
  }
  have_ = made_now_ = files_->RenameFile(making, path_, io, nullptr).ok();
}

void FilesBeforeOpen::drop_if_made_now() {
  if (made_now_) drop();
}

void FilesBeforeOpen::drop() {
  if (have_) remove(path_);
  have_ = false;
}

Result<std::string> FilesBeforeOpen::keep() {
  const std::string kept =
      database_ + "/damaged-" + std::to_string(Clock::system().wall_ms() / 1000);
  const auto status = files_->RenameFile(path_, kept, io, nullptr);
  if (!status.ok()) return Retry(status.ToString());
  have_ = false;
  return kept;
}

void FilesBeforeOpen::remove(const std::string& directory) {
  std::vector<std::string> names;
  if (!files_->GetChildren(directory, io, &names, nullptr).ok()) return;
  for (const std::string& name : names) {
    if (name != "." && name != "..") {
      static_cast<void>(files_->DeleteFile(directory + "/" + name, io, nullptr));
    }
  }
  static_cast<void>(files_->DeleteDir(directory, io, nullptr));
}

Result<Salvaged> bring_back(const OpenDatabase& cut, const OpenDatabase& whole) {
  Salvaged salvaged;
  Chunks chunks(*cut.db);
  rocksdb::Status status = bring_frames(cut, whole, chunks, salvaged);
  // The rows last and together: until then the accounts say what they said before.
  if (status.ok()) status = chunks.flush();
  if (status.ok()) status = bring_rows(cut, whole, chunks);
  if (status.ok()) status = chunks.flush();
  if (!status.ok()) return Retry(status.ToString());
  return salvaged;
}

}  // namespace sluice

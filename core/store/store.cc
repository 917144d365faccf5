#include "core/store/store.h"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/experimental.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <utility>

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/store/crc32c.h"
#include "core/store/mended_logs.h"
#include "core/store/rocksdb_log.h"
#include "core/store/salvage.h"
#include "core/store/store_files.h"
#include "core/store/store_rows.h"

namespace sluice {
namespace {

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
rocksdb::Slice slice(const FrameKey& key) { return {key.data(), key.size()}; }

rocksdb::DBOptions database_options(const Store::Options& store) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.info_log = make_rocksdb_log(store.path);  // its own one aborts on a full disk
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.track_and_verify_wals_in_manifest = true;
  options.allow_concurrent_memtable_write = false;  // one thread writes
  options.max_background_jobs = 2;
  options.avoid_flush_during_shutdown = true;  // what was written is in the log
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // The rows fill their memtable slowly, and hold the log of all frames back until it is flushed.
  options.max_total_wal_size = 6 * store.memtable_bytes;
  return options;
}

rocksdb::ColumnFamilyOptions row_options() {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 4 << 20;
  return options;
}

/// Values of hundreds of KB, written in order, read once in order, then removed.
rocksdb::ColumnFamilyOptions frame_options(std::uint64_t memtable_bytes) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = memtable_bytes;
  options.max_write_buffer_number = 4;
  options.compression = rocksdb::kNoCompression;
  options.level_compaction_dynamic_level_bytes = true;
  // A queue is written once: compaction only gives space back, so it may lag far behind.
  options.level0_slowdown_writes_trigger = 200;
  options.level0_stop_writes_trigger = 400;
  options.soft_pending_compaction_bytes_limit = 0;
  options.hard_pending_compaction_bytes_limit = 0;
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;  // what is read is removed
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

std::shared_ptr<rocksdb::FileSystem> file_system(const Store::Options& store) {
  return (store.env != nullptr ? store.env : rocksdb::Env::Default())->GetFileSystem();
}

OriginId random_id() {
  std::random_device source;
  const auto word = [&source] {
    constexpr int half = 32;
    return (std::uint64_t{source()} << half) | source();
  };
  return {word(), word()};
}

/// What does not stop a database from being opened, and from going on.
enum class Past : unsigned char {
  Nothing,
  DamagedTables,  ///< What cannot be read in one fails when it is asked for.
  DamagedLogs,    ///< Nor do damaged records of the logs, which are mended, or left out.
};

}  // namespace

/// Leaves frames that nobody will ask for out of the tables that are written anew. Thread-safe.
class Store::AbandonedFrames final : public rocksdb::CompactionFilter {
 public:
  const char* Name() const override { return "AbandonedFrames"; }

  void add(std::uint32_t channel, std::uint64_t below) {
    const std::lock_guard lock(mutex_);
    std::uint64_t& known = below_[channel];
    known = std::max(known, below);
  }
  /// Without a tombstone, which would not go together with those of single frames.
  Decision FilterV2(int /*level*/, const rocksdb::Slice& key, ValueType /*type*/,
                    const rocksdb::Slice& /*value*/, std::string* /*new_value*/,
                    std::string* skip_until) const override {
    std::uint32_t channel = 0;
    if (key.size() != FrameKey().size()) return Decision::kKeep;
    std::memcpy(&channel, key.data(), sizeof channel);
    channel = __builtin_bswap32(channel);
    const std::lock_guard lock(mutex_);
    const auto found = below_.find(channel);
    if (found == below_.end()) return Decision::kKeep;
    const FrameKey end = frame_key(channel, found->second);
    if (key.compare(slice(end)) >= 0) return Decision::kKeep;
    skip_until->assign(end.data(), end.size());
    return Decision::kRemoveAndSkipUntil;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::uint32_t, std::uint64_t> below_;  // guarded by mutex_
};

struct Store::Database {
  const AbandonedFrames& abandoned;
  std::shared_ptr<StoreFiles> files;
  std::shared_ptr<MendedLogs> mended;
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::Env> mended_env;
  SyncedMark synced;
  std::unique_ptr<rocksdb::DB> db;
  rocksdb::ColumnFamilyHandle* rows = nullptr;
  rocksdb::ColumnFamilyHandle* frames = nullptr;

  Database(const Options& store, const AbandonedFrames& abandoned_frames)
      : abandoned(abandoned_frames),
        files(std::make_shared<StoreFiles>(file_system(store), store.sync_takes)),
        mended(std::make_shared<MendedLogs>(files)),
        env(rocksdb::NewCompositeEnv(files)),
        mended_env(rocksdb::NewCompositeEnv(mended)),
        synced(files, store.path + "/synced") {}
  StoreRows view(const std::string& path) const { return {*db, *rows, *frames, path}; }

  ~Database() {
    if (!db) return;
    for (rocksdb::ColumnFamilyHandle* handle : {rows, frames}) {
      if (handle != nullptr) static_cast<void>(db->DestroyColumnFamilyHandle(handle));
    }
    static_cast<void>(db->Close());
  }

  rocksdb::Status open(const Options& store, Past past) {
    const rocksdb::DBOptions options = options_for(store, past);
    if (const auto loaded = load_logs(store.path, past); !loaded.ok()) return loaded;
    return open_with(store, [&](const auto& families, auto* handles, rocksdb::DB** opened) {
      return rocksdb::DB::Open(options, store.path, families, handles, opened);
    });
  }
  /// Only to read, another copy of the files.
  rocksdb::Status open_copy(const Options& store, const std::string& path, Past past) {
    const rocksdb::DBOptions options = options_for(store, past);
    if (const auto loaded = load_logs(path, past); !loaded.ok()) return loaded;
    return open_with(store, [&](const auto& families, auto* handles, rocksdb::DB** opened) {
      return rocksdb::DB::OpenForReadOnly(options, path, families, handles, opened);
    });
  }
  OpenDatabase opened() const { return {db.get(), rows, frames}; }

 private:
  rocksdb::DBOptions options_for(const Options& store, Past past) const {
    rocksdb::DBOptions options = database_options(store);
    options.env = env.get();
    options.paranoid_checks = past == Past::Nothing;
    if (past == Past::DamagedLogs) {
      options.env = mended_env.get();
      options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
    }
    return options;
  }
  rocksdb::Status load_logs(const std::string& path, Past past) const {
    return past == Past::DamagedLogs ? mended->load(path) : rocksdb::IOStatus::OK();
  }
  template <typename Call>
  rocksdb::Status open_with(const Options& store, Call call) {
    rocksdb::ColumnFamilyOptions frame = frame_options(store.memtable_bytes);
    frame.compaction_filter = &abandoned;
    const std::vector<rocksdb::ColumnFamilyDescriptor> families{
        {rocksdb::kDefaultColumnFamilyName, row_options()}, {std::string(frames_family), frame}};
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* made = nullptr;
    rocksdb::Status status = call(families, &handles, &made);
    mended->unload();
    if (!status.ok()) return status;
    db.reset(made);
    rows = handles[0];
    frames = handles[1];
    return status;
  }
};

// ---- StoreBatch

struct StoreBatch::Impl {
  rocksdb::WriteBatch batch;
  rocksdb::ColumnFamilyHandle* rows;
  rocksdb::ColumnFamilyHandle* frames;
};

namespace {

/// A batch lives in memory: nothing about it can fail.
void expect_ok(const rocksdb::Status& status) {
  SLUICE_ASSERT(status.ok(), "a write batch refused an entry");
}

}  // namespace

StoreBatch::StoreBatch() noexcept = default;
StoreBatch::StoreBatch(StoreBatch&&) noexcept = default;
StoreBatch& StoreBatch::operator=(StoreBatch&&) noexcept = default;
StoreBatch::~StoreBatch() = default;

void StoreBatch::put_frame(std::uint32_t channel, std::uint64_t first_sequence,
                           const Frame& frame) {
  const FrameKey key = frame_key(channel, first_sequence);
  const rocksdb::Slice key_part = slice(key);
  const auto pieces = frame.pieces();
  std::array<rocksdb::Slice, pieces.size()> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = slice(pieces[i]);
  expect_ok(impl_->batch.Put(impl_->frames, rocksdb::SliceParts(&key_part, 1),
                             rocksdb::SliceParts(parts.data(), static_cast<int>(parts.size()))));
}

void StoreBatch::remove_frame(std::uint32_t channel, std::uint64_t first_sequence) {
  // Put once, removed once: both vanish where they meet.
  expect_ok(impl_->batch.SingleDelete(impl_->frames, slice(frame_key(channel, first_sequence))));
}

void StoreBatch::put_row(std::string_view key, std::string_view value) {
  expect_ok(impl_->batch.Put(impl_->rows, slice(key), slice(value)));
}

void StoreBatch::remove_row(std::string_view key) {
  expect_ok(impl_->batch.Delete(impl_->rows, slice(key)));
}

std::uint64_t StoreBatch::bytes() const noexcept { return impl_->batch.GetDataSize(); }
void StoreBatch::clear() noexcept { impl_->batch.Clear(); }

// ---- Store

Store::Store(Options options)
    : options_(std::move(options)),
      abandoned_(std::make_unique<AbandonedFrames>()),
      opening_(random_id()) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(Options options) {
  std::unique_ptr<Store> store(new Store(std::move(options)));
  if (Status status = store->open_database(); !status.ok()) return status;
  Status begun = store->begin_opening();
  if (!begun.ok() && store->past_damage_) {
    begun = store->reopen();
    if (begun.ok()) begun = store->begin_opening();
  }
  if (!begun.ok()) return begun;
  if (!rocksdb_uses_our_crc32c()) {
    log::info("store {}: RocksDB computes its checksums itself, which is slower",
              store->options_.path);
  }
  return store;
}

namespace {

std::string kept(FilesBeforeOpen& before) {
  if (!before.have()) return "could not be kept";
  const auto path = before.keep();
  return path.ok() ? "are kept in " + path.value() : "are not kept: " + path.status().message();
}

/// RocksDB takes a directory without CURRENT for a new one, and begins over what is there.
Status check_current(rocksdb::FileSystem& files, const std::string& directory) {
  std::vector<std::string> names;
  const auto status = files.GetChildren(directory, {}, &names, nullptr);
  if (!status.ok()) return store_failure("open", directory, status);
  std::string manifest;
  bool has_content = false;
  for (const std::string& name : names) {
    if (name == "CURRENT") return {};
    if (name.starts_with("MANIFEST-")) manifest = std::max(manifest, name);
    has_content = has_content || name.ends_with(".log") || name.ends_with(".sst");
  }
  if (!has_content) return {};
  return Reject("the store " + directory + " is damaged: its file CURRENT is gone" +
                (manifest.empty()
                     ? ", and its MANIFEST; put both back"
                     : ", which holds the name of its MANIFEST (\"" + manifest +
                           "\", if there is no older one) and a line feed; put it back") +
                ", or move the directory away, and the agent begins a new store");
}

}  // namespace

Status Store::open_database() {
  if (Status status = make_directories(options_.path); !status.ok()) return status;
  auto database = std::make_unique<Database>(options_, *abandoned_);
  if (Status status = check_current(*database->files, options_.path); !status.ok()) return status;
  const auto synced = database->synced.read();
  if (!synced.ok()) return synced.status();
  FilesBeforeOpen before(database->files, options_.path);
  before.make();
  const rocksdb::Status status =
      database->open(options_, past_damage_ ? Past::DamagedTables : Past::Nothing);
  if (status.IsCorruption()) return open_past_damaged_logs(before, status.ToString());
  if (!status.ok()) before.drop_if_made_now();
  if (status.IsIOError() && status.ToString().find("lock") != std::string::npos) {
    return Retry("the store " + options_.path +
                 " is in use by another agent: stop that one, or give this one a directory of its "
                 "own (" +
                 status.ToString() + ")");
  }
  if (!status.ok()) return store_failure("open", options_.path, status);
  database_ = std::move(database);
  bool cut = database_->db->GetLatestSequenceNumber() < synced.value();
  if (!cut && before.have()) {
    const auto unsaid = a_log_ends_unsaid(*database_->files, before.path());
    if (!unsaid.ok()) return unsaid.status();
    cut = unsaid.value();
  }
  if (cut) return salvage(before, synced.value());
  before.drop();
  return {};
}

/// RocksDB refuses logs that end before what is in the tables.
Status Store::open_past_damaged_logs(FilesBeforeOpen& before, const std::string& why) {
  auto database = std::make_unique<Database>(options_, *abandoned_);
  const rocksdb::Status status = database->open(options_, Past::DamagedLogs);
  if (!status.ok()) {
    before.drop_if_made_now();
    Status failure = store_failure("open", options_.path, status);
    if (failure.code() == Code::Retry) return failure;  // which file is damaged shows another time
    return Reject(failure.message() +
                  "; put the missing or damaged file back, or move the directory away, and the "
                  "agent begins a new store");
  }
  database_ = std::move(database);
  if (Status synced = sync_logs(); !synced.ok()) return synced;
  log::error(
      "the store {}: its log is damaged ({}; places: {}): what lay in the damage is missing, its "
      "channel says which sequences. The files as they were {}",
      options_.path, why, database_->mended->places(), kept(before));
  return {};
}

/// Reads on behind the damage, in the files as they were before the store was opened.
Status Store::salvage(FilesBeforeOpen& before, std::uint64_t synced) {
  const std::uint64_t recovered = database_->db->GetLatestSequenceNumber();
  const std::uint64_t missing = synced - std::min(synced, recovered);
  Salvaged salvaged;
  std::size_t places = 0;
  std::string not_read = before.have() ? "" : "its files could not be linked before it was opened";
  if (before.have()) {
    Database whole(options_, *abandoned_);
    const rocksdb::Status status = whole.open_copy(options_, before.path(), Past::DamagedLogs);
    places = whole.mended->places();
    if (!status.ok()) {
      // What cannot be read just now is there still: the files are kept for the next opening.
      Status failure = store_failure("read", before.path(), status);
      if (failure.code() == Code::Retry) return failure;
      not_read = status.ToString();
    } else if (missing == 0 || whole.db->GetLatestSequenceNumber() > recovered) {
      auto brought = bring_back(database_->opened(), whole.opened());
      if (!brought.ok()) return brought.status().with_context("the store " + options_.path);
      salvaged = *brought;
    }
  }
  if (Status status = sync_logs(); !status.ok()) return status;
  if (!not_read.empty()) {
    log::error(
        "the store {}: its log is damaged, and what lies behind the damage cannot be read ({}): "
        "{} of the entries that were synced are missing, and the agent goes on without them. The "
        "files as they were {}: with a good copy of the log among them they can take the place of "
        "this store, while the agent is stopped",
        options_.path, not_read, missing, kept(before));
    return {};
  }
  log::error(
      "the store {}: its log is damaged (places: {}): {} of the entries that were synced cannot be "
      "read where they belong; {} frames ({} events) behind the damage are brought back, what lay "
      "in it is missing, and its channel says which sequences. The files as they were {}",
      options_.path, places, missing, salvaged.frames, salvaged.events, kept(before));
  return {};
}

/// Refuses what it does not know, and notes that the store was opened under a new id.
Status Store::begin_opening() {
  const auto format = row(format_key);
  if (!format.ok()) return format.status();
  if (Status status = check_format(format.value(), options_.path); !status.ok()) return status;
  std::uint64_t openings = 0;
  if (Status status = for_each_row(opening_prefix, [&](auto, auto) { ++openings; }); !status.ok()) {
    return status;
  }
  std::array<char, 32> number{};
  std::snprintf(number.data(), number.size(), "%012llu", static_cast<unsigned long long>(openings));
  std::string value(reinterpret_cast<const char*>(&opening_), sizeof opening_);
  StoreBatch first = batch();
  first.put_row(format_key, format_1);
  first.put_row(std::string(opening_prefix) + number.data(), value);
  if (Status status = write(first); !status.ok()) return status;
  return sync();
}

Status Store::reopen() {
  const std::unique_lock lock(mutex_);
  database_.reset();
  failed_ = false;
  return open_database();
}

StoreBatch Store::batch() {
  const std::shared_lock lock(mutex_);
  StoreBatch made;
  made.impl_ = std::make_unique<StoreBatch::Impl>();
  made.impl_->rows = database_->rows;
  made.impl_->frames = database_->frames;
  return made;
}

Status Store::write(StoreBatch& batch) {
  const std::shared_lock lock(mutex_);
  if (!database_ || failed_) return closed_after_failure();
  const rocksdb::Status status = database_->db->Write(rocksdb::WriteOptions(), &batch.impl_->batch);
  if (status.ok()) {
    written_since_asked_.fetch_add(batch.bytes(), std::memory_order_relaxed);
    return {};
  }
  failed_ = true;
  // Seen by a compaction in the background, which stops all writes: reopen() goes on without it.
  if (status.IsCorruption() && !past_damage_.exchange(true)) {
    log::error(
        "the store {}: a table is damaged ({}): what cannot be read in it is passed over, and its "
        "room on the disk is not given back",
        options_.path, status.ToString());
  }
  // Whatever it is: what was to be written can be offered again.
  return Retry(store_failure("write to", options_.path, status).message());
}

Status Store::sync() {
  const std::shared_lock lock(mutex_);
  if (!database_ || failed_) return closed_after_failure();
  return sync_logs();
}

Status Store::sync_logs() {
  const std::uint64_t written = database_->db->GetLatestSequenceNumber();
  Status status = database_->files->sync_logs();
  if (status.ok()) {
    database_->synced.write(written);
    return {};
  }
  failed_ = true;
  return status.with_context("cannot sync the store " + options_.path);
}

Status Store::closed_after_failure() const {
  return Retry("the store " + options_.path + " is closed after a failure");
}

Status Store::check_room(bool ask_now) {
  constexpr std::int64_t ask_every_ms = 100;
  const std::int64_t now = Clock::system().steady().time_since_epoch() / milliseconds(1);
  const bool much_written =
      written_since_asked_.load(std::memory_order_relaxed) >= options_.free_bytes_min / 16;
  if (ask_now || much_written ||
      now - room_asked_ms_.load(std::memory_order_relaxed) >= ask_every_ms) {
    room_asked_ms_.store(now, std::memory_order_relaxed);
    written_since_asked_.store(0, std::memory_order_relaxed);
    std::uint64_t free = 0;
    const auto status =
        file_system(options_)->GetFreeSpace(options_.path, rocksdb::IOOptions(), &free, nullptr);
    room_.store(!status.ok() || free >= options_.free_bytes_min, std::memory_order_relaxed);
  }
  if (room_.load(std::memory_order_relaxed)) return {};
  return Retry("the disk of the store " + options_.path + " has less than " +
               std::to_string(options_.free_bytes_min >> 20) +
               " MiB left (minimumRequiredSpace): nothing more is taken in until there is room");
}

void Store::abandon_frames(std::uint32_t channel, std::uint64_t below) {
  abandoned_->add(channel, below);
  const std::shared_lock lock(mutex_);
  if (!database_ || failed_) return;
  const FrameKey begin = frame_key(channel, 0);
  const FrameKey end = frame_key(channel, below);
  const rocksdb::Slice first = slice(begin);
  const rocksdb::Slice behind = slice(end);
  constexpr bool with_end = false;
  // A failure shows with the next write.
  static_cast<void>(rocksdb::DeleteFilesInRange(database_->db.get(), database_->frames, &first,
                                                &behind, with_end));
}

void Store::give_room_back(std::uint32_t channel, std::uint64_t below) {
  const std::shared_lock lock(mutex_);
  if (!database_ || failed_) return;
  rocksdb::FlushOptions flush;
  flush.wait = false;
  flush.allow_write_stall = true;
  const FrameKey begin = frame_key(channel, 0);
  const FrameKey end = frame_key(channel, below);
  const rocksdb::Slice first = slice(begin);
  const rocksdb::Slice behind = slice(end);
  static_cast<void>(database_->db->Flush(flush, database_->frames));
  static_cast<void>(rocksdb::experimental::SuggestCompactRange(database_->db.get(),
                                                               database_->frames, &first, &behind));
}

Result<std::optional<std::string>> Store::row(std::string_view key) const {
  const std::shared_lock lock(mutex_);
  if (!database_) return closed_after_failure();
  return database_->view(options_.path).row(key);
}

Status Store::for_each_row(std::string_view prefix,
                           const std::function<void(std::string_view, std::string_view)>& f) const {
  const std::shared_lock lock(mutex_);
  if (!database_) return closed_after_failure();
  return database_->view(options_.path).for_each_row(prefix, f);
}

Status Store::read_frames(std::uint32_t channel, std::uint64_t from, std::uint64_t below,
                          const std::function<bool(std::uint64_t, std::string_view)>& f) const {
  const std::shared_lock lock(mutex_);
  if (!database_) return closed_after_failure();
  return database_->view(options_.path).read_frames(channel, from, below, f);
}

Result<std::uint64_t> Store::next_readable(std::uint32_t channel, std::uint64_t from,
                                           std::uint64_t below) const {
  const std::shared_lock lock(mutex_);
  if (!database_) return closed_after_failure();
  return database_->view(options_.path).next_readable(channel, from, below);
}

/// Out of the log, which may be damaged one day.
void Store::flush_rows() {
  const std::shared_lock lock(mutex_);
  if (!database_ || failed_) return;
  const rocksdb::Status status = database_->db->Flush({});
  if (!status.ok())
    log::warn("the store {}: its rows stay in the log: {}", options_.path, status.ToString());
}

Result<std::uint32_t> Store::channel_number(std::string_view name) {
  std::uint32_t number = 0;
  const auto all = channels();
  if (!all.ok()) return all.status();
  for (const auto& [known, its_number] : all.value()) {
    if (known == name) return its_number;
    number = std::max(number, its_number + 1);
  }
  StoreBatch added = batch();
  added.put_row(std::string(channel_prefix) + std::string(name), std::to_string(number));
  if (Status status = write(added); !status.ok()) return status;
  if (Status status = sync(); !status.ok()) return status;
  flush_rows();  // without its number all events of a channel would be lost
  return number;
}

Result<std::vector<std::pair<std::string, std::uint32_t>>> Store::channels() const {
  const std::shared_lock lock(mutex_);
  if (!database_) return closed_after_failure();
  return database_->view(options_.path).channels();
}

}  // namespace sluice

#include "core/store/store_reader.h"

#include <rocksdb/db.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <mutex>

#include "core/store/salvage.h"
#include "core/store/store_rows.h"
#include "core/store/store_snapshot.h"

namespace sluice {
namespace {

/// RocksDB says only in its own log that a record of the write-ahead log is damaged.
class DamageLog final : public rocksdb::Logger {
 public:
  /// `last_log`: the name of the log that may end in the middle of a commit under way.
  explicit DamageLog(std::string last_log)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), last_log_(std::move(last_log)) {}

  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    std::array<char, 1024> text{};
    if (std::vsnprintf(text.data(), text.size(), format, arguments) <= 0) return;
    // "[WARN] [place] PATH/000145.log: dropping 7 bytes; why"
    const std::string_view line(text.data());
    const std::size_t what = line.find(".log: dropping ");
    if (what == std::string_view::npos) return;
    const std::string_view told = line.substr(line.rfind('/', what) + 1);
    const bool at_the_end = told.find("truncated") != std::string_view::npos ||
                            told.find("trailing data") != std::string_view::npos;
    if (at_the_end && told.starts_with(last_log_)) return;
    const std::lock_guard lock(mutex_);
    // What follows in the same log cannot be read because of the first.
    const std::string_view log = told.substr(0, told.find(':'));
    const auto same = [log](const std::string& earlier) { return earlier.starts_with(log); };
    if (std::none_of(found_.begin(), found_.end(), same)) found_.emplace_back(told);
  }
  /// Once nobody logs any more.
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::move(found_);
  }

 private:
  const std::string last_log_;
  std::mutex mutex_;
  std::vector<std::string> found_;  // guarded by mutex_
};

std::vector<rocksdb::ColumnFamilyDescriptor> families() {
  rocksdb::ColumnFamilyOptions frames;
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;  // each is read once
  frames.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return {{rocksdb::kDefaultColumnFamilyName, {}}, {std::string(frames_family), frames}};
}

Status cannot_open(const std::string& path, const rocksdb::Status& status) {
  if (status.IsInvalidArgument()) {
    return Reject("the store " + path +
                  " is damaged, or was not made by this program: " + status.ToString());
  }
  Status failure = store_failure("read", path, status);
  if (status.ToString().find("Too many open files") != std::string::npos) {
    return Retry(failure.message() + "; allow more with ulimit -n");
  }
  return failure;
}

}  // namespace

struct StoreReader::Database {
  std::string path;
  std::vector<std::string> damage;
  std::shared_ptr<StoreSnapshot> files;
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::DB> db;
  std::array<rocksdb::ColumnFamilyHandle*, 2> handles{};

  StoreRows view() const { return {*db, *handles[0], *handles[1], path}; }

  ~Database() {
    if (!db) return;
    for (rocksdb::ColumnFamilyHandle* handle : handles) {
      if (handle != nullptr) static_cast<void>(db->DestroyColumnFamilyHandle(handle));
    }
    static_cast<void>(db->Close());
  }
};

StoreReader::StoreReader(std::unique_ptr<Database> database) : database_(std::move(database)) {}
StoreReader::~StoreReader() = default;

Result<std::unique_ptr<StoreReader>> StoreReader::open(const std::string& path,
                                                       std::shared_ptr<rocksdb::FileSystem> files) {
  if (!files) files = rocksdb::FileSystem::Default();
  auto database = std::make_unique<Database>();
  database->path = path;
  // Before the files, so that an agent at work does not seem to have synced more than it wrote.
  const auto synced = SyncedMark(files, path + "/synced").read();
  database->files = std::make_shared<StoreSnapshot>(files);
  if (Status status = database->files->take(path); !status.ok()) return status;
  if (!synced.ok()) return synced.status();
  database->env = rocksdb::NewCompositeEnv(database->files);
  const auto log = std::make_shared<DamageLog>(database->files->last_log());
  rocksdb::DBOptions options;
  options.env = database->env.get();
  options.info_log = log;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // As the agent has it: without it the library wants to note that, and aborts for lack of a file.
  options.track_and_verify_wals_in_manifest = true;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      rocksdb::DB::OpenForReadOnly(options, path, families(), &handles, &db);
  if (!opened.ok()) return cannot_open(path, opened);
  database->db.reset(db);
  database->handles = {handles[0], handles[1]};
  database->damage = log->take();
  if (const std::uint64_t seen = db->GetLatestSequenceNumber(); seen < synced.value()) {
    database->damage.push_back(std::to_string(synced.value() - seen) +
                               " entries that were synced are not there");
  }
  const auto format = database->view().row(format_key);
  if (!format.ok()) return format.status();
  if (Status status = check_format(format.value(), path); !status.ok()) return status;
  return std::unique_ptr<StoreReader>(new StoreReader(std::move(database)));
}

const std::string& StoreReader::path() const noexcept { return database_->path; }
const std::vector<std::string>& StoreReader::damage() const noexcept { return database_->damage; }

StoreReader::Size StoreReader::size() const noexcept {
  const StoreSnapshot& files = *database_->files;
  return {files.files(), files.bytes_of(".sst"), files.bytes_of(".log")};
}

Result<std::uint64_t> StoreReader::openings() const {
  std::uint64_t openings = 0;
  const Status status = for_each_row(opening_prefix, [&](auto, auto) { ++openings; });
  if (!status.ok()) return status;
  return openings;
}

Result<std::vector<std::pair<std::string, std::uint32_t>>> StoreReader::channels() const {
  return database_->view().channels();
}

Status StoreReader::for_each_row(
    std::string_view prefix,
    const std::function<void(std::string_view, std::string_view)>& f) const {
  return database_->view().for_each_row(prefix, f);
}

Status StoreReader::read_frames(
    std::uint32_t channel, std::uint64_t from, std::uint64_t below,
    const std::function<bool(std::uint64_t, std::string_view)>& f) const {
  return database_->view().read_frames(channel, from, below, f);
}

Result<std::uint64_t> StoreReader::next_readable(std::uint32_t channel, std::uint64_t from,
                                                 std::uint64_t below) const {
  return database_->view().next_readable(channel, from, below);
}

Result<Account> StoreReader::account(std::uint32_t channel) const {
  const auto row = database_->view().row("account/" + std::to_string(channel));
  if (!row.ok()) return row.status();
  return row.value() ? Account::decode(*row.value()) : Account();
}

Result<std::optional<std::uint64_t>> StoreReader::frame_before(std::uint32_t channel,
                                                               std::uint64_t sequence) const {
  return database_->view().frame_before(channel, sequence);
}

}  // namespace sluice

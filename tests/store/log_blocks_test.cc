// Damaged logs of RocksDB's own making, mended, and read by RocksDB.
// test: no-tsan timeout=300
#include "core/store/log_blocks.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <set>

#include "core/store/crc32c.h"
#include "core/store/mended_logs.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

using testing::TempDirectory;

constexpr std::size_t block_bytes = 32 << 10;
constexpr std::size_t header_bytes = 7;

struct Place {
  std::size_t begin;
  std::size_t end;
};

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A database whose log can be exchanged. Record i puts the key of its number, and another one.
class Logged {
 public:
  /// Records that hold values of these sizes.
  explicit Logged(const std::vector<std::string>& values) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.info_log_level = rocksdb::InfoLogLevel::FATAL_LEVEL;
    rocksdb::DB* made = nullptr;
    REQUIRE(rocksdb::DB::Open(options, path_, &made).ok());
    const std::unique_ptr<rocksdb::DB> db(made);
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      if (entry.path().extension() == ".log") log_ = entry.path();
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      rocksdb::WriteBatch batch;
      batch.Put(key(i), values[i]);
      batch.SingleDelete("taken " + key(i));
      const std::size_t begin = std::filesystem::file_size(log_);
      REQUIRE(db->Write({}, &batch).ok());
      records_.push_back({begin, std::filesystem::file_size(log_)});
    }
    // While it is open: closing it would flush the log.
    bytes_ = bytes_of(log_);
    std::filesystem::copy(path_, copy_);
  }

  const std::string& bytes() const { return bytes_; }
  const std::vector<Place>& records() const { return records_; }

  /// Where the fragments are, by the format's description.
  std::vector<Place> fragments() const {
    std::vector<Place> found;
    for (std::size_t at = 0; at + header_bytes <= bytes_.size();) {
      if (block_bytes - at % block_bytes < header_bytes) {
        at += block_bytes - at % block_bytes;
        continue;
      }
      const auto low = static_cast<unsigned char>(bytes_[at + 4]);
      const auto high = static_cast<unsigned char>(bytes_[at + 5]);
      found.push_back({at, at + header_bytes + low + (std::size_t{high} << 8)});
      at = found.back().end;
    }
    return found;
  }

  /// The records that RocksDB reads in this log; nothing when it refuses it.
  std::optional<std::set<std::size_t>> read(const std::string& log, bool mended = true) const {
    std::ofstream(copy_ / log_.filename(), std::ios::binary | std::ios::trunc) << log;
    const auto files = std::make_shared<MendedLogs>(rocksdb::FileSystem::Default());
    const auto env = rocksdb::NewCompositeEnv(files);
    rocksdb::Options options;
    if (mended) REQUIRE(files->load(copy_).ok());
    if (mended) options.env = env.get();
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
    options.paranoid_checks = false;
    options.info_log_level = rocksdb::InfoLogLevel::FATAL_LEVEL;
    rocksdb::DB* opened = nullptr;
    const auto status = rocksdb::DB::OpenForReadOnly(options, copy_, &opened);
    UNSCOPED_INFO(status.ToString());
    if (!status.ok()) return {};
    const std::unique_ptr<rocksdb::DB> db(opened);
    const std::unique_ptr<rocksdb::Iterator> all(db->NewIterator({}));
    std::set<std::size_t> numbers;
    for (all->SeekToFirst(); all->Valid(); all->Next()) {
      numbers.insert(std::stoul(all->key().ToString()));
    }
    return numbers;
  }

  std::set<std::size_t> all() const {
    std::set<std::size_t> numbers;
    for (std::size_t i = 0; i < records_.size(); ++i) numbers.insert(i);
    return numbers;
  }
  /// All records but those that have a byte in one of these places.
  std::set<std::size_t> all_but(const std::vector<Place>& places) const {
    std::set<std::size_t> numbers = all();
    for (std::size_t i = 0; i < records_.size(); ++i) {
      for (const Place& place : places) {
        if (place.begin < records_[i].end && records_[i].begin < place.end) numbers.erase(i);
      }
    }
    return numbers;
  }

 private:
  static std::string key(std::size_t i) { return std::to_string(i); }

  const TempDirectory directory_;
  const std::string path_ = directory_.path("db");
  const std::filesystem::path copy_ = directory_.path("copy");
  std::filesystem::path log_;
  std::string bytes_;
  std::vector<Place> records_;
};

/// Some within a block, some over several, in turns.
std::vector<std::string> values(std::size_t count = 24) {
  constexpr std::array<std::size_t, 6> sizes{100, 70'000, 5, 20'000, 110'000, 900};
  std::vector<std::string> made;
  for (std::size_t i = 0; i < count; ++i) {
    made.emplace_back(sizes[i % sizes.size()] + i, static_cast<char>('a' + i % 26));
  }
  return made;
}

std::string flipped(std::string log, std::size_t at, int bit) {
  log[at] = static_cast<char>(log[at] ^ (1 << bit));
  return log;
}

/// Whether `of` has all that `part` has.
bool is_part_of(const std::set<std::size_t>& part, const std::set<std::size_t>& of) {
  return std::includes(of.begin(), of.end(), part.begin(), part.end());
}

TEST_CASE("a sound log stays as it is") {
  const Logged logged(values());
  std::string log = logged.bytes();
  CHECK(mend_log(log) == 0);
  CHECK(log == logged.bytes());
  CHECK_FALSE(ends_unsaid(log));
  CHECK(logged.read(log) == logged.all());
  std::string empty;
  CHECK(mend_log(empty) == 0);
}

TEST_CASE("a flipped bit changes the fragment that it hits, and no other byte") {
  const Logged logged(values());
  const std::string& sound = logged.bytes();
  const auto fragments = logged.fragments();
  REQUIRE(fragments.size() > 30);
  for (const Place& fragment : fragments) {
    const bool last = fragment.end == sound.size();
    const std::size_t middle = (fragment.begin + header_bytes + fragment.end) / 2;
    for (const std::size_t at :
         {fragment.begin, fragment.begin + 3, fragment.begin + 4, fragment.begin + 5,
          fragment.begin + 6, fragment.begin + 7, middle, fragment.end - 1}) {
      if (at >= fragment.end) continue;
      for (int bit = 0; bit < 8; ++bit) {
        INFO("bit " << bit << " of byte " << at << ", fragment at " << fragment.begin);
        std::string log = flipped(sound, at, bit);
        CHECK(mend_log(log) == (last ? 0 : 1));
        REQUIRE(log.size() == sound.size());
        CHECK(log.compare(0, fragment.begin, sound, 0, fragment.begin) == 0);
        CHECK(log.compare(fragment.end, std::string::npos, sound, fragment.end) == 0);
        const std::string again = log;
        CHECK(mend_log(log) == 0);
        CHECK(log == again);
      }
    }
  }
}

TEST_CASE("RocksDB reads every record but the one that a flipped bit hits") {
  const Logged logged(values());
  for (const Place& fragment : logged.fragments()) {
    // The types that a recycled file has are among these.
    for (const std::size_t at :
         {fragment.begin + 1, fragment.begin + 4, fragment.begin + 6, fragment.end - 1}) {
      INFO("byte " << at << ", fragment at " << fragment.begin);
      const auto found = logged.read(flipped(logged.bytes(), at, 2));
      REQUIRE(found);
      CHECK(*found == logged.all_but({{at, at + 1}}));
    }
  }
}

TEST_CASE("several flipped bits cost what they hit and what shares a block with two of them") {
  const Logged logged(values());
  std::mt19937_64 random(3);
  for (int round = 0; round < 150; ++round) {
    std::string log = logged.bytes();
    std::vector<Place> hits;
    std::vector<Place> blocks;
    const std::size_t flips = 2 + random() % 4;
    for (std::size_t i = 0; i < flips; ++i) {
      const std::size_t at = random() % log.size();
      log = flipped(log, at, static_cast<int>(random() % 8));
      const std::size_t block = at / block_bytes * block_bytes;
      for (const Place& other : hits) {
        if (other.begin / block_bytes == at / block_bytes) {
          blocks.push_back({block, block + block_bytes});
        }
      }
      hits.push_back({at, at + 1});
    }
    INFO("round " << round);
    const auto found = logged.read(log);
    REQUIRE(found);
    blocks.insert(blocks.end(), hits.begin(), hits.end());
    CHECK(is_part_of(logged.all_but(blocks), *found));
  }
}

TEST_CASE("two damaged fragments in a block cost no more when their lengths hold") {
  const Logged logged(std::vector<std::string>(40, std::string(300, 'x')));
  std::string log = logged.bytes();
  std::vector<Place> hits;
  for (const std::size_t i : {7, 8, 20}) {
    const std::size_t at = logged.records()[i].end - 5;
    log = flipped(log, at, 0);
    hits.push_back({at, at + 1});
  }
  CHECK(logged.read(log) == logged.all_but(hits));
  CHECK(mend_log(log) == 3);
}

TEST_CASE("zeros cost the records that they hit") {
  const Logged logged(values());
  const std::size_t blocks = logged.bytes().size() / block_bytes;
  for (std::size_t i = 0; i < blocks; ++i) {
    INFO("block " << i);
    std::string log = logged.bytes();
    std::fill_n(log.begin() + static_cast<std::ptrdiff_t>(i * block_bytes), block_bytes, '\0');
    const Place block{i * block_bytes, (i + 1) * block_bytes};
    CHECK(logged.read(log) == logged.all_but({block}));
  }
}

TEST_CASE("a block that is cut away costs what was in it, and no record is put together wrongly") {
  const Logged logged(values());
  const std::size_t blocks = logged.bytes().size() / block_bytes;
  for (std::size_t i = 0; i < blocks; ++i) {
    INFO("block " << i);
    std::string log = logged.bytes();
    log.erase(i * block_bytes, block_bytes);
    CHECK(logged.read(log) == logged.all_but({{i * block_bytes, (i + 1) * block_bytes}}));
  }
  // At any other place nothing stands where it belongs any more.
  std::string log = logged.bytes();
  log.erase(log.size() / 2, 100);
  const auto found = logged.read(log);
  REQUIRE(found);
  CHECK(is_part_of(logged.all_but({{log.size() / 2, log.size() + 100}}), *found));
}

TEST_CASE("a block of another place costs the records that it breaks") {
  const Logged logged(values());
  const std::size_t blocks = logged.bytes().size() / block_bytes;
  for (std::size_t i = 1; i < blocks; ++i) {
    INFO("block " << i);
    std::string log = logged.bytes();
    log.replace(i * block_bytes, block_bytes, log, (i - 1) * block_bytes, block_bytes);
    const auto found = logged.read(log);
    REQUIRE(found);
    CHECK(is_part_of(logged.all_but({{(i - 1) * block_bytes, (i + 1) * block_bytes}}), *found));
  }
}

TEST_CASE("a torn end is no damage, and costs what is torn") {
  const Logged logged(values(8));
  const std::string& sound = logged.bytes();
  std::mt19937_64 random(5);
  for (int round = 0; round < 40; ++round) {
    const std::size_t end = round == 0 ? 3 : random() % sound.size();
    INFO("ends at " << end);
    std::string log = sound.substr(0, end);
    CHECK(logged.read(log) == logged.all_but({{end, sound.size()}}));
    CHECK(mend_log(log) == 0);
    for (const char rest : {'\0', '\1', '\4', 'x'}) {
      log = sound.substr(0, end) + std::string(70'000, rest);
      CHECK_FALSE(ends_unsaid(log));
      CHECK(mend_log(log) == 0);
    }
  }
}

TEST_CASE("what looks like a log in a record is not read, whatever is damaged") {
  // Its sequences are higher than those of the log around it, which has no such key.
  const Logged inner(std::vector<std::string>(60, "inner"));
  const std::string fragment_like = inner.bytes().substr(inner.records().back().begin);
  std::vector<std::string> with_logs = values();
  for (std::string& value : with_logs) {
    if (value.size() < 2'000)
      value = "body" + fragment_like + fragment_like + std::string(200, 'y');
  }
  const Logged logged(with_logs);
  for (const Place& fragment : logged.fragments()) {
    INFO("fragment at " << fragment.begin);
    for (int bit = 0; bit < 8; ++bit) {
      INFO("bit " << bit);
      const std::size_t at = fragment.begin + 4;
      const auto found = logged.read(flipped(logged.bytes(), at, bit));
      REQUIRE(found);
      CHECK(*found == logged.all_but({{at, at + 1}}));
    }
  }
}

TEST_CASE("RocksDB takes a type of recycled files for the end of a log") {
  const Logged logged(values());
  const std::string& sound = logged.bytes();
  int unsaid = 0;
  for (const Place& fragment : logged.fragments()) {
    INFO("fragment at " << fragment.begin);
    const std::size_t type_at = fragment.begin + 6;
    const bool begins = sound[type_at] == 1 || sound[type_at] == 2;
    // 1 to 4 become 5 to 8 by this bit, but for 4.
    CHECK(ends_unsaid(flipped(sound, type_at, 2)) == begins);
    unsaid += begins ? 1 : 0;
    CHECK_FALSE(ends_unsaid(flipped(sound, type_at, 4)));
    CHECK_FALSE(ends_unsaid(flipped(sound, fragment.begin, 4)));
  }
  CHECK(unsaid == 24);
}

TEST_CASE("a fragment of a recycled file is dropped, though its checksum holds") {
  const Logged logged(values());
  const Place& record = logged.records()[8];
  std::string log = logged.bytes();
  log[record.begin + 6] = 5;
  const std::uint32_t crc =
      crc32c(std::string_view(log).substr(record.begin + 6, record.end - record.begin - 6));
  const std::uint32_t stored = ((crc >> 15) | (crc << 17)) + 0xa282ead8;
  for (std::size_t i = 0; i < 4; ++i) log[record.begin + i] = static_cast<char>(stored >> (8 * i));
  CHECK(logged.read(log) == logged.all_but({record}));
}

TEST_CASE("the checksum is the one of iSCSI") {
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c("") == 0);
}

}  // namespace
}  // namespace sluice

#include "core/store/log_blocks.h"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/store/crc32c.h"

namespace sluice {
namespace {

constexpr std::size_t block_bytes = 32 << 10;
// A fragment: its checksum (4 bytes), its length (2), its type (1), its part of the record.
constexpr std::size_t length_at = 4;
constexpr std::size_t type_at = 6;
constexpr std::size_t header_bytes = 7;
// A shorter record is no batch: RocksDB drops it and goes on.
constexpr std::size_t batch_bytes_min = 12;

enum Type : unsigned char { Whole = 1, First = 2, Middle = 3, Last = 4 };
constexpr unsigned char recycled_whole = 5;
constexpr unsigned char recycled_last = 8;

unsigned char byte_at(std::string_view log, std::size_t at) {
  return static_cast<unsigned char>(log[at]);
}

/// As RocksDB stores it: the checksum of bytes that hold checksums would be a weak one.
std::uint32_t stored_crc(std::string_view type_and_part) {
  constexpr std::uint32_t delta = 0xa282ead8;
  const std::uint32_t crc = crc32c(type_and_part);
  return ((crc >> 15) | (crc << 17)) + delta;
}

std::uint32_t read_crc(std::string_view log, std::size_t at) {
  std::uint32_t crc = 0;
  for (std::size_t i = 0; i < sizeof crc; ++i)
    crc |= std::uint32_t{byte_at(log, at + i)} << (8 * i);
  return crc;
}

/// Where the fragment at `at` ends if its length is true.
std::size_t stated_end(std::string_view log, std::size_t at) {
  const std::size_t low = byte_at(log, at + length_at);
  const std::size_t high = byte_at(log, at + length_at + 1);
  return at + header_bytes + (low | (high << 8));
}

/// Whether a header begins here; what a block has left behind its last fragment is less.
bool has_header(std::size_t at, std::size_t block_end) { return at + header_bytes <= block_end; }

bool is_sound(std::string_view log, std::size_t at, std::size_t block_end) {
  const unsigned char type = byte_at(log, at + type_at);
  const std::size_t end = stated_end(log, at);
  if (type < Whole || type > Last || end > block_end) return false;
  return read_crc(log, at) == stored_crc(log.substr(at + type_at, end - at - type_at));
}

/// Whether there is nothing but sound fragments from here to the end of the block.
bool is_sound_to_end(std::string_view log, std::size_t at, std::size_t block_end) {
  for (; has_header(at, block_end); at = stated_end(log, at)) {
    if (!is_sound(log, at, block_end)) return false;
  }
  return true;
}

/// Whether the lengths of all fragments from here on, sound or not, lead to `goal`, or behind the
/// last fragment of the block.
bool leads_to(std::string_view log, std::size_t at, std::size_t goal, std::size_t block_end) {
  while (has_header(at, goal)) {
    const std::size_t next = stated_end(log, at);
    // Zeros would lead anywhere.
    if (next == at + header_bytes && !is_sound(log, at, block_end)) return false;
    at = next;
  }
  return at == goal || (at < goal && goal == block_end);
}

/// Where a damaged fragment ends.
std::size_t damage_end(std::string_view log, std::size_t at, std::size_t block_end) {
  // A body may hold what looks like a fragment, so one alone is not believed.
  std::size_t sound = at + header_bytes;
  while (has_header(sound, block_end) && !is_sound_to_end(log, sound, block_end)) ++sound;
  if (!has_header(sound, block_end)) sound = block_end;
  // Others may stand between this one and the last damage in the block.
  return leads_to(log, at, sound, block_end) ? stated_end(log, at) : sound;
}

/// Writes a fragment of zeros.
void put_fragment(std::string& log, std::size_t at, std::size_t end, Type type) {
  const std::size_t length = end - at - header_bytes;
  std::fill(log.begin() + static_cast<std::ptrdiff_t>(at),
            log.begin() + static_cast<std::ptrdiff_t>(end), '\0');
  log[at + length_at] = static_cast<char>(length & 0xff);
  log[at + length_at + 1] = static_cast<char>(length >> 8);
  log[at + type_at] = static_cast<char>(type);
  const std::uint32_t crc =
      stored_crc(std::string_view(log).substr(at + type_at, end - at - type_at));
  for (std::size_t i = 0; i < sizeof crc; ++i) log[at + i] = static_cast<char>(crc >> (8 * i));
}

/// A whole record, too short for a batch, ends the one before and lets the reader begin anew; then
/// the middle of a record without a begin, as long as it has to be, is dropped.
void blank(std::string& log, std::size_t at, std::size_t end) {
  const bool fits_one = end - at < 2 * header_bytes;
  put_fragment(log, at, fits_one ? end : at + header_bytes, Whole);
  if (!fits_one) put_fragment(log, at + header_bytes, end, Middle);
}

/// Knows the operations that a store's batches are made of.
class Operations final : public rocksdb::WriteBatch::Handler {
  rocksdb::Status PutCF(std::uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return {};
  }
  rocksdb::Status DeleteCF(std::uint32_t, const rocksdb::Slice&) override { return {}; }
  rocksdb::Status SingleDeleteCF(std::uint32_t, const rocksdb::Slice&) override { return {}; }
};

/// The sequence behind those of this batch, which begin at `from` at least; 0 when it is none.
std::uint64_t end_of_batch(std::string record, std::uint64_t from) {
  std::uint64_t sequence = 0;
  for (std::size_t i = sizeof sequence; i > 0; --i) {
    sequence = sequence << 8 | byte_at(record, i - 1);
  }
  Operations operations;
  const rocksdb::WriteBatch batch(std::move(record));
  if (sequence < from || !batch.Iterate(&operations).ok()) return 0;
  return sequence + static_cast<std::uint64_t>(batch.Count());
}

/// Puts records together as RocksDB does.
class Records {
 public:
  explicit Records(std::string& log) : log_(log) {}

  /// Returns false when this sound fragment ended a record that is no batch, or that is there a
  /// second time, at which RocksDB aborts; it is blanked.
  bool add(std::size_t at, std::size_t end) {
    const unsigned char type = byte_at(log_, at + type_at);
    if (type == Whole || type == First) {
      forget();
    } else if (places_.empty()) {
      return true;  // dropped by RocksDB itself
    }
    places_.emplace_back(at, end);
    record_.append(log_, at + header_bytes, end - at - header_bytes);
    if (type != Whole && type != Last) return true;
    const bool read = record_.size() >= batch_bytes_min;
    const std::uint64_t next = read ? end_of_batch(std::move(record_), sequence_) : sequence_;
    if (next == 0) {
      for (const auto& [begin, its_end] : places_) blank(log_, begin, its_end);
    } else {
      sequence_ = next;
    }
    forget();
    return next != 0;
  }
  void forget() {
    places_.clear();
    record_.clear();
  }

 private:
  std::string& log_;
  std::string record_;
  std::uint64_t sequence_ = 1;  ///< Not below it.
  std::vector<std::pair<std::size_t, std::size_t>> places_;
};

}  // namespace

std::size_t mend_log(std::string& log) {
  std::size_t places = 0;
  std::size_t at_the_end = 0;  // so far nothing sound is behind these
  Records records(log);
  for (std::size_t block = 0; block < log.size(); block += block_bytes) {
    const std::size_t block_end = std::min(block + block_bytes, log.size());
    for (std::size_t at = block; has_header(at, block_end);) {
      if (is_sound(log, at, block_end)) {
        const std::size_t end = stated_end(log, at);
        places += std::exchange(at_the_end, 0);
        if (!records.add(at, end)) ++places;
        at = end;
      } else {
        const std::size_t end = damage_end(log, at, block_end);
        blank(log, at, end);
        records.forget();
        ++at_the_end;
        at = end;
      }
    }
  }
  return places;
}

bool ends_unsaid(std::string_view log) {
  bool within = false;  // an end within a record is said
  for (std::size_t block = 0; block < log.size(); block += block_bytes) {
    const std::size_t block_end = std::min(block + block_bytes, log.size());
    for (std::size_t at = block; has_header(at, block_end); at = stated_end(log, at)) {
      const unsigned char type = byte_at(log, at + type_at);
      if (!is_sound(log, at, block_end)) {
        // Left by an earlier user of the file, it believes; we recycle none.
        return !within && type >= recycled_whole && type <= recycled_last;
      }
      within = type == First || type == Middle;
    }
  }
  return false;
}

}  // namespace sluice

#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/assert.h"
#include "core/wire/hadoop_vint.h"
#include "core/wire/sequence_file.h"

namespace sluice {
namespace {

constexpr std::size_t key_bytes = 8;
constexpr std::int64_t int_max = std::numeric_limits<std::int32_t>::max();
constexpr std::string_view magic = "SEQ";
constexpr char version = 6;
constexpr std::int32_t sync_escape = -1;
/// Of a header, metadata included: it is read as one piece.
constexpr std::size_t header_bytes_max = 1 << 20;

Status damaged(std::string_view what) {
  return Invalid("the SequenceFile is damaged: " + std::string(what));
}

std::int32_t int_at(const char* bytes) noexcept {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<std::int32_t>(__builtin_bswap32(value));
}

}  // namespace

/// Reads from the front of a window, up to the first thing that is not there: it says whether the
/// window must have more bytes for it, or whether no bytes help.
class SequenceFileReader::Cursor {
 public:
  explicit Cursor(std::string_view window) noexcept : window_(window), left_(window) {}

  bool bytes(std::size_t count, std::string_view& taken) noexcept {
    if (left_.size() < count) {
      wanted_bytes_ = taken_bytes() + count;
      return false;
    }
    taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return true;
  }
  bool number(std::int32_t& value) noexcept {
    std::string_view taken;
    if (!bytes(4, taken)) return false;
    value = int_at(taken.data());
    return true;
  }
  bool vint(std::int64_t& value) noexcept {
    if (take_hadoop_vint(left_, value)) return true;
    wanted_bytes_ = window_.size() + 1;
    return false;
  }
  /// Bytes with their length in front, which may be `bytes_max`.
  bool text(std::size_t bytes_max, std::string_view& taken) noexcept {
    std::int64_t length = 0;
    if (!vint(length)) return false;
    damaged_ = length < 0 || static_cast<std::uint64_t>(length) > bytes_max;
    return !damaged_ && bytes(static_cast<std::size_t>(length), taken);
  }

  std::size_t taken_bytes() const noexcept { return window_.size() - left_.size(); }
  /// Of the window, for what was not there.
  std::size_t wanted_bytes() const noexcept { return wanted_bytes_; }
  bool damaged() const noexcept { return damaged_; }

 private:
  const std::string_view window_;
  std::string_view left_;
  std::size_t wanted_bytes_ = 0;
  bool damaged_ = false;
};

Result<std::optional<SequenceFileReader::Record>> SequenceFileReader::next(
    std::string_view& window) {
  if (!failed_.ok()) return failed_;
  auto record = read(window);
  if (record.ok()) {
    records_ += record->has_value();
    return record;
  }
  failed_ = record.status();
  if (header_) {
    failed_ = Invalid(failed_.message() + " (behind byte " + std::to_string(whole_bytes_) +
                      "; the " + std::to_string(records_) + " records before are whole)");
  }
  return failed_;
}

Result<std::optional<SequenceFileReader::Record>> SequenceFileReader::read(
    std::string_view& window) {
  if (!header_) {
    auto there = read_header(window);
    if (!there.ok()) return there.status();
    if (!*there) return std::optional<Record>();
  }
  if (header_->compression != SequenceCompression::Block) return read_record(window);
  if (block_records_ == 0) {
    auto there = read_block(window);
    if (!there.ok()) return there.status();
    if (!*there) return std::optional<Record>();
  }
  return record_of_block();
}

void SequenceFileReader::consume(std::string_view& window, std::size_t bytes) noexcept {
  window.remove_prefix(bytes);
  consumed_bytes_ += bytes;
}

Status SequenceFileReader::finish(std::string_view window) const {
  if (!failed_.ok()) return failed_;
  SLUICE_ASSERT(block_records_ == 0, "next() was asked until it had nothing");
  if (!header_) {
    return Reject("the SequenceFile is torn: its " + std::to_string(window.size()) +
                  " bytes end within its header");
  }
  if (window.empty()) return {};
  return Reject("the SequenceFile is torn: behind byte " + std::to_string(whole_bytes_) + " and " +
                std::to_string(records_) + " whole records there are " +
                std::to_string(window.size()) + " bytes of another one");
}

// ---- the header

Result<bool> SequenceFileReader::read_header(std::string_view& window) {
  if (!magic.starts_with(window.substr(0, magic.size()))) {
    return Invalid("it does not begin like a SequenceFile");
  }
  Cursor cursor(window);
  std::string_view start, key, value, codec, flags, sync;
  const auto text = [&](std::string_view& taken) { return cursor.text(header_bytes_max, taken); };
  bool there = cursor.bytes(magic.size() + 1, start);
  if (there && start.back() != version) {
    return Invalid("it is a SequenceFile of version " +
                   std::to_string(static_cast<unsigned char>(start.back())) + "; 6 is read");
  }
  there = there && text(key) && text(value) && cursor.bytes(2, flags);
  const bool compressed = there && flags[0] != '\0';
  const bool in_blocks = there && flags[1] != '\0';
  if (compressed) there = text(codec);
  std::int32_t entries = 0;
  there = there && cursor.number(entries);
  for (std::int32_t i = 0; there && i < entries; ++i) {
    std::string_view name, content;
    there = text(name) && text(content);
  }
  there = there && cursor.bytes(sequence_sync_bytes, sync);
  if (cursor.damaged() || entries < 0 || (in_blocks && !compressed)) {
    return damaged("its header makes no sense");
  }
  if (!there) {
    wanted_bytes_ = cursor.wanted_bytes();
    if (wanted_bytes_ <= header_bytes_max) return false;
    return damaged("its header is longer than 1 MiB");
  }
  Header header;
  header.compression = in_blocks    ? SequenceCompression::Block
                       : compressed ? SequenceCompression::Record
                                    : SequenceCompression::None;
  std::memcpy(header.sync.data(), sync.data(), sync.size());
  if (Status status = accept_classes(key, value, codec, header); !status.ok()) return status;
  header_ = header;
  consume(window, cursor.taken_bytes());
  whole_bytes_ = consumed_bytes_;
  return true;
}

Status SequenceFileReader::accept_classes(std::string_view key, std::string_view value,
                                          std::string_view codec, Header& header) {
  if (key != "org.apache.hadoop.io.LongWritable") {
    return Invalid("the keys of the SequenceFile are '" + std::string(key) +
                   "'; org.apache.hadoop.io.LongWritable is read");
  }
  if (value == "org.apache.hadoop.io.Text") {
    header.value = SequenceValue::Text;
  } else if (value == "org.apache.hadoop.io.BytesWritable") {
    header.value = SequenceValue::Writable;
  } else {
    return Invalid("the values of the SequenceFile are '" + std::string(value) +
                   "'; org.apache.hadoop.io.Text and BytesWritable are read");
  }
  if (header.compression == SequenceCompression::None) return {};
  const auto known = hadoop_codec_of_class(codec);
  if (!known) return Invalid("the SequenceFile has the unknown codec '" + std::string(codec) + "'");
  header.codec = *known;
  decompressor_ = HadoopDecompressor::make(*known);
  return {};
}

// ---- records

Result<std::optional<SequenceFileReader::Record>> SequenceFileReader::read_record(
    std::string_view& window) {
  for (;;) {
    Cursor cursor(window);
    std::string_view bytes;
    std::int32_t length = 0;
    bool there = cursor.number(length);
    if (there && length == sync_escape) {
      there = cursor.bytes(sequence_sync_bytes, bytes);
      if (there && !is_sync(bytes)) return damaged("a sync marker is not the file's");
      if (there) {
        consume(window, cursor.taken_bytes());
        whole_bytes_ = consumed_bytes_;
        continue;
      }
    }
    std::int32_t key_length = 0;
    std::string_view key;
    there = there && cursor.number(key_length);
    if (there && (key_length != key_bytes || length < key_length)) {
      return damaged("a record has lengths that no LongWritable has");
    }
    if (there && static_cast<std::size_t>(length) > bytes_max_) {
      return damaged("a record of " + std::to_string(length) + " bytes is beyond the bound");
    }
    there = there && cursor.bytes(key_bytes, key) &&
            cursor.bytes(static_cast<std::size_t>(length) - key_bytes, bytes);
    if (!there) {
      wanted_bytes_ = cursor.wanted_bytes();
      return std::optional<Record>();
    }
    if (decompressor_) {
      std::string& value = groups_.back().bytes;
      value.clear();
      Status status = decompressor_->decompress(bytes, bytes_max_, value);
      if (!status.ok()) return status.with_context("a value of the SequenceFile");
      bytes = value;
    }
    auto record = record_of(key, bytes);
    if (!record.ok()) return record;
    consume(window, cursor.taken_bytes());
    whole_bytes_ = consumed_bytes_;
    return record;
  }
}

Result<std::optional<SequenceFileReader::Record>> SequenceFileReader::record_of(
    std::string_view key, std::string_view value) const {
  std::uint64_t swapped = 0;
  std::memcpy(&swapped, key.data(), sizeof swapped);
  Cursor cursor(value);
  std::int64_t length = 0;
  std::int32_t fixed_length = 0;
  const bool there =
      header_->value == SequenceValue::Text ? cursor.vint(length) : cursor.number(fixed_length);
  if (header_->value == SequenceValue::Writable) length = fixed_length;
  const std::size_t bytes = value.size() - cursor.taken_bytes();
  if (!there || length < 0 || static_cast<std::uint64_t>(length) != bytes) {
    return damaged("the length of a value is not that of its bytes");
  }
  return std::optional(Record{static_cast<std::int64_t>(__builtin_bswap64(swapped)),
                              value.substr(cursor.taken_bytes())});
}

bool SequenceFileReader::is_sync(std::string_view bytes) const noexcept {
  return bytes == std::string_view(header_->sync.data(), header_->sync.size());
}

// ---- blocks

Result<bool> SequenceFileReader::read_block(std::string_view& window) {
  Cursor cursor(window);
  std::int32_t escape = sync_escape;
  std::int64_t records = 1;
  std::string_view sync;
  std::array<std::string_view, 4> groups;
  bool there = cursor.number(escape) && cursor.bytes(sequence_sync_bytes, sync);
  if (escape != sync_escape || (there && !is_sync(sync))) {
    return damaged("a block does not begin with the file's sync marker");
  }
  there = there && cursor.vint(records);
  if (records <= 0 || records > int_max) return damaged("the count of a block's records");
  std::size_t room = bytes_max_;
  for (std::string_view& group : groups) {
    there = there && cursor.text(room, group);
    room -= group.size();
  }
  if (cursor.damaged()) return damaged("the length of a block is negative or beyond the bound");
  if (!there) {
    wanted_bytes_ = cursor.wanted_bytes();
    return false;
  }
  room = bytes_max_;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups_[i].bytes.clear();
    Status status = decompressor_->decompress(groups[i], room, groups_[i].bytes);
    if (!status.ok()) return status.with_context("a block of the SequenceFile");
    groups_[i].left = groups_[i].bytes;
    room -= groups_[i].bytes.size();
  }
  block_records_ = records;
  consume(window, cursor.taken_bytes());
  return true;
}

Result<std::optional<SequenceFileReader::Record>> SequenceFileReader::record_of_block() {
  auto& [key_lengths, keys, value_lengths, values] = groups_;
  std::int64_t key_length = 0;
  std::int64_t value_length = 0;
  if (!take_hadoop_vint(key_lengths.left, key_length) || key_length != key_bytes ||
      keys.left.size() < key_bytes) {
    return damaged("the keys of a block are not as many as it says");
  }
  if (!take_hadoop_vint(value_lengths.left, value_length) || value_length < 0 ||
      static_cast<std::uint64_t>(value_length) > values.left.size()) {
    return damaged("the values of a block are not as long as it says");
  }
  const auto value_bytes = static_cast<std::size_t>(value_length);
  auto record = record_of(keys.left.substr(0, key_bytes), values.left.substr(0, value_bytes));
  if (!record.ok()) return record;
  keys.left.remove_prefix(key_bytes);
  values.left.remove_prefix(value_bytes);
  if (--block_records_ > 0) return record;
  for (const Group& group : groups_) {
    if (!group.left.empty()) return damaged("a block holds more than its records");
  }
  whole_bytes_ = consumed_bytes_;
  return record;
}

}  // namespace sluice

#include "core/wire/sequence_file.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/assert.h"
#include "core/wire/hadoop_vint.h"

namespace sluice {
namespace {

void write_u32(std::size_t value, char* to) noexcept {
  const std::uint32_t swapped = __builtin_bswap32(static_cast<std::uint32_t>(value));
  std::memcpy(to, &swapped, sizeof swapped);
}
void write_key(std::int64_t key, char* to) noexcept {
  const std::uint64_t swapped = __builtin_bswap64(static_cast<std::uint64_t>(key));
  std::memcpy(to, &swapped, sizeof swapped);
}

void append_text(std::string_view text, std::string& out) {
  append_hadoop_vint(static_cast<std::int64_t>(text.size()), out);
  out += text;
}

/// What stands in front of the bytes of a value.
std::size_t write_value_length(SequenceValue kind, std::size_t bytes, char* to) noexcept {
  if (kind == SequenceValue::Text) return write_hadoop_vint(static_cast<std::int64_t>(bytes), to);
  write_u32(bytes, to);
  return 4;
}

}  // namespace

Result<std::unique_ptr<SequenceFileWriter>> SequenceFileWriter::make(const Options& options) {
  std::unique_ptr<HadoopCompressor> compressor;
  if (options.compression != SequenceCompression::None) {
    auto made = HadoopCompressor::make(options.codec, options.level);
    if (!made.ok()) return made.status();
    compressor = *std::move(made);
  }
  return std::unique_ptr<SequenceFileWriter>(
      new SequenceFileWriter(options, std::move(compressor)));
}

SequenceFileWriter::SequenceFileWriter(const Options& options,
                                       std::unique_ptr<HadoopCompressor> compressor)
    : options_(options), compressor_(std::move(compressor)) {}

SequenceFileWriter::~SequenceFileWriter() = default;

void SequenceFileWriter::begin(const SequenceSync& sync, std::string& out) {
  sync_ = sync;
  begun_ = true;
  flushed_ = true;
  file_bytes_ = last_sync_ = 0;
  forget_held();
  append_header(out);
}

void SequenceFileWriter::append_header(std::string& out) {
  const std::size_t begin = out.size();
  out += "SEQ\x06";
  append_text("org.apache.hadoop.io.LongWritable", out);
  append_text(options_.value == SequenceValue::Text ? "org.apache.hadoop.io.Text"
                                                    : "org.apache.hadoop.io.BytesWritable",
              out);
  out += options_.compression == SequenceCompression::None ? '\0' : '\1';
  out += options_.compression == SequenceCompression::Block ? '\1' : '\0';
  if (compressor_) append_text(hadoop_codec_info(options_.codec).java_class, out);
  out.append(4, '\0');  // How many entries of metadata there are.
  out.append(sync_.data(), sync_.size());
  file_bytes_ += out.size() - begin;
}

void SequenceFileWriter::append_sync(std::string& out) {
  out.append(4, '\xff');  // A length that no record has.
  out.append(sync_.data(), sync_.size());
  file_bytes_ += 4 + sync_.size();
  last_sync_ = file_bytes_;
}

Status SequenceFileWriter::append(std::int64_t key, std::string_view value, std::string& out) {
  SLUICE_ASSERT(begun_, "records go into a file that was begun");
  if (value.size() > value_bytes_max) {
    return Reject("a value of " + std::to_string(value.size()) + " bytes is longer than the " +
                  std::to_string(value_bytes_max) + " that a SequenceFile takes");
  }
  flushed_ = false;
  if (options_.compression == SequenceCompression::Block) {
    hold(key, value);
    if (held_bytes() >= block_bytes) append_block(out);
    return {};
  }
  if (file_bytes_ >= last_sync_ + sync_interval_bytes) append_sync(out);
  append_record(key, value, out);
  return {};
}

void SequenceFileWriter::append_record(std::int64_t key, std::string_view value, std::string& out) {
  constexpr std::size_t length_bytes = 4;
  constexpr std::size_t head_bytes = 2 * length_bytes + key_bytes;
  char head[head_bytes + hadoop_vint_bytes_max];
  write_u32(key_bytes, head + length_bytes);
  write_key(key, head + 2 * length_bytes);
  char* const prefix = head + head_bytes;
  const std::size_t prefix_bytes = write_value_length(options_.value, value.size(), prefix);
  const std::size_t begin = out.size();
  if (!compressor_) {
    write_u32(key_bytes + prefix_bytes + value.size(), head);
    out.append(head, head_bytes + prefix_bytes);
    out += value;
  } else {
    out.append(head, head_bytes);
    // A copy costs less than the library's not knowing at first how much is to come.
    char* const to = values_.room(prefix_bytes + value.size());
    std::memcpy(to, prefix, prefix_bytes);
    std::copy(value.begin(), value.end(), to + prefix_bytes);
    compressor_->compress({to, prefix_bytes + value.size()}, out);
    write_u32(out.size() - begin - 2 * length_bytes, out.data() + begin);
  }
  file_bytes_ += out.size() - begin;
}

void SequenceFileWriter::hold(std::int64_t key, std::string_view value) {
  write_key(key, keys_.room(key_bytes));
  keys_.wrote(key_bytes);
  char* const to = values_.room(hadoop_vint_bytes_max + value.size());
  const std::size_t prefix_bytes = write_value_length(options_.value, value.size(), to);
  std::copy(value.begin(), value.end(), to + prefix_bytes);
  const std::size_t bytes = prefix_bytes + value.size();
  values_.wrote(bytes);
  value_lengths_.wrote(write_hadoop_vint(static_cast<std::int64_t>(bytes),
                                         value_lengths_.room(hadoop_vint_bytes_max)));
  ++records_;
}

void SequenceFileWriter::append_block(std::string& out) {
  append_sync(out);
  const std::size_t begin = out.size();
  append_hadoop_vint(static_cast<std::int64_t>(records_), out);
  if (key_lengths_.size() < records_) key_lengths_.resize(records_, static_cast<char>(key_bytes));
  append_group(std::string_view(key_lengths_).substr(0, records_), out);
  for (const Held* held : {&keys_, &value_lengths_, &values_}) append_group(held->view(), out);
  forget_held();
  file_bytes_ += out.size() - begin;
}

void SequenceFileWriter::forget_held() noexcept {
  records_ = 0;
  for (Held* held : {&keys_, &value_lengths_, &values_}) held->clear();
}

void SequenceFileWriter::Held::grow(std::size_t bytes) {
  const std::size_t capacity = std::max({size_ + bytes, 2 * capacity_, std::size_t{4096}});
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  std::copy_n(bytes_.get(), size_, larger.get());
  bytes_ = std::move(larger);
  capacity_ = capacity;
}

void SequenceFileWriter::append_group(std::string_view bytes, std::string& out) {
  group_.clear();
  compressor_->compress(bytes, group_);
  SLUICE_ASSERT(group_.size() <= std::numeric_limits<std::int32_t>::max(), "Java can count it");
  append_text(group_, out);
}

void SequenceFileWriter::flush(std::string& out) {
  SLUICE_ASSERT(begun_, "only a file that was begun has something to flush");
  if (flushed_) return;
  flushed_ = true;
  if (options_.compression != SequenceCompression::Block) return append_sync(out);
  if (records_ > 0) append_block(out);
}

void SequenceFileWriter::finish(std::string& out) {
  SLUICE_ASSERT(begun_, "only a file that was begun can be finished");
  if (records_ > 0) append_block(out);
  begun_ = false;
}

}  // namespace sluice

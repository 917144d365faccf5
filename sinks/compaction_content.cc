#include "sinks/compaction_content.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <random>
#include <utility>

#include "core/base/assert.h"
#include "core/wire/avro_container.h"
#include "core/wire/avro_schema.h"

namespace sluice {
namespace {

using Form = ContentFormat::Form;

constexpr std::size_t piece_bytes = 1 << 18;
constexpr std::size_t held_bytes_max = SequenceFileReader::bytes_max_default;
constexpr std::string_view sequence_magic = "SEQ";
constexpr std::string_view avro_magic("Obj\x01", 4);
constexpr std::array all_codecs = {HadoopCodec::Gzip,  HadoopCodec::Deflate,
                                   HadoopCodec::Bzip2, HadoopCodec::Snappy,
                                   HadoopCodec::Lz4,   HadoopCodec::Zstandard};

using Sync = std::array<char, avro_sync_bytes>;
static_assert(avro_sync_bytes == sequence_sync_bytes);

Sync random_sync() {
  std::random_device random;
  Sync sync{};
  for (char& byte : sync) byte = static_cast<char>(random());
  return sync;
}

/// The bytes of a file from front to back, as many at once as somebody asks for.
class Window {
 public:
  explicit Window(InputFile& file) : file_(file) {}

  std::string_view view() const noexcept { return std::string_view(buffer_).substr(taken_); }
  void take(std::size_t bytes) noexcept { taken_ += bytes; }
  std::uint64_t taken_in_all() const noexcept { return offset_ - view().size(); }

  /// Makes view() at least so long; false when the file ends before that.
  Result<bool> fill(std::size_t bytes) {
    if (view().size() >= bytes) return true;
    buffer_.erase(0, std::exchange(taken_, 0));
    const std::size_t had = buffer_.size();
    buffer_.resize(std::max(bytes, had + piece_bytes));
    auto got = file_.read_at(offset_, std::span(buffer_).subspan(had));
    buffer_.resize(had + (got.ok() ? *got : 0));
    if (!got.ok()) return got.status();
    offset_ += *got;
    return buffer_.size() >= bytes;
  }

 private:
  InputFile& file_;
  std::string buffer_;
  std::size_t taken_ = 0;     ///< Of the buffer.
  std::uint64_t offset_ = 0;  ///< Of the file, read so far.
};

using Piece = std::function<Status(std::string_view)>;

/// Whether bytes are lines that other lines can be put behind.
class LineCheck {
 public:
  void see(std::string_view piece) {
    if (piece.empty()) return;
    if (begin_.size() < avro_magic.size()) begin_ += piece.substr(0, avro_magic.size());
    if (std::memchr(piece.data(), 0, piece.size()) != nullptr) binary_ = true;
    last_ = piece.back();
  }
  Status result() const {
    if (begin_.starts_with(sequence_magic) || begin_.starts_with(avro_magic)) {
      return Invalid("it is a container file inside a compressed one");
    }
    if (binary_) return Invalid("it holds bytes 0, so it is no text");
    if (last_ != '\n') return Invalid("it does not end in a line feed");
    return {};
  }

 private:
  std::string begin_;
  bool binary_ = false;
  char last_ = '\n';
};

Status read_text(InputFile& file, const Piece& piece) {
  Window window(file);
  LineCheck lines;
  for (;;) {
    auto more = window.fill(1);
    if (!more.ok()) return more.status();
    if (!*more) return lines.result();
    lines.see(window.view());
    if (Status status = piece(window.view()); !status.ok()) return status;
    window.take(window.view().size());
  }
}

Status read_compressed(InputFile& file, HadoopCodec codec, const Piece& piece) {
  const auto decompressor = HadoopDecompressor::make(codec);
  Window window(file);
  LineCheck lines;
  std::string out;
  for (;;) {
    auto more = window.fill(1);
    if (!more.ok()) return more.status();
    if (!*more) break;
    std::string_view bytes = window.view();
    do {
      out.clear();
      if (Status status = decompressor->read(bytes, piece_bytes, out); !status.ok()) {
        return Reject(status.message());
      }
      lines.see(out);
      if (Status status = piece(out); !status.ok()) return status;
    } while (out.size() == piece_bytes);
    window.take(window.view().size());
  }
  if (!decompressor->at_end()) return Reject("it is torn: its compressed stream has no end");
  return lines.result();
}

using EachRecord = std::function<Status(const SequenceFileReader::Record&)>;

/// Reads records until there are no more, or only the header where there is nothing to call.
Status read_sequence(SequenceFileReader& reader, InputFile& file, const EachRecord& each) {
  Window window(file);
  for (;;) {
    std::string_view view = window.view();
    auto record = reader.next(view);
    window.take(window.view().size() - view.size());
    // A header that is not understood may be sound; what is wrong behind it is damage.
    if (!record.ok() && reader.header() == nullptr) return record.status();
    if (!record.ok()) return Reject(record.status().message());
    if (!each && reader.header() != nullptr) return {};
    if (*record) {
      if (Status status = each(**record); !status.ok()) return status;
      continue;
    }
    const std::size_t had = window.view().size();
    auto more = window.fill(reader.wanted_bytes());
    if (!more.ok()) return more.status();
    // With a little more it may want less; only where nothing comes is the end.
    if (!*more && window.view().size() == had) return reader.finish(window.view());
  }
}

struct AvroStart {
  std::string head;  ///< Without the sync marker.
  AvroHeader header;
};

Result<AvroStart> read_avro_start(Window& window) {
  for (std::size_t bytes = piece_bytes;; bytes *= 2) {
    auto more = window.fill(bytes);
    if (!more.ok()) return more.status();
    auto header = parse_avro_header(window.view());
    if (!header.ok()) return header.status();
    if (!*header && *more) continue;
    if (!*header) return Reject("it is torn in its header");
    AvroStart start{std::string(window.view().substr(0, (*header)->bytes - avro_sync_bytes)),
                    std::move(**header)};
    window.take(start.header.bytes);
    return start;
  }
}

/// Looks into blocks as far as schema and codec are known here.
class AvroBlockCheck {
 public:
  explicit AvroBlockCheck(const AvroHeader& header) {
    if (auto codec = AvroCodec::make(header.codec); codec.ok()) codec_ = std::move(*codec);
    if (auto schema = AvroSchema::parse(header.schema); schema.ok()) schema_ = std::move(*schema);
  }

  Status check(const AvroBlockHead& head, std::string_view data) {
    if (!codec_) return {};
    data_.clear();
    if (Status status = codec_->decompress(data, held_bytes_max, data_); !status.ok()) {
      return status;
    }
    if (!schema_ || schema_->is_empty()) return {};
    std::string_view rest = data_;
    for (std::uint64_t left = head.datums; left > 0; --left) {
      const AvroSchema::Datum datum = schema_->measure(rest);
      if (datum.extent != AvroSchema::Extent::Whole) return Reject("a record of it is damaged");
      rest.remove_prefix(datum.bytes);
    }
    return rest.empty() ? Status() : Reject("there is more in a block of it than its records");
  }

 private:
  std::unique_ptr<AvroCodec> codec_;
  std::shared_ptr<const AvroSchema> schema_;
  std::string data_;
};

/// Calls `block` with each block, its head and its data, without the marker behind it.
Status read_avro(InputFile& file, const Piece& block) {
  Window window(file);
  auto start = read_avro_start(window);
  if (!start.ok()) return start.status();
  AvroBlockCheck blocks(start->header);
  const std::string_view sync(start->header.sync.data(), avro_sync_bytes);
  for (;;) {
    if (auto more = window.fill(AvroBlockHead::bytes_max); !more.ok()) return more.status();
    if (window.view().empty()) return {};
    const std::string where = " at byte " + std::to_string(window.taken_in_all());
    const auto head = parse_avro_block_head(window.view());
    if (!head) return Reject("it is torn or damaged" + where);
    if (head->data_bytes > held_bytes_max) {
      return Invalid("the block" + where + " has more than " +
                     std::to_string(held_bytes_max >> 20) + " MiB");
    }
    const std::size_t block_bytes = head->bytes + static_cast<std::size_t>(head->data_bytes);
    auto whole = window.fill(block_bytes + avro_sync_bytes);
    if (!whole.ok()) return whole.status();
    if (!*whole) return Reject("it is torn: the block" + where + " is not whole");
    if (window.view().substr(block_bytes, avro_sync_bytes) != sync) {
      return Reject("the block" + where + " does not end in the file's sync marker");
    }
    const std::string_view bytes = window.view().substr(0, block_bytes);
    if (Status status = blocks.check(*head, bytes.substr(head->bytes)); !status.ok()) {
      return status.with_context("the block" + where);
    }
    if (Status status = block(bytes); !status.ok()) return status;
    window.take(block_bytes + avro_sync_bytes);
  }
}

class TextMerger final : public ContentMerger {
 public:
  explicit TextMerger(Write write) : write_(std::move(write)) {}
  Status begin() override { return {}; }
  Status add(InputFile& file) override { return read_text(file, write_); }
  Status finish() override { return {}; }

 private:
  const Write write_;
};

class CompressedMerger final : public ContentMerger {
 public:
  CompressedMerger(HadoopCodec codec, Write write) : codec_(codec), write_(std::move(write)) {
    auto compressor = HadoopCompressor::make(codec);
    SLUICE_ASSERT(compressor.ok(), "every codec has a level of its own");
    compressor_ = std::move(*compressor);
  }
  Status begin() override { return {}; }
  Status add(InputFile& file) override {
    return read_compressed(file, codec_, [this](std::string_view piece) {
      compressor_->write(piece, out_);
      return pass_on();
    });
  }
  Status finish() override {
    compressor_->finish(out_);
    return pass_on();
  }

 private:
  Status pass_on() {
    Status status = out_.empty() ? Status() : write_(out_);
    out_.clear();
    return status;
  }

  const HadoopCodec codec_;
  const Write write_;
  std::unique_ptr<HadoopCompressor> compressor_;
  std::string out_;
};

class SequenceMerger final : public ContentMerger {
 public:
  SequenceMerger(const SequenceFileWriter::Options& options, Write write)
      : write_(std::move(write)) {
    auto writer = SequenceFileWriter::make(options);
    SLUICE_ASSERT(writer.ok(), "every codec has a level of its own");
    writer_ = std::move(*writer);
  }
  Status begin() override {
    writer_->begin(random_sync(), out_);
    return pass_on();
  }
  Status add(InputFile& file) override {
    SequenceFileReader reader;
    return read_sequence(reader, file, [this](const SequenceFileReader::Record& record) {
      Status status = writer_->append(record.key, record.value, out_);
      if (!status.ok()) return status;
      return out_.size() < piece_bytes ? Status() : pass_on();
    });
  }
  Status finish() override {
    writer_->finish(out_);
    return pass_on();
  }

 private:
  Status pass_on() {
    Status status = out_.empty() ? Status() : write_(out_);
    out_.clear();
    return status;
  }

  const Write write_;
  std::unique_ptr<SequenceFileWriter> writer_;
  std::string out_;
};

class AvroMerger final : public ContentMerger {
 public:
  AvroMerger(std::string head, Write write) : head_(std::move(head)), write_(std::move(write)) {}
  Status begin() override {
    if (Status status = write_(head_); !status.ok()) return status;
    return write_marker();
  }
  Status add(InputFile& file) override {
    return read_avro(file, [this](std::string_view block) {
      if (Status status = write_(block); !status.ok()) return status;
      return write_marker();
    });
  }
  Status finish() override { return {}; }

 private:
  Status write_marker() { return write_({sync_.data(), sync_.size()}); }

  const std::string head_;
  const Write write_;
  const Sync sync_ = random_sync();
};

Result<ContentFormat> sequence_format(InputFile& file) {
  SequenceFileReader reader;
  if (Status status = read_sequence(reader, file, nullptr); !status.ok()) return status;
  const SequenceFileReader::Header& header = *reader.header();
  ContentFormat format;
  format.form = Form::Sequence;
  format.sequence.value = header.value;
  format.sequence.compression = header.compression;
  if (header.compression != SequenceCompression::None) format.sequence.codec = header.codec;
  return format;
}

Result<ContentFormat> avro_format(InputFile& file) {
  Window window(file);
  auto start = read_avro_start(window);
  if (!start.ok()) return start.status();
  ContentFormat format;
  format.form = Form::Avro;
  format.avro_head = std::move(start->head);
  return format;
}

}  // namespace

std::string ContentFormat::key() const {
  std::string key = std::to_string(static_cast<int>(form));
  switch (form) {
    case Form::Text: break;
    case Form::Compressed: key += hadoop_codec_info(codec).name; break;
    case Form::Sequence:
      key += std::to_string(static_cast<int>(sequence.value));
      key += std::to_string(static_cast<int>(sequence.compression));
      key += hadoop_codec_info(sequence.codec).name;
      break;
    case Form::Avro: key += avro_head; break;
  }
  return key;
}

Result<ContentFormat> format_of(InputFile& file, std::string_view name) {
  std::array<char, avro_magic.size()> begin{};
  auto got = file.read_at(0, begin);
  if (!got.ok()) return got.status();
  const std::string_view magic(begin.data(), *got);
  if (magic.starts_with(sequence_magic)) return sequence_format(file);
  if (magic == avro_magic) return avro_format(file);
  ContentFormat format;
  for (const HadoopCodec codec : all_codecs) {
    if (!name.ends_with(hadoop_codec_info(codec).extension)) continue;
    format.form = Form::Compressed;
    format.codec = codec;
  }
  return format;
}

Status check_content(InputFile& file, const ContentFormat& format) {
  const Piece nothing = [](std::string_view) { return Status(); };
  switch (format.form) {
    case Form::Text: return read_text(file, nothing);
    case Form::Compressed: return read_compressed(file, format.codec, nothing);
    case Form::Avro: return read_avro(file, nothing);
    case Form::Sequence: break;
  }
  SequenceFileReader reader;
  return read_sequence(reader, file, [](const SequenceFileReader::Record&) { return Status(); });
}

std::unique_ptr<ContentMerger> ContentMerger::make(ContentFormat format, Write write) {
  switch (format.form) {
    case Form::Text: return std::make_unique<TextMerger>(std::move(write));
    case Form::Compressed:
      return std::make_unique<CompressedMerger>(format.codec, std::move(write));
    case Form::Avro:
      return std::make_unique<AvroMerger>(std::move(format.avro_head), std::move(write));
    case Form::Sequence: break;
  }
  return std::make_unique<SequenceMerger>(format.sequence, std::move(write));
}

}  // namespace sluice

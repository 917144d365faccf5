// Hadoop's SequenceFiles, version 6, as Flume's hdfs sink writes them: keys are LongWritable,
// values Text or BytesWritable. docs/formats/sequence-file.md has the bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/wire/hadoop_codec.h"

namespace sluice {

constexpr std::size_t sequence_sync_bytes = 16;
/// Of one file: random, so that no record of any file has them by accident.
using SequenceSync = std::array<char, sequence_sync_bytes>;

enum class SequenceValue : unsigned char {
  Text,      ///< hdfs.writeFormat = Text: a length of variable length and the bytes.
  Writable,  ///< hdfs.writeFormat = Writable: BytesWritable, a length of four bytes and the bytes.
};

enum class SequenceCompression : unsigned char {
  None,
  Record,  ///< Each value is a stream of its own.
  Block,   ///< About a megabyte of records together; what Flume writes as soon as there is a codec.
};

/// Makes the bytes of SequenceFiles, one file after the other.
///
/// begin(), then append() as often as there are events, then finish(); the bytes appended to `out`
/// by these calls, one behind the other, are the file. The caller may take `out` away between any
/// two calls. A file that is not finished, or is cut off, has all of its whole records: readers of
/// Hadoop give them and then an EOFException, so name a file for readers only when it is complete.
/// Never append to a file what begin() makes: Hadoop cannot read behind a second header.
///
/// Memory: with Block twice what block_bytes says and one value beyond it, with Record twice the
/// longest value; it is kept. And the codec's own. Nothing is allocated per event once `out` and
/// the buffers have their size (see HadoopCompressor for the exception). One thread.
class SequenceFileWriter {
 public:
  struct Options {
    SequenceValue value = SequenceValue::Writable;
    SequenceCompression compression = SequenceCompression::None;
    HadoopCodec codec = HadoopCodec::Deflate;  ///< Unless there is no compression.
    std::optional<int> level;                  ///< See HadoopCompressor::make().
  };
  /// Keys and values of a block before compression, from which on it is written.
  static constexpr std::size_t block_bytes = 1'000'000;
  /// Between two sync markers, from which on the next record gets one.
  static constexpr std::uint64_t sync_interval_bytes = 102'400;
  /// Readers of Hadoop hold a record in one array, which they double when it is too small.
  static constexpr std::size_t value_bytes_max = 1 << 30;

  /// Errors: Invalid, the codec has no such level.
  static Result<std::unique_ptr<SequenceFileWriter>> make(const Options& options);
  ~SequenceFileWriter();
  SequenceFileWriter(const SequenceFileWriter&) = delete;
  SequenceFileWriter& operator=(const SequenceFileWriter&) = delete;

  /// Begins a file. What belonged to another one and was not finished is forgotten.
  void begin(const SequenceSync& sync, std::string& out);

  /// `key`: milliseconds since 1970 in Flume's files.
  /// Errors: Reject, the value is longer than value_bytes_max; nothing was appended.
  /// REQUIRES: a file is begun.
  Status append(std::int64_t key, std::string_view value, std::string& out);

  /// Brings what was appended into `out`, and behind it a sync marker, from which readers may start
  /// (with Block: the block, which begins with one). As at each flush of Flume's; a block that ends
  /// early compresses badly. Does nothing when nothing was appended since.
  void flush(std::string& out);

  /// Ends the file.
  void finish(std::string& out);

  /// Of the file so far; what a block holds back is not among them.
  std::uint64_t file_bytes() const noexcept { return file_bytes_; }
  /// What a block holds back, before compression.
  std::size_t held_bytes() const noexcept { return records_ * key_bytes + values_.size(); }

 private:
  static constexpr std::size_t key_bytes = 8;

  /// Bytes that are written in place: a string would fill its new room with zeros first.
  class Held {
   public:
    std::size_t size() const noexcept { return size_; }
    std::string_view view() const noexcept { return {bytes_.get(), size_}; }
    void clear() noexcept { size_ = 0; }
    /// Where `bytes` more may be written; wrote() says how many of them were.
    char* room(std::size_t bytes) {
      if (capacity_ - size_ < bytes) grow(bytes);
      return bytes_.get() + size_;
    }
    void wrote(std::size_t bytes) noexcept { size_ += bytes; }

   private:
    void grow(std::size_t bytes);

    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
  };

  explicit SequenceFileWriter(const Options& options, std::unique_ptr<HadoopCompressor> compressor);

  void append_header(std::string& out);
  void append_sync(std::string& out);
  void append_record(std::int64_t key, std::string_view value, std::string& out);
  void hold(std::int64_t key, std::string_view value);
  void append_block(std::string& out);
  void forget_held() noexcept;
  void append_group(std::string_view bytes, std::string& out);

  const Options options_;
  const std::unique_ptr<HadoopCompressor> compressor_;  ///< Null without compression.
  SequenceSync sync_{};
  bool begun_ = false;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t last_sync_ = 0;  ///< Where in the file the last marker ended.
  bool flushed_ = true;          ///< Nothing was appended since.

  std::size_t records_ = 0;  ///< Of the block that is being filled.
  std::string key_lengths_;  ///< All alike, so never fewer than of any block before.
  Held keys_;
  Held value_lengths_;
  Held values_;        ///< Or the one value that is compressed by itself.
  std::string group_;  ///< One of these, compressed.
};

/// Reads the records of a SequenceFile with LongWritable keys and Text or BytesWritable values, as
/// SequenceFileWriter and Hadoop write them.
///
/// The caller has a window on the file, whose first byte is that at consumed_bytes(): it gives
/// next() the window, which takes from its front, and when that returns nothing it reads on behind
/// what is left, until wanted_bytes() are there, and calls again. At the end of the file finish()
/// says whether what is left is nothing, or a torn tail. The window may be the whole file.
///
/// Memory: with compression what a record or block holds, bytes_max at most, and the codec's own
/// (see HadoopDecompressor); the window is the caller's, and never has to be larger than bytes_max
/// and some. One thread.
class SequenceFileReader {
 public:
  /// What a file may ask for at once: a record, or a block before or after compression.
  static constexpr std::size_t bytes_max_default = 64 << 20;

  struct Header {
    SequenceValue value = SequenceValue::Writable;
    SequenceCompression compression = SequenceCompression::None;
    HadoopCodec codec = HadoopCodec::Deflate;  ///< Unless there is no compression.
    SequenceSync sync{};
  };
  struct Record {
    std::int64_t key = 0;
    std::string_view value;  ///< Into the window or the reader, until the next call.
  };

  explicit SequenceFileReader(std::size_t bytes_max = bytes_max_default) : bytes_max_(bytes_max) {}
  SequenceFileReader(const SequenceFileReader&) = delete;
  SequenceFileReader& operator=(const SequenceFileReader&) = delete;

  /// The next record, or nothing: then it needs wanted_bytes() in `window` to go on.
  ///
  /// Errors: Invalid (it is no SequenceFile of these classes and codecs, it is damaged, or it asks
  /// for more than bytes_max). The records before were whole and right; behind an error there are
  /// no more, and each call repeats it.
  Result<std::optional<Record>> next(std::string_view& window);

  /// How many bytes the window has to have for next() to go on; more than it had.
  std::size_t wanted_bytes() const noexcept { return wanted_bytes_; }

  /// What the end of the file means, of which `window` is what next() left.
  /// REQUIRES: next() returned nothing, or failed.
  ///
  /// Ok: the file is whole. Errors: Reject, it is torn: the message says behind which byte and how
  /// many records; whole_bytes() is where the torn record or block begins.
  Status finish(std::string_view window) const;

  /// Of the file, taken from the fronts of windows.
  std::uint64_t consumed_bytes() const noexcept { return consumed_bytes_; }
  /// Where the last record or block ended that was whole (at the end of the file: the header; 0
  /// when even that is torn).
  std::uint64_t whole_bytes() const noexcept { return whole_bytes_; }
  std::uint64_t records() const noexcept { return records_; }  ///< Returned by next().

  /// Null before the header was read, which next() does.
  const Header* header() const noexcept { return header_ ? &*header_ : nullptr; }

 private:
  /// What is there of a block or record, of which more may have to come.
  class Cursor;
  /// Of a block, after compression.
  struct Group {
    std::string bytes;
    std::string_view left;
  };

  Result<std::optional<Record>> read(std::string_view& window);
  Result<bool> read_header(std::string_view& window);
  Status accept_classes(std::string_view key, std::string_view value, std::string_view codec,
                        Header& header);
  Result<std::optional<Record>> read_record(std::string_view& window);
  Result<bool> read_block(std::string_view& window);
  Result<std::optional<Record>> record_of_block();
  Result<std::optional<Record>> record_of(std::string_view key, std::string_view value) const;
  bool is_sync(std::string_view bytes) const noexcept;
  void consume(std::string_view& window, std::size_t bytes) noexcept;

  const std::size_t bytes_max_;
  std::optional<Header> header_;
  std::unique_ptr<HadoopDecompressor> decompressor_;
  Status failed_;
  std::size_t wanted_bytes_ = 1;
  std::uint64_t consumed_bytes_ = 0;
  std::uint64_t whole_bytes_ = 0;
  std::uint64_t records_ = 0;

  std::int64_t block_records_ = 0;  ///< Of the block, not yet returned.
  /// Lengths of keys, keys, lengths of values, values; a record's value has the last one.
  std::array<Group, 4> groups_;
};

}  // namespace sluice

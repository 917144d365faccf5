// Hadoop's compression codecs: their names, and bytes as their readers take them and writers make
// them.
//
// gzip, deflate (a zlib stream), bzip2 and zstd are the formats of these names. Hadoop's snappy and
// lz4 are neither the framed formats nor what `lz4` reads, but blocks with their lengths in front
// (docs/formats/sequence-file.md).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

enum class HadoopCodec : unsigned char { Gzip, Deflate, Bzip2, Snappy, Lz4, Zstandard };

/// What does not change about a codec. The views live as long as the program.
struct HadoopCodecInfo {
  HadoopCodec codec;
  std::string_view name;        ///< As people write it: "gzip".
  std::string_view java_class;  ///< As a SequenceFile names it.
  std::string_view extension;   ///< Of a file, with the dot.
  /// Of the library, both bounds included; level_max 0: there is no level to choose.
  int level_min;
  int level_max;
};
const HadoopCodecInfo& hadoop_codec_info(HadoopCodec codec) noexcept;

/// The codec that a value of `hdfs.codeC` names; nothing for "none".
///
/// As in Hadoop that is a class name, its last part, or that without "Codec"; besides "zstd". Case
/// makes no difference.
/// Errors: Invalid (the name means no codec, or one that is not supported, such as lzo; the message
/// says what to use instead).
Result<std::optional<HadoopCodec>> parse_hadoop_codec(std::string_view name);

/// The codec of a class name in a SequenceFile, nothing where it is none of ours.
std::optional<HadoopCodec> hadoop_codec_of_class(std::string_view java_class) noexcept;

/// Makes streams of one codec, one after the other.
///
/// A stream ends with finish(); the next byte begins another one. Streams that stand one behind the
/// other are read as one by Hadoop and by the usual tools, except that Hadoop's BZip2Codec of 2014
/// stopped behind the first: give a bzip2 file one stream. A stream without content is valid; of
/// snappy and lz4 it has no bytes.
///
/// One thread. What a stream needs is allocated once and used again by the next one; snappy alone
/// allocates in its library, for each 213 KiB. Output is appended to `out`, whatever it holds.
class HadoopCompressor {
 public:
  /// `level`: the library's own default without it (gzip and deflate 6, bzip2 9, zstd 3).
  /// Errors: Invalid, the codec has no such level.
  static Result<std::unique_ptr<HadoopCompressor>> make(HadoopCodec codec,
                                                        std::optional<int> level = std::nullopt);
  virtual ~HadoopCompressor() = default;
  HadoopCompressor() = default;
  HadoopCompressor(const HadoopCompressor&) = delete;
  HadoopCompressor& operator=(const HadoopCompressor&) = delete;

  /// Most of what it makes of `bytes` may reach `out` only with later ones.
  virtual void write(std::string_view bytes, std::string& out) = 0;
  /// Ends the stream: behind it all that was written can be read.
  virtual void finish(std::string& out) = 0;
  /// Forgets a stream that was begun; what it has appended is a torn one.
  virtual void reset() = 0;

  /// A whole stream. Faster than write() and finish(), because the length is known from the start.
  /// REQUIRES: no stream is begun.
  virtual void compress(std::string_view bytes, std::string& out) {
    write(bytes, out);
    finish(out);
  }
};

/// Reads streams of one codec that stand one behind the other, as HadoopCompressor and Hadoop make
/// them, in any pieces.
///
/// Memory: what the libraries need for files of their usual levels (zstd some 8 MiB at most, bzip2
/// 4 MiB), and twice chunk_bytes_max at most for snappy and lz4, whatever the bytes claim.
/// One thread.
class HadoopDecompressor {
 public:
  /// Of snappy and lz4, compressed and not; Hadoop's own chunks are 256 KiB at most.
  static constexpr std::size_t chunk_bytes_max = 16 << 20;

  static std::unique_ptr<HadoopDecompressor> make(HadoopCodec codec);
  virtual ~HadoopDecompressor() = default;
  HadoopDecompressor() = default;
  HadoopDecompressor(const HadoopDecompressor&) = delete;
  HadoopDecompressor& operator=(const HadoopDecompressor&) = delete;

  /// Takes from the front of `bytes` and appends to `out`, `bytes_max` at most.
  ///
  /// When less than `bytes_max` came, all of `bytes` is taken: go on with those behind them. When
  /// as many came, there may be more without new bytes.
  /// Errors: Invalid, the bytes are damaged, or need more memory than above. The end of what was
  /// appended may be wrong too then, and only reset() helps.
  virtual Status read(std::string_view& bytes, std::size_t bytes_max, std::string& out) = 0;

  /// Whether the bytes read so far end where a stream does, and may be all of them.
  virtual bool at_end() const noexcept = 0;

  /// Forgets everything: as good as new.
  virtual void reset() = 0;

  /// All that is in `bytes`, which are whole streams; resets before.
  /// Errors: Invalid (damaged, cut off, or more than `bytes_max`).
  Status decompress(std::string_view bytes, std::size_t bytes_max, std::string& out);
};

}  // namespace sluice

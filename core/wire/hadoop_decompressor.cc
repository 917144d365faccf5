#include <bzlib.h>
#include <lz4.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "core/base/assert.h"
#include "core/wire/bzip2_memory.h"
#include "core/wire/hadoop_codec.h"

namespace sluice {
namespace {

/// What one call of a library did.
struct Step {
  std::size_t consumed = 0;
  std::size_t produced = 0;
  bool ended = false;            ///< The stream is complete; another may follow.
  const char* damage = nullptr;  ///< What is wrong behind what was produced.
};

/// Codecs whose libraries keep the state of a stream themselves.
class Streams : public HadoopDecompressor {
 public:
  Status read(std::string_view& bytes, std::size_t bytes_max, std::string& out) final {
    std::size_t left = bytes_max;
    while (left > 0 && (!bytes.empty() || holds_more_)) {
      if (at_end_) restart();
      at_end_ = false;
      const std::size_t room = std::min(left, std::clamp(bytes.size(), room_min, room_max));
      const std::size_t begin = out.size();
      out.resize(begin + room);
      const Step step = run(bytes.substr(0, piece_bytes_max), out.data() + begin, room);
      out.resize(begin + step.produced);
      bytes.remove_prefix(step.consumed);
      left -= step.produced;
      if (step.damage != nullptr) {
        return Invalid("the compressed bytes are damaged: " + std::string(step.damage));
      }
      at_end_ = step.ended;
      holds_more_ = step.produced == room && !step.ended;
      const bool moved = step.consumed > 0 || step.produced > 0 || step.ended;
      if (!moved && !bytes.empty()) return Invalid("the compressed bytes are damaged");
    }
    return {};
  }
  bool at_end() const noexcept final { return at_end_; }
  void reset() final {
    restart();
    at_end_ = holds_more_ = false;
  }

 protected:
  /// `room` is not 0; there may be no bytes.
  virtual Step run(std::string_view bytes, char* to, std::size_t room) = 0;
  virtual void restart() = 0;

 private:
  static constexpr std::size_t piece_bytes_max = 1 << 30;  ///< Libraries count in unsigned int.
  static constexpr std::size_t room_min = 4 * 1024;
  static constexpr std::size_t room_max = 128 * 1024;

  bool at_end_ = false;
  bool holds_more_ = false;  ///< The room was full: the library may have more without new bytes.
};

class Inflating final : public Streams {
 public:
  explicit Inflating(int window_bits) {
    const int rc = ::inflateInit2(&stream_, window_bits);
    SLUICE_ASSERT(rc == Z_OK, "zlib is the one this was compiled for, and there is memory");
  }
  ~Inflating() override { ::inflateEnd(&stream_); }

 private:
  Step run(std::string_view bytes, char* to, std::size_t room) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(room);
    const int rc = ::inflate(&stream_, Z_NO_FLUSH);
    Step step{bytes.size() - stream_.avail_in, room - stream_.avail_out, rc == Z_STREAM_END};
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
      step.damage = stream_.msg != nullptr ? stream_.msg : "zlib refuses them";
    }
    return step;
  }
  void restart() override { ::inflateReset(&stream_); }

  z_stream stream_{};
};

class Bunzip2ing final : public Streams {
 public:
  Bunzip2ing() {
    memory_.lend_to(stream_);
    begin();
  }
  ~Bunzip2ing() override { ::BZ2_bzDecompressEnd(&stream_); }

 private:
  Step run(std::string_view bytes, char* to, std::size_t room) override {
    stream_.next_in = const_cast<char*>(bytes.data());
    stream_.avail_in = static_cast<unsigned>(bytes.size());
    stream_.next_out = to;
    stream_.avail_out = static_cast<unsigned>(room);
    const int rc = ::BZ2_bzDecompress(&stream_);
    Step step{bytes.size() - stream_.avail_in, room - stream_.avail_out, rc == BZ_STREAM_END};
    if (rc != BZ_OK && rc != BZ_STREAM_END) step.damage = "libbz2 refuses them";
    return step;
  }
  void restart() override {
    ::BZ2_bzDecompressEnd(&stream_);
    begin();
  }
  void begin() {
    constexpr int quiet = 0;
    constexpr int fast = 0;
    const int rc = ::BZ2_bzDecompressInit(&stream_, quiet, fast);
    SLUICE_ASSERT(rc == BZ_OK, "libbz2 is the one this was compiled for, and there is memory");
  }

  Bzip2Memory memory_;
  bz_stream stream_{};
};

class Unzstandarding final : public Streams {
 public:
  Unzstandarding() : context_(::ZSTD_createDCtx(), ::ZSTD_freeDCtx) {
    SLUICE_ASSERT(context_ != nullptr, "there is memory");
    // 8 MiB are what every level up to 19 needs and what each reader has to know.
    constexpr int window_bits_max = 23;
    ::ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, window_bits_max);
  }

 private:
  Step run(std::string_view bytes, char* to, std::size_t room) override {
    if (fresh_ && !bytes.empty()) {
      // Any other byte begins a format before zstd 0.8, for which Debian's library still has
      // readers. Nobody's Hadoop wrote it, and they are not what to give hostile bytes to.
      const auto first = static_cast<unsigned char>(bytes.front());
      const bool known = first == frame_begins_with || (first & 0xf0) == skippable_begins_with;
      if (!known) return {.damage = "they begin no frame of zstd"};
      fresh_ = false;
    }
    ZSTD_inBuffer from{bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer into{to, room, 0};
    const std::size_t rc = ::ZSTD_decompressStream(context_.get(), &into, &from);
    Step step{from.pos, into.pos, rc == 0};
    if (::ZSTD_isError(rc) != 0) step.damage = ::ZSTD_getErrorName(rc);
    return step;
  }
  void restart() override {
    ::ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only);
    fresh_ = true;
  }

  static constexpr unsigned frame_begins_with = 0x28;
  static constexpr unsigned skippable_begins_with = 0x50;

  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context_;
  bool fresh_ = true;  ///< The next byte begins a frame.
};

/// What BlockDecompressorStream reads: blocks of a length and of chunks, whose bytes together are
/// that many. A block of none, with which Hadoop ends an empty stream, is passed over.
class Blocks : public HadoopDecompressor {
 public:
  Status read(std::string_view& bytes, std::size_t bytes_max, std::string& out) final {
    for (std::size_t left = bytes_max; left > 0;) {
      if (content_begin_ < content_.size()) {
        const std::size_t given = std::min(left, content_.size() - content_begin_);
        out.append(content_, content_begin_, given);
        content_begin_ += given;
        left -= given;
        continue;
      }
      std::string_view taken;
      if (!take(bytes, in_chunk_ ? chunk_bytes_ : length_bytes, taken)) return {};
      Status status = accept(taken);
      partial_.clear();
      if (!status.ok()) return status;
    }
    return {};
  }
  bool at_end() const noexcept final {
    return block_left_ == 0 && partial_.empty() && content_begin_ == content_.size();
  }
  void reset() final {
    partial_.clear();
    content_.clear();
    content_begin_ = block_left_ = chunk_bytes_ = 0;
    in_chunk_ = false;
  }

 protected:
  /// Makes `content` of a chunk of at most `bytes_max` bytes; false: it is damaged, or has more.
  /// Memory in proportion to the chunk only.
  virtual bool decompress_chunk(std::string_view chunk, std::size_t bytes_max,
                                std::string& content) = 0;

 private:
  static constexpr std::size_t length_bytes = 4;

  /// The next `wanted` bytes, or false when there are not as many yet; `bytes` is empty then.
  bool take(std::string_view& bytes, std::size_t wanted, std::string_view& taken) {
    if (partial_.empty() && bytes.size() >= wanted) {
      taken = bytes.substr(0, wanted);
      bytes.remove_prefix(wanted);
      return true;
    }
    const std::size_t missing = std::min(bytes.size(), wanted - partial_.size());
    partial_.append(bytes.substr(0, missing));
    bytes.remove_prefix(missing);
    if (partial_.size() < wanted) return false;
    taken = partial_;
    return true;
  }

  Status accept(std::string_view taken) {
    if (in_chunk_) return accept_chunk(taken);
    std::uint32_t length = 0;
    std::memcpy(&length, taken.data(), sizeof length);
    length = __builtin_bswap32(length);
    if (block_left_ == 0) {
      if (length > std::uint32_t{std::numeric_limits<std::int32_t>::max()}) {
        return Invalid("the compressed bytes are damaged: a block of negative length");
      }
      block_left_ = length;
      return {};
    }
    if (length == 0 || length > chunk_bytes_max) {
      return Invalid("the compressed bytes are damaged: a chunk of " + std::to_string(length) +
                     " bytes");
    }
    chunk_bytes_ = length;
    in_chunk_ = true;
    return {};
  }
  Status accept_chunk(std::string_view chunk) {
    const std::size_t bytes_max = std::min(block_left_, chunk_bytes_max);
    content_begin_ = 0;
    if (!decompress_chunk(chunk, bytes_max, content_)) {
      content_.clear();
      return Invalid("the compressed bytes are damaged: a chunk is none of its codec");
    }
    block_left_ -= content_.size();
    in_chunk_ = false;
    return {};
  }
  std::string partial_;         ///< The first bytes of a length or chunk whose others are to come.
  std::size_t block_left_ = 0;  ///< Of the block, before compression.
  std::size_t chunk_bytes_ = 0;
  bool in_chunk_ = false;  ///< A chunk comes next, not a length.
  std::string content_;    ///< Of the last chunk.
  std::size_t content_begin_ = 0;
};

class Unsnappying final : public Blocks {
 private:
  bool decompress_chunk(std::string_view chunk, std::size_t bytes_max,
                        std::string& content) override {
    // No snappy data becomes more than this; a length that lies costs no memory.
    constexpr std::size_t ratio_max = 64;
    std::size_t bytes = 0;
    if (!snappy::GetUncompressedLength(chunk.data(), chunk.size(), &bytes)) return false;
    if (bytes > bytes_max || bytes / ratio_max > chunk.size()) return false;
    content.resize(bytes);
    return snappy::RawUncompress(chunk.data(), chunk.size(), content.data());
  }
};

class Unlz4ing final : public Blocks {
 private:
  bool decompress_chunk(std::string_view chunk, std::size_t bytes_max,
                        std::string& content) override {
    constexpr std::size_t ratio_max = 255;
    content.resize(std::min(bytes_max, chunk.size() * ratio_max));
    const int bytes =
        ::LZ4_decompress_safe(chunk.data(), content.data(), static_cast<int>(chunk.size()),
                              static_cast<int>(content.size()));
    if (bytes < 0) return false;
    content.resize(static_cast<std::size_t>(bytes));
    return true;
  }
};

}  // namespace

std::unique_ptr<HadoopDecompressor> HadoopDecompressor::make(HadoopCodec codec) {
  constexpr int window_bits = 15;
  constexpr int gzip_only = 16;
  switch (codec) {
    case HadoopCodec::Gzip: return std::make_unique<Inflating>(window_bits + gzip_only);
    case HadoopCodec::Deflate: return std::make_unique<Inflating>(window_bits);
    case HadoopCodec::Bzip2: return std::make_unique<Bunzip2ing>();
    case HadoopCodec::Snappy: return std::make_unique<Unsnappying>();
    case HadoopCodec::Lz4: return std::make_unique<Unlz4ing>();
    case HadoopCodec::Zstandard: return std::make_unique<Unzstandarding>();
  }
  SLUICE_ASSERT(false, "every codec is made above");
  return nullptr;
}

Status HadoopDecompressor::decompress(std::string_view bytes, std::size_t bytes_max,
                                      std::string& out) {
  reset();
  const std::size_t begin = out.size();
  // A byte more than allowed shows what is too long.
  const std::size_t room = bytes_max + (bytes_max < std::numeric_limits<std::size_t>::max());
  if (Status status = read(bytes, room, out); !status.ok()) return status;
  if (out.size() - begin > bytes_max) {
    return Invalid("the compressed bytes hold more than " + std::to_string(bytes_max));
  }
  if (!at_end()) return Invalid("the compressed bytes end too early");
  return {};
}

}  // namespace sluice

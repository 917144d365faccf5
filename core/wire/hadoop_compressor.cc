#include <bzlib.h>
#include <lz4.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/assert.h"
#include "core/wire/bzip2_memory.h"
#include "core/wire/hadoop_codec.h"

namespace sluice {
namespace {

/// Room for what a codec makes of so many bytes in most calls; it asks again for more.
std::size_t room_for(std::size_t bytes) noexcept {
  constexpr std::size_t room_min = 4 * 1024;
  constexpr std::size_t room_max = 128 * 1024;
  return std::clamp(bytes, room_min, room_max);
}

/// Appends what `step` writes, until it says that there is no more.
/// `step` gets the room, returns how much of it it used, and says in `more` whether to go on.
template <typename Step>
void append_steps(std::size_t room, std::string& out, Step&& step) {
  for (bool more = true; more;) {
    const std::size_t begin = out.size();
    out.resize(begin + room);
    more = false;
    out.resize(begin + step(out.data() + begin, room, more));
  }
}

/// Codecs whose libraries keep the state of a stream themselves. A call of theirs costs as much as
/// some hundred bytes, so short writes are gathered.
class Streams : public HadoopCompressor {
 public:
  void write(std::string_view bytes, std::string& out) final {
    if (pending_.size() + bytes.size() > pending_bytes_max && !pending_.empty()) {
      compress_more(pending_, out);
      pending_.clear();
    }
    if (bytes.size() < pending_bytes_max) {
      pending_ += bytes;
      return;
    }
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), piece_bytes_max))) {
      compress_more(bytes.substr(0, piece_bytes_max), out);
    }
  }
  void finish(std::string& out) final {
    compress_last(pending_, out);
    pending_.clear();
  }
  void reset() final {
    pending_.clear();
    forget();
  }
  void compress(std::string_view bytes, std::string& out) override {
    SLUICE_ASSERT(pending_.empty(), "no stream is begun");
    if (bytes.size() <= piece_bytes_max) return compress_last(bytes, out);
    write(bytes, out);
    finish(out);
  }

 protected:
  /// What the libraries count in an unsigned int is given to them in pieces.
  static constexpr std::size_t piece_bytes_max = 1 << 30;

  /// Never more than piece_bytes_max.
  virtual void compress_more(std::string_view bytes, std::string& out) = 0;
  /// Ends the stream behind `bytes`, of which there may be none.
  virtual void compress_last(std::string_view bytes, std::string& out) = 0;
  virtual void forget() = 0;

 private:
  static constexpr std::size_t pending_bytes_max = 16 * 1024;

  std::string pending_;
};

/// gzip or zlib's own format, by the bits of the window.
class Deflating final : public Streams {
 public:
  Deflating(int window_bits, std::optional<int> level) {
    constexpr int memory_level = 8;
    const int rc = ::deflateInit2(&stream_, level.value_or(Z_DEFAULT_COMPRESSION), Z_DEFLATED,
                                  window_bits, memory_level, Z_DEFAULT_STRATEGY);
    SLUICE_ASSERT(rc == Z_OK, "zlib is the one this was compiled for, and there is memory");
  }
  ~Deflating() override { ::deflateEnd(&stream_); }

 private:
  void compress_more(std::string_view bytes, std::string& out) override {
    run(bytes, Z_NO_FLUSH, out);
  }
  void compress_last(std::string_view bytes, std::string& out) override {
    run(bytes, Z_FINISH, out);
    ::deflateReset(&stream_);
  }
  void forget() override { ::deflateReset(&stream_); }

  void run(std::string_view bytes, int flush, std::string& out) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    append_steps(room_for(bytes.size()), out, [&](char* to, std::size_t room, bool& more) {
      stream_.next_out = reinterpret_cast<Bytef*>(to);
      stream_.avail_out = static_cast<uInt>(room);
      const int rc = ::deflate(&stream_, flush);
      SLUICE_ASSERT(rc != Z_STREAM_ERROR, "the state of a deflate stream is whole");
      more = stream_.avail_out == 0 && rc != Z_STREAM_END;
      return room - stream_.avail_out;
    });
    SLUICE_ASSERT(stream_.avail_in == 0, "all of the input is compressed");
  }

  z_stream stream_{};
};

class Bzip2ing final : public Streams {
 public:
  explicit Bzip2ing(int level) : level_(level) { memory_.lend_to(stream_); }
  ~Bzip2ing() override { Bzip2ing::forget(); }

 private:
  void compress_more(std::string_view bytes, std::string& out) override {
    begin();
    stream_.next_in = const_cast<char*>(bytes.data());
    stream_.avail_in = static_cast<unsigned>(bytes.size());
    run(BZ_RUN, out);
  }
  void compress_last(std::string_view bytes, std::string& out) override {
    begin();
    if (!bytes.empty()) compress_more(bytes, out);
    run(BZ_FINISH, out);
    forget();
  }
  void forget() override {
    if (begun_) ::BZ2_bzCompressEnd(&stream_);
    begun_ = false;
  }

  void begin() {
    if (begun_) return;
    constexpr int quiet = 0;
    constexpr int default_work = 0;
    const int rc = ::BZ2_bzCompressInit(&stream_, level_, quiet, default_work);
    SLUICE_ASSERT(rc == BZ_OK, "libbz2 is the one this was compiled for, and there is memory");
    begun_ = true;
  }
  void run(int action, std::string& out) {
    append_steps(room_for(stream_.avail_in), out, [&](char* to, std::size_t room, bool& more) {
      stream_.next_out = to;
      stream_.avail_out = static_cast<unsigned>(room);
      const int rc = ::BZ2_bzCompress(&stream_, action);
      SLUICE_ASSERT(rc >= 0, "the state of a bzip2 stream is whole");
      more = action == BZ_RUN ? stream_.avail_in > 0 : rc != BZ_STREAM_END;
      return room - stream_.avail_out;
    });
  }

  const int level_;
  Bzip2Memory memory_;
  bz_stream stream_{};
  bool begun_ = false;
};

class Zstandarding final : public Streams {
 public:
  explicit Zstandarding(int level) : context_(::ZSTD_createCCtx(), ::ZSTD_freeCCtx) {
    SLUICE_ASSERT(context_ != nullptr, "there is memory");
    check(::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level));
  }

  void compress(std::string_view bytes, std::string& out) override {
    // Room for the worst case in `out` itself would be filled with zeros each time.
    if (room_.size() < ::ZSTD_compressBound(bytes.size())) {
      room_.resize(::ZSTD_compressBound(bytes.size()));
    }
    const std::size_t used =
        ::ZSTD_compress2(context_.get(), room_.data(), room_.size(), bytes.data(), bytes.size());
    check(used);
    out.append(room_, 0, used);
  }

 private:
  static void check(std::size_t rc) {
    SLUICE_ASSERT(::ZSTD_isError(rc) == 0, "there are memory and room");
  }
  void compress_more(std::string_view bytes, std::string& out) override {
    run(bytes, ZSTD_e_continue, out);
  }
  void compress_last(std::string_view bytes, std::string& out) override {
    run(bytes, ZSTD_e_end, out);
  }
  void forget() override { ::ZSTD_CCtx_reset(context_.get(), ZSTD_reset_session_only); }

  void run(std::string_view bytes, ZSTD_EndDirective directive, std::string& out) {
    ZSTD_inBuffer from{bytes.data(), bytes.size(), 0};
    append_steps(room_for(bytes.size()), out, [&](char* to, std::size_t room, bool& more) {
      ZSTD_outBuffer into{to, room, 0};
      const std::size_t left = ::ZSTD_compressStream2(context_.get(), &into, &from, directive);
      check(left);
      more = directive == ZSTD_e_end ? left > 0 : from.pos < from.size;
      return into.pos;
    });
  }

  const std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context_;
  std::string room_;
};

void append_u32(std::size_t value, std::string& out) {
  const std::uint32_t swapped = __builtin_bswap32(static_cast<std::uint32_t>(value));
  out.append(reinterpret_cast<const char*>(&swapped), sizeof swapped);
}

/// What BlockCompressorStream writes: each block its length, the length of the one chunk in it, and
/// the chunk. The bytes of a block are as many as Hadoop gives to its compressor: its readers hold
/// a chunk, compressed or not, in a buffer of fixed size.
class Blocks : public HadoopCompressor {
 public:
  void write(std::string_view bytes, std::string& out) final {
    while (!bytes.empty()) {
      if (pending_.empty() && bytes.size() >= block_bytes_) {
        append_block(bytes.substr(0, block_bytes_), out);
        bytes.remove_prefix(block_bytes_);
        continue;
      }
      const std::size_t taken = std::min(bytes.size(), block_bytes_ - pending_.size());
      pending_.append(bytes.substr(0, taken));
      bytes.remove_prefix(taken);
      if (pending_.size() == block_bytes_) flush(out);
    }
  }
  // Hadoop ends a stream without bytes with a block of none, behind which its readers stop for
  // good. They take nothing at all for such a stream as well, and read on in what is behind it.
  void finish(std::string& out) final { flush(out); }
  void reset() final { pending_.clear(); }

  void compress(std::string_view bytes, std::string& out) final {
    SLUICE_ASSERT(pending_.empty(), "no stream is begun");
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), block_bytes_))) {
      append_block(bytes.substr(0, block_bytes_), out);
    }
  }

 protected:
  static constexpr std::size_t buffer_bytes = 256 * 1024;  ///< Hadoop's default for both codecs.

  /// `overhead_bytes`: by how much the codec may make so many bytes longer.
  explicit Blocks(std::size_t overhead_bytes) : block_bytes_(buffer_bytes - overhead_bytes) {}

 private:
  virtual std::size_t chunk_bytes_max(std::size_t bytes) const = 0;
  /// Returns the bytes written to `to`, where chunk_bytes_max() have room.
  virtual std::size_t compress_chunk(std::string_view bytes, char* to) = 0;

  void flush(std::string& out) {
    if (pending_.empty()) return;
    append_block(pending_, out);
    pending_.clear();
  }
  void append_block(std::string_view bytes, std::string& out) {
    append_u32(bytes.size(), out);
    const std::size_t length_at = out.size();
    append_u32(0, out);
    const std::size_t begin = out.size();
    out.resize(begin + chunk_bytes_max(bytes.size()));
    const std::size_t chunk_bytes = compress_chunk(bytes, out.data() + begin);
    SLUICE_ASSERT(chunk_bytes > 0 && chunk_bytes <= buffer_bytes, "a chunk fits Hadoop's buffers");
    out.resize(begin + chunk_bytes);
    const std::uint32_t swapped = __builtin_bswap32(static_cast<std::uint32_t>(chunk_bytes));
    std::copy_n(reinterpret_cast<const char*>(&swapped), sizeof swapped, out.data() + length_at);
  }

  const std::size_t block_bytes_;
  std::string pending_;  ///< Never as long as a block.
};

class Snappying final : public Blocks {
 public:
  Snappying() : Blocks(buffer_bytes / 6 + 32) {}

 private:
  std::size_t chunk_bytes_max(std::size_t bytes) const override {
    return snappy::MaxCompressedLength(bytes);
  }
  std::size_t compress_chunk(std::string_view bytes, char* to) override {
    std::size_t written = 0;
    snappy::RawCompress(bytes.data(), bytes.size(), to, &written);
    return written;
  }
};

class Lz4ing final : public Blocks {
 public:
  Lz4ing() : Blocks(buffer_bytes / 255 + 16) {}

 private:
  std::size_t chunk_bytes_max(std::size_t bytes) const override {
    return static_cast<std::size_t>(::LZ4_compressBound(static_cast<int>(bytes)));
  }
  std::size_t compress_chunk(std::string_view bytes, char* to) override {
    const int size = static_cast<int>(bytes.size());
    const int written = ::LZ4_compress_default(bytes.data(), to, size, ::LZ4_compressBound(size));
    SLUICE_ASSERT(written > 0, "there is room for the worst case");
    return static_cast<std::size_t>(written);
  }
};

Status no_such_level(const HadoopCodecInfo& info, int level) {
  const std::string name(info.name);
  if (info.level_max == 0) return Invalid(name + " has no levels");
  return Invalid("the levels of " + name + " are " + std::to_string(info.level_min) + " to " +
                 std::to_string(info.level_max) + ", not " + std::to_string(level));
}

}  // namespace

Result<std::unique_ptr<HadoopCompressor>> HadoopCompressor::make(HadoopCodec codec,
                                                                 std::optional<int> level) {
  const HadoopCodecInfo& info = hadoop_codec_info(codec);
  if (level && (info.level_max == 0 || *level < info.level_min || *level > info.level_max)) {
    return no_such_level(info, *level);
  }
  constexpr int window_bits = 15;
  constexpr int gzip_bits = 16;
  constexpr int bzip2_default = 9;
  using Made = std::unique_ptr<HadoopCompressor>;
  switch (codec) {
    case HadoopCodec::Gzip: return Made(new Deflating(window_bits + gzip_bits, level));
    case HadoopCodec::Deflate: return Made(new Deflating(window_bits, level));
    case HadoopCodec::Bzip2: return Made(new Bzip2ing(level.value_or(bzip2_default)));
    case HadoopCodec::Snappy: return Made(new Snappying);
    case HadoopCodec::Lz4: return Made(new Lz4ing);
    case HadoopCodec::Zstandard: return Made(new Zstandarding(level.value_or(ZSTD_CLEVEL_DEFAULT)));
  }
  SLUICE_ASSERT(false, "every codec is made above");
  return Made();
}

}  // namespace sluice

#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/wire/avro_container.h"

namespace sluice {
namespace {

constexpr std::size_t step_bytes = 64 * 1024;

Status too_long() { return Invalid("its content is longer than the bound"); }

class Plain final : public AvroCodec {
 public:
  Status decompress(std::string_view data, std::size_t bytes_max, std::string& out) override {
    if (data.size() > bytes_max) return too_long();
    out += data;
    return {};
  }
};

/// Appends what `step` writes until it says that all is written.
/// `step` gets the room and returns how much of it it has used, or nothing when that was all.
template <typename Step>
Status append_in_steps(std::size_t bytes_max, std::string& out, Step&& step) {
  const std::size_t begin = out.size();
  for (;;) {
    const std::size_t used = out.size() - begin;
    // A byte more than allowed shows what is too long.
    const std::size_t room = std::min(std::max(step_bytes, used), bytes_max + 1 - used);
    if (room == 0) return too_long();
    out.resize(begin + used + room);
    bool ended = false;
    auto written = step(out.data() + begin + used, room, ended);
    if (!written.ok()) return written.status();
    out.resize(begin + used + *written);
    if (ended) return out.size() - begin > bytes_max ? too_long() : Status();
  }
}

/// Deflate without zlib's header.
class Deflate final : public AvroCodec {
 public:
  Deflate() {
    constexpr int raw_window_bits = -15;
    const int rc = ::inflateInit2(&stream_, raw_window_bits);
    SLUICE_ASSERT(rc == Z_OK, "zlib is the one this was compiled for, and there is memory");
  }
  ~Deflate() override { ::inflateEnd(&stream_); }
  Deflate(const Deflate&) = delete;
  Deflate& operator=(const Deflate&) = delete;

  Status decompress(std::string_view data, std::size_t bytes_max, std::string& out) override {
    ::inflateReset(&stream_);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream_.avail_in = static_cast<uInt>(data.size());
    return append_in_steps(bytes_max, out,
                           [this](char* to, std::size_t room, bool& ended) -> Result<std::size_t> {
                             stream_.next_out = reinterpret_cast<Bytef*>(to);
                             stream_.avail_out = static_cast<uInt>(room);
                             const int rc = ::inflate(&stream_, Z_NO_FLUSH);
                             ended = rc == Z_STREAM_END;
                             if (rc == Z_BUF_ERROR) return Reject("its deflated data is cut off");
                             if (rc == Z_OK || ended) return room - stream_.avail_out;
                             return Reject("its deflated data is damaged");
                           });
  }

 private:
  z_stream stream_{};
};

/// A snappy block, and behind it the CRC-32 of what is in it, high byte first.
class Snappy final : public AvroCodec {
 public:
  Status decompress(std::string_view data, std::size_t bytes_max, std::string& out) override {
    constexpr std::size_t crc_bytes = 4;
    std::size_t bytes = 0;
    if (data.size() < crc_bytes ||
        !snappy::GetUncompressedLength(data.data(), data.size() - crc_bytes, &bytes)) {
      return Reject("its snappy data is damaged");
    }
    if (bytes > bytes_max) return too_long();
    // No snappy data becomes more than this; a length that lies costs no memory.
    constexpr std::size_t ratio_max = 64;
    if (bytes / ratio_max > data.size()) return Reject("its snappy data is damaged");
    const std::size_t begin = out.size();
    out.resize(begin + bytes);
    if (!snappy::RawUncompress(data.data(), data.size() - crc_bytes, out.data() + begin)) {
      return Reject("its snappy data is damaged");
    }
    std::uint32_t expected = 0;
    for (const char c : data.substr(data.size() - crc_bytes)) {
      expected = expected << 8 | static_cast<unsigned char>(c);
    }
    const uLong crc =
        ::crc32_z(0, reinterpret_cast<const Bytef*>(out.data() + begin), out.size() - begin);
    return crc == expected ? Status() : Reject("the checksum of its content is wrong");
  }
};

class Zstandard final : public AvroCodec {
 public:
  Zstandard() : stream_(::ZSTD_createDStream(), ::ZSTD_freeDStream) {
    SLUICE_ASSERT(stream_ != nullptr, "there is memory");
  }
  Status decompress(std::string_view data, std::size_t bytes_max, std::string& out) override {
    ::ZSTD_DCtx_reset(stream_.get(), ZSTD_reset_session_only);
    ZSTD_inBuffer from{data.data(), data.size(), 0};
    return append_in_steps(
        bytes_max, out,
        [this, &from](char* to, std::size_t room, bool& ended) -> Result<std::size_t> {
          ZSTD_outBuffer into{to, room, 0};
          const std::size_t rc = ::ZSTD_decompressStream(stream_.get(), &into, &from);
          if (::ZSTD_isError(rc) != 0) return Reject("its zstd data is damaged");
          ended = rc == 0;
          if (!ended && from.pos == from.size && into.pos < into.size) {
            return Reject("its zstd data is cut off");
          }
          return into.pos;
        });
  }

 private:
  const std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream_;
};

}  // namespace

Result<std::unique_ptr<AvroCodec>> AvroCodec::make(std::string_view name) {
  std::unique_ptr<AvroCodec> codec;
  if (name == "null") codec = std::make_unique<Plain>();
  if (name == "deflate") codec = std::make_unique<Deflate>();
  if (name == "snappy") codec = std::make_unique<Snappy>();
  if (name == "zstandard") codec = std::make_unique<Zstandard>();
  if (codec) return codec;
  return Reject("its codec '" + std::string(name) +
                "' is not known here; null, deflate, snappy and zstandard are");
}

}  // namespace sluice

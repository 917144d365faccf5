#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/assert.h"
#include "core/wire/avro_container_writer.h"

namespace sluice {
namespace {

class Plain final : public AvroCompressor {
 public:
  void compress(std::string_view data, std::string& out) override { out += data; }
};

/// Deflate without zlib's header.
class Deflate final : public AvroCompressor {
 public:
  Deflate() {
    constexpr int raw_window_bits = -15;
    constexpr int memory_level = 8;
    const int rc = ::deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, raw_window_bits,
                                  memory_level, Z_DEFAULT_STRATEGY);
    SLUICE_ASSERT(rc == Z_OK, "zlib is the one this was compiled for, and there is memory");
  }
  ~Deflate() override { ::deflateEnd(&stream_); }
  Deflate(const Deflate&) = delete;
  Deflate& operator=(const Deflate&) = delete;

  void compress(std::string_view data, std::string& out) override {
    ::deflateReset(&stream_);
    const std::size_t begin = out.size();
    out.resize(begin + ::deflateBound(&stream_, data.size()));
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream_.avail_in = static_cast<uInt>(data.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + begin);
    stream_.avail_out = static_cast<uInt>(out.size() - begin);
    const int rc = ::deflate(&stream_, Z_FINISH);
    SLUICE_ASSERT(rc == Z_STREAM_END, "there is as much room as zlib has asked for");
    out.resize(out.size() - stream_.avail_out);
  }

 private:
  z_stream stream_{};
};

/// A snappy block, and behind it the CRC-32 of what is in it, high byte first.
class Snappy final : public AvroCompressor {
 public:
  void compress(std::string_view data, std::string& out) override {
    const std::size_t begin = out.size();
    out.resize(begin + snappy::MaxCompressedLength(data.size()));
    std::size_t bytes = 0;
    snappy::RawCompress(data.data(), data.size(), out.data() + begin, &bytes);
    out.resize(begin + bytes);
    const uLong crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
    for (const unsigned shift : {24U, 16U, 8U, 0U}) out += static_cast<char>(crc >> shift & 0xff);
  }
};

class Zstandard final : public AvroCompressor {
 public:
  Zstandard() : context_(::ZSTD_createCCtx(), ::ZSTD_freeCCtx) {
    SLUICE_ASSERT(context_ != nullptr, "there is memory");
  }
  void compress(std::string_view data, std::string& out) override {
    const std::size_t begin = out.size();
    out.resize(begin + ::ZSTD_compressBound(data.size()));
    const std::size_t bytes =
        ::ZSTD_compressCCtx(context_.get(), out.data() + begin, out.size() - begin, data.data(),
                            data.size(), ZSTD_CLEVEL_DEFAULT);
    SLUICE_ASSERT(::ZSTD_isError(bytes) == 0, "there is as much room as zstd has asked for");
    out.resize(begin + bytes);
  }

 private:
  const std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context_;
};

}  // namespace

Result<std::unique_ptr<AvroCompressor>> AvroCompressor::make(std::string_view name) {
  std::unique_ptr<AvroCompressor> compressor;
  if (name == "null") compressor = std::make_unique<Plain>();
  if (name == "deflate") compressor = std::make_unique<Deflate>();
  if (name == "snappy") compressor = std::make_unique<Snappy>();
  if (name == "zstandard") compressor = std::make_unique<Zstandard>();
  if (compressor) return compressor;
  return Invalid("there is no codec '" + std::string(name) +
                 "' for Avro files; null, deflate, snappy and zstandard are there");
}

}  // namespace sluice

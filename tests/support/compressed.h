// Text as gzip and zstd files hold it.
#pragma once

#include <zlib.h>
#include <zstd.h>

#include <string>
#include <string_view>

#include "core/base/assert.h"

namespace sluice::testing {

inline std::string gzip(std::string_view text) {
  z_stream stream{};
  constexpr int gzip_window_bits = 15 + 16;
  constexpr int memory_level = 8;
  int rc =
      ::deflateInit2(&stream, 6, Z_DEFLATED, gzip_window_bits, memory_level, Z_DEFAULT_STRATEGY);
  SLUICE_ASSERT(rc == Z_OK, "zlib starts");
  std::string out(::deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  rc = ::deflate(&stream, Z_FINISH);
  SLUICE_ASSERT(rc == Z_STREAM_END, "there is room for all of it");
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

inline std::string zstd(std::string_view text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  const std::size_t bytes =
      ::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), ZSTD_CLEVEL_DEFAULT);
  SLUICE_ASSERT(::ZSTD_isError(bytes) == 0, "there is room for all of it");
  out.resize(bytes);
  return out;
}

}  // namespace sluice::testing

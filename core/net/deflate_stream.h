// A connection whose bytes are one zlib stream (RFC 1950) in each direction.
#pragma once

#include <cstdint>
#include <memory>

#include "core/net/byte_stream.h"

namespace sluice {

/// Compresses what is written and inflates what is read, as Flume's `compression-type = deflate`.
///
/// Each flush() ends with a sync flush, so the peer can read all that was written; finish() ends
/// the stream with its checksum. Inflates into the caller's span only, however much a few bytes
/// would become. A stream that ends without its end is Retry.
class DeflateStream final : public ByteStream {
 public:
  /// What compressing may take: 256 KiB, or 32 KiB where connections are many and answers short.
  enum class Memory : unsigned char { Full, Small };

  /// `level` 0..9.
  DeflateStream(std::unique_ptr<ByteStream> below, int level, Memory memory);
  ~DeflateStream() override;

  Result<bool> open() override { return below_->open(); }
  Result<std::size_t> read_some(std::span<char> into) override;
  bool holds_input() const noexcept override;
  Status write(std::string_view bytes) override;
  Status flush() override;
  Status finish() override;

 private:
  struct Inflater;
  struct Deflater;
  Result<bool> fetch();
  Status compress(std::string_view bytes, int how);

  const std::unique_ptr<ByteStream> below_;
  const int level_;
  const Memory memory_;
  std::unique_ptr<Inflater> inflater_;  ///< Made with the first byte.
  std::unique_ptr<Deflater> deflater_;
  Status failed_;  ///< Not Ok: nothing can be read any more.
};

}  // namespace sluice

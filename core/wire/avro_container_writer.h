// Writing Avro's object container files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/wire/avro_container.h"

namespace sluice {

/// Makes a block's data of datums; what AvroCodec reads. One thread.
class AvroCompressor {
 public:
  /// null, deflate, snappy, zstandard, at the levels that Avro's Java library takes. Errors:
  /// Invalid, the codec is none of these.
  static Result<std::unique_ptr<AvroCompressor>> make(std::string_view name);
  virtual ~AvroCompressor() = default;

  /// Appends `data` as it lies in a block. REQUIRES: less than 2 GiB.
  virtual void compress(std::string_view data, std::string& out) = 0;
};

/// Writes one file: begin(), then datums, then finish(). Says with each call what is next in the
/// file; keeps the datums of a block until it is full. One thread.
class AvroContainerWriter {
 public:
  struct Options {
    std::string codec = "null";
    /// A block ends with the datum that fills it.
    std::size_t block_bytes = 2'048'000;
    std::array<char, avro_sync_bytes> sync{};  ///< Random, and this file's own.
  };
  static constexpr std::size_t block_bytes_least = 32;  // as in Avro's Java library
  static constexpr std::size_t block_bytes_most = 1 << 30;

  /// Errors: Invalid, as AvroCompressor::make().
  static Result<std::unique_ptr<AvroContainerWriter>> make(Options options);

  /// `schema` is JSON.
  void begin(std::string_view schema, std::string& out);
  /// `datum` in Avro's binary form. REQUIRES: it is one of the schema, and less than 1 GiB.
  void append(std::string_view datum, std::string& out);
  void finish(std::string& out);

 private:
  AvroContainerWriter(Options options, std::unique_ptr<AvroCompressor> compressor)
      : options_(std::move(options)), compressor_(std::move(compressor)) {}
  void write_block(std::string& out);

  const Options options_;
  const std::unique_ptr<AvroCompressor> compressor_;
  std::string data_;
  std::string compressed_;
  std::int64_t datums_ = 0;
};

}  // namespace sluice

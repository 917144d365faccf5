// Avro's object container files: a header with the schema, then blocks of datums, each block
// followed by the file's own sync marker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

constexpr std::size_t avro_sync_bytes = 16;

struct AvroHeader {
  static constexpr std::size_t bytes_max = 2 << 20;

  std::string schema;  ///< JSON.
  std::string codec = "null";
  std::map<std::string, std::string> others;  ///< Entries that Avro does not know.
  std::array<char, avro_sync_bytes> sync{};
  std::size_t bytes = 0;  ///< Of the header; the first block begins behind it.
};
/// The header that a file begins with; nothing when `bytes` end before it does.
/// Errors: Reject (it is no container, it has no schema, or the header is longer than bytes_max).
Result<std::optional<AvroHeader>> parse_avro_header(std::string_view bytes);

struct AvroBlockHead {
  static constexpr std::size_t bytes_max = 20;

  std::uint64_t datums = 0;
  std::uint64_t data_bytes = 0;  ///< As they lie in the file; the sync marker is behind them.
  std::size_t bytes = 0;         ///< Of the head itself.
};
/// Nothing when `bytes` (bytes_max are enough) begin with no head of a block.
std::optional<AvroBlockHead> parse_avro_block_head(std::string_view bytes) noexcept;

/// Makes datums of a block's data. One thread.
class AvroCodec {
 public:
  /// null, deflate, snappy, zstandard. Errors: Reject, the codec is none of these.
  static Result<std::unique_ptr<AvroCodec>> make(std::string_view name);
  virtual ~AvroCodec() = default;

  /// Appends what is in `data` to `out`; after an error some of it may be there.
  /// Errors: Reject (it is damaged), Invalid (it is more than bytes_max).
  virtual Status decompress(std::string_view data, std::size_t bytes_max, std::string& out) = 0;
};

}  // namespace sluice

#include "core/wire/avro_container.h"

#include <algorithm>

#include "core/wire/avro_schema.h"

namespace sluice {
namespace {

using Extent = AvroSchema::Extent;
constexpr std::string_view magic("Obj\x01", 4);

Extent take_text(std::string_view& bytes, std::string_view& text) noexcept {
  std::int64_t length = 0;
  const Extent extent = take_avro_long(bytes, length);
  if (extent != Extent::Whole) return extent;
  if (length < 0) return Extent::Damaged;
  if (static_cast<std::uint64_t>(length) > bytes.size()) return Extent::Cut;
  text = bytes.substr(0, static_cast<std::size_t>(length));
  bytes.remove_prefix(text.size());
  return Extent::Whole;
}

/// The map of texts that begins the header.
Extent take_metadata(std::string_view& bytes, AvroHeader& header) {
  for (;;) {
    std::int64_t entries = 0;
    Extent extent = take_avro_long(bytes, entries);
    if (extent != Extent::Whole || entries == 0) return extent;
    std::int64_t size = 0;
    if (entries < 0) extent = take_avro_long(bytes, size);
    const auto count = static_cast<std::uint64_t>(entries);
    for (std::uint64_t left = entries < 0 ? ~count + 1 : count; left > 0; --left) {
      std::string_view key;
      std::string_view value;
      if (extent == Extent::Whole) extent = take_text(bytes, key);
      if (extent == Extent::Whole) extent = take_text(bytes, value);
      if (extent != Extent::Whole) return extent;
      if (key == "avro.schema") header.schema = value;
      if (key == "avro.codec") header.codec = value;
      if (!key.starts_with("avro.")) header.others[std::string(key)] = value;
    }
  }
}

}  // namespace

Result<std::optional<AvroHeader>> parse_avro_header(std::string_view bytes) {
  std::string_view rest = bytes;
  if (!magic.starts_with(rest.substr(0, magic.size()))) {
    return Reject("it does not begin like an Avro container file");
  }
  AvroHeader header;
  Extent extent = Extent::Cut;
  if (rest.size() >= magic.size()) {
    rest.remove_prefix(magic.size());
    extent = take_metadata(rest, header);
  }
  if (extent == Extent::Whole && rest.size() < avro_sync_bytes) extent = Extent::Cut;
  if (extent == Extent::Damaged) return Reject("the header of the Avro file is damaged");
  if (extent == Extent::Cut) {
    if (bytes.size() < AvroHeader::bytes_max) return std::optional<AvroHeader>();
    return Reject("the header of the Avro file is longer than 2 MiB, or damaged");
  }
  if (header.schema.empty()) return Reject("the header of the Avro file has no avro.schema");
  std::copy_n(rest.begin(), avro_sync_bytes, header.sync.begin());
  header.bytes = bytes.size() - rest.size() + avro_sync_bytes;
  return std::optional(std::move(header));
}

std::optional<AvroBlockHead> parse_avro_block_head(std::string_view bytes) noexcept {
  std::string_view rest = bytes;
  std::int64_t datums = 0;
  std::int64_t data_bytes = 0;
  if (take_avro_long(rest, datums) != Extent::Whole || datums < 0) return std::nullopt;
  if (take_avro_long(rest, data_bytes) != Extent::Whole || data_bytes < 0) return std::nullopt;
  return AvroBlockHead{static_cast<std::uint64_t>(datums), static_cast<std::uint64_t>(data_bytes),
                       bytes.size() - rest.size()};
}

}  // namespace sluice

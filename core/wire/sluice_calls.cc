#include "core/wire/sluice_calls.h"

#include <lz4.h>
#include <zstd.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <type_traits>
#include <utility>

namespace sluice {
namespace {

constexpr std::string_view greeting_name = "sluice";
constexpr std::string_view version = "1";
constexpr std::string_view unpacks_name = "sluice.unpacks";
constexpr std::string_view origins_name = "sluice.origins";
constexpr std::string_view packed_name = "sluice.packed";
constexpr std::string_view settled_name = "sluice.settled";

constexpr std::array<std::pair<CallCompression, std::string_view>, 2> compressions{
    {{CallCompression::Lz4, "lz4"}, {CallCompression::Zstd, "zstd"}}};
constexpr int zstd_level = 1;

// As it lies in memory: id high, id low, sequence, low byte first.
static_assert(sizeof(Origin) == 24 && std::is_trivially_copyable_v<Origin> &&
              std::endian::native == std::endian::little);

std::string_view name_of(CallCompression compression) noexcept {
  for (const auto& [each, name] : compressions) {
    if (each == compression) return name;
  }
  return {};
}

bool parse_number(std::string_view text, std::uint64_t& number) noexcept {
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && at == end;
}

/// False when it would not be shorter.
bool pack(std::string_view bytes, CallCompression compression, std::string& out) {
  std::size_t size = 0;
  if (compression == CallCompression::Lz4) {
    if (bytes.size() > LZ4_MAX_INPUT_SIZE) return false;
    const int bound = LZ4_compressBound(static_cast<int>(bytes.size()));
    out.resize(static_cast<std::size_t>(bound));
    size = static_cast<std::size_t>(
        LZ4_compress_default(bytes.data(), out.data(), static_cast<int>(bytes.size()), bound));
  } else {
    out.resize(ZSTD_compressBound(bytes.size()));
    size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), zstd_level);
    if (ZSTD_isError(size) != 0) return false;
  }
  if (size == 0 || size >= bytes.size()) return false;
  out.resize(size);
  return true;
}

bool unpack_into(std::string_view packed, std::string_view compression, char* to,
                 std::size_t bytes) {
  if (compression == name_of(CallCompression::Lz4)) {
    return LZ4_decompress_safe(packed.data(), to, static_cast<int>(packed.size()),
                               static_cast<int>(bytes)) == static_cast<int>(bytes);
  }
  if (compression == name_of(CallCompression::Zstd)) {
    return ZSTD_decompress(to, bytes, packed.data(), packed.size()) == bytes;
  }
  return false;
}

}  // namespace

const std::string& sluice_greeting() {
  static const std::string greeting =
      encode_avro_map({{greeting_name, version}, {unpacks_name, "lz4 zstd"}});
  return greeting;
}

bool speaks_sluice(std::string_view handshake_meta) noexcept {
  std::uint64_t number = 0;
  return parse_number(avro_map_value(handshake_meta, greeting_name), number) && number >= 1;
}

bool undoes(std::string_view handshake_meta, CallCompression compression) noexcept {
  const std::string_view wanted = name_of(compression);
  std::string_view names = avro_map_value(handshake_meta, unpacks_name);
  while (!names.empty() && !wanted.empty()) {
    const std::size_t end = std::min(names.find(' '), names.size());
    if (names.substr(0, end) == wanted) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

std::string sluice_metadata(const Provenance& origins, std::string_view packed,
                            const std::optional<Origin>& settled_below) {
  const std::string runs = origins.known() ? origins.encode() : "";
  const std::string_view settled =
      settled_below
          ? std::string_view(reinterpret_cast<const char*>(&*settled_below), sizeof *settled_below)
          : std::string_view();
  return encode_avro_map({{origins_name, runs}, {packed_name, packed}, {settled_name, settled}});
}

std::string_view SluiceCallWriter::append_batch(std::uint32_t serial, const Batch& batch,
                                                CallCompression compression,
                                                const std::optional<Origin>& settled_below) {
  const std::string_view plain = writer_.append_batch(
      serial, {}, sluice_metadata(batch.provenance(), {}, settled_below), batch);
  if (compression == CallCompression::None || !pack(writer_.parameters(), compression, packed_)) {
    return plain;
  }
  const std::string how =
      std::string(name_of(compression)) + " " + std::to_string(writer_.parameters().size());
  frame_.clear();
  append_avro_batch_call(serial, sluice_metadata(batch.provenance(), how, settled_below), packed_,
                         frame_);
  return frame_;
}

Result<Provenance> sluice_origins(std::string_view metadata, std::uint32_t events) {
  const std::string_view bytes = avro_map_value(metadata, origins_name);
  if (bytes.empty()) return Provenance();
  auto origins = Provenance::decode(bytes);
  if (!origins.ok()) return origins.status().with_context("the origins of its events");
  if (origins->size() != events) {
    return Reject("origins of " + std::to_string(origins->size()) + " events for a batch of " +
                  std::to_string(events));
  }
  return origins;
}

Result<std::optional<Origin>> sluice_settled_below(std::string_view metadata) {
  const std::string_view bytes = avro_map_value(metadata, settled_name);
  if (bytes.empty()) return std::optional<Origin>();
  Origin below;
  if (bytes.size() != sizeof below) return Reject("a damaged call: what is settled");
  std::memcpy(&below, bytes.data(), sizeof below);
  return std::optional<Origin>(below);
}

bool is_packed(std::string_view metadata) noexcept {
  return !avro_map_value(metadata, packed_name).empty();
}

Result<std::string_view> unpack(std::string_view metadata, std::string_view parameters,
                                std::size_t bytes_max, BatchBuilder& builder) {
  const std::string_view how = avro_map_value(metadata, packed_name);
  const std::size_t blank = std::min(how.find(' '), how.size());
  std::uint64_t bytes = 0;
  if (!parse_number(how.substr(std::min(blank + 1, how.size())), bytes) || bytes == 0) {
    return Reject("a damaged call: how it is compressed");
  }
  if (bytes > bytes_max) {
    return Reject("a call of " + std::to_string(bytes) + " bytes, more than " +
                  std::to_string(bytes_max));
  }
  builder.reserve(bytes + bytes / 4 + 64);
  char* const to = builder.base() + builder.position();
  if (!unpack_into(parameters, how.substr(0, blank), to, bytes)) {
    return Reject("a damaged call: what is compressed in it");
  }
  builder.written(bytes);
  return std::string_view(to, bytes);
}

}  // namespace sluice

#include "core/event/frame.h"

#include <lz4.h>
#include <xxhash.h>
#include <zstd.h>

#include <bit>
#include <cstring>
#include <limits>
#include <memory>

#include "core/base/assert.h"
#include "core/event/batch_builder.h"

namespace sluice {
namespace {

static_assert(std::endian::native == std::endian::little,
              "frames are copied as they are in memory");

constexpr std::uint8_t version_1 = 1;
constexpr std::uint8_t flag_own_headers = 1;
constexpr std::uint8_t flag_lz4 = 2;
constexpr std::uint8_t flag_zstd = 4;
constexpr std::uint8_t flags_known = flag_own_headers | flag_lz4 | flag_zstd;

/// The fixed part; read and written as it lies in memory.
struct Fixed {
  std::uint8_t version = version_1;
  std::uint8_t flags = 0;
  std::uint16_t reserved = 0;
  std::uint32_t events = 0;
  std::uint64_t checksum = 0;
  std::uint64_t body_bytes = 0;
  std::uint64_t id_high = 0;
  std::uint64_t id_low = 0;
  std::uint32_t imposed_bytes = 0;
  std::uint32_t fallback_bytes = 0;
  std::uint32_t provenance_bytes = 0;
  std::uint32_t own_header_bytes = 0;
  std::uint32_t text_bytes = 0;
  std::uint32_t put_at = 0;
};
constexpr std::size_t checksum_at = 8;
constexpr std::size_t behind_checksum = 16;
static_assert(sizeof(Fixed) == 64 && offsetof(Fixed, checksum) == checksum_at);

struct StateFree {
  void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
};

std::uint64_t checksum_of(std::string_view head, std::string_view text, std::string_view tail) {
  thread_local const std::unique_ptr<XXH3_state_t, StateFree> state(XXH3_createState());
  XXH3_64bits_reset(state.get());
  XXH3_64bits_update(state.get(), head.data(), checksum_at);
  XXH3_64bits_update(state.get(), head.data() + behind_checksum, head.size() - behind_checksum);
  XXH3_64bits_update(state.get(), text.data(), text.size());
  XXH3_64bits_update(state.get(), tail.data(), tail.size());
  return XXH3_64bits_digest(state.get());
}

std::uint32_t checked_size(std::size_t bytes) {
  SLUICE_ASSERT(bytes <= std::numeric_limits<std::uint32_t>::max(), "a frame beyond 4 GiB");
  return static_cast<std::uint32_t>(bytes);
}

void append_u32(std::string& to, std::uint32_t value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Makes the text smaller if that is wanted and possible; says with which flag.
std::uint8_t compress(Frame& frame, FrameCompression compression) {
  if (compression == FrameCompression::None || frame.text().empty()) return 0;
  const std::string_view text = frame.text();
  const bool lz4 = compression == FrameCompression::Lz4;
  const std::size_t bound =
      lz4 ? static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(text.size())))
          : ZSTD_compressBound(text.size());
  if (text.size() > LZ4_MAX_INPUT_SIZE) return 0;
  std::string smaller(bound, '\0');
  constexpr int zstd_level = 1;
  const std::size_t size =
      lz4 ? static_cast<std::size_t>(LZ4_compress_default(text.data(), smaller.data(),
                                                          static_cast<int>(text.size()),
                                                          static_cast<int>(bound)))
          : ZSTD_compress(smaller.data(), bound, text.data(), text.size(), zstd_level);
  if (size == 0 || size >= text.size() || (!lz4 && ZSTD_isError(size) != 0)) return 0;
  smaller.resize(size);
  frame.own_text = std::move(smaller);
  return lz4 ? flag_lz4 : flag_zstd;
}

/// Where the parts of an encoded frame lie.
struct Parts {
  std::string_view imposed;
  std::string_view fallback;
  std::string_view provenance;
  std::string_view lengths;
  std::string_view header_lengths;
  std::string_view text;
  std::string_view own_headers;
};

class Cutter {
 public:
  explicit Cutter(std::string_view bytes) noexcept : rest_(bytes) {}
  std::string_view next(std::uint64_t bytes) noexcept {
    if (bytes > rest_.size()) {
      short_ = true;
      return {};
    }
    const std::string_view part = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return part;
  }
  bool exact() const noexcept { return !short_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool short_ = false;
};

std::uint32_t u32_at(std::string_view table, std::size_t i) {
  std::uint32_t value = 0;
  std::memcpy(&value, table.data() + i * sizeof value, sizeof value);
  return value;
}

Status damaged(const char* what) { return Reject(std::string("a damaged frame: ") + what); }

/// Bodies and their line feeds as they were, out of what is stored.
Status expand(const Fixed& fixed, std::string_view stored, char* to, std::size_t bytes) {
  if ((fixed.flags & flag_lz4) != 0) {
    const int got = LZ4_decompress_safe(stored.data(), to, static_cast<int>(stored.size()),
                                        static_cast<int>(bytes));
    return got >= 0 && static_cast<std::size_t>(got) == bytes ? Status() : damaged("lz4");
  }
  if ((fixed.flags & flag_zstd) != 0) {
    return ZSTD_decompress(to, bytes, stored.data(), stored.size()) == bytes ? Status()
                                                                             : damaged("zstd");
  }
  if (stored.size() != bytes) return damaged("its text has another length than its events");
  std::memcpy(to, stored.data(), bytes);
  return {};
}

Result<Batch> decode_plain(const Fixed& fixed, const Parts& parts, BatchBuilder& builder) {
  const std::size_t text_bytes = fixed.body_bytes + fixed.events;
  constexpr std::size_t spare = 64;
  builder.reserve(text_bytes + (std::size_t{fixed.events} + 1) * sizeof(IndexEntry) + spare);
  const std::size_t begin = builder.position();
  if (Status status = expand(fixed, parts.text, builder.base() + begin, text_bytes); !status.ok()) {
    return status;
  }
  builder.written(text_bytes);
  IndexEntry* top = builder.index_top();
  std::size_t offset = begin;
  for (std::uint32_t i = 0; i < fixed.events; ++i) {
    const std::uint32_t bytes = u32_at(parts.lengths, i);
    *--top = {static_cast<std::uint32_t>(offset), bytes};
    offset += bytes + std::size_t{1};
  }
  if (offset != begin + text_bytes) return damaged("the lengths do not add up");
  builder.marked(fixed.events, fixed.body_bytes, true);
  return builder.seal();
}

Result<Batch> decode_with_headers(const Fixed& fixed, const Parts& parts, BatchBuilder& builder) {
  const std::size_t text_bytes = fixed.body_bytes + fixed.events;
  std::string text(text_bytes, '\0');
  if (Status status = expand(fixed, parts.text, text.data(), text_bytes); !status.ok()) {
    return status;
  }
  builder.reserve(text_bytes + parts.own_headers.size() +
                  (std::size_t{fixed.events} + 1) * sizeof(IndexEntryWithHeaders));
  std::size_t body_at = 0;
  std::size_t headers_at = 0;
  for (std::uint32_t i = 0; i < fixed.events; ++i) {
    const std::size_t body = u32_at(parts.lengths, i);
    const std::size_t headers = u32_at(parts.header_lengths, i);
    if (body_at + body + 1 > text_bytes || headers_at + headers > parts.own_headers.size()) {
      builder.discard();
      return damaged("the lengths do not add up");
    }
    const bool fits = builder.append({text.data() + body_at, body},
                                     parts.own_headers.substr(headers_at, headers));
    SLUICE_ASSERT(fits, "a frame needs more room than its lengths say");
    body_at += body + 1;
    headers_at += headers;
  }
  return builder.seal();
}

Result<Fixed> fixed_part(std::string_view bytes) {
  Fixed fixed;
  if (bytes.size() < sizeof fixed) return damaged("shorter than its fixed part");
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  if (fixed.version != version_1 || (fixed.flags & ~flags_known) != 0) {
    return Reject("a frame of version " + std::to_string(fixed.version) +
                  ", which this release does not know; it was written by a newer one");
  }
  return fixed;
}

}  // namespace

Frame encode_frame(const Batch& batch, OriginId id, FrameCompression compression,
                   std::uint32_t put_at) {
  Fixed fixed;
  Frame frame;
  const std::uint32_t events = batch.size();
  const std::string_view imposed = batch.imposed_headers().bytes();
  const std::string_view fallback = batch.fallback_headers().bytes();
  std::string provenance;
  if (batch.provenance().known()) provenance = batch.provenance().encode();
  const bool own = batch.own_headers();

  frame.head.reserve(sizeof fixed + imposed.size() + fallback.size() + provenance.size() +
                     std::size_t{events} * sizeof(std::uint32_t) * (own ? 2 : 1));
  frame.head.resize(sizeof fixed);
  frame.head.append(imposed).append(fallback).append(provenance);
  for (std::uint32_t i = 0; i < events; ++i)
    append_u32(frame.head, checked_size(batch.body(i).size()));
  if (own) {
    for (std::uint32_t i = 0; i < events; ++i) {
      const std::string_view headers = batch.own_headers(i);
      append_u32(frame.head, checked_size(headers.size()));
      frame.tail.append(headers);
    }
  }
  fixed.body_bytes = batch.body_bytes();
  if (batch.lines() && events > 0) {
    frame.slab_text = batch.text();
  } else {
    frame.own_text.reserve(fixed.body_bytes + events);
    for (std::uint32_t i = 0; i < events; ++i) frame.own_text.append(batch.body(i)).push_back('\n');
  }
  fixed.flags =
      static_cast<std::uint8_t>((own ? flag_own_headers : 0) | compress(frame, compression));
  fixed.events = events;
  fixed.id_high = id.high;
  fixed.id_low = id.low;
  fixed.imposed_bytes = checked_size(imposed.size());
  fixed.fallback_bytes = checked_size(fallback.size());
  fixed.provenance_bytes = checked_size(provenance.size());
  fixed.own_header_bytes = checked_size(frame.tail.size());
  fixed.text_bytes = checked_size(frame.text().size());
  fixed.put_at = put_at;
  std::memcpy(frame.head.data(), &fixed, sizeof fixed);
  fixed.checksum = checksum_of(frame.head, frame.text(), frame.tail);
  std::memcpy(frame.head.data(), &fixed, sizeof fixed);
  return frame;
}

Result<FrameInfo> peek_frame(std::string_view bytes) {
  auto fixed = fixed_part(bytes);
  if (!fixed.ok()) return fixed.status();
  return FrameInfo{fixed->events, fixed->body_bytes, fixed->put_at};
}

void FrameDecoder::reset() noexcept {
  plain_.reset();
  own_.reset();
}

Result<Batch> FrameDecoder::decode(std::string_view bytes, std::uint64_t first_sequence) {
  auto read = fixed_part(bytes);
  if (!read.ok()) return read.status();
  const Fixed& fixed = *read;
  const bool own = (fixed.flags & flag_own_headers) != 0;
  const std::uint64_t table_bytes = std::uint64_t{fixed.events} * sizeof(std::uint32_t);
  Cutter cutter(bytes.substr(sizeof(Fixed)));
  Parts parts;
  parts.imposed = cutter.next(fixed.imposed_bytes);
  parts.fallback = cutter.next(fixed.fallback_bytes);
  parts.provenance = cutter.next(fixed.provenance_bytes);
  parts.lengths = cutter.next(table_bytes);
  if (own) parts.header_lengths = cutter.next(table_bytes);
  parts.text = cutter.next(fixed.text_bytes);
  parts.own_headers = cutter.next(fixed.own_header_bytes);
  if (!cutter.exact()) return damaged("its parts do not fill it");
  if (checksum_of(bytes, {}, {}) != fixed.checksum) return damaged("its checksum is another");

  Batch batch;
  if (fixed.events > 0) {
    auto decoded =
        own ? decode_with_headers(fixed, parts, own_) : decode_plain(fixed, parts, plain_);
    if (!decoded.ok()) return decoded;
    batch = *std::move(decoded);
    if (!parts.imposed.empty() || !parts.fallback.empty()) {
      batch = batch.with_shared_headers(HeaderBlock(std::string(parts.imposed)),
                                        HeaderBlock(std::string(parts.fallback)));
    }
  }
  const OriginId id{fixed.id_high, fixed.id_low};
  if (parts.provenance.empty()) {
    return batch.with_provenance(Provenance::dense(id, first_sequence, fixed.events));
  }
  auto provenance = Provenance::decode(parts.provenance);
  if (!provenance.ok()) return provenance.status();
  if (provenance->size() != fixed.events) return damaged("its origins are not one an event");
  return batch.with_provenance(provenance->numbered(id, first_sequence, fixed.events));
}

}  // namespace sluice

// A batch as bytes: what a store keeps and gives back. Versioned and checksummed.
//
// Layout, little endian (docs/formats/frame.md):
//   0 version (1), 1 flags, 2 reserved (2), 4 events (4), 8 checksum (8), 16 body bytes (8),
//   24 origin id (16), 40 bytes of imposed headers (4), 44 of fallback headers (4),
//   48 of provenance (4), 52 of own headers (4), 56 of the text as it is stored (4), 60 when it was
//   put (4); then imposed headers, fallback headers, provenance, the length of each body (4 each),
//   with own headers also the length of each event's (4 each), the text (bodies, each with a line
//   feed behind it, maybe compressed), own headers. The checksum is XXH3-64 of everything but
//   itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/event/batch_builder.h"

namespace sluice {

/// What may shrink the text of a frame.
enum class FrameCompression : unsigned char { None, Lz4, Zstd };

/// An encoded batch, in pieces that are written one after another. The text may lie in the slab of
/// the batch, which then must live as long.
struct Frame {
  std::string head;
  std::string_view slab_text;
  std::string own_text;  ///< Instead, when it is not in the slab as it is stored.
  std::string tail;

  /// Views into this frame, which end when it is moved.
  std::string_view text() const noexcept { return own_text.empty() ? slab_text : own_text; }
  std::array<std::string_view, 3> pieces() const noexcept { return {head, text(), tail}; }
  std::uint64_t bytes() const noexcept { return head.size() + text().size() + tail.size(); }
};

/// REQUIRES: not empty, or with known provenance. `id` names the origin of fresh events; those that
/// have an origin keep it. `put_at`: seconds since 1970 UTC; 0 is not known.
Frame encode_frame(const Batch& batch, OriginId id,
                   FrameCompression compression = FrameCompression::None, std::uint32_t put_at = 0);

/// What can be said of a frame without its body; trust it only once decode_frame() said Ok.
struct FrameInfo {
  std::uint32_t events = 0;
  std::uint64_t body_bytes = 0;
  std::uint32_t put_at = 0;  ///< Seconds since 1970 UTC; 0: not known.
};
/// Errors: Reject (no frame of a version that is known here).
Result<FrameInfo> peek_frame(std::string_view bytes);

/// Makes batches out of frames; neighbours share slabs. One thread at a time.
class FrameDecoder {
 public:
  explicit FrameDecoder(SlabPool& pool) : plain_(pool), own_(pool, EventHeaders::Own) {}

  /// The batch again. Fresh events get the origins {id, first_sequence + i}.
  ///
  /// Errors: Reject (damaged, or a newer version); the message says which.
  Result<Batch> decode(std::string_view bytes, std::uint64_t first_sequence);
  /// Lets go of the slabs being filled.
  void reset() noexcept;

 private:
  BatchBuilder plain_;
  BatchBuilder own_;
};

}  // namespace sluice

// What our own agents say to each other beside Flume's calls, in places that Flume passes over.
//
// A client's handshake carries the greeting in its meta map, and a server that knows it answers
// with its own. From then on several calls may be on their way at once, a call's metadata may carry
// the origins of its events, and its parameters may be compressed. docs/formats/avro-rpc.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/event/batch_builder.h"
#include "core/event/provenance.h"
#include "core/wire/avro_rpc.h"

namespace sluice {

/// What may shrink the parameters of a call.
enum class CallCompression : unsigned char { None, Lz4, Zstd };

/// The meta map of a handshake: the version of this dialect, and the compressions that we undo.
const std::string& sluice_greeting();
/// True for the greeting of this version or a later one, which speaks this one too.
bool speaks_sluice(std::string_view handshake_meta) noexcept;
/// True when who greets like this undoes the compression.
bool undoes(std::string_view handshake_meta, CallCompression compression) noexcept;

/// The metadata map of a call: the origins of its events, where they are known, how its parameters
/// are compressed, and below which origin its sender will never send anything again.
std::string sluice_metadata(const Provenance& origins, std::string_view packed = {},
                            const std::optional<Origin>& settled_below = std::nullopt);

/// Writes calls for an agent of our own, into memory that it uses again and again.
class SluiceCallWriter {
 public:
  /// A frame with a call of appendBatch, with the origins of its events where they are known.
  /// Compressed only where that makes it shorter. Valid until the next one.
  std::string_view append_batch(std::uint32_t serial, const Batch& batch,
                                CallCompression compression,
                                const std::optional<Origin>& settled_below = std::nullopt);

 private:
  AvroCallWriter writer_;
  std::string packed_;
  std::string frame_;
};

/// What a call's metadata says of its events' origins; not known: nothing.
/// Errors: Reject (damaged, or not of `events` events).
Result<Provenance> sluice_origins(std::string_view metadata, std::uint32_t events);

/// Below which origin the sender of a call will never send anything again; none: it does not say.
/// Errors: Reject (damaged).
Result<std::optional<Origin>> sluice_settled_below(std::string_view metadata);

/// True when the parameters of a call with this metadata are compressed.
bool is_packed(std::string_view metadata) noexcept;
/// Undoes that, into `builder`, which gets room for their index too; they begin where its position
/// was. Errors: Reject (damaged, or more than bytes_max), and nothing is written.
Result<std::string_view> unpack(std::string_view metadata, std::string_view parameters,
                                std::size_t bytes_max, BatchBuilder& builder);

}  // namespace sluice

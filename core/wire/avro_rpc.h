// Flume's Avro RPC: the frames, handshakes, calls and answers of its avro sources and sinks.
//
// A connection carries frames (Avro's Netty framing, all numbers high byte first):
//
//   frame     := serial:u32 count:u32 count x (length:u32 bytes)
//   call      := [handshake request] metadata:map<bytes> message:string parameters
//   answer    := [handshake response] metadata:map<bytes> error:boolean (status | error)
//   append       (event)         event := headers:map<string> body:bytes
//   appendBatch  (array<event>)
//
// The payload of a frame is what its buffers hold, one behind the other. Source: Avro 1.11
// "Protocol Wire Format", Flume 1.9 to 1.11; docs/formats/avro-rpc.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/event/batch.h"

namespace sluice {

/// MD5 of a protocol's text. Peers compare these alone.
using AvroHash = std::array<char, 16>;

/// The protocol of every Flume since 1.4, as its servers and clients announce it.
std::string_view flume_protocol() noexcept;
const AvroHash& flume_protocol_hash() noexcept;

// ---- frames

/// Finds the end of a frame whose bytes come little by little.
class AvroFrame {
 public:
  explicit AvroFrame(std::size_t bytes_max) noexcept : bytes_max_(bytes_max) {}

  /// Looks at all that has come of the frame, from its first byte; more each time. True: the frame
  /// is whole. Errors: Reject (this is no frame, or one of more than bytes_max: where the next one
  /// begins is not known).
  Result<bool> measure(std::string_view bytes);
  /// Why it was refused: it may well be a frame, and more than bytes_max.
  bool too_long() const noexcept { return too_long_; }
  /// Bytes of a whole one; of another at least so many, if its peer keeps its word.
  std::size_t bytes() const noexcept { return measured_; }
  /// REQUIRES: whole.
  std::uint32_t serial() const noexcept { return serial_; }
  /// Moves its buffers together, in place, and returns what they hold. REQUIRES: whole, `frame` as
  /// it was measured.
  std::string_view join(char* frame) const noexcept;

  /// The next frame.
  void restart() noexcept { *this = AvroFrame(bytes_max_); }

 private:
  std::size_t bytes_max_;
  std::size_t measured_ = 0;  ///< Up to the end of the last buffer whose length is known.
  std::uint32_t serial_ = 0;
  std::uint32_t buffers_ = 0;
  std::uint32_t unmeasured_ = 0;  ///< Buffers whose length is not known yet.
  bool begun_ = false;
  bool too_long_ = false;
};

// ---- maps of bytes: metadata, and what a handshake carries besides

/// The value of `name` in an encoded map; empty when there is none.
std::string_view avro_map_value(std::string_view map, std::string_view name) noexcept;
/// Entries without a value are left out.
std::string encode_avro_map(
    std::initializer_list<std::pair<std::string_view, std::string_view>> entries = {});

// ---- calls

struct AvroHandshakeRequest {
  AvroHash client_hash{};
  bool has_protocol = false;  ///< It carries the client's protocol text.
  AvroHash server_hash{};
  std::string_view meta;  ///< A map; empty: none.
};
/// Takes a handshake off the front of a call. Errors: Reject.
Result<AvroHandshakeRequest> take_avro_handshake(std::string_view& payload);
/// `protocol` empty: the server is expected to know the hash.
std::string encode_avro_handshake(std::string_view protocol, const AvroHash& server_hash,
                                  std::string_view meta);

struct AvroCall {
  std::string_view metadata;  ///< A map.
  std::string_view message;   ///< "append", "appendBatch"; empty: a ping.
  std::string_view parameters;
};
/// A call behind its handshake. Errors: Reject.
Result<AvroCall> parse_avro_call(std::string_view payload);

/// The events of a call: where they lie in its parameters.
class AvroEvents {
 public:
  struct Place {
    IndexEntry body;     ///< Offsets count from the first byte of the parameters.
    IndexEntry headers;  ///< The encoded map with its end.
  };
  /// A place takes more memory than an empty event does on the wire.
  static constexpr std::uint64_t events_max = 1 << 20;

  /// Finds and checks all of them. Errors: Reject (damaged; more than events_max; `message` is
  /// neither append nor appendBatch). What was found before is forgotten.
  Status parse(std::string_view message, std::string_view parameters);

  std::span<const Place> places() const noexcept { return places_; }
  std::uint64_t body_bytes() const noexcept { return body_bytes_; }
  /// All events have the headers of the first, byte for byte.
  bool same_headers() const noexcept { return same_headers_; }

 private:
  static constexpr std::size_t kept_places_max = 1 << 16;
  std::vector<Place> places_;
  std::uint64_t body_bytes_ = 0;
  bool same_headers_ = true;
};
/// Appends the headers of an encoded map to a block as append_header() writes it; of two with one
/// name the last. REQUIRES: a map that AvroEvents has checked.
void append_avro_headers(std::string_view map, std::string& block);

/// Writes calls of appendBatch into memory that it uses again and again.
class AvroCallWriter {
 public:
  /// A frame with the call. `handshake` and `metadata` as encoded above. Valid until the next one.
  /// REQUIRES: less than 2 GiB.
  std::string_view append_batch(std::uint32_t serial, std::string_view handshake,
                                std::string_view metadata, const Batch& batch);
  /// The parameters within the call that was written last.
  std::string_view parameters() const noexcept { return parameters_; }

 private:
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::string_view parameters_;
  std::string headers_;  ///< The last event's, as a map.
};

/// One AvroFlumeEvent as it is: without a frame, a container or a schema. What Flume's Kafka sink
/// and channel write with useFlumeEventFormat, and the parameters of the call append.
void append_avro_event(const HeaderView& headers, std::string_view body, std::string& out);

/// A frame with a call of appendBatch whose parameters are what `parameters` is to the receiver.
void append_avro_batch_call(std::uint32_t serial, std::string_view metadata,
                            std::string_view parameters, std::string& out);
/// A call of no message, which asks for the server's handshake alone.
void append_avro_ping(std::uint32_t serial, std::string_view handshake, std::string& out);

// ---- answers

enum class AvroMatch : unsigned char {
  Both = 0,
  Client = 1,  ///< The call was executed; the client did not know the server's protocol.
  None = 2,    ///< The call was not executed: the server wants the client's protocol text.
};
struct AvroHandshakeResponse {
  AvroMatch match = AvroMatch::Both;
  bool has_server_hash = false;
  AvroHash server_hash{};
  std::string_view meta;  ///< A map; empty: none.
};
/// Takes a handshake off the front of an answer. Errors: Reject.
Result<AvroHandshakeResponse> take_avro_handshake_response(std::string_view& payload);
/// With Client and None Flume's protocol is told. `meta` empty: none.
std::string encode_avro_handshake_response(AvroMatch match, std::string_view meta);

enum class AvroStatus : unsigned char { Ok = 0, Failed = 1, Unknown = 2 };
/// A status, or the error that the peer reports instead (Reject, with its text). Errors of the
/// answer itself: Invalid.
Result<AvroStatus> parse_avro_answer(std::string_view payload);

/// Frames of one buffer. `handshake` empty: none.
void append_avro_answer(std::uint32_t serial, std::string_view handshake, AvroStatus status,
                        std::string& out);
void append_avro_error(std::uint32_t serial, std::string_view handshake, std::string_view error,
                       std::string& out);
/// What a ping gets, and a call whose handshake failed: the handshake and nothing else.
void append_avro_handshake_only(std::uint32_t serial, std::string_view handshake, std::string& out);

}  // namespace sluice

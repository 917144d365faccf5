// Bytes as what an avro source and an avro sink hear: frames, handshakes, calls, answers. Reading
// must stay within them, give the same whatever the pieces are, and what is read and written again
// must be read as the same.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/event/batch_builder.h"
#include "core/wire/avro_rpc.h"
#include "core/wire/sluice_calls.h"
#include "fuzz/byte_file.h"

namespace sluice {
namespace {

constexpr std::size_t frame_bytes_max = 1 << 20;

struct Frame {
  std::uint32_t serial = 0;
  std::string payload;
  bool operator==(const Frame&) const = default;
};
struct Frames {
  std::vector<Frame> whole;
  std::string refused;      ///< Why the rest is none.
  std::size_t rest_at = 0;  ///< Where it begins.
  bool operator==(const Frames&) const = default;
};

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

/// As a connection delivers them: never more than `piece` bytes at once.
Frames frames_of(const std::string& bytes, std::size_t piece) {
  Frames found;
  std::string copy = bytes;
  AvroFrame frame(frame_bytes_max);
  std::size_t have = 0;
  while (found.refused.empty()) {
    const std::string_view came(copy.data() + found.rest_at, have - found.rest_at);
    auto whole = frame.measure(came);
    if (!whole.ok()) {
      found.refused = whole.status().message();
    } else if (*whole) {
      require(frame.bytes() <= came.size(), "a whole frame has come");
      require(frame.bytes() <= frame_bytes_max, "and is no longer than allowed");
      const std::string behind(came.substr(frame.bytes()));
      const std::string_view payload = frame.join(copy.data() + found.rest_at);
      require(lies_in(payload, came.substr(0, frame.bytes())), "a payload lies in its frame");
      require(came.substr(frame.bytes()) == behind, "and what follows is as it was");
      found.whole.push_back({frame.serial(), std::string(payload)});
      found.rest_at += frame.bytes();
      frame.restart();
    } else if (have == copy.size()) {
      break;
    } else {
      have = std::min(copy.size(), have + piece);
    }
  }
  return found;
}

/// The payloads by the description, buffer by buffer.
void check_against_description(const std::string& bytes, const Frames& found) {
  const auto u32 = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
      value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return value;
  };
  std::size_t at = 0;
  for (const Frame& frame : found.whole) {
    require(u32(at) == frame.serial, "the serial stands in front");
    std::uint32_t buffers = u32(at + 4);
    require(buffers > 0, "a frame has buffers");
    std::string payload;
    for (at += 8; buffers > 0; --buffers) {
      const std::uint32_t length = u32(at);
      payload.append(bytes, at + 4, length);
      at += 4 + length;
    }
    require(payload == frame.payload, "a payload is what the buffers hold");
  }
  require(at == found.rest_at, "frames lie one behind the other");
}

std::vector<std::pair<std::string, std::string>> headers_in(std::string_view block) {
  std::vector<std::pair<std::string, std::string>> headers;
  HeaderCursor cursor(block);
  std::string_view name;
  std::string_view value;
  while (cursor.next(name, value)) headers.emplace_back(name, value);
  std::sort(headers.begin(), headers.end());
  return headers;
}

/// The headers of one place, as a block.
std::string block_of(std::string_view parameters, const AvroEvents::Place& place) {
  std::string block;
  append_avro_headers(parameters.substr(place.headers.offset, place.headers.bytes), block);
  return block;
}

/// Events that were read are written again, and read as the same.
void check_events(std::string_view parameters, const AvroEvents& events) {
  std::uint64_t body_bytes = 0;
  std::size_t bytes = 4096;
  std::size_t end = 0;
  for (const AvroEvents::Place& place : events.places()) {
    require(place.headers.offset >= end, "events stand one behind the other");
    require(place.headers.bytes > 0, "a map has its end");
    require(place.body.offset > place.headers.offset, "a body stands behind its headers");
    end = std::size_t{place.body.offset} + place.body.bytes;
    require(end <= parameters.size(), "a body lies in its call");
    body_bytes += place.body.bytes;
    bytes += place.body.bytes + block_of(parameters, place).size() + 64;
  }
  require(body_bytes == events.body_bytes(), "bytes of bodies add up");
  if (events.places().empty()) return;

  static SlabPool pool(64 * 1024, 0);
  BatchBuilder builder(pool, EventHeaders::Own);
  builder.renew(bytes);
  for (const AvroEvents::Place& place : events.places()) {
    const bool fits = builder.append(parameters.substr(place.body.offset, place.body.bytes),
                                     block_of(parameters, place));
    require(fits, "there is room for all");
  }
  const Batch batch = builder.seal();
  AvroCallWriter writer;
  std::string frame(writer.append_batch(7, {}, encode_avro_map(), batch));
  AvroFrame measured(1 << 30);
  auto whole = measured.measure(frame);
  require(whole.ok() && *whole && measured.bytes() == frame.size(), "a written call is a frame");
  auto call = parse_avro_call(measured.join(frame.data()));
  require(call.ok() && call->message == "appendBatch", "and a call");
  AvroEvents again;
  require(again.parse(call->message, call->parameters).ok(), "of events");
  require(again.places().size() == events.places().size(), "as many as there were");
  for (std::size_t i = 0; i < again.places().size(); ++i) {
    const auto& place = events.places()[i];
    const auto& second = again.places()[i];
    require(call->parameters.substr(second.body.offset, second.body.bytes) ==
                parameters.substr(place.body.offset, place.body.bytes),
            "with their bodies");
    require(
        headers_in(block_of(call->parameters, second)) == headers_in(block_of(parameters, place)),
        "and headers");
  }
}

void check_call(std::string_view payload) {
  auto call = parse_avro_call(payload);
  if (!call.ok()) return;
  require(lies_in(call->metadata, payload) && lies_in(call->message, payload) &&
              lies_in(call->parameters, payload),
          "a call lies in its payload");
  AvroEvents events;
  for (const std::string_view message : {call->message, std::string_view("append")}) {
    if (events.parse(message, call->parameters).ok()) check_events(call->parameters, events);
  }
  const auto count = static_cast<std::uint32_t>(events.places().size());
  auto origins = sluice_origins(call->metadata, count);
  require(!origins.ok() || !origins->known() || origins->size() == count,
          "origins are those of the events");
  static_cast<void>(sluice_settled_below(call->metadata));
}

void check_payload(const std::string& payload) {
  std::string_view rest = payload;
  auto request = take_avro_handshake(rest);
  if (request.ok()) {
    require(lies_in(rest, payload) && lies_in(request->meta, payload), "a handshake is in front");
    static_cast<void>(speaks_sluice(request->meta));
    check_call(rest);
  }
  check_call(payload);
  rest = payload;
  if (auto response = take_avro_handshake_response(rest); response.ok()) {
    require(lies_in(rest, payload) && lies_in(response->meta, payload), "a handshake is in front");
    static_cast<void>(parse_avro_answer(rest));
  }
  static_cast<void>(parse_avro_answer(payload));
}

void check(const std::string& bytes) {
  const Frames found = frames_of(bytes, bytes.size() + 1);
  check_against_description(bytes, found);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
    if (bytes.size() / piece > 20'000) continue;
    require(frames_of(bytes, piece) == found, "the pieces make no difference");
  }
  for (const Frame& frame : found.whole) check_payload(frame.payload);
  check_payload(bytes);  // without a frame around it
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::check({reinterpret_cast<const char*>(data), size});
  return 0;
}

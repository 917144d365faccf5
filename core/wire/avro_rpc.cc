#include "core/wire/avro_rpc.h"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <cstring>
#include <limits>
#include <tuple>

#include "core/base/assert.h"
#include "core/wire/avro_schema.h"

namespace sluice {
namespace {

constexpr std::size_t u32_bytes = 4;
constexpr std::size_t frame_head_bytes = 2 * u32_bytes;
constexpr std::size_t varint_bytes_max = 10;

std::uint32_t u32_at(const char* bytes) noexcept {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return __builtin_bswap32(value);
}

void write_u32(char* to, std::uint64_t value) noexcept {
  const std::uint32_t swapped = __builtin_bswap32(static_cast<std::uint32_t>(value));
  std::memcpy(to, &swapped, sizeof swapped);
}

// ---- reading Avro's binary form

Status damaged(std::string_view what) { return Reject("a damaged Avro " + std::string(what)); }

/// Reads from the front; after the first value that is not there everything fails.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) noexcept
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool number(std::int64_t& value) noexcept {
    if (at_ < end_ && static_cast<unsigned char>(*at_) < 0x80) {  // most of them
      const auto byte = static_cast<unsigned char>(*at_++);
      value = static_cast<std::int64_t>(byte >> 1) ^ -static_cast<std::int64_t>(byte & 1);
      return true;
    }
    std::string_view left = rest();
    if (take_avro_long(left, value) != AvroSchema::Extent::Whole) return false;
    at_ = left.data();
    return true;
  }
  bool bytes(std::string_view& value) noexcept {
    std::int64_t size = 0;
    if (!number(size) || size < 0 || size > end_ - at_) return false;
    value = {at_, static_cast<std::size_t>(size)};
    at_ += size;
    return true;
  }
  bool fixed(void* to, std::size_t size) noexcept {
    if (static_cast<std::size_t>(end_ - at_) < size) return false;
    std::memcpy(to, at_, size);
    at_ += size;
    return true;
  }
  /// How many items the next block of an array or map has; 0: it is over.
  bool block(std::uint64_t& items) noexcept {
    std::int64_t count = 0;
    if (!number(count)) return false;
    if (count < 0) {
      std::int64_t block_bytes = 0;
      if (count == std::numeric_limits<std::int64_t>::min() || !number(block_bytes)) return false;
      count = -count;
    }
    items = static_cast<std::uint64_t>(count);
    return true;
  }
  /// Passes over a map whose values are bytes or strings. `entry` sees each of them.
  template <typename F>
  bool map(F&& entry) noexcept {
    for (;;) {
      std::uint64_t items = 0;
      if (!block(items)) return false;
      if (items == 0) return true;
      for (; items > 0; --items) {
        std::string_view name;
        std::string_view value;
        if (!bytes(name) || !bytes(value)) return false;
        entry(name, value);
      }
    }
  }
  bool map() noexcept {
    return map([](std::string_view, std::string_view) {});
  }
  /// The branch of a union.
  bool branch(std::int64_t& index, std::int64_t branches) noexcept {
    return number(index) && index >= 0 && index < branches;
  }
  /// A map or null: the map's bytes, or none.
  bool map_or_null(std::string_view& value) noexcept {
    std::int64_t index = 0;
    if (!branch(index, 2)) return false;
    if (index == 0) return true;
    const char* const begin = at_;
    if (!map()) return false;
    value = {begin, static_cast<std::size_t>(at_ - begin)};
    return true;
  }

  const char* at() const noexcept { return at_; }
  std::string_view rest() const noexcept { return {at_, static_cast<std::size_t>(end_ - at_)}; }
  bool at_end() const noexcept { return at_ == end_; }

 private:
  const char* at_;
  const char* end_;
};

// ---- writing it

char* write_number(char* to, std::int64_t value) noexcept {
  auto zigzag = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  while (zigzag >= 0x80) {
    *to++ = static_cast<char>(zigzag | 0x80);
    zigzag >>= 7;
  }
  *to++ = static_cast<char>(zigzag);
  return to;
}

char* write_raw(char* to, std::string_view bytes) noexcept {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

void append_number(std::string& out, std::int64_t value) {
  char bytes[varint_bytes_max];
  out.append(bytes, static_cast<std::size_t>(write_number(bytes, value) - bytes));
}

void append_bytes(std::string& out, std::string_view bytes) {
  append_number(out, static_cast<std::int64_t>(bytes.size()));
  out += bytes;
}

void append_map_or_null(std::string& out, std::string_view map) {
  append_number(out, map.empty() ? 0 : 1);
  out += map;
}

std::string_view view(const AvroHash& hash) noexcept { return {hash.data(), hash.size()}; }

/// A frame of one buffer.
void append_frame(std::uint32_t serial, std::string_view first, std::string_view second,
                  std::string& out) {
  char head[frame_head_bytes + u32_bytes];
  write_u32(head, serial);
  write_u32(head + u32_bytes, 1);
  write_u32(head + 2 * u32_bytes, first.size() + second.size());
  out.append(head, sizeof head);
  out += first;
  out += second;
}

// Of what a stranger sent, in messages.
constexpr std::size_t quoted_bytes_max = 100;

/// What the first bytes of no frame may be, for those who have to find out.
std::string_view guess(std::string_view bytes) noexcept {
  if (bytes.starts_with("\x16\x03"))
    return "; it looks like TLS: ssl must be the same on both sides";
  // Of zlib with its usual window.
  if (bytes.starts_with('\x78')) {
    return "; it looks compressed: compression-type must be the same on both sides";
  }
  if (bytes.starts_with("GET ") || bytes.starts_with("POST ") || bytes.starts_with("HTTP/")) {
    return "; it looks like HTTP";
  }
  return {};
}

constexpr std::string_view append_message = "append";
constexpr std::string_view append_batch_message = "appendBatch";

}  // namespace

// The text is Flume's own, since its hash is what peers compare; it holds the notice of the Apache
// licence as its documentation.
std::string_view flume_protocol() noexcept {
  return R"json({"protocol":"AvroSourceProtocol","namespace":"org.apache.flume.source.av)json"
         R"json(ro","doc":"* Licensed to the Apache Software Foundation (ASF) under one)json"
         R"json(\n * or more contributor license agreements.  See the NOTICE file\n * di)json"
         R"json(stributed with this work for additional information\n * regarding copyri)json"
         R"json(ght ownership.  The ASF licenses this file\n * to you under the Apache L)json"
         R"json(icense, Version 2.0 (the\n * \"License\"); you may not use this file exc)json"
         R"json(ept in compliance\n * with the License.  You may obtain a copy of the Li)json"
         R"json(cense at\n *\n * http://www.apache.org/licenses/LICENSE-2.0\n *\n * Unle)json"
         R"json(ss required by applicable law or agreed to in writing,\n * software dist)json"
         R"json(ributed under the License is distributed on an\n * \"AS IS\" BASIS, WITH)json"
         R"json(OUT WARRANTIES OR CONDITIONS OF ANY\n * KIND, either express or implied.)json"
         R"json(  See the License for the\n * specific language governing permissions an)json"
         R"json(d limitations\n * under the License.","types":[{"type":"enum","name":"St)json"
         R"json(atus","symbols":["OK","FAILED","UNKNOWN"]},{"type":"record","name":"Avro)json"
         R"json(FlumeEvent","fields":[{"name":"headers","type":{"type":"map","values":"s)json"
         R"json(tring"}},{"name":"body","type":"bytes"}]}],"messages":{"append":{"reques)json"
         R"json(t":[{"name":"event","type":"AvroFlumeEvent"}],"response":"Status"},"appe)json"
         R"json(ndBatch":{"request":[{"name":"events","type":{"type":"array","items":"Av)json"
         R"json(roFlumeEvent"}}],"response":"Status"}}})json";
}

const AvroHash& flume_protocol_hash() noexcept {
  static constexpr AvroHash hash{'\x86', '\xaa', '\xda', '\xe2', '\xc4', '\x54', '\x74', '\xc0',
                                 '\xfe', '\x93', '\xff', '\xd0', '\xf2', '\x35', '\x0a', '\x65'};
  return hash;
}

// ---- frames

Result<bool> AvroFrame::measure(std::string_view bytes) {
  if (!begun_) {
    if (bytes.size() < frame_head_bytes) {
      measured_ = frame_head_bytes;
      return false;
    }
    serial_ = u32_at(bytes.data());
    buffers_ = unmeasured_ = u32_at(bytes.data() + u32_bytes);
    measured_ = frame_head_bytes;
    begun_ = true;
    if (buffers_ == 0 || buffers_ > bytes_max_ / u32_bytes) {
      return Reject("a frame of " + std::to_string(buffers_) + " buffers" +
                    std::string(guess(bytes)));
    }
  }
  while (unmeasured_ > 0) {
    if (bytes.size() < measured_ + u32_bytes) return false;
    const std::uint32_t length = u32_at(bytes.data() + measured_);
    const std::size_t heads_to_come = (std::size_t{unmeasured_} - 1) * u32_bytes;
    if (measured_ + u32_bytes + length + heads_to_come > bytes_max_) {
      const std::string_view guessed = guess(bytes);
      too_long_ = guessed.empty();
      return Reject("a call of more than " + std::to_string(bytes_max_) +
                    " bytes (one of its buffers has " + std::to_string(length) + ")" +
                    std::string(guessed));
    }
    measured_ += u32_bytes + length;
    --unmeasured_;
  }
  return bytes.size() >= measured_;
}

std::string_view AvroFrame::join(char* frame) const noexcept {
  SLUICE_ASSERT(begun_ && unmeasured_ == 0, "the frame is not whole");
  char* const payload = frame + frame_head_bytes + u32_bytes;
  char* to = payload;
  const char* from = frame + frame_head_bytes;
  for (std::uint32_t i = 0; i < buffers_; ++i) {
    const std::uint32_t length = u32_at(from);
    from += u32_bytes;
    if (to != from && length > 0) std::memmove(to, from, length);
    from += length;
    to += length;
  }
  return {payload, static_cast<std::size_t>(to - payload)};
}

// ---- maps

std::string_view avro_map_value(std::string_view map, std::string_view name) noexcept {
  std::string_view found;
  if (map.empty()) return found;
  Cursor(map).map([&](std::string_view key, std::string_view value) {
    if (key == name) found = value;
  });
  return found;
}

std::string encode_avro_map(
    std::initializer_list<std::pair<std::string_view, std::string_view>> entries) {
  std::int64_t count = 0;
  for (const auto& [name, value] : entries) count += value.empty() ? 0 : 1;
  std::string out;
  if (count > 0) append_number(out, count);
  for (const auto& [name, value] : entries) {
    if (value.empty()) continue;
    append_bytes(out, name);
    append_bytes(out, value);
  }
  append_number(out, 0);
  return out;
}

// ---- calls

Result<AvroHandshakeRequest> take_avro_handshake(std::string_view& payload) {
  Cursor cursor(payload);
  AvroHandshakeRequest request;
  std::int64_t branch = 0;
  std::string_view protocol;
  if (!cursor.fixed(request.client_hash.data(), request.client_hash.size()) ||
      !cursor.branch(branch, 2) || (branch == 1 && !cursor.bytes(protocol)) ||
      !cursor.fixed(request.server_hash.data(), request.server_hash.size()) ||
      !cursor.map_or_null(request.meta)) {
    return damaged("handshake");
  }
  request.has_protocol = branch == 1;
  payload = cursor.rest();
  return request;
}

std::string encode_avro_handshake(std::string_view protocol, const AvroHash& server_hash,
                                  std::string_view meta) {
  std::string out(view(flume_protocol_hash()));
  append_number(out, protocol.empty() ? 0 : 1);
  if (!protocol.empty()) append_bytes(out, protocol);
  out += view(server_hash);
  append_map_or_null(out, meta);
  return out;
}

Result<AvroCall> parse_avro_call(std::string_view payload) {
  Cursor cursor(payload);
  AvroCall call;
  if (!cursor.map()) return damaged("call: its metadata");
  call.metadata = payload.substr(0, static_cast<std::size_t>(cursor.at() - payload.data()));
  if (!cursor.bytes(call.message)) return damaged("call: the name of its message");
  call.parameters = cursor.rest();
  return call;
}

Status AvroEvents::parse(std::string_view message, std::string_view parameters) {
  if (places_.capacity() > kept_places_max) std::vector<Place>().swap(places_);
  places_.clear();
  body_bytes_ = 0;
  same_headers_ = true;
  SLUICE_ASSERT(parameters.size() <= std::numeric_limits<std::uint32_t>::max(),
                "frames are shorter than their 32-bit lengths");
  Cursor cursor(parameters);
  const char* const base = parameters.data();
  std::string_view first_headers;
  const auto event = [&] {
    const char* const begin = cursor.at();
    std::string_view body;
    if (!cursor.map()) return false;
    const std::string_view headers(begin, static_cast<std::size_t>(cursor.at() - begin));
    if (!cursor.bytes(body)) return false;
    if (places_.empty()) {
      first_headers = headers;
    } else if (same_headers_) {
      same_headers_ = headers == first_headers;
    }
    places_.push_back(
        {{static_cast<std::uint32_t>(body.data() - base), static_cast<std::uint32_t>(body.size())},
         {static_cast<std::uint32_t>(begin - base), static_cast<std::uint32_t>(headers.size())}});
    body_bytes_ += body.size();
    return true;
  };
  if (message == append_message) {
    if (!event()) return damaged("event");
  } else if (message == append_batch_message) {
    for (;;) {
      std::uint64_t items = 0;
      if (!cursor.block(items)) return damaged("batch: it is cut off");
      if (items == 0) break;
      if (items > events_max - places_.size()) {
        return Reject("a batch of more than " + std::to_string(events_max) + " events");
      }
      for (; items > 0; --items) {
        if (!event()) return damaged("event (number " + std::to_string(places_.size() + 1) + ")");
      }
    }
  } else {
    return Reject("No such remote message: " + std::string(message.substr(0, quoted_bytes_max)));
  }
  if (!cursor.at_end()) return damaged("call: there are bytes behind its events");
  return {};
}

void append_avro_headers(std::string_view map, std::string& block) {
  struct Header {
    std::string_view name;
    std::string_view value;
    bool later = false;  ///< Another of its name follows.
  };
  boost::container::small_vector<Header, 16> headers;
  Cursor(map).map([&](std::string_view name, std::string_view value) {
    headers.push_back({name, value});
  });
  // As in the map that Java makes of it, the last value of a name counts. Names are strangers', so
  // many of them must not be compared each with each.
  std::sort(headers.begin(), headers.end(), [](const Header& a, const Header& b) {
    return std::tuple(a.name, a.value.data()) < std::tuple(b.name, b.value.data());
  });
  for (std::size_t i = 0; i + 1 < headers.size(); ++i) {
    headers[i].later = headers[i].name == headers[i + 1].name;
  }
  for (const Header& header : headers) {
    if (!header.later) append_header(block, header.name, header.value);
  }
}

namespace {

/// As the map that a Flume writes: one block, which an empty map has none of.
void append_headers(const HeaderView& headers, std::string& out) {
  std::int64_t names = 0;
  headers.for_each([&](std::string_view, std::string_view) { ++names; });
  if (names > 0) {
    append_number(out, names);
    headers.for_each([&](std::string_view name, std::string_view value) {
      append_bytes(out, name);
      append_bytes(out, value);
    });
  }
  append_number(out, 0);
}

}  // namespace

void append_avro_event(const HeaderView& headers, std::string_view body, std::string& out) {
  append_headers(headers, out);
  append_bytes(out, body);
}

std::string_view AvroCallWriter::append_batch(std::uint32_t serial, std::string_view handshake,
                                              std::string_view metadata, const Batch& batch) {
  const std::uint32_t events = batch.size();
  const bool own = batch.own_headers();
  const std::size_t head_bytes = frame_head_bytes + u32_bytes + handshake.size() + metadata.size() +
                                 append_batch_message.size() + 3 * varint_bytes_max;
  // Exact bounds beforehand, so that nothing is checked while bodies are copied.
  std::size_t bytes_max = head_bytes + batch.body_bytes() + events * varint_bytes_max;
  if (own) {
    for (std::uint32_t i = 0; i < events; ++i) {
      bytes_max += 2 * varint_bytes_max;
      batch.headers(i).for_each([&](std::string_view name, std::string_view value) {
        bytes_max += 2 * varint_bytes_max + name.size() + value.size();
      });
    }
  } else if (events > 0) {
    headers_.clear();
    append_headers(batch.headers(0), headers_);
    bytes_max += events * headers_.size();
  }
  if (capacity_ < bytes_max) {
    capacity_ = std::max(bytes_max, 2 * capacity_);
    buffer_ = std::make_unique_for_overwrite<char[]>(capacity_);
  }
  char* const frame = buffer_.get();
  char* const payload = frame + frame_head_bytes + u32_bytes;
  char* to = write_raw(payload, handshake);
  to = write_raw(to, metadata);
  to = write_number(to, static_cast<std::int64_t>(append_batch_message.size()));
  to = write_raw(to, append_batch_message);
  const char* const parameters = to;
  if (events > 0) to = write_number(to, events);
  std::string_view last_block;
  for (std::uint32_t i = 0; i < events; ++i) {
    if (own) {
      // Neighbours that share one block are encoded once.
      const std::string_view block = batch.own_headers(i);
      if (i == 0 || block.data() != last_block.data() || block.size() != last_block.size()) {
        headers_.clear();
        append_headers(batch.headers(i), headers_);
      }
      last_block = block;
    }
    if (headers_.size() == 1) {
      *to++ = '\0';
    } else {
      to = write_raw(to, headers_);
    }
    const std::string_view body = batch.body(i);
    to = write_number(to, static_cast<std::int64_t>(body.size()));
    to = write_raw(to, body);
  }
  *to++ = '\0';  // the end of the array
  SLUICE_ASSERT(to <= frame + capacity_, "the bound of a call is one");
  const auto payload_bytes = static_cast<std::size_t>(to - payload);
  SLUICE_ASSERT(payload_bytes < std::size_t{1} << 31, "a call is shorter than 2 GiB");
  write_u32(frame, serial);
  write_u32(frame + u32_bytes, 1);
  write_u32(frame + 2 * u32_bytes, payload_bytes);
  parameters_ = {parameters, static_cast<std::size_t>(to - parameters)};
  return {frame, static_cast<std::size_t>(to - frame)};
}

void append_avro_batch_call(std::uint32_t serial, std::string_view metadata,
                            std::string_view parameters, std::string& out) {
  std::string head(metadata);
  append_bytes(head, append_batch_message);
  append_frame(serial, head, parameters, out);
}

void append_avro_ping(std::uint32_t serial, std::string_view handshake, std::string& out) {
  constexpr std::string_view no_metadata_no_message("\0\0", 2);
  append_frame(serial, handshake, no_metadata_no_message, out);
}

// ---- answers

Result<AvroHandshakeResponse> take_avro_handshake_response(std::string_view& payload) {
  Cursor cursor(payload);
  AvroHandshakeResponse response;
  std::int64_t match = 0;
  std::int64_t branch = 0;
  std::string_view protocol;
  const auto failed = [] { return damaged("handshake"); };
  if (!cursor.branch(match, 3)) return failed();
  if (!cursor.branch(branch, 2) || (branch == 1 && !cursor.bytes(protocol))) return failed();
  if (!cursor.branch(branch, 2)) return failed();
  response.has_server_hash = branch == 1;
  if (branch == 1 && !cursor.fixed(response.server_hash.data(), response.server_hash.size())) {
    return failed();
  }
  if (!cursor.map_or_null(response.meta)) return failed();
  response.match = static_cast<AvroMatch>(match);
  payload = cursor.rest();
  return response;
}

std::string encode_avro_handshake_response(AvroMatch match, std::string_view meta) {
  std::string out;
  append_number(out, static_cast<std::int64_t>(match));
  if (match == AvroMatch::Both) {
    append_number(out, 0);
    append_number(out, 0);
  } else {
    append_number(out, 1);
    append_bytes(out, flume_protocol());
    append_number(out, 1);
    out += view(flume_protocol_hash());
  }
  append_map_or_null(out, meta);
  return out;
}

Result<AvroStatus> parse_avro_answer(std::string_view payload) {
  const auto damaged_answer = [] { return Invalid("a damaged Avro answer"); };
  Cursor cursor(payload);
  std::int64_t value = 0;
  char is_error = 0;
  if (!cursor.map() || !cursor.fixed(&is_error, 1)) return damaged_answer();
  if (is_error == 0) {
    if (!cursor.branch(value, 3)) return damaged_answer();
    return static_cast<AvroStatus>(value);
  }
  std::string_view text;
  // The union of errors of both messages has strings only.
  if (!cursor.number(value) || value != 0 || !cursor.bytes(text)) return damaged_answer();
  constexpr std::size_t text_bytes_max = 1024;
  return Reject(std::string(text.substr(0, text_bytes_max)));
}

void append_avro_answer(std::uint32_t serial, std::string_view handshake, AvroStatus status,
                        std::string& out) {
  // No metadata, no error, the status.
  const char answer[] = {0, 0, static_cast<char>(static_cast<unsigned char>(status) << 1)};
  append_frame(serial, handshake, {answer, sizeof answer}, out);
}

void append_avro_error(std::uint32_t serial, std::string_view handshake, std::string_view error,
                       std::string& out) {
  std::string answer({0, 1, 0});
  append_bytes(answer, error);
  append_frame(serial, handshake, answer, out);
}

void append_avro_handshake_only(std::uint32_t serial, std::string_view handshake,
                                std::string& out) {
  append_frame(serial, handshake, {}, out);
}

}  // namespace sluice

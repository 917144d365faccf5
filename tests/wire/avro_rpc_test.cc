#include "core/wire/avro_rpc.h"

#include <openssl/evp.h>

#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/support/batches.h"

namespace sluice {
namespace {

using namespace std::string_literals;

std::string unhex(std::string_view text) {
  std::string bytes;
  std::string digits;
  for (const char c : text) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return bytes;
}

/// What real agents sent.
const std::string hash = unhex("86aadae2c45474c0fe93ffd0f2350a65");
const std::string first_append = unhex(
    "00000001 00000001 00000036 86aadae2c45474c0fe93ffd0f2350a65 00 "
    "86aadae2c45474c0fe93ffd0f2350a65 00 00 0c617070656e64 02 0268 0276 00 0a68656c6c6f");
const std::string first_batch_head = unhex(
    "86aadae2c45474c0fe93ffd0f2350a65 00 86aadae2c45474c0fe93ffd0f2350a65 00 00 "
    "16 617070656e644261746368");
const std::string five_lines =
    unhex("0a 00 04 6c31 00 04 6c32 00 04 6c33 00 04 6c34 00 04 6c35 00");

std::string u32(std::size_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string frame_of(std::uint32_t serial, const std::vector<std::string>& buffers) {
  std::string bytes = u32(serial) + u32(buffers.size());
  for (const std::string& buffer : buffers) bytes += u32(buffer.size()) + buffer;
  return bytes;
}

/// The payload of a whole frame.
std::string payload_of(std::string frame, std::uint32_t serial) {
  AvroFrame measured(1 << 20);
  auto whole = measured.measure(frame);
  REQUIRE(whole.ok());
  REQUIRE(*whole);
  CHECK(measured.bytes() == frame.size());
  CHECK(measured.serial() == serial);
  return std::string(measured.join(frame.data()));
}

std::vector<std::string> bodies_in(const AvroEvents& events, std::string_view parameters) {
  std::vector<std::string> bodies;
  for (const auto& place : events.places()) {
    bodies.emplace_back(parameters.substr(place.body.offset, place.body.bytes));
  }
  return bodies;
}

TestHeaders headers_in(std::string_view map) {
  std::string block;
  append_avro_headers(map, block);
  TestHeaders headers;
  HeaderCursor cursor(block);
  std::string_view name;
  std::string_view value;
  while (cursor.next(name, value)) headers.emplace_back(name, value);
  return headers;
}

TEST_CASE("the protocol is Flume's to the byte") {
  CHECK(flume_protocol().size() == 1334);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  REQUIRE(EVP_Digest(flume_protocol().data(), flume_protocol().size(), digest, &bytes, EVP_md5(),
                     nullptr) == 1);
  CHECK(std::string(reinterpret_cast<char*>(digest), bytes) == hash);
  CHECK(std::string(flume_protocol_hash().data(), flume_protocol_hash().size()) == hash);
}

TEST_CASE("a first append of Flume's client is read") {
  const std::string payload = payload_of(first_append, 1);
  std::string_view rest = payload;
  auto handshake = take_avro_handshake(rest);
  REQUIRE(handshake.ok());
  CHECK(handshake->client_hash == flume_protocol_hash());
  CHECK(handshake->server_hash == flume_protocol_hash());
  CHECK_FALSE(handshake->has_protocol);
  CHECK(handshake->meta.empty());
  auto call = parse_avro_call(rest);
  REQUIRE(call.ok());
  CHECK(call->message == "append");
  CHECK(call->metadata == "\0"s);
  AvroEvents events;
  REQUIRE(events.parse(call->message, call->parameters).ok());
  REQUIRE(events.places().size() == 1);
  CHECK(bodies_in(events, call->parameters) == std::vector<std::string>{"hello"});
  const auto headers = events.places()[0].headers;
  CHECK(headers_in(call->parameters.substr(headers.offset, headers.bytes)) ==
        TestHeaders{{"h", "v"}});
}

TEST_CASE("a batch of avro-client is read, whatever buffers it came in") {
  const std::string whole = first_batch_head + five_lines;
  std::vector<std::vector<std::string>> splits{{first_batch_head, five_lines}, {whole}};
  std::vector<std::string> bytewise;
  for (const char c : whole) {
    bytewise.emplace_back(1, c);
    bytewise.emplace_back();
  }
  splits.push_back(bytewise);
  for (const auto& buffers : splits) {
    const std::string payload = payload_of(frame_of(7, buffers), 7);
    CHECK(payload == whole);
    std::string_view rest = payload;
    REQUIRE(take_avro_handshake(rest).ok());
    auto call = parse_avro_call(rest);
    REQUIRE(call.ok());
    AvroEvents events;
    REQUIRE(events.parse(call->message, call->parameters).ok());
    CHECK(bodies_in(events, call->parameters) ==
          std::vector<std::string>{"l1", "l2", "l3", "l4", "l5"});
    CHECK(events.body_bytes() == 10);
    CHECK(events.same_headers());
  }
}

TEST_CASE("a frame is whole with its last byte") {
  const std::string bytes = frame_of(3, {"ab", "", "cde"});
  AvroFrame frame(1 << 20);
  for (std::size_t have = 0; have < bytes.size(); ++have) {
    auto whole = frame.measure(std::string_view(bytes).substr(0, have));
    REQUIRE(whole.ok());
    CHECK_FALSE(*whole);
    CHECK(frame.bytes() <= bytes.size());
  }
  auto whole = frame.measure(bytes + "next");
  REQUIRE(whole.ok());
  CHECK(*whole);
  CHECK(frame.bytes() == bytes.size());
  std::string copy = bytes;
  CHECK(frame.join(copy.data()) == "abcde");
}

TEST_CASE("what is no frame, or too long a one, is told at once") {
  const auto refused = [](const std::string& bytes, std::size_t bytes_max = 1 << 20) {
    AvroFrame frame(bytes_max);
    return frame.measure(bytes).status().message();
  };
  CHECK(refused("GET / HTTP/1.1\r\n") == "a frame of 790644820 buffers; it looks like HTTP");
  CHECK(refused(u32(1) + u32(0)) == "a frame of 0 buffers");
  CHECK(refused(u32(1) + u32(1) + u32(0x7FFFFFFF)) ==
        "a call of more than 1048576 bytes (one of its buffers has 2147483647)");
  CHECK(refused(u32(1) + u32(2) + u32(20) + std::string(20, 'x') + u32(0xFFFFFFFF)) ==
        "a call of more than 1048576 bytes (one of its buffers has 4294967295)");
  // A TLS client's greeting of any length, and zlib's first bytes.
  for (const char* hello : {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x11",
                            "\x16\x03\x01\x01\x2e\x01\x00\x01\x2a\x03\x03\x11"}) {
    CHECK(refused(std::string(hello, 12), 64 << 20)
              .ends_with("; it looks like TLS: ssl must be the same on both sides"));
  }
  CHECK(refused("\x78\x9c\x63\x60\x60\x60\x64\x80\x62")
            .ends_with("; it looks compressed: compression-type must be the same on both sides"));
  CHECK(refused(frame_of(1, {std::string(88, 'x')}), 100).empty());
  CHECK_FALSE(refused(frame_of(1, {std::string(89, 'x')}), 100).empty());
  CHECK_FALSE(refused(u32(1) + u32(30) + u32(0), 100).empty());
}

TEST_CASE("damaged calls are refused, wherever they are cut") {
  const std::string whole = first_batch_head.substr(34) + five_lines;
  for (std::size_t have = 0; have < whole.size(); ++have) {
    auto call = parse_avro_call(std::string_view(whole).substr(0, have));
    AvroEvents events;
    CHECK_FALSE((call.ok() && events.parse(call->message, call->parameters).ok()));
  }
  std::string_view rest = std::string_view(first_batch_head).substr(0, 33);
  CHECK_FALSE(take_avro_handshake(rest).ok());
}

TEST_CASE("parameters: blocks, lies, strangers") {
  AvroEvents events;
  // Two blocks, the second with its size in bytes.
  REQUIRE(events.parse("appendBatch", unhex("02 00 02 61 01 08 00 04 6263 00")).ok());
  CHECK(events.places().size() == 2);
  CHECK(events.parse("appendBatch", "\0"s).ok());
  CHECK(events.places().empty());
  CHECK(events.parse("nope", "").message() == "No such remote message: nope");
  CHECK_FALSE(events.parse("appendBatch", unhex("02 00 02 61 00 00")).ok());  // bytes behind
  CHECK_FALSE(events.parse("append", unhex("00 03 61")).ok());                // negative length
  CHECK_FALSE(events.parse("append", unhex("00 feffffff0f 61")).ok());
  CHECK_FALSE(events.parse("appendBatch", unhex("ffffffffffffffffff01 00")).ok());
  CHECK(events.parse("appendBatch", unhex("feffffffffffffffff01 00 00")).message() ==
        "a batch of more than 1048576 events");
  CHECK_FALSE(events.parse("append", unhex("ffffffffffffffffffff01 61")).ok());  // 11 bytes
}

TEST_CASE("of two headers with one name the last counts") {
  CHECK(headers_in(unhex("06 0261 0278 0262 0279 0261 027a 00")) ==
        TestHeaders{{"a", "z"}, {"b", "y"}});
  CHECK(headers_in("\0"s).empty());
}

TEST_CASE("whether events share their headers is seen") {
  AvroEvents events;
  REQUIRE(
      events.parse("appendBatch", unhex("04 02 0268 0276 00 02 61 02 0268 0276 00 02 62 00")).ok());
  CHECK(events.same_headers());
  REQUIRE(events.parse("appendBatch", unhex("04 02 0268 0276 00 02 61 00 02 62 00")).ok());
  CHECK_FALSE(events.same_headers());
}

TEST_CASE("a call is written as Flume's client writes it, and is read again") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  AvroCallWriter writer;
  const std::string handshake = encode_avro_handshake({}, flume_protocol_hash(), {});
  const Batch lines = batch_of(pool, {"l1", "l2", "l3", "l4", "l5"});
  CHECK(std::string(writer.append_batch(1, handshake, encode_avro_map(), lines)) ==
        frame_of(1, {first_batch_head + five_lines}));
  // Another, with headers of their own and shared ones, a large body and an empty one.
  const std::string large(300'000, 'x');
  Batch batch = batch_of(pool, {"a", large, ""}, {{"own", "1"}})
                    .with_shared_headers(HeaderBlock().with("imposed", "2"),
                                         HeaderBlock().with("own", "3").with("other", ""));
  const std::string meta = encode_avro_map({{"k", "v"}});
  std::string frame(writer.append_batch(9, {}, meta, batch));
  auto call =
      parse_avro_call(AvroFrame(1 << 20).measure(frame).ok() ? std::string_view(frame).substr(12)
                                                             : std::string_view());
  REQUIRE(call.ok());
  CHECK(avro_map_value(call->metadata, "k") == "v");
  CHECK(avro_map_value(call->metadata, "l").empty());
  AvroEvents events;
  REQUIRE(events.parse(call->message, call->parameters).ok());
  CHECK(bodies_in(events, call->parameters) == std::vector<std::string>{"a", large, ""});
  for (const auto& place : events.places()) {
    CHECK(headers_in(call->parameters.substr(place.headers.offset, place.headers.bytes)) ==
          TestHeaders{{"imposed", "2"}, {"other", ""}, {"own", "1"}});
  }
}

TEST_CASE("answers are those of Flume's server") {
  std::string out;
  append_avro_answer(1, encode_avro_handshake_response(AvroMatch::Both, {}), AvroStatus::Ok, out);
  CHECK(payload_of(out, 1) == unhex("00000000 00 0000"));
  out.clear();
  append_avro_answer(2, {}, AvroStatus::Failed, out);
  CHECK(payload_of(out, 2) == unhex("00 00 02"));
  out.clear();
  append_avro_error(3, {}, "org.apache.avro.AvroRuntimeException: No such remote message: nope",
                    out);
  CHECK(payload_of(out, 3) == unhex("00 01 00 8401") +
                                  "org.apache.avro.AvroRuntimeException: No such remote message: "
                                  "nope");
  out.clear();
  append_avro_handshake_only(4, encode_avro_handshake_response(AvroMatch::None, {}), out);
  CHECK(payload_of(out, 4) ==
        unhex("04 02 ec14") + std::string(flume_protocol()) + unhex("02") + hash + unhex("00"));
}

TEST_CASE("answers are read, with their handshakes") {
  const auto read = [](std::string payload, AvroHandshakeResponse* handshake = nullptr) {
    std::string_view rest = payload;
    if (handshake != nullptr) {
      auto taken = take_avro_handshake_response(rest);
      REQUIRE(taken.ok());
      *handshake = *taken;
      handshake->meta = {};  // a view into what is about to go
    }
    return parse_avro_answer(rest);
  };
  AvroHandshakeResponse handshake;
  auto answer = read(unhex("00000000 00 0000"), &handshake);
  REQUIRE(answer.ok());
  CHECK(*answer == AvroStatus::Ok);
  CHECK(handshake.match == AvroMatch::Both);
  CHECK_FALSE(handshake.has_server_hash);
  answer = read(encode_avro_handshake_response(AvroMatch::Client, encode_avro_map({{"a", "b"}})) +
                    unhex("000002"),
                &handshake);
  REQUIRE(answer.ok());
  CHECK(*answer == AvroStatus::Failed);
  CHECK(handshake.match == AvroMatch::Client);
  CHECK(handshake.server_hash == flume_protocol_hash());
  answer = read(unhex("00 01 00 28") + "java.io.EOFException");
  CHECK(answer.code() == Code::Reject);
  CHECK(answer.status().message() == "java.io.EOFException");
  for (const std::string& bad : {""s, "\0"s, "\0\0"s, "\0\0\x06"s, "\0\1\2\0"s, "\0\1\0\4a"s}) {
    CHECK(read(bad).code() == Code::Invalid);
  }
  std::string_view none = "\6";
  CHECK_FALSE(take_avro_handshake_response(none).ok());
}

TEST_CASE("what one handshake says besides reaches the other side") {
  const std::string meta = encode_avro_map({{"sluice", "1"}});
  const std::string request = encode_avro_handshake(flume_protocol(), AvroHash{}, meta);
  std::string_view rest = request;
  auto read = take_avro_handshake(rest);
  REQUIRE(read.ok());
  CHECK(read->has_protocol);
  CHECK(read->server_hash == AvroHash{});
  CHECK(avro_map_value(read->meta, "sluice") == "1");
  const std::string response = encode_avro_handshake_response(AvroMatch::Both, meta);
  rest = response;
  auto answered = take_avro_handshake_response(rest);
  REQUIRE(answered.ok());
  CHECK(avro_map_value(answered->meta, "sluice") == "1");
  CHECK(rest.empty());
}

}  // namespace
}  // namespace sluice

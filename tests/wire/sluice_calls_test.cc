#include "core/wire/sluice_calls.h"

#include "tests/catch.h"
#include "tests/support/batches.h"

namespace sluice {
namespace {

constexpr std::size_t bytes_max = 1 << 20;
const OriginId some_id{1, 2};

/// A call without handshake, behind its frame's head.
AvroCall call_in(std::string_view frame) {
  AvroFrame measured(1 << 20);
  auto whole = measured.measure(frame);
  REQUIRE(whole.ok());
  REQUIRE(*whole);
  auto call = parse_avro_call(frame.substr(12));
  REQUIRE(call.ok());
  return *call;
}

TEST_CASE("agents of ours know each other, and what the other undoes") {
  CHECK(speaks_sluice(sluice_greeting()));
  CHECK(speaks_sluice(encode_avro_map({{"sluice", "17"}, {"other", "x"}})));
  CHECK_FALSE(speaks_sluice({}));
  CHECK_FALSE(speaks_sluice(encode_avro_map({{"sluice", "0"}})));
  CHECK_FALSE(speaks_sluice(encode_avro_map({{"sluice", "one"}})));
  CHECK(undoes(sluice_greeting(), CallCompression::Lz4));
  CHECK(undoes(sluice_greeting(), CallCompression::Zstd));
  CHECK_FALSE(undoes(sluice_greeting(), CallCompression::None));
  CHECK_FALSE(undoes(encode_avro_map({{"sluice", "1"}}), CallCompression::Lz4));
  CHECK_FALSE(undoes(encode_avro_map({{"sluice.unpacks", "lz4x zstd"}}), CallCompression::Lz4));
}

TEST_CASE("a compressed call is what went into it, with its origins") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  const Batch batch =
      numbered(pool, 0, 200, 50).with_provenance(Provenance::dense(some_id, 7, 200));
  SluiceCallWriter writer;
  const std::string plain(writer.append_batch(1, batch, CallCompression::None));
  const AvroCall plain_call = call_in(plain);
  CHECK_FALSE(is_packed(plain_call.metadata));
  for (const CallCompression compression : {CallCompression::Lz4, CallCompression::Zstd}) {
    const std::string packed(writer.append_batch(2, batch, compression));
    CHECK(packed.size() < plain.size() / 2);
    const AvroCall call = call_in(packed);
    CHECK(call.message == "appendBatch");
    auto origins = sluice_origins(call.metadata, 200);
    REQUIRE(origins.ok());
    CHECK(origins->origin(199) == Origin{some_id, 206});
    REQUIRE(is_packed(call.metadata));
    BatchBuilder builder(pool);
    auto parameters = unpack(call.metadata, call.parameters, bytes_max, builder);
    REQUIRE(parameters.ok());
    CHECK(*parameters == plain_call.parameters);
  }
}

TEST_CASE("what does not become shorter goes as it is") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  SluiceCallWriter writer;
  const std::string frame(writer.append_batch(1, batch_of(pool, {"x"}), CallCompression::Lz4));
  CHECK_FALSE(is_packed(call_in(frame).metadata));
}

TEST_CASE("lies about what is compressed cost no memory and are refused") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  BatchBuilder builder(pool);
  SluiceCallWriter writer;
  const std::string frame(writer.append_batch(1, numbered(pool, 0, 200, 50), CallCompression::Lz4));
  const std::string packed(call_in(frame).parameters);
  const auto refused = [&](std::string_view how, std::string_view bytes) {
    const auto got = unpack(encode_avro_map({{"sluice.packed", how}}), bytes, bytes_max, builder);
    CHECK(builder.marked_events() == 0);
    return got.status().message();
  };
  CHECK(refused("lz4 99999999999", packed) == "a call of 99999999999 bytes, more than 1048576");
  CHECK(refused("lz4 0", packed) == "a damaged call: how it is compressed");
  CHECK(refused("lz4", packed) == "a damaged call: how it is compressed");
  CHECK(refused("lz4 -1", packed) == "a damaged call: how it is compressed");
  CHECK(refused("lz4 100", packed) == "a damaged call: what is compressed in it");
  CHECK(refused("zstd 10000", packed) == "a damaged call: what is compressed in it");
  CHECK(refused("gzip 100", packed) == "a damaged call: what is compressed in it");
  CHECK(refused("lz4 1048576", packed.substr(0, 10)) == "a damaged call: what is compressed in it");
}

TEST_CASE("what its sender has settled travels with a call, compressed or not") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  SluiceCallWriter writer;
  const Batch batch = numbered(pool, 0, 200, 50);
  const Origin below{some_id, 77};
  for (const CallCompression compression : {CallCompression::None, CallCompression::Zstd}) {
    const std::string told(writer.append_batch(1, batch, compression, below));
    auto settled = sluice_settled_below(call_in(told).metadata);
    REQUIRE(settled.ok());
    CHECK(*settled == below);
    const std::string silent(writer.append_batch(1, batch, compression));
    auto none = sluice_settled_below(call_in(silent).metadata);
    REQUIRE(none.ok());
    CHECK_FALSE(none->has_value());
  }
  // Its bytes are those of docs/formats/avro-rpc.md.
  CHECK(avro_map_value(sluice_metadata({}, {}, below), "sluice.settled") ==
        std::string("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\x4d\0\0\0\0\0\0\0", 24));
  CHECK_FALSE(sluice_settled_below(encode_avro_map({{"sluice.settled", "short"}})).ok());
}

TEST_CASE("origins that do not fit their batch are refused") {
  const std::string metadata = sluice_metadata(Provenance::dense(some_id, 0, 3));
  CHECK(sluice_origins(metadata, 3).ok());
  CHECK(sluice_origins(metadata, 2).status().message() == "origins of 3 events for a batch of 2");
  CHECK_FALSE(sluice_origins(encode_avro_map({{"sluice.origins", "damaged"}}), 3).ok());
  auto none = sluice_origins(encode_avro_map(), 3);
  REQUIRE(none.ok());
  CHECK_FALSE(none->known());
  CHECK(sluice_metadata({}) == encode_avro_map());
}

}  // namespace
}  // namespace sluice

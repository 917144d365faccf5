#include "core/wire/avro_schema.h"

#include "tests/catch.h"
#include "tests/support/avro_files.h"

namespace sluice {
namespace {

using testing::avro_long;
using testing::avro_text;
using Extent = AvroSchema::Extent;

std::shared_ptr<const AvroSchema> schema_of(std::string_view json) {
  auto schema = AvroSchema::parse(json);
  INFO(schema.status().message());
  REQUIRE(schema.ok());
  return *schema;
}

/// The length of the one datum, which must be all of the bytes, whatever stands behind them.
void check_datum(std::string_view json, const std::string& datum) {
  const auto schema = schema_of(json);
  CHECK(schema->measure(datum).extent == Extent::Whole);
  CHECK(schema->measure(datum).bytes == datum.size());
  CHECK(schema->measure(datum + "\xff\xff").bytes == datum.size());
  for (std::size_t bytes = 0; bytes < datum.size(); ++bytes) {
    CHECK(schema->measure(std::string_view(datum).substr(0, bytes)).extent == Extent::Cut);
  }
}

Extent extent_of(std::string_view json, const std::string& bytes) {
  return schema_of(json)->measure(bytes).extent;
}

TEST_CASE("avro schema: datums of every type are measured") {
  check_datum(R"("null")", "");
  check_datum(R"("boolean")", "\x01");
  check_datum(R"("int")", avro_long(-1'000'000));
  check_datum(R"({"type":"long","logicalType":"timestamp-millis"})", avro_long(INT64_MIN));
  check_datum(R"("float")", "1234");
  check_datum(R"("double")", "12345678");
  check_datum(R"("bytes")", avro_text(std::string(300, 'x')));
  check_datum(R"("string")", avro_text(""));
  check_datum(R"({"type":"fixed","name":"f","size":5})", "12345");
  check_datum(R"({"type":"enum","name":"e","symbols":["A","B"]})", avro_long(1));
  check_datum(R"(["null","string"])", avro_long(0));
  check_datum(R"(["null","string"])", avro_long(1) + avro_text("x"));
  check_datum(R"({"type":"array","items":"int"})", avro_long(2) + avro_long(700) + avro_long(1) +
                                                       avro_long(1) + avro_long(5) + avro_long(0));
  check_datum(R"({"type":"map","values":"int"})",
              avro_long(1) + avro_text("key") + avro_long(7) + avro_long(0));
  check_datum(R"({"type":"map","values":"null"})", avro_long(1) + avro_text("key") + avro_long(0));
  // A block that says how long it is.
  check_datum(R"({"type":"array","items":"string"})",
              avro_long(-2) + avro_long(5) + avro_text("a") + avro_text("bc") + avro_long(0));
  check_datum(R"({"type":"array","items":"null"})", avro_long(1'000'000'000'000) + avro_long(0));
  check_datum(
      R"({"type":"record","name":"r","fields":[{"name":"a","type":"null"},{"name":"b","type":"int"},
          {"name":"c","type":{"type":"record","name":"s","fields":[{"name":"d","type":"string"}]}},
          {"name":"e","type":"s"}]})",
      avro_long(9) + avro_text("one") + avro_text("two"));
}

TEST_CASE("avro schema: bytes that no datum has are damage") {
  CHECK(extent_of(R"("string")", avro_long(-1)) == Extent::Damaged);
  CHECK(extent_of(R"("int")", std::string(11, '\x80')) == Extent::Damaged);
  CHECK(extent_of(R"(["null","int"])", avro_long(2)) == Extent::Damaged);
  CHECK(extent_of(R"(["null","int"])", avro_long(-1)) == Extent::Damaged);
  CHECK(extent_of("[]", avro_long(0)) == Extent::Damaged);
  // Readers of Java's library lose their way in these, and in all that is behind them.
  CHECK(extent_of(R"("int")", avro_long(int64_t{1} << 31)) == Extent::Damaged);
  CHECK(extent_of(R"("int")", avro_long(INT32_MIN)) == Extent::Whole);
  const std::string padded("\x82\x80\x80\x80\x80\x00", 6);
  CHECK(extent_of(R"("int")", padded) == Extent::Damaged);
  CHECK(extent_of(R"(["null","int"])", padded + "\x02") == Extent::Damaged);
  CHECK(extent_of(R"("long")", padded) == Extent::Whole);
  // A block whose count and bytes say different things.
  const char* const longs = R"({"type":"array","items":"long"})";
  const std::string one = avro_long(-1) + avro_long(1) + "\x02" + avro_long(0);
  CHECK(extent_of(longs, one) == Extent::Whole);
  CHECK(extent_of(longs, avro_long(-5) + avro_long(1) + "\x02" + avro_long(0)) == Extent::Damaged);
  CHECK(extent_of(longs, avro_long(-1) + avro_long(2) + "\x02\x02" + avro_long(0)) ==
        Extent::Damaged);
  CHECK(extent_of(longs, avro_long(INT64_MIN) + avro_long(0) + avro_long(0)) == Extent::Damaged);
  CHECK(extent_of(R"({"type":"enum","name":"e","symbols":["A"]})", avro_long(1)) ==
        Extent::Damaged);
  CHECK(extent_of(R"({"type":"array","items":"int"})", avro_long(-1) + avro_long(-1)) ==
        Extent::Damaged);
  // No string is as long as that.
  CHECK(extent_of(R"("string")", avro_long(INT64_MAX)) == Extent::Cut);
}

TEST_CASE("avro schema: hostile schemas and bytes cost neither time nor stack") {
  // A record that is part of itself never ends.
  const std::string endless =
      R"({"type":"record","name":"r","fields":[{"name":"a","type":"r"},{"name":"b","type":"r"}]})";
  CHECK(extent_of(endless, "") == Extent::Damaged);
  const std::string list =
      R"({"type":"record","name":"l","fields":[{"name":"next","type":["null","l"]}]})";
  CHECK(extent_of(list, std::string(400, '\x02') + '\0') == Extent::Whole);
  CHECK(extent_of(list, std::string(1'000'000, '\x02')) == Extent::Damaged);
  // Two to the power of sixty nulls.
  std::string nested = R"({"type":"record","name":"r0","fields":[]})";
  for (int i = 1; i < 60; ++i) {
    const std::string n = std::to_string(i);
    nested = R"({"type":"record","name":"r)" + n + R"(","fields":[{"name":"a","type":)" + nested +
             R"(},{"name":"b","type":"r)" + std::to_string(i - 1) + R"("}]})";
  }
  CHECK(schema_of(nested)->is_empty());
  CHECK(schema_of(nested)->measure("x").bytes == 0);
  CHECK(extent_of(R"({"type":"array","items":)" + nested + "}",
                  avro_long(INT64_MAX) + avro_long(0)) == Extent::Whole);
}

TEST_CASE("avro schema: what is not valid is said") {
  const auto message = [](std::string_view json) {
    return AvroSchema::parse(json).status().message();
  };
  CHECK(message("{") == "the schema is no JSON");
  CHECK(message("") == "the schema is no JSON");
  CHECK(message(std::string(100'000, '[')) == "the schema is nested too deeply");
  CHECK(message(std::string(200, '[') + std::string(200, ']')) ==
        "the schema is not valid: its types are nested too deeply");
  CHECK(message(std::string(AvroSchema::text_bytes_max + 1, ' ')) ==
        "the schema is longer than 1 MiB");
  CHECK(message(R"("Unknown")") == "the schema is not valid: the type 'Unknown' is not known");
  CHECK(message(R"({"type":"record","name":"r","fields":[{"name":"a","type":"x"}]})") ==
        "the schema is not valid: 'r': the type 'x' is not known");
  for (const char* const json :
       {"1", "{}", R"({"type":1})", R"({"type":"array"})", R"({"type":"map"})",
        R"({"type":"fixed","name":"f"})", R"({"type":"fixed","name":"f","size":-1})",
        R"({"type":"enum","name":"e","symbols":[1]})", R"({"type":"record","fields":[]})",
        R"({"type":"record","name":"r","fields":[1]})",
        R"({"type":"record","name":"r","fields":[{"name":"a"}]})",
        R"([{"type":"fixed","name":"f","size":1},{"type":"fixed","name":"f","size":1}])"}) {
    INFO(json);
    CHECK(AvroSchema::parse(json).code() == Code::Reject);
  }
}

TEST_CASE("avro schema: canonical form and fingerprint are those of Avro's own test vectors") {
  const auto check = [](std::string_view json, std::string_view canonical,
                        std::int64_t fingerprint) {
    const auto schema = schema_of(json);
    CHECK(schema->canonical() == canonical);
    std::string low_byte_first;
    for (int i = 0; i < 8; ++i) low_byte_first += static_cast<char>(fingerprint >> (8 * i) & 0xff);
    CHECK(testing::unhex(schema->fingerprint()) == low_byte_first);
  };
  check(R"({"type":"null"})", R"("null")", 7195948357588979594);
  check(R"("string")", R"("string")", -8142146995180207161);
  check("[  ]", "[]", -1241056759729112623);
  check(R"([ "int" , {"type":"boolean"} ])", R"(["int","boolean"])", 5392556393470105090);
  check(R"({"fields":[], "type":"record", "name":"foo", "namespace":"x.y"})",
        R"({"name":"x.y.foo","type":"record","fields":[]})", 5916914534497305771);
  check(R"({"fields":[], "type":"record", "name":"a.b.foo", "namespace":"x.y"})",
        R"({"name":"a.b.foo","type":"record","fields":[]})", -4616218487480524110);
  check(R"({ "fields":[{"type":"boolean", "aliases":[], "name":"f1", "default":"true"},
            {"order":"descending","name":"f2","doc":"Hello","type":"int"}],
            "type":"record", "name":"foo"})",
        R"({"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"},)"
        R"({"name":"f2","type":"int"}]})",
        -4860222112080293046);
  check(R"({"namespace":"x.y.z", "type":"enum", "name":"foo", "symbols":["A1", "A2"]})",
        R"({"name":"x.y.z.foo","type":"enum","symbols":["A1","A2"]})", -4448647247586288245);
  check(R"({"namespace":"x.y.z", "type":"fixed", "name":"foo", "doc":"foo bar", "size":32})",
        R"({"name":"x.y.z.foo","type":"fixed","size":32})", -3064184465700546786);
  check(R"({ "items":{"type":"null"}, "type":"array"})", R"({"type":"array","items":"null"})",
        -589620603366471059);
  check(R"({ "values":"string", "type":"map"})", R"({"type":"map","values":"string"})",
        -8732877298790414990);
  check(R"({"name":"PigValue","type":"record",
   "fields":[{"name":"value", "type":["null", "int", "long", "PigValue"]}]})",
        R"({"name":"PigValue","type":"record","fields":)"
        R"([{"name":"value","type":["null","int","long","PigValue"]}]})",
        -1759257747318642341);
}

TEST_CASE("avro schema: names, text and hash are what Avro's Java library makes of them") {
  const auto schema = schema_of(testing::java_tree_literal);
  CHECK(schema->canonical() == testing::java_tree_canonical);
  CHECK(schema->fingerprint() == testing::java_tree_hash);
  CHECK(schema->text() == testing::java_tree_literal);
  CHECK(schema_of("{ \"type\" : \"fixed\",\n\"name\":\"a b\\\" c\", \"size\": 2 }")->text() ==
        R"({"type":"fixed","name":"a b\" c","size":2})");
  for (const std::string& body : testing::java_tree_bodies()) {
    CHECK(schema->measure(body).bytes == body.size());
  }
}

}  // namespace
}  // namespace sluice

#include "core/wire/avro_container.h"

#include "tests/catch.h"
#include "tests/support/avro_files.h"

namespace sluice {
namespace {

using testing::avro_compressed;
using testing::avro_header;
using testing::avro_long;
using testing::avro_text;

constexpr std::size_t plenty = 1 << 30;

TEST_CASE("avro container: a header tells schema, codec and sync marker") {
  const std::string bytes = avro_header(R"("int")", "snappy");
  auto header = parse_avro_header(bytes + "block");
  REQUIRE(header.ok());
  REQUIRE(header->has_value());
  CHECK((*header)->schema == R"("int")");
  CHECK((*header)->codec == "snappy");
  CHECK(std::string((*header)->sync.begin(), (*header)->sync.end()) == testing::avro_sync);
  CHECK((*header)->bytes == bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto cut = parse_avro_header(std::string_view(bytes).substr(0, i));
    REQUIRE(cut.ok());
    CHECK_FALSE(cut->has_value());
  }
}

TEST_CASE("avro container: a file need not name a codec, and may count its metadata in two ways") {
  const std::string one = avro_text("avro.schema") + avro_text("[]");
  for (const std::string& map :
       {avro_long(1) + one,
        avro_long(-1) + avro_long(static_cast<std::int64_t>(one.size())) + one}) {
    auto header = parse_avro_header("Obj\x01" + map + avro_long(0) + testing::avro_sync);
    REQUIRE(header.ok());
    REQUIRE(header->has_value());
    CHECK((*header)->codec == "null");
    CHECK((*header)->schema == "[]");
  }
}

TEST_CASE("avro container: what is no header is said") {
  const auto message = [](const std::string& bytes) {
    return parse_avro_header(bytes).status().message();
  };
  CHECK(message("text\n") == "it does not begin like an Avro container file");
  CHECK(message("Obj\x02") == "it does not begin like an Avro container file");
  CHECK(message("Obj\x01" + avro_long(1) + avro_long(-1)) ==
        "the header of the Avro file is damaged");
  CHECK(message("Obj\x01" + avro_long(0) + testing::avro_sync) ==
        "the header of the Avro file has no avro.schema");
  CHECK(message("Obj\x01" + avro_long(INT64_MIN) + avro_long(0) +
                std::string(AvroHeader::bytes_max, '\0')) ==
        "the header of the Avro file is longer than 2 MiB, or damaged");
}

TEST_CASE("avro container: the head of a block") {
  const auto head = parse_avro_block_head(avro_long(1000) + avro_long(70'000) + "data");
  REQUIRE(head);
  CHECK(head->datums == 1000);
  CHECK(head->data_bytes == 70'000);
  CHECK(head->bytes == 5);
  CHECK_FALSE(parse_avro_block_head(avro_long(-1) + avro_long(1)));
  CHECK_FALSE(parse_avro_block_head(avro_long(1) + avro_long(-1)));
  CHECK_FALSE(parse_avro_block_head(avro_long(1)));
  CHECK_FALSE(parse_avro_block_head(""));
}

TEST_CASE("avro container: codecs give back what was compressed, up to the bound") {
  std::string data;
  for (int i = 0; i < 50'000; ++i) data += std::to_string(i);
  for (const std::string name : {"null", "deflate", "snappy", "zstandard"}) {
    INFO(name);
    auto codec = AvroCodec::make(name);
    REQUIRE(codec.ok());
    for (const std::string& content : {std::string(), std::string("x"), data}) {
      std::string out = "before ";
      CHECK((*codec)->decompress(avro_compressed(name, content), plenty, out).ok());
      CHECK(out == "before " + content);
      out.clear();
      CHECK((*codec)->decompress(avro_compressed(name, content), content.size(), out).ok());
      CHECK(out == content);
    }
    std::string out;
    CHECK((*codec)->decompress(avro_compressed(name, data), data.size() - 1, out).code() ==
          Code::Invalid);
    CHECK(out.size() <= data.size());
    // A codec is as good as new after an error.
    out.clear();
    CHECK((*codec)->decompress(avro_compressed(name, data), plenty, out).ok());
    CHECK(out == data);
  }
}

TEST_CASE("avro container: content far beyond the bound takes no memory") {
  const std::string bomb(20'000'000, 'x');
  for (const std::string name : {"deflate", "snappy", "zstandard"}) {
    INFO(name);
    std::string out;
    CHECK((*AvroCodec::make(name))->decompress(avro_compressed(name, bomb), 1000, out).code() ==
          Code::Invalid);
    CHECK(out.capacity() < 100'000);
  }
}

TEST_CASE("avro container: damaged and cut data is refused") {
  const std::string data(100'000, 'x');
  for (const std::string name : {"deflate", "snappy", "zstandard"}) {
    INFO(name);
    auto codec = AvroCodec::make(name);
    REQUIRE(codec.ok());
    const std::string whole = avro_compressed(name, data);
    std::string out;
    CHECK((*codec)->decompress(whole.substr(0, whole.size() / 2), plenty, out).code() ==
          Code::Reject);
    CHECK((*codec)->decompress("", plenty, out).code() == Code::Reject);
    CHECK((*codec)->decompress("\xff\xff\xff\xff\xff\xff", plenty, out).code() == Code::Reject);
  }
  std::string flipped = avro_compressed("snappy", data);
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  std::string out;
  CHECK((*AvroCodec::make("snappy"))->decompress(flipped, plenty, out).message() ==
        "the checksum of its content is wrong");
  // A length that lies takes no memory.
  out.clear();
  out.shrink_to_fit();
  const std::string lie = "\xff\xff\xff\xff\x03" + std::string(20, '\0');
  CHECK((*AvroCodec::make("snappy"))->decompress(lie, plenty, out).code() == Code::Reject);
  CHECK(out.capacity() < 1000);
  CHECK(AvroCodec::make("bzip2").status().message() ==
        "its codec 'bzip2' is not known here; null, deflate, snappy and zstandard are");
}

}  // namespace
}  // namespace sluice

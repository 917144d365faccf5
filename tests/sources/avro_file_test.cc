#include "sources/avro_file.h"

#include <random>

#include "sources/decompressed_file.h"
#include "tests/catch.h"
#include "tests/support/avro_files.h"
#include "tests/support/compressed.h"
#include "tests/support/fake_input_files.h"

namespace sluice {
namespace {

using testing::avro_block;
using testing::avro_file;
using testing::avro_header;
using testing::avro_long;
using testing::avro_sync;
using testing::avro_text;

constexpr std::size_t plenty = 64 << 20;
const std::string text_schema = R"("string")";

std::unique_ptr<InputFile> file_of(const std::string& bytes) {
  static FakeInputFiles files;
  const auto node = files.create("/x");
  files.append(node, bytes);
  return *files.open("/x");
}

Result<AvroFile> open(const std::string& bytes, std::size_t block_bytes_max = plenty) {
  auto file = decompressed_if_compressed(file_of(bytes));
  REQUIRE(file.ok());
  return open_avro_file(*std::move(file), block_bytes_max);
}

/// All datums as one text; `damage` is what the end of them says.
std::string content_of(const std::string& bytes, Status& damage, std::size_t step = 10'000,
                       std::size_t block_bytes_max = plenty) {
  auto opened = open(bytes, block_bytes_max);
  INFO(opened.status().message());
  REQUIRE(opened.ok());
  std::string all;
  std::string piece(step, '\0');
  for (;;) {
    auto got = opened->datums->read_at(all.size(), piece);
    damage = got.status();
    if (!got.ok() || *got == 0) return all;
    all.append(piece, 0, *got);
  }
}

std::string join(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  return all;
}

TEST_CASE("avro file: what Java has written reads as its records, whatever the codec") {
  const std::string bodies = join(testing::java_tree_bodies());
  for (const char* const codec : {"null", "deflate", "snappy"}) {
    INFO(codec);
    const std::string bytes = testing::java_tree_file(codec);
    Status damage;
    CHECK(content_of(bytes, damage) == bodies);
    CHECK(damage.ok());
    CHECK(content_of(bytes, damage, 1) == bodies);
    CHECK(content_of(testing::gzip(bytes), damage) == bodies);
    CHECK(open(bytes)->schema->fingerprint() == testing::java_tree_hash);
  }
}

TEST_CASE("avro file: any offset can be read, also before the last one") {
  std::vector<std::vector<std::string>> blocks;
  std::string all;
  for (int i = 0; i < 300; ++i) {
    blocks.emplace_back();
    for (int k = 0; k < 50; ++k) blocks.back().push_back(avro_text(std::to_string(i * 1000 + k)));
    all += join(blocks.back());
  }
  blocks.emplace_back();  // without a record
  auto opened = open(avro_file(text_schema, "zstandard", blocks));
  REQUIRE(opened.ok());
  std::mt19937_64 random(Catch::rngSeed());
  std::string piece(5000, '\0');
  for (int i = 0; i < 100; ++i) {
    const std::size_t offset = random() % (all.size() + 10);
    auto got = opened->datums->read_at(offset, piece);
    REQUIRE(got.ok());
    const std::string expected = all.substr(std::min(offset, all.size()), piece.size());
    CHECK(std::string_view(piece).substr(0, *got) == expected);
  }
}

TEST_CASE("avro file: a damaged block is left out alone, and the end says so") {
  const std::string a = avro_text("one") + avro_text("two");
  const std::string b = avro_text("three") + avro_text("four");
  const std::string c = avro_text("five") + avro_text("six");
  const auto block = [](std::int64_t count, const std::string& data) {
    return avro_long(count) + avro_text(data) + avro_sync;
  };
  const std::string header = avro_header(text_schema, "null");
  Status damage;
  const auto check = [&](const std::string& damaged, const std::string& content,
                         std::string_view why) {
    CHECK(content_of(header + block(2, a) + damaged + block(2, c), damage) == content);
    CHECK(damage.code() == Code::Reject);
    INFO(damage.message());
    const std::string place = std::to_string(header.size() + block(2, a).size());
    CHECK(damage.message().starts_with("damaged blocks of it were left out: "));
    CHECK(damage.message().ends_with(" (the first one, at byte " + place + ": " + std::string(why) +
                                     ")"));
  };
  check(block(3, b), a + c, "its records do not fit the schema");
  check(block(1, b), a + c, "there is more in it than its records");
  check(block(INT64_MAX, b), a + c, "its records do not fit the schema");
  check(block(2, avro_long(-5) + b), a + c, "its records do not fit the schema");
  check("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" + block(2, b), a + c, "its head is damaged");
  check(avro_long(2) + avro_long(INT64_MAX) + b + avro_sync, a + c, "its head is damaged");
  check(avro_long(2) + avro_long(10) + b + avro_sync, a + c, "no sync marker is behind it");
  check(avro_long(2) + avro_long(1 << 20) + b + avro_sync, a + c, "it is cut off");
  // The marker that is damaged is the one by which the next block would be found.
  std::string unmarked = block(2, b);
  unmarked.back() = 'X';
  check(unmarked, a, "no sync marker is behind it");
  CHECK(damage.message().starts_with("damaged blocks of it were left out: 1 "));
}

TEST_CASE("avro file: what is read again is said once") {
  std::string bytes = avro_file(text_schema, "null", {{"\x02x"}, {"\x02y"}});
  bytes[bytes.size() - avro_sync.size() - 3] = '\x06';  // no such number of bytes
  auto opened = open(bytes);
  REQUIRE(opened.ok());
  char byte = 0;
  std::string messages;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(opened->datums->read_at(0, {&byte, 1}).ok());
    messages += opened->datums->read_at(2, {&byte, 1}).status().message();
  }
  CHECK(messages.find("left out: 1 (") != std::string::npos);
  CHECK(messages.find("left out: 2 (") == std::string::npos);
}

TEST_CASE("avro file: markers are found across the pieces in which the file is read") {
  const std::string end = avro_text("end");
  for (std::size_t bytes = 65'500; bytes < 65'560; ++bytes) {
    // A head that is none, then so many bytes up to the marker.
    const std::string junk = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    Status damage;
    CHECK(content_of(avro_header(text_schema, "null") + junk + std::string(bytes, '0') + avro_sync +
                         avro_block("null", {end}),
                     damage) == end);
    CHECK(damage.code() == Code::Reject);
  }
}

TEST_CASE("avro file: a torn file gives its whole blocks") {
  const std::vector<std::string> first{avro_text("one"), avro_text("two")};
  const std::string header = avro_header(text_schema, "deflate");
  const std::string one = avro_block("deflate", first);
  const std::string whole = header + one + avro_block("deflate", {avro_text("three")});
  Status damage;
  for (std::size_t bytes = header.size() + one.size() + 1; bytes < whole.size(); ++bytes) {
    CHECK(content_of(whole.substr(0, bytes), damage) == join(first));
    CHECK(damage.code() == Code::Reject);
  }
  const std::string packed = testing::gzip(whole);
  CHECK(content_of(packed.substr(0, packed.size() - 4), damage) ==
        join(first) + avro_text("three"));
  CHECK(damage.message() == "its compressed content ends too early: it is truncated");
}

TEST_CASE("avro file: a block longer than the bound ends the content there, in any form") {
  const std::string one = avro_text("one");
  const std::string large = avro_text(std::string(10'000, 'x'));
  for (const std::string codec : {"null", "deflate", "snappy", "zstandard"}) {
    INFO(codec);
    const std::string bytes = avro_file(text_schema, codec, {{one}, {large}, {one}});
    Status damage;
    CHECK(content_of(bytes, damage, 100, large.size() - 1) == one);
    CHECK(damage.message().ends_with("is longer than " + std::to_string(large.size() - 1) +
                                     " bytes (deserializer.maxBlockLength)"));
    CHECK(content_of(bytes, damage, 100, large.size()) == one + large + one);
    CHECK(damage.ok());
  }
}

TEST_CASE("avro file: whatever is changed in it, what is read are whole blocks of it") {
  std::mt19937_64 random(Catch::rngSeed());
  for (int round = 0; round < 300; ++round) {
    std::vector<std::vector<std::string>> blocks;
    for (int i = 0; i < 20; ++i) {
      blocks.push_back({avro_text("block " + std::to_string(i)), avro_text("end")});
    }
    const std::string header = avro_header(text_schema, "snappy");
    std::string bytes = avro_file(text_schema, "snappy", blocks);
    const std::size_t at = header.size() + random() % (bytes.size() - header.size());
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    Status damage;
    const std::string content = content_of(bytes, damage);
    std::size_t found = 0;
    std::size_t next = 0;
    for (const auto& block : blocks) {
      if (content.substr(next, join(block).size()) != join(block)) continue;
      next += join(block).size();
      ++found;
    }
    CHECK(next == content.size());
    CHECK(found >= blocks.size() - 2);
    CHECK(found < blocks.size());
    CHECK(damage.code() == Code::Reject);
  }
}

TEST_CASE("avro file: what cannot be read is refused at once") {
  const auto message = [](const std::string& bytes) { return open(bytes).status().message(); };
  CHECK(message("a line\n") == "it does not begin like an Avro container file");
  CHECK(message("Obj") == "it ends within the header of an Avro file");
  CHECK(message("") == "it ends within the header of an Avro file");
  CHECK(message(avro_header("{", "null")) == "the schema is no JSON");
  CHECK(message(avro_header(text_schema, "xz")).starts_with("its codec 'xz' is not known here"));
  CHECK(message(avro_header(R"("null")", "null")) == "records of its schema have no bytes");
  Status damage;
  CHECK(content_of(avro_header(text_schema, "null"), damage).empty());
  CHECK(damage.ok());
  // A schema may be longer than what is read at first.
  const std::string doc(300'000, 'd');
  CHECK(content_of(avro_file(R"({"type":"string","doc":")" + doc + "\"}", "null", {{"\x02x"}}),
                   damage) == "\x02x");
}

}  // namespace
}  // namespace sluice

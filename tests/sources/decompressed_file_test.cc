#include "sources/decompressed_file.h"

#include <algorithm>
#include <random>

#include "tests/catch.h"
#include "tests/support/compressed.h"
#include "tests/support/fake_input_files.h"

namespace sluice {
namespace {

using testing::gzip;
using testing::zstd;

std::unique_ptr<InputFile> content_of(std::string bytes) {
  static FakeInputFiles files;
  const auto node = files.create("/x");
  files.append(node, bytes);
  auto opened = decompressed_if_compressed(*files.open("/x"));
  REQUIRE(opened.ok());
  return *std::move(opened);
}

/// All of it, as a source reads it; `damage` is what the end of it says.
std::string read_all(InputFile& file, Status& damage, std::size_t step = 10'000) {
  std::string all;
  std::string piece(step, '\0');
  for (;;) {
    auto got = file.read_at(all.size(), piece);
    damage = got.status();
    if (!got.ok() || *got == 0) return all;
    all.append(piece, 0, *got);
  }
}

std::string some_text(std::size_t bytes) {
  std::mt19937_64 random(Catch::rngSeed());
  std::string text;
  while (text.size() < bytes) text += std::to_string(random() % 100'000) + "\n";
  return text;
}

TEST_CASE("decompressed: gzip and zstd files read as their content, others as they are") {
  const std::string text = some_text(700'000);
  Status damage;
  for (const std::string& bytes :
       {text, gzip(text), zstd(text), gzip(text.substr(0, 5)) + gzip(text.substr(5)),
        zstd(text.substr(0, 5)) + zstd(text.substr(5)), gzip(text) + std::string(100'000, '\0')}) {
    const auto file = content_of(bytes);
    CHECK(read_all(*file, damage) == text);
    CHECK(damage.ok());
    CHECK(file->look()->size_bytes == bytes.size());
  }
  CHECK(read_all(*content_of(""), damage).empty());
  CHECK(read_all(*content_of(gzip("")), damage).empty());
  CHECK(damage.ok());
}

TEST_CASE("decompressed: any offset can be read, also before the last one") {
  const std::string text = some_text(500'000);
  for (const std::string& bytes : {gzip(text), zstd(text)}) {
    const auto file = content_of(bytes);
    std::mt19937_64 random(Catch::rngSeed());
    for (int i = 0; i < 60; ++i) {
      const std::size_t offset = random() % (text.size() + 1000);
      std::string into(random() % 100'000, '\0');
      auto got = file->read_at(offset, into);
      REQUIRE(got.ok());
      const std::string wanted = text.substr(std::min(offset, text.size()), into.size());
      CHECK(into.substr(0, *got) == wanted);
    }
  }
}

TEST_CASE("decompressed: what stands before a damage is read, then it is an error") {
  const std::string text = some_text(2'000'000);
  for (const std::string& whole : {gzip(text), zstd(text)}) {
    Status damage;
    const std::string cut = read_all(*content_of(whole.substr(0, whole.size() / 2)), damage);
    CHECK(damage.code() == Code::Reject);
    CHECK(damage.message().find("too early") != std::string::npos);
    CHECK(cut.size() > text.size() / 4);
    CHECK(text.starts_with(cut));
    std::string flipped = whole;
    for (int i = 0; i < 64; ++i) flipped[whole.size() / 2 + static_cast<std::size_t>(i)] ^= '\x5a';
    read_all(*content_of(flipped), damage);
    CHECK(damage.code() == Code::Reject);
    read_all(*content_of(whole + "garbage"), damage);
    CHECK(damage.code() == Code::Reject);
    // Its magic, and no more.
    CHECK(read_all(*content_of(whole.substr(0, 4)), damage).empty());
    CHECK(damage.code() == Code::Reject);
  }
}

}  // namespace
}  // namespace sluice

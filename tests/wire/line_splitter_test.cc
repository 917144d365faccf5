// The fast line splitter against the portable one against the simplest one.

#include "core/wire/line_splitter.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/catch.h"

namespace sluice {
namespace {

using Lines = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

struct Found {
  Lines lines;
  LineScan scan;
  bool operator==(const Found& other) const {
    return lines == other.lines && scan.events == other.scan.events &&
           scan.body_bytes == other.scan.body_bytes && scan.line_begin == other.scan.line_begin &&
           scan.longest == other.scan.longest;
  }
};

template <typename Splitter>
Found found_by(Splitter splitter, const LineInput& input, std::size_t entries_max) {
  std::vector<IndexEntry> index(entries_max + 1, IndexEntry{77, 77});
  IndexEntry* const top = index.data() + index.size();
  Found found{{}, splitter(input, top, entries_max)};
  for (std::size_t i = 0; i < found.scan.events; ++i) {
    const IndexEntry& entry = top[-1 - static_cast<std::ptrdiff_t>(i)];
    found.lines.emplace_back(entry.offset, entry.bytes);
  }
  // Not an entry more than was asked for.
  for (std::size_t i = found.scan.events; i < index.size(); ++i) {
    REQUIRE(top[-1 - static_cast<std::ptrdiff_t>(i)].offset == 77);
  }
  return found;
}

Found found_naively(const LineInput& input, std::size_t entries_max) {
  Found found;
  std::size_t begin = input.begin;
  for (std::size_t at = input.begin; at < input.end && found.lines.size() < entries_max; ++at) {
    if (input.base[at] != '\n') continue;
    found.lines.emplace_back(begin, at - begin);
    found.scan.body_bytes += at - begin;
    found.scan.longest = std::max(found.scan.longest, at - begin);
    begin = at + 1;
  }
  found.scan.events = found.lines.size();
  found.scan.line_begin = begin;
  return found;
}

void compare(const std::string& text, std::size_t begin, std::size_t scan_from,
             std::size_t entries_max) {
  // Behind the end: bytes that must be readable, and line feeds that must not be found.
  const std::string padded = text + std::string(64, '\n');
  const LineInput input{padded.data(), begin, scan_from, text.size()};
  const Found naive = found_naively(input, entries_max);
  INFO("bytes " << text.size() << " begin " << begin << " scan_from " << scan_from << " entries "
                << entries_max);
  REQUIRE((found_by(split_lines_portable, input, entries_max) == naive));
  REQUIRE((found_by(split_lines, input, entries_max) == naive));
}

std::string random_text(std::mt19937_64& random, std::size_t bytes, std::size_t line_feed_one_in) {
  std::string text(bytes, ' ');
  for (char& c : text) c = random() % line_feed_one_in == 0 ? '\n' : static_cast<char>(random());
  return text;
}

TEST_CASE("both splitters find what the naive one finds, around every block border") {
  std::mt19937_64 random(Catch::rngSeed());
  for (std::size_t bytes = 0; bytes <= 200; ++bytes) {
    for (const std::size_t one_in : {1U, 2U, 10U, 70U, 1'000'000U}) {
      const std::string text = random_text(random, bytes, one_in);
      compare(text, 0, 0, bytes + 1);
      const std::size_t begin = random() % (bytes + 1);
      compare(text, begin, begin, bytes + 1);
    }
  }
}

TEST_CASE("a single line feed is found at every place") {
  for (std::size_t bytes = 1; bytes <= 140; ++bytes) {
    for (std::size_t at = 0; at < bytes; ++at) {
      std::string text(bytes, 'x');
      text[at] = '\n';
      compare(text, 0, 0, 10);
    }
  }
}

TEST_CASE("entries_max stops the scan at a line that was not taken") {
  std::mt19937_64 random(Catch::rngSeed());
  for (int round = 0; round < 300; ++round) {
    const std::string text = random_text(random, random() % 500, 1 + random() % 20);
    compare(text, 0, 0, random() % 20);
  }
}

TEST_CASE("what is known to hold no line feed is not scanned again") {
  std::mt19937_64 random(Catch::rngSeed());
  for (int round = 0; round < 300; ++round) {
    const std::size_t known = random() % 150;
    std::string text(known, 'k');
    text += random_text(random, random() % 300, 1 + random() % 30);
    compare(text, random() % (known + 1), known, 1000);
  }
}

TEST_CASE("a carriage return stays in the body") {
  const std::string text = "one\r\n\r\ntwo\n" + std::string(64, '\0');
  const Found found = found_by(split_lines, {text.data(), 0, 0, 11}, 10);
  CHECK(found.lines == Lines{{0, 4}, {5, 1}, {7, 3}});
  CHECK(found.scan.body_bytes == 8);
  CHECK(found.scan.longest == 4);
}

}  // namespace
}  // namespace sluice

#include "analytics/word_splitter.h"

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/support/seeds.h"

namespace sluice::analytics {
namespace {

using Texts = std::vector<std::string>;

WordSplitter make(std::string_view on) {
  auto made = WordSplitter::make(on);
  if (const auto* problem = std::get_if<Problem>(&made)) FAIL(problem->message);
  return std::get<WordSplitter>(std::move(made));
}

Problem problem_of(std::string_view on) {
  const auto made = WordSplitter::make(on);
  REQUIRE(std::holds_alternative<Problem>(made));
  return std::get<Problem>(made);
}

/// All words, at most `max` in one go.
Texts cut_all(WordSplitter& splitter, WordSplitter::Cursor cursor, std::size_t max) {
  Texts words;
  const char* const first = cursor.at;
  const char* const end = cursor.end;
  std::vector<Cell> out(max);
  while (!cursor.done) {
    const std::size_t found = splitter.cut(cursor, out.data(), max);
    REQUIRE(found <= max);
    REQUIRE((found == max || cursor.done));
    for (std::size_t i = 0; i < found; ++i) {
      const std::string_view word = out[i].view();
      REQUIRE(word.data() >= first);
      REQUIRE(word.data() + word.size() <= end);
      words.emplace_back(word);
    }
  }
  return words;
}

Texts cut(WordSplitter& splitter, std::string_view text, std::size_t max = 64) {
  return cut_all(splitter, WordSplitter::begin(text), max);
}

Texts cut(std::string_view on, std::string_view text) {
  WordSplitter splitter = make(on);
  const Texts words = cut(splitter, text);
  for (std::size_t max = 1; max <= 5; ++max) {
    INFO(on << " in pieces of " << max);
    CHECK(cut(splitter, text, max) == words);
  }
  splitter.use_portable();
  CHECK(cut(splitter, text) == words);
  return words;
}

TEST_CASE("space cuts at each blank and keeps empty words") {
  CHECK(cut("space", "a  b ") == Texts{"a", "", "b", ""});
  CHECK(cut("space", "") == Texts{""});
  CHECK(cut("space", " ") == Texts{"", ""});
  CHECK(cut("space",
            "a\tb\xC2\xA0"
            "c") == Texts{"a\tb\xC2\xA0"
                          "c"});
  CHECK(make("space").keeps_empty());
  CHECK(make("space").takes_lines());
}

TEST_CASE("whitespace cuts at runs of white space of all scripts") {
  CHECK(cut("whitespace", " a \t b\r\n") == Texts{"a", "b"});
  CHECK(cut("whitespace", "").empty());
  CHECK(cut("whitespace", " \n ").empty());
  CHECK(cut("whitespace", "你好\u3000世界\u00A0x\u2028y") == Texts{"你好", "世界", "x", "y"});
  CHECK(cut("whitespace",
            "a\x1C"
            "b\x1F"
            "c\x0B"
            "d\x0C"
            "e\xC2\x85"
            "f") == Texts{"a", "b", "c", "d", "e", "f"});
  CHECK(cut("whitespace", "a\u200Bb") == Texts{"a\u200Bb"});  // Python does not take it for a space
  CHECK_FALSE(make("whitespace").keeps_empty());
}

TEST_CASE("ascii-word drops all that is not ASCII") {
  CHECK(cut("ascii-word", "你好 世界, hello_1") == Texts{"hello_1"});
  CHECK(cut("ascii-word", "it's 3.14, naïve") == Texts{"it", "s", "3", "14", "na", "ve"});
  CHECK(cut("ascii-word", "你好").empty());
  CHECK(cut("ascii-word", "@AZ[`az{/09:_") == Texts{"AZ", "az", "09", "_"});
}

TEST_CASE("unicode-word keeps the words of all scripts") {
  CHECK(cut("unicode-word", "你好 世界, hello_1") == Texts{"你好", "世界", "hello_1"});
  CHECK(cut("unicode-word", "你好，世界。naïve—été") == Texts{"你好", "世界", "naïve", "été"});
  CHECK(cut("unicode-word", "٣٤ 𠀀𠀁 😀x") == Texts{"٣٤", "𠀀𠀁", "x"});
  // Bytes that are no UTF-8 are parts of words: one alone, and a character cut off.
  CHECK(cut("unicode-word", "a\xFFz, \xE4\xBD") == Texts{"a\xFFz", "\xE4\xBD"});
}

TEST_CASE("any other text is what stands between words") {
  CHECK(cut("||", "a||b||||c|d||") == Texts{"a", "b", "", "c|d", ""});
  CHECK(cut("||", "|||") == Texts{"", "|"});
  CHECK(cut("::", "") == Texts{""});
  CHECK(cut(",", "a,,b") == Texts{"a", "", "b"});
  CHECK(cut("，", "你好，世界，") == Texts{"你好", "世界", ""});
  CHECK(cut("\xE9", "caf\xE9s") == Texts{"caf", "s"});
  CHECK(cut("\t", "a b\tc") == Texts{"a b", "c"});
  CHECK(cut("\"space\"", "a space b") == Texts{"a ", " b"});
  CHECK(cut("\",\"", "a,b") == Texts{"a", "b"});
  CHECK(cut("\"", "a\"b") == Texts{"a", "b"});
  CHECK(make(",").takes_lines());
  CHECK_FALSE(make("||").takes_lines());
}

TEST_CASE("regex: cuts at what matches") {
  CHECK(cut("regex:[,;]\\s*", "a, b;c,,d;") == Texts{"a", "b", "c", "", "d", ""});
  CHECK(cut("regex:\\W+", "one, two") == Texts{"one", "two"});
  CHECK(cut("regex:x", "") == Texts{""});
  CHECK(cut("regex:x*", "axxb") == Texts{"a", "b"});  // a match of nothing separates nothing
  CHECK(cut("regex:[，。]", "你好，世界。") == Texts{"你好", "世界", ""});
  CHECK_FALSE(make("regex:,").takes_lines());
}

TEST_CASE("regex: sees what stands in front of where it goes on") {
  CHECK(cut("regex:^a", "aab") == Texts{"", "ab"});
  CHECK(cut("regex:(?<=,)b", "a,bb,b") == Texts{"a,", "b,", ""});
  CHECK(cut("regex:,\\b", ",x,,y") == Texts{"", "x,", "y"});
  CHECK(cut("regex:\\bab", "abab") == Texts{"", "ab"});
}

TEST_CASE("a name that is nearly one of the ways is a problem with a hint") {
  for (const auto& [misspelt, meant] :
       std::vector<std::pair<std::string, std::string>>{{"spaces", "space"},
                                                        {"white-space", "whitespace"},
                                                        {"Whitespace", "whitespace"},
                                                        {"asci-word", "ascii-word"},
                                                        {"unicode_word", "unicode-word"}}) {
    const Problem problem = problem_of(misspelt);
    INFO(misspelt << ": " << problem.message << "; " << problem.hint);
    CHECK(problem.bytes == misspelt.size());
    CHECK(problem.hint.find("'" + meant + "'") != std::string::npos);
    CHECK(problem.hint.find("double quotes") != std::string::npos);
  }
  CHECK(cut("\"spaces\"", "a spaces b") == Texts{"a ", " b"});
}

TEST_CASE("nothing to cut at, and a broken expression, are problems") {
  CHECK_FALSE(problem_of("").message.empty());
  CHECK_FALSE(problem_of("\"\"").message.empty());
  const Problem broken = problem_of("regex:(a");
  CHECK(broken.offset == 6);
  CHECK_FALSE(broken.message.empty());
}

// ---- the wide way and the portable one

constexpr std::string_view by_bytes[] = {"space", "whitespace", "ascii-word", "unicode-word", ","};

/// Mostly letters and separators, with pieces of characters in between, whole and broken.
std::string random_text(std::mt19937_64& random, std::size_t bytes) {
  static constexpr std::string_view pieces[] = {
      " ",  " ",  " ",  "\n",     "\t",     ",", "a",      "bc", "_",  "Z9",   "word",     "-",
      "你", "好", "，", "\u3000", "\u00A0", "é", "\u2028", "😀",  "𠀀", "\xFF", "\xE4\xBD", "\x80"};
  const bool ascii = random() % 3 == 0;
  const std::uint64_t raw = random() % 4;
  std::string text;
  while (text.size() < bytes) {
    const std::string_view piece = pieces[random() % (ascii ? 12 : std::size(pieces))];
    if (raw == 0) {
      text += static_cast<char>(random());
    } else {
      text += piece;
    }
  }
  text.resize(bytes);
  return text;
}

TEST_CASE("wide registers cut as the portable loop does, wherever the text lies") {
  const std::string_view on = by_bytes[static_cast<std::size_t>(GENERATE(range(0, 5)))];
  WordSplitter wide = make(on);
  WordSplitter portable = make(on);
  portable.use_portable();
  std::mt19937_64 random(on.size());
  std::vector<char> memory(64 + 64 + 200 + 64);
  const auto misaligned = reinterpret_cast<std::uintptr_t>(memory.data()) % 64;
  char* const aligned = memory.data() + (64 - misaligned) % 64;
  for (std::size_t offset = 0; offset < 64; ++offset) {
    for (std::size_t bytes = 0; bytes <= 200; ++bytes) {
      // What stands around the text must not matter.
      const std::uint64_t around = random();
      std::memset(memory.data(), around % 2 == 0 ? ' ' : static_cast<int>(around >> 8 & 0xFF),
                  memory.size());
      const std::string made = random_text(random, bytes);
      made.copy(aligned + offset, bytes);
      const std::string_view text(aligned + offset, bytes);
      const std::size_t max = bytes % 4 == 3 ? 1 + random() % 5 : 256;
      const Texts expected = cut(portable, made, 256);
      if (cut(wide, text, max) != expected || cut(portable, text, max) != expected) {
        INFO(on << " at " << offset << ": " << Catch::Detail::stringify(made));
        CHECK(cut(portable, text, max) == expected);
        REQUIRE(cut(wide, text, max) == expected);
      }
    }
  }
}

TEST_CASE("long words and long texts are cut the same in both ways") {
  const std::string_view on = by_bytes[static_cast<std::size_t>(GENERATE(range(0, 5)))];
  WordSplitter wide = make(on);
  WordSplitter portable = make(on);
  portable.use_portable();
  std::mt19937_64 random(99);
  for (std::uint64_t i = 0; i < seeds(50); ++i) {
    std::string text = random_text(random, random() % 5000);
    text += std::string(random() % 300, 'x') + "é" + std::string(random() % 300, 'y');
    text += random_text(random, random() % 500);
    const std::size_t max = 1 + random() % 300;
    REQUIRE(cut(wide, text, max) == cut(portable, text, 10'000));
  }
}

TEST_CASE("many lines are cut as each alone") {
  const std::string_view on = by_bytes[static_cast<std::size_t>(GENERATE(range(0, 5)))];
  const bool is_wide = GENERATE(true, false);
  WordSplitter splitter = make(on);
  if (!is_wide) splitter.use_portable();
  REQUIRE(splitter.takes_lines());
  std::mt19937_64 random(7);
  for (std::uint64_t i = 0; i < seeds(500); ++i) {
    std::string all;
    Texts expected;
    for (std::uint64_t lines = random() % 8; lines > 0; --lines) {
      std::string line = random_text(random, random() % 3 == 0 ? 0 : random() % 150);
      std::erase(line, '\n');
      const Texts words = cut(splitter, line);
      expected.insert(expected.end(), words.begin(), words.end());
      all += line + "\n";
    }
    const std::size_t max = random() % 2 == 0 ? 1 + random() % 5 : 256;
    if (cut_all(splitter, WordSplitter::begin_lines(all), max) != expected) {
      INFO(on << ", " << max << " in one go: " << Catch::Detail::stringify(all));
      REQUIRE(cut_all(splitter, WordSplitter::begin_lines(all), max) == expected);
    }
  }
}

TEST_CASE("lines that are empty have an empty word where those are kept") {
  WordSplitter space = make("space");
  CHECK(cut_all(space, WordSplitter::begin_lines("\n\na b\n"), 64) == Texts{"", "", "a", "b"});
  CHECK(cut_all(space, WordSplitter::begin_lines("a \n"), 64) == Texts{"a", ""});
  CHECK(cut_all(space, WordSplitter::begin_lines(""), 64).empty());
  WordSplitter whitespace = make("whitespace");
  CHECK(cut_all(whitespace, WordSplitter::begin_lines("\n \n"), 64).empty());
}

}  // namespace
}  // namespace sluice::analytics

#include "core/config/properties.h"

#include <string>

#include "tests/catch.h"
#include "tests/config/helpers.h"

using namespace sluice;

namespace {

/// The only entry of a text, as "key=value".
std::string one(const std::string& text) {
  const SourceText source("x.conf", text);
  const Document document = parse_properties(source);
  REQUIRE(document.entries.size() == 1);
  return document.entries[0].key + "=" + document.entries[0].value;
}

Document parse(const std::string& text) { return parse_properties(SourceText("x.conf", text)); }

}  // namespace

TEST_CASE("Key and value part at the first equals sign, colon or blank") {
  CHECK(one("a.b = c") == "a.b=c");
  CHECK(one("a.b=c") == "a.b=c");
  CHECK(one("a.b: c") == "a.b=c");
  CHECK(one("a.b c d") == "a.b=c d");
  CHECK(one("a.b\tc") == "a.b=c");
  CHECK(one("a.b\fc") == "a.b=c");
  CHECK(one("a.b = = c") == "a.b== c");
  CHECK(one("a.b : = c") == "a.b== c");
  CHECK(one("a.b") == "a.b=");
  CHECK(one("  a.b  =  c  ") == "a.b=c");
}

TEST_CASE("Lines of # and ! are comments, and comments do not continue") {
  CHECK(parse("# a=b\n! c=d\n  # e=f\n\t!g=h\n").entries.empty());
  CHECK(one("# ends in a backslash \\\na=b") == "a=b");
  CHECK(one("a = b # c") == "a=b # c");
}

TEST_CASE("A backslash joins lines and drops the leading blanks of the next") {
  CHECK(one("a = b,\\\n     c") == "a=b,c");
  CHECK(one("a = b \\\r\n\t c") == "a=b c");
  CHECK(one("a = b\\\rc") == "a=bc");
  CHECK(one("a = b\\\n# no comment here") == "a=b# no comment here");
  CHECK(one("a = b\\\\\n") == "a=b\\");
  CHECK(one("a = b\\") == "a=b");
  CHECK(parse("a = b\\\n\nc = d").entries.size() == 2);
  CHECK(parse("a = b\\\\\nc = d").entries.size() == 2);
  CHECK(one("\\\n  a = b") == "a=b");
}

TEST_CASE("Escapes are Java's, and any other escaped sign is itself") {
  CHECK(one("a = 1\\t2\\n3\\r4\\f5") == "a=1\t2\n3\r4\f5");
  CHECK(one("a = \\d+\\\\d \\: \\= \\# \\z") == "a=d+\\d : = # z");
  CHECK(one("a\\=b\\ c = d") == "a=b c=d");
  CHECK(one("a\\:b : d") == "a:b=d");
  CHECK(one("a = \\u0041\\u00e9\\u4E2d") == "a=A\xC3\xA9\xE4\xB8\xAD");
  CHECK(one("a = \\ud83d\\ude00") == "a=\xF0\x9F\x98\x80");
  CHECK(one("a = \\ud83d!") == "a=\xEF\xBF\xBD!");
  CHECK(one("\\u0061 = b") == "a=b");
}

TEST_CASE("A malformed unicode escape costs its own line only") {
  const Document document = parse("a = 1\nb = x\\u00g1\nc = 3\n");
  REQUIRE(document.entries.size() == 2);
  CHECK(document.entries[1].key == "c");
  REQUIRE(document.diagnostics.size() == 1);
  CHECK(at(document.diagnostics[0].where) == "x.conf:2:6+6");
  CHECK(document.diagnostics[0].message.find("Malformed \\uxxxx encoding") == 0);
}

TEST_CASE("Key and value are trimmed as Java's String.trim does") {
  CHECK(one("a = b \x01\x1f") == "a=b");
  CHECK(one("a = \\t b \\t") == "a=b");
}

TEST_CASE("Every key and value has its line, column and length") {
  const Document document =
      parse("# c\r\n  a.b =  c d \r\n\xC3\xA9 = \xE4\xB8\xAD\xE6\x96\x87\rz=\n");
  REQUIRE(document.entries.size() == 3);
  CHECK(at(document.entries[0].key_at) == "x.conf:2:3+3");
  CHECK(at(document.entries[0].value_at) == "x.conf:2:10+3");
  CHECK(at(document.entries[1].key_at) == "x.conf:3:1+1");
  CHECK(at(document.entries[1].value_at) == "x.conf:3:5+2");
  CHECK(at(document.entries[2].value_at) == "x.conf:4:3+0");
}

TEST_CASE("Words of a list have places, over escapes and continuation lines too") {
  const Document document = parse("a = r1  r22\nb = r1 \\\n   r2 \\u0072\\u0033 x\n");
  const auto plain = split_words(document.entries[0]);
  REQUIRE(plain.size() == 2);
  CHECK(plain[1].text == "r22");
  CHECK(at(plain[1].where) == "x.conf:1:9+3");
  const auto joined = split_words(document.entries[1]);
  REQUIRE(joined.size() == 4);
  CHECK(at(joined[0].where) == "x.conf:2:5+2");
  CHECK(at(joined[1].where) == "x.conf:3:4+2");
  CHECK(joined[2].text == "r3");
  CHECK(at(joined[3].where) == "x.conf:3:20+1");
}

TEST_CASE("UTF-8 is kept, other bytes are ISO-8859-1, and a byte order mark is dropped") {
  CHECK(one("a = \xC3\xA9") == "a=\xC3\xA9");
  CHECK(one("a = \xE9") == "a=\xC3\xA9");
  CHECK(one("a = \xC3\xA9 \xE9") == "a=\xC3\x83\xC2\xA9 \xC3\xA9");
  CHECK(one("\xEF\xBB\xBF"
            "a = b") == "a=b");
  CHECK(is_utf8("\xED\xA0\x80") == false);
  CHECK(is_utf8("\xC0\x80") == false);
  CHECK(is_utf8("\xF4\x90\x80\x80") == false);
  CHECK(is_utf8("\xF0\x9F\x98") == false);
  CHECK(is_utf8("\xF0\x9F\x98\x80"));
}

TEST_CASE("Hostile texts cost only themselves") {
  const std::string huge(kConfigBytesMax - 10, 'x');
  CHECK(parse("a = " + huge).entries[0].value.size() == huge.size());
  CHECK(parse(std::string(1 << 20, '\\')).entries.size() == 1);
  CHECK(one(std::string("a\0b = c\0d", 9)) == std::string("a\0b=c\0d", 7));
  std::string many;
  for (std::size_t i = 0; i <= kConfigEntriesMax; ++i) many += "k" + std::to_string(i) + "=v\n";
  const Document document = parse(many);
  CHECK(document.entries.size() == kConfigEntriesMax);
  CHECK(told(document.diagnostics, "more than 50000 keys") != "");
}

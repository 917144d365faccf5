#include "core/base/java_pattern.h"

#include <chrono>

#include "tests/catch.h"

namespace sluice {
namespace {

using Answer = JavaPattern::Answer;

JavaPattern pattern(const std::string& expression) {
  auto made = JavaPattern::make(expression);
  INFO(expression << ": " << (made.ok() ? "" : made.status().message()));
  REQUIRE(made.ok());
  return *std::move(made);
}

bool finds(const std::string& expression, std::string_view text) {
  return pattern(expression).find(text) == Answer::Yes;
}

bool refused(const std::string& expression, const std::string& why) {
  const auto made = JavaPattern::make(expression);
  if (made.ok()) return false;
  INFO(made.status().message());
  CHECK(made.status().message().find(why) != std::string::npos);
  return made.status().code() == Code::Invalid;
}

TEST_CASE("find looks anywhere, matches from end to end") {
  CHECK(finds("dev", "a developer"));
  CHECK_FALSE(finds("^dev", "a developer"));
  CHECK(finds(".*", ""));
  CHECK(pattern("dev").matches("dev") == Answer::Yes);
  CHECK(pattern("dev").matches("develop") == Answer::No);
  CHECK(pattern("a|ab").matches("ab") == Answer::Yes);
}

TEST_CASE("the expressions of real files compile and find what they are for") {
  CHECK(finds(R"x("biType":"(\w+)")x", R"x({"biType":"merge"})x"));
  CHECK(finds(R"x((\d\d\d\d-\d\d-\d\d))x", "at 2019-04-01 noon"));
  CHECK(finds(R"x(^.+\[((.+):.+:.+:.+)\]\s"(\w+)\s\S+\/(\w+)\s\S+\s(\d+)\s(\d+))x",
              R"x(10.0.0.1 - - [12/Mar/2015:10:00:01 +0100] "GET /a/b HTTP/1.1 200 12)x"));
  CHECK(finds(R"x(\/Spideo\/\/?(\w+))x", "GET /Spideo//rates"));
}

TEST_CASE("look-around, back-references and possessive quantifiers work as in Java") {
  CHECK(finds("(?<!un)known", "known"));
  CHECK_FALSE(finds("(?<!un)known", "unknown"));
  CHECK(finds("^(?!.*DEBUG)", "INFO x"));
  CHECK_FALSE(finds("^(?!.*DEBUG)", "a DEBUG x"));
  CHECK(finds(R"x((\w)\1)x", "hello"));
  CHECK_FALSE(finds("a++a", "aaa"));
  CHECK(finds("(?i)error", "An ERROR"));
  CHECK(finds(R"x(\Qa.b\E)x", "xa.by"));
  CHECK_FALSE(finds(R"x(\Qa.b\E)x", "xaxby"));
}

TEST_CASE("a carriage return ends a line, as in Java") {
  CHECK(finds("end$", "the end\r"));
  CHECK_FALSE(finds("^a.b$", "a\rb"));
}

TEST_CASE("text is characters where it is UTF-8, and single bytes elsewhere") {
  CHECK(finds("^.{3}$", "h\xC3\xA9!"));
  CHECK(finds("[\xC3\xA9]", "h\xC3\xA9"));
  CHECK_FALSE(finds("^[^x]$", "\xC3\xA9\xC3\xA9"));
  // One broken byte in front hides nothing.
  CHECK(finds("^.*ERROR", "\xE9t\xE9 ERROR"));
  CHECK(finds("ERROR \xC3\xA9", "\xFF ERROR \xC3\xA9"));
}

TEST_CASE("an expression with too many ways gives up in bounded time") {
  const std::string text = std::string(40, 'a') + "b";
  for (const char* expression : {"(a+)+$", "(a|aa)+$", "(.*a){20}$"}) {
    INFO(expression);
    const JavaPattern each = pattern(expression);
    const auto start = std::chrono::steady_clock::now();
    CHECK(each.find(text) == Answer::GaveUp);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
    CHECK(each.find("b") == Answer::No);  // and is of use again
  }
  // What is only long is not given up.
  const std::string line(100'000, 'x');
  CHECK(pattern("^.*foo.*bar").find(line) == Answer::No);
  CHECK(pattern("x.*y").find(line.substr(0, 2000)) == Answer::No);
  CHECK(pattern("(\\w+\\s*)*!").find(line.substr(0, 10) + "!") == Answer::Yes);
}

TEST_CASE("what cannot be compiled is refused with its place") {
  CHECK(refused("a(b", "character 4"));
  CHECK(refused("*a", "character 1"));
  CHECK(refused("\\p{javaLowerCase}", "character"));
  CHECK(refused("[z-a]", "character"));
  CHECK(refused("\xFF", "character"));
}

TEST_CASE("what means something else in Java is refused, not misread") {
  CHECK(refused("[a-z&&[def]]", "an intersection"));
  CHECK(
      refused("x[[ab]]", "a class within a class; write '\\[' for the character, at character 3"));
  CHECK(refused("[[:digit:]]", "class within a class"));
  CHECK(refused("(?U)\\w", "means something else in Java, at character 3"));
  CHECK(refused("(?iU:\\w)", "means something else"));
  CHECK(finds("[\\[a]&&", "[&&"));
  CHECK(finds("\\[[a]", "[a"));
  CHECK(finds("\\Q[[\\E", "[["));
  CHECK(finds("[]a]+", "]"));
  CHECK(finds("(?:U)", "U"));
}

TEST_CASE("places are told from where the search begins") {
  const JavaPattern comma = pattern("\\s*,\\s*");
  JavaPattern::Range where;
  REQUIRE(comma.find("a , b,c", 0, where) == Answer::Yes);
  CHECK(where.begin == 1);
  CHECK(where.end == 4);
  REQUIRE(comma.find("a , b,c", where.end, where) == Answer::Yes);
  CHECK(where.begin == 5);
  CHECK(comma.find("a , b,c", where.end, where) == Answer::No);
}

TEST_CASE("groups have places, and names where the expression has them") {
  const JavaPattern each = pattern("(\\d+)(x)? (?<word>\\p{L}+)(?<rest>!)?");
  REQUIRE(each.groups() == 4);
  CHECK(each.group_names() == std::vector<std::string>{"", "", "word", "rest"});
  std::vector<JavaPattern::Range> found(4, JavaPattern::Range{1, 1});
  const std::string text = "-- 12 \xC3\xA4rger";
  CHECK(each.find("--", found) == Answer::No);
  CHECK(found[0].begin == 1);
  REQUIRE(each.find(text, found) == Answer::Yes);
  CHECK(text.substr(found[0].begin, found[0].end - found[0].begin) == "12");
  CHECK(found[1].begin == JavaPattern::Range::none);
  CHECK(text.substr(found[2].begin, found[2].end - found[2].begin) == "\xC3\xA4rger");
  CHECK(found[3].begin == JavaPattern::Range::none);
  found.resize(1);
  CHECK(each.find("1x a!", found) == Answer::Yes);
  CHECK(found[0].end == 1);
  CHECK(pattern("a").groups() == 0);
  CHECK(pattern("a").group_names().empty());
}

}  // namespace
}  // namespace sluice

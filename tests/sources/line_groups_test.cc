#include "sources/line_groups.h"

#include <array>
#include <random>

#include "tests/catch.h"

namespace sluice {
namespace {

using Lines = std::vector<std::string>;

std::shared_ptr<const LineGroups> groups(LineGroups::Options options) {
  auto made = LineGroups::make(options);
  REQUIRE(made.ok());
  return *made;
}

struct Split {
  Lines events;
  LineGroups::Scan scan;
};

Split split(const LineGroups& groups, std::string_view text, InputEnd then,
            std::size_t line_bytes_max = 1000) {
  std::array<IndexEntry, 100> index{};
  Split result;
  LineGroups::Input input{.base = text.data(), .end = text.size(), .then = then};
  input.line_bytes_max = line_bytes_max;
  result.scan = groups.split(input, index.data() + index.size(), index.size());
  for (std::size_t i = 0; i < result.scan.events; ++i) {
    const IndexEntry& entry = index[index.size() - 1 - i];
    result.events.emplace_back(text.substr(entry.offset, entry.bytes));
  }
  return result;
}

TEST_CASE("groups: lines go to the start before them, and the last group waits") {
  const auto starts = groups({.start_pattern = R"(^\d+ )"});
  const std::string text = " rest\n1 one\n at a\n at b\n2 two\n3 three\n at c\n";
  Split open = split(*starts, text, InputEnd::Open);
  CHECK(open.events == Lines{" rest", "1 one\n at a\n at b", "2 two"});
  CHECK(text.substr(open.scan.group_begin) == "3 three\n at c\n");
  CHECK(open.scan.lines == 2);
  Split quiet = split(*starts, text, InputEnd::Quiet);
  CHECK(quiet.events.back() == "3 three\n at c");
  CHECK(quiet.scan.group_begin == text.size());
  CHECK(quiet.scan.lines == 0);
}

TEST_CASE("groups: an unfinished line waits until the input is over, then it counts") {
  const auto starts = groups({.start_pattern = R"(^\d+ )"});
  CHECK(split(*starts, "1 one\n at", InputEnd::Open).events.empty());
  Split quiet = split(*starts, "1 one\n at", InputEnd::Quiet);
  CHECK(quiet.events == Lines{"1 one"});
  CHECK(quiet.scan.group_begin == 6);
  // The rest is the caller's, as one event.
  Split over = split(*starts, "1 one\n at", InputEnd::Over);
  CHECK(over.events.empty());
  CHECK(over.scan.group_begin == 0);
  Split another = split(*starts, "1 one\n2 two", InputEnd::Over);
  CHECK(another.events == Lines{"1 one"});
  CHECK(another.scan.group_begin == 6);
}

TEST_CASE("groups: bounds end a group, and nothing is thrown away") {
  const auto three = groups({.start_pattern = "^S", .lines_max = 3});
  CHECK(split(*three, "S\na\nb\nc\nd\ne\nf\n", InputEnd::Open).events ==
        Lines{"S\na\nb", "c\nd\ne"});
  // What is full does not wait for the next line.
  CHECK(split(*three, "S\na\nb\n", InputEnd::Open).events == Lines{"S\na\nb"});
  const auto ten = groups({.start_pattern = "^S", .bytes_max = 10});
  CHECK(split(*ten, "S\n4444\n333\n55555\n", InputEnd::Over).events ==
        Lines{"S\n4444\n333", "55555"});
  CHECK(split(*ten, "S\n4444\n4444\n", InputEnd::Over).events == Lines{"S\n4444", "4444"});
  // Whatever becomes of the unfinished line, there is no room for it.
  CHECK(split(*ten, "S\n4444\n4444", InputEnd::Open).events == Lines{"S\n4444"});
  CHECK(split(*ten, "S\n" + std::string(100, 'x') + "\nS\n", InputEnd::Open).events ==
        Lines{"S", std::string(100, 'x')});
}

TEST_CASE("groups: a line that is too long stands alone") {
  const auto starts = groups({.start_pattern = "^S"});
  Split found = split(*starts, "S\na\n" + std::string(20, 'x') + "\nb\n", InputEnd::Open, 10);
  CHECK(found.events == Lines{"S\na"});
  CHECK(found.scan.line_too_long);
  CHECK(found.scan.group_begin == 4);
  CHECK_FALSE(split(*starts, "S\na", InputEnd::Open, 10).scan.line_too_long);
  CHECK(split(*starts, std::string(20, 'x'), InputEnd::Open, 10).scan.line_too_long);
}

TEST_CASE(
    "groups: a pattern is looked for anywhere, in Java's syntax, and one that is none is refused") {
  const auto starts = groups({.start_pattern = "ERROR|WARN"});
  CHECK(split(*starts, "x ERROR\ny\nz WARN\n", InputEnd::Over).events ==
        Lines{"x ERROR\ny", "z WARN"});
  const auto no_blank = groups({.start_pattern = R"(^(?!\s))"});
  CHECK(split(*no_blank, "x\n y\nz\n", InputEnd::Over).events == Lines{"x\n y", "z"});
  auto bad = LineGroups::make(LineGroups::Options{.start_pattern = "(look"});
  CHECK(bad.code() == Code::Invalid);
  CHECK(bad.status().message().find("(look") != std::string::npos);
}

TEST_CASE("groups: a line that no computer could search to its end begins no group") {
  const auto starts = groups({.start_pattern = "^(a+)+$|^S"});
  const std::string hard = std::string(60, 'a') + "!";
  CHECK(split(*starts, "S\n" + hard + "\nS\n", InputEnd::Over).events == Lines{"S\n" + hard, "S"});
}

TEST_CASE("groups: going on where the last scan stopped finds the same") {
  const auto starts = groups({.start_pattern = "^S", .lines_max = 4, .bytes_max = 12});
  std::mt19937_64 random(Catch::rngSeed());
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    while (random() % 30 != 0) text += "Sab\n\n"[random() % 5];
    Lines stepwise;
    LineGroups::Scan at;
    for (std::size_t end = 0; end <= text.size(); ++end) {
      std::array<IndexEntry, 100> index{};
      at = starts->split({text.data(), at.group_begin, at.scanned_to, at.lines, end,
                          end == text.size() ? InputEnd::Quiet : InputEnd::Open, 10},
                         index.data() + index.size(), index.size());
      for (std::size_t i = 0; i < at.events; ++i) {
        const IndexEntry& entry = index[index.size() - 1 - i];
        stepwise.push_back(text.substr(entry.offset, entry.bytes));
      }
      if (at.line_too_long) break;
    }
    INFO(text);
    const Split whole = split(*starts, text, InputEnd::Quiet, 10);
    CHECK(whole.scan.line_too_long == at.line_too_long);
    CHECK(whole.events == stepwise);
  }
}

}  // namespace
}  // namespace sluice

#include "sinks/compaction_name.h"

#include <algorithm>
#include <random>
#include <vector>

#include "tests/catch.h"

namespace sluice {
namespace {

struct Parts {
  std::string name, prefix, number, mark, extension;
  std::uint64_t behind = 0;
};

TEST_CASE("a name has a prefix, a number, the mark of a merge and an extension") {
  const std::vector<Parts> table = {
      {"FlumeData.1700000000001", "FlumeData.", "1700000000001", "", ""},
      {"FlumeData.1700000000001.gz", "FlumeData.", "1700000000001", "", ".gz"},
      {"FlumeData.1700000000001.v2.log.bz2", "FlumeData.", "1700000000001", "", ".v2.log.bz2"},
      {"host12.1700000000001.lz4", "host12.", "1700000000001", "", ".lz4"},
      {"FlumeData.1700000000001+37.gz", "FlumeData.", "1700000000001", "+37", ".gz", 37},
      {"FlumeData.1700000000001+37-2.gz", "FlumeData.", "1700000000001", "+37-2", ".gz", 37},
      {"1700000000001-12", "", "1700000000001-12", "", ""},
      {"app1700000000001-12+3.log", "app", "1700000000001-12", "+3", ".log", 3},
      {"2024010203.1700000000001.log", "2024010203.", "1700000000001", "", ".log"},
      {"app.12.bz2", "app.", "12", "", ".bz2"},
      {"app.log.12", "app.log.", "12", "", ""},
      {"host2.12.log", "host2.", "12", "", ".log"},
      {"app.12+37.log", "app.", "12", "+37", ".log", 37},
      {"app.12+37-2.log", "app.", "12", "+37-2", ".log", 37},
      {"app.12+37-2.bz2", "app.", "12", "+37-2", ".bz2", 37},
      {"C+17.txt", "C+", "17", "", ".txt"},
      {"5+.txt", "", "5", "", "+.txt"},
      {"readme.txt", "readme", "", "", ".txt"},
      {"1+99999999999999999999", "1+", "99999999999999999999", "", ""},
  };
  for (const Parts& wanted : table) {
    INFO(wanted.name);
    const NumberedName parts = parse_numbered_name(wanted.name);
    CHECK(parts.prefix == wanted.prefix);
    CHECK(parts.number == wanted.number);
    CHECK(parts.mark == wanted.mark);
    CHECK(parts.extension == wanted.extension);
    CHECK(parts.behind == wanted.behind);
  }
}

TEST_CASE("a merged file is called by its first and how many are behind that") {
  CHECK(merged_name("FlumeData.1700000000001.gz", 37, 0) == "FlumeData.1700000000001+37.gz");
  CHECK(merged_name("FlumeData.1700000000001+3.gz", 37, 0) == "FlumeData.1700000000001+37.gz");
  CHECK(merged_name("FlumeData.1700000000001", 1, 1) == "FlumeData.1700000000001+1-2");
  for (const char* const first : {"a.7.log", "1700000000001-4", "x.9+4-3.bz2", "b0009"}) {
    const std::string name = merged_name(first, 12, 4);
    INFO(name);
    CHECK(parse_numbered_name(name).prefix == parse_numbered_name(first).prefix);
    CHECK(parse_numbered_name(name).extension == parse_numbered_name(first).extension);
    CHECK(parse_numbered_name(name).behind == 12);
  }
}

TEST_CASE("numbers in names are ordered as numbers") {
  const std::vector<std::string> ordered = {"a",       "a.2",   "a.02", "a.2+8", "a.2.gz", "a.10",
                                            "a.10+1",  "a.010", "a.11", "a1",    "a1b2",   "a1b10",
                                            "a1b10.x", "a2",    "b",    "b+",    "b\xff"};
  std::vector<std::string> names = ordered;
  std::mt19937 random(Catch::rngSeed());
  std::shuffle(names.begin(), names.end(), random);
  std::sort(names.begin(), names.end(), is_before);
  for (const std::string& one : names) {
    CHECK_FALSE(is_before(one, one));
    for (const std::string& two : names) {
      if (one != two) CHECK(is_before(one, two) != is_before(two, one));
    }
  }
  const auto place = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) - names.begin();
  };
  CHECK(place("a.2") < place("a.10"));
  CHECK(place("a.2+8") < place("a.10"));
  CHECK(place("a.10") < place("a.11"));
  CHECK(place("a1b2") < place("a1b10"));
  CHECK(place("a1b10") < place("a2"));
  CHECK(place("b") < place("b\xff"));
}

}  // namespace
}  // namespace sluice

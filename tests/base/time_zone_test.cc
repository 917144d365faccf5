// Java's names of zones, and what their clocks say.

#include "core/base/time_zone.h"

#include "tests/catch.h"

namespace sluice {
namespace {

TimeZone zone(const std::string& name) {
  auto found = TimeZone::find(name);
  INFO(name);
  REQUIRE(found.ok());
  return *found;
}

constexpr std::int64_t june_2012 = 1'340'484'393;  // Sat, 23 June 2012 20:46:33 UTC

TEST_CASE("a zone has a calendar and a clock") {
  const CivilTime time = zone("America/Los_Angeles").at(june_2012);
  CHECK(time.year == 2012);
  CHECK(time.month == 6);
  CHECK(time.day == 23);
  CHECK(time.hour == 13);
  CHECK(time.minute == 46);
  CHECK(time.second == 33);
  CHECK(time.weekday == 6);
  CHECK(time.day_of_year == 175);
  CHECK(time.offset_seconds == -7 * 3600);
  CHECK(zone("America/Los_Angeles").seconds_of(time) == june_2012);
  CHECK(zone("UTC").at(-1).year == 1969);
  CHECK(zone("UTC").at(0).weekday == 4);
}

TEST_CASE("zones are called as Java calls them") {
  const auto offset = [](const std::string& name) {
    return zone(name).at(june_2012).offset_seconds;
  };
  CHECK(offset("GMT") == 0);
  CHECK(offset("GMT+8") == 8 * 3600);
  CHECK(offset("GMT-7") == -7 * 3600);
  CHECK(offset("GMT-07") == -7 * 3600);
  CHECK(offset("GMT+5:30") == 19800);
  CHECK(offset("GMT+0530") == 19800);
  CHECK(offset("GMT+530") == 19800);
  CHECK(offset("PST") == -7 * 3600);  // in summer: it is the west coast, as in Java
  CHECK(offset("EST") == -5 * 3600);
  CHECK(offset("Asia/Shanghai") == 8 * 3600);
  CHECK(offset("Asia/Kolkata") == 19800);
  CHECK(TimeZone::find("").ok());
}

TEST_CASE("an unknown zone is no zone at all, where Java takes GMT") {
  for (const char* name : {"Mars/Olympus", "GMT+24", "GMT+8:60", "GMT+", "GMT+8x", "GMT8", "UTC+8",
                           "/etc/localtime", "../zoneinfo/UTC", "libc:localtime", "gmt+8"}) {
    INFO(name);
    CHECK(TimeZone::find(name).code() == Code::Invalid);
  }
}

TEST_CASE("a time that comes twice or never is taken as Java takes it") {
  const TimeZone berlin = zone("Europe/Berlin");
  CivilTime time;
  time.year = 2023;
  time.month = 10;
  time.day = 29;
  time.hour = 2;
  time.minute = 30;
  CHECK(berlin.at(berlin.seconds_of(time)).offset_seconds == 3600);  // the later one
  time.month = 3;
  time.day = 26;
  const CivilTime behind = berlin.at(berlin.seconds_of(time));
  CHECK(behind.hour == 3);
  CHECK(behind.minute == 30);
}

}  // namespace
}  // namespace sluice

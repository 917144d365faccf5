#include "core/base/time_zone.h"

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include <chrono>
#include <optional>
#include <string_view>

namespace sluice {
namespace {

using Seconds = cctz::time_point<cctz::seconds>;

constexpr int seconds_an_hour = 3600;

struct ShortName {
  std::string_view java;
  const char* zone;
};
// java.time.ZoneId.SHORT_IDS; the database has some of them, but not all.
constexpr ShortName short_names[] = {
    {"ACT", "Australia/Darwin"},
    {"AET", "Australia/Sydney"},
    {"AGT", "America/Argentina/Buenos_Aires"},
    {"ART", "Africa/Cairo"},
    {"AST", "America/Anchorage"},
    {"BET", "America/Sao_Paulo"},
    {"BST", "Asia/Dhaka"},
    {"CAT", "Africa/Harare"},
    {"CNT", "America/St_Johns"},
    {"CST", "America/Chicago"},
    {"CTT", "Asia/Shanghai"},
    {"EAT", "Africa/Addis_Ababa"},
    {"ECT", "Europe/Paris"},
    {"IET", "America/Indiana/Indianapolis"},
    {"IST", "Asia/Kolkata"},
    {"JST", "Asia/Tokyo"},
    {"MIT", "Pacific/Apia"},
    {"NET", "Asia/Yerevan"},
    {"NST", "Pacific/Auckland"},
    {"PLT", "Asia/Karachi"},
    {"PNT", "America/Phoenix"},
    {"PRT", "America/Puerto_Rico"},
    {"PST", "America/Los_Angeles"},
    {"SST", "Pacific/Guadalcanal"},
    {"VST", "Asia/Ho_Chi_Minh"},
};

/// 0..99 of one or two digits in front of `text`, which loses them.
std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  std::size_t digits = 0;
  for (; digits < 2 && digits < text.size() && text[digits] >= '0' && text[digits] <= '9';
       ++digits) {
    number = number * 10 + (text[digits] - '0');
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return number;
}

/// Of "GMT+8", "GMT-0530", "GMT+08:00"; nothing for any other name.
std::optional<int> offset_of(std::string_view name) {
  if (!name.starts_with("GMT") || name.size() < 5) return std::nullopt;
  const char sign = name[3];
  if (sign != '+' && sign != '-') return std::nullopt;
  name.remove_prefix(4);
  // "GMT+530": one digit of hours, as there are two for the minutes.
  std::optional<int> hours;
  if (name.size() == 3 && name.find(':') == name.npos) {
    std::string_view first = name.substr(0, 1);
    hours = take_number(first);
    name.remove_prefix(1);
  } else {
    hours = take_number(name);
  }
  if (!hours || *hours > 23) return std::nullopt;
  int minutes = 0;
  if (!name.empty()) {
    if (name.front() == ':') name.remove_prefix(1);
    if (name.size() != 2) return std::nullopt;
    const auto number = take_number(name);
    if (!number || !name.empty() || *number > 59) return std::nullopt;
    minutes = *number;
  }
  const int offset = *hours * seconds_an_hour + minutes * 60;
  return sign == '-' ? -offset : offset;
}

bool load(const std::string& name, cctz::time_zone& zone) {
  // A name, and no way to another file of the machine.
  if (name.front() == '/' || name.find("..") != name.npos || name.find(':') != name.npos) {
    return false;
  }
  return cctz::load_time_zone(name, &zone);
}

}  // namespace

struct TimeZone::Zone {
  cctz::time_zone zone;
};

Result<TimeZone> TimeZone::find(const std::string& name) {
  Zone found;
  if (name.empty()) {
    found.zone = cctz::local_time_zone();
  } else if (const auto offset = offset_of(name)) {
    found.zone = cctz::fixed_time_zone(cctz::seconds(*offset));
  } else {
    std::string known = name;
    for (const ShortName& each : short_names) {
      if (each.java == name) known = each.zone;
    }
    if (!load(known, found.zone)) {
      return Invalid("there is no time zone " + name +
                     "; zones are called like America/Los_Angeles, UTC or GMT+8");
    }
  }
  return TimeZone(std::make_shared<const Zone>(found));
}

CivilTime TimeZone::at(std::int64_t seconds) const {
  const auto found = zone_->zone.lookup(Seconds(cctz::seconds(seconds)));
  const cctz::civil_second& cs = found.cs;
  const cctz::civil_day day(cs);
  CivilTime time;
  time.year = cs.year();
  time.month = cs.month();
  time.day = cs.day();
  time.hour = cs.hour();
  time.minute = cs.minute();
  time.second = cs.second();
  time.weekday = (static_cast<int>(cctz::get_weekday(day)) + 1) % 7;  // cctz begins with Monday
  time.day_of_year = cctz::get_yearday(day);
  time.offset_seconds = found.offset;
  return time;
}

std::int64_t TimeZone::seconds_of(const CivilTime& time) const {
  const cctz::civil_second cs(time.year, time.month, time.day, time.hour, time.minute, time.second);
  const auto found = zone_->zone.lookup(cs);
  const bool twice = found.kind == cctz::time_zone::civil_lookup::REPEATED;
  return (twice ? found.post : found.pre).time_since_epoch().count();
}

}  // namespace sluice

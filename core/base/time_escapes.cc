#include "core/base/time_escapes.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace sluice {
namespace {

constexpr std::array<std::string_view, 7> weekdays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months{"January",   "February", "March",    "April",
                                                  "May",       "June",     "July",     "August",
                                                  "September", "October",  "November", "December"};
constexpr std::size_t short_name = 3;

void append_number(std::string& out, std::int64_t number, int digits = 1) {
  std::array<char, 24> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  for (auto length = end - text.data(); length < digits; ++length) out += '0';
  out.append(text.data(), end);
}

int within_century(std::int64_t year) noexcept {
  const int rest = static_cast<int>(year % 100);
  return rest < 0 ? rest + 100 : rest;
}

int hour_of_twelve(const CivilTime& time) noexcept {
  return time.hour % 12 == 0 ? 12 : time.hour % 12;
}

void append_offset(int seconds, std::string& out) {
  const int minutes = seconds / 60;
  out += minutes < 0 ? '-' : '+';
  append_number(out, std::abs(minutes) / 60, 2);
  append_number(out, std::abs(minutes) % 60, 2);
}

}  // namespace

std::int64_t time_step_of(char letter) noexcept {
  constexpr std::string_view seconds = "csS";
  constexpr std::string_view hours_and_more = "aAbBdDeHIjklmnpyYz";
  if (seconds.find(letter) != seconds.npos) return 1;
  if (letter == 'M') return 60;
  return hours_and_more.find(letter) != hours_and_more.npos ? time_step_max : 0;
}

void append_time(char letter, const CivilTime& time, std::int64_t seconds, std::string& out) {
  const std::string_view weekday = weekdays[static_cast<std::size_t>(time.weekday)];
  const std::string_view month = months[static_cast<std::size_t>(time.month - 1)];
  /// Letters, and what is none.
  const auto append_all = [&](std::string_view parts) {
    for (const char part : parts) {
      if (time_step_of(part) > 0) {
        append_time(part, time, seconds, out);
      } else {
        out += part;
      }
    }
  };
  switch (letter) {
    case 'a': out += weekday.substr(0, short_name); break;
    case 'A': out += weekday; break;
    case 'b': out += month.substr(0, short_name); break;
    case 'B': out += month; break;
    case 'c': append_all("a b e H:M:S Y"); break;
    case 'd': append_number(out, time.day, 2); break;
    case 'D': append_all("m/d/y"); break;
    case 'e': append_number(out, time.day); break;
    case 'H': append_number(out, time.hour, 2); break;
    case 'I': append_number(out, hour_of_twelve(time), 2); break;
    case 'j': append_number(out, time.day_of_year, 3); break;
    case 'k': append_number(out, time.hour); break;
    case 'l': append_number(out, hour_of_twelve(time)); break;
    case 'm': append_number(out, time.month, 2); break;
    case 'M': append_number(out, time.minute, 2); break;
    case 'n': append_number(out, time.month); break;
    case 'p': out += time.hour < 12 ? "AM" : "PM"; break;
    case 's': append_number(out, seconds); break;
    case 'S': append_number(out, time.second, 2); break;
    case 'y': append_number(out, within_century(time.year), 2); break;
    case 'Y': append_number(out, time.year, 4); break;
    case 'z': append_offset(time.offset_seconds, out); break;
    default: break;
  }
}

}  // namespace sluice

#include "core/config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "core/base/java_pattern.h"
#include "core/config/diagnostics.h"
#include "core/config/document.h"

namespace sluice {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 8> kPowers = {{{"", 1},
                                          {"k", 1'000},
                                          {"K", 1'000},
                                          {"m", 1'000'000},
                                          {"M", 1'000'000},
                                          {"g", 1'000'000'000},
                                          {"G", 1'000'000'000},
                                          {"T", 1'000'000'000'000}}};

/// Far from where sums of times, counted in nanoseconds, overflow.
constexpr std::chrono::hours kDurationMax{24 * 36'500};

/// The number and what stands behind it, without the blanks between.
struct Split {
  bool negative = false;
  std::uint64_t number = 0;
  std::string_view suffix;
};

/// Why a text that should begin with a number does not do: often a comment was put behind it.
Status not_a(std::string_view what, std::string_view text) {
  std::string message = in_quotes(text) + " is not " + std::string(what);
  if (text.find('#') != std::string_view::npos) {
    message += "; a comment behind a value is part of the value, it needs a line of its own";
  } else if (text.find("${") != std::string_view::npos) {
    message += "; the ${...} in it could not be resolved";
  }
  return Invalid(std::move(message));
}

Result<Split> split_number(std::string_view text, std::string_view what) {
  Split result;
  std::string_view rest = trim(text);
  const std::string_view whole = rest;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    result.negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  const char* const end = rest.data() + rest.size();
  const auto [stop, error] = std::from_chars(rest.data(), end, result.number);
  if (error == std::errc::result_out_of_range) {
    return Invalid(in_quotes(whole) + " is too large a number");
  }
  if (error != std::errc()) return not_a(what, whole);
  result.suffix = trim(std::string_view(stop, static_cast<std::size_t>(end - stop)));
  return result;
}

/// number * factor, or nothing when it does not fit in 63 bits.
Result<std::int64_t> scaled(const Split& split, std::uint64_t factor, std::string_view text) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (split.number > kMax / factor) return Invalid(in_quotes(text) + " is too large a number");
  auto value = static_cast<std::int64_t>(split.number * factor);
  return split.negative ? -value : value;
}

Status check_bounds(const Key& key, std::int64_t value, std::string_view text) {
  if (value < key.min) {
    return Invalid(in_quotes(text) + " is below the smallest value, " + std::to_string(key.min));
  }
  if (value > key.max) {
    return Invalid(in_quotes(text) + " is above the largest value, " + std::to_string(key.max));
  }
  return {};
}

Status check_duration(const Key& key, std::string_view text) {
  const std::chrono::milliseconds unit(key.type == KeyType::Seconds ? 1000 : 1);
  auto parsed = parse_duration(text, unit);
  if (!parsed.ok()) return parsed.status();
  return check_bounds(key, parsed.value() / unit, text);
}

}  // namespace

Result<std::int64_t> parse_integer(std::string_view text) {
  auto split = split_number(text, "a whole number");
  if (!split.ok()) return split.status();
  for (const Unit& unit : kPowers) {
    // Small letters but k would be guesses: is m a thousandth, a minute or a million?
    const bool guess = unit.name == "m" || unit.name == "g" || unit.name == "T";
    if (split.value().suffix == unit.name && !guess) return scaled(*split, unit.factor, text);
  }
  return not_a("a whole number", trim(text));
}

Result<bool> parse_boolean(std::string_view text) {
  const std::string_view word = trim(text);
  if (equal_ignoring_case(word, "true")) return true;
  if (equal_ignoring_case(word, "false")) return false;
  return not_a("true or false", word);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                 std::chrono::milliseconds unit) {
  constexpr std::string_view kWhat = "a duration, such as 500ms, 10s, 5m, 1h or 7d";
  static constexpr std::array<Unit, 5> kUnits = {
      {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  auto split = split_number(text, kWhat);
  if (!split.ok()) return split.status();
  std::uint64_t factor = 0;
  if (split.value().suffix.empty()) factor = static_cast<std::uint64_t>(unit.count());
  for (const Unit& each : kUnits) {
    if (split.value().suffix == each.name) factor = each.factor;
  }
  if (factor == 0) return not_a(kWhat, trim(text));
  auto value = scaled(*split, factor, text);
  if (!value.ok()) return value.status();
  if (std::chrono::abs(std::chrono::milliseconds(*value)) > kDurationMax) {
    return Invalid(in_quotes(text) + " is too long a duration; the longest is 36500d, a century");
  }
  return std::chrono::milliseconds(*value);
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  constexpr std::string_view kWhat = "a size, such as 1024, 64k, 10MB or 1GiB";
  static constexpr std::array<Unit, 4> kBinary = {{{"Ki", std::uint64_t{1} << 10},
                                                   {"Mi", std::uint64_t{1} << 20},
                                                   {"Gi", std::uint64_t{1} << 30},
                                                   {"Ti", std::uint64_t{1} << 40}}};
  auto split = split_number(text, kWhat);
  if (!split.ok()) return split.status();
  std::string_view suffix = split.value().suffix;
  if (suffix.ends_with('B')) suffix.remove_suffix(1);
  std::uint64_t factor = 0;
  for (const Unit& unit : kPowers) factor = suffix == unit.name ? unit.factor : factor;
  for (const Unit& unit : kBinary) factor = suffix == unit.name ? unit.factor : factor;
  if (factor == 0 || split.value().negative) return not_a(kWhat, trim(text));
  auto value = scaled(*split, factor, text);
  if (!value.ok()) return value.status();
  return static_cast<std::uint64_t>(*value);
}

Result<TimeOrSize> parse_time_or_size(std::string_view text) {
  constexpr std::string_view kWhat =
      "a duration or a size with its unit, such as 24h or 10GB, or both: 24h 10GB";
  TimeOrSize result;
  if (trim(text) == "0") return result;
  for (const std::string& word : parse_list(text)) {
    const bool unit = word.find_first_not_of("0123456789") != std::string::npos;
    auto time = parse_duration(word, std::chrono::milliseconds(1));
    auto bytes = parse_bytes(word);
    // "5m" is both; here as everywhere else it is minutes.
    const bool is_time = unit && time.ok() && time->count() > 0 && result.time.count() == 0;
    const bool is_size = unit && !time.ok() && bytes.ok() && *bytes > 0 && result.bytes == 0;
    if (is_time) {
      result.time = *time;
    } else if (is_size) {
      result.bytes = *bytes;
    } else {
      return not_a(kWhat, trim(text));
    }
  }
  if (result.time.count() == 0 && result.bytes == 0) return not_a(kWhat, trim(text));
  return result;
}

Result<std::uint16_t> parse_port(std::string_view text) {
  constexpr std::string_view kWhat = "a port, 0 to 65535";
  auto split = split_number(text, kWhat);
  if (!split.ok()) return split.status();
  if (!split->suffix.empty() || split->negative || split->number > 65535) {
    return not_a(kWhat, trim(text));
  }
  return static_cast<std::uint16_t>(split->number);
}

std::vector<std::string> parse_list(std::string_view text) {
  std::vector<std::string> words;
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  for (std::size_t i = text.find_first_not_of(kBlanks); i != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kBlanks, i), text.size());
    words.emplace_back(text.substr(i, end - i));
    i = text.find_first_not_of(kBlanks, end);
  }
  return words;
}

Result<std::string_view> parse_choice(std::string_view text, std::string_view choices) {
  constexpr std::string_view kBlank = " ";
  for (std::size_t i = 0; i < choices.size();) {
    const std::size_t end = std::min(choices.find(kBlank, i), choices.size());
    const std::string_view choice = choices.substr(i, end - i);
    if (!choice.empty() && equal_ignoring_case(choice, trim(text))) return choice;
    i = end + 1;
  }
  return not_a("one of: " + std::string(choices), trim(text));
}

Status check_value(const Key& key, std::string_view text) {
  switch (key.type) {
    case KeyType::Text:
    case KeyType::Path:
    case KeyType::List:
    case KeyType::Ignored: return {};
    case KeyType::Boolean: return parse_boolean(text).status();
    case KeyType::Choice: return parse_choice(text, key.choices).status();
    case KeyType::Pattern: return JavaPattern::make(std::string(text)).status();
    case KeyType::Millis:
    case KeyType::Seconds: return check_duration(key, text);
    case KeyType::Integer: {
      auto value = parse_integer(text);
      return value.ok() ? check_bounds(key, *value, text) : value.status();
    }
    case KeyType::Bytes: {
      auto value = parse_bytes(text);
      if (!value.ok()) return value.status();
      return check_bounds(key, static_cast<std::int64_t>(*value), text);
    }
    case KeyType::TimeOrSize: return parse_time_or_size(text).status();
    case KeyType::Port: {
      auto value = parse_port(text);
      return value.ok() ? check_bounds(key, *value, text) : value.status();
    }
  }
  return {};
}

}  // namespace sluice

#include "agent/replay_from.h"

#include <array>
#include <charconv>
#include <chrono>
#include <optional>

#include "core/config/diagnostics.h"
#include "core/config/document.h"
#include "core/config/values.h"

namespace sluice {
namespace {

/// Takes so many digits off the front.
std::optional<unsigned> digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  unsigned value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool took(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// hh:mm, hh:mm:ss or hh:mm:ss.mmm
std::optional<std::chrono::milliseconds> time_of_day(std::string_view& text) {
  const auto hour = digits(text, 2);
  if (!hour || *hour > 23 || !took(text, ':')) return std::nullopt;
  const auto minute = digits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  std::chrono::milliseconds time = std::chrono::hours(*hour) + std::chrono::minutes(*minute);
  if (!took(text, ':')) return time;
  const auto second = digits(text, 2);
  if (!second || *second > 59) return std::nullopt;
  time += std::chrono::seconds(*second);
  if (!took(text, '.')) return time;
  const auto part = digits(text, 3);
  if (!part) return std::nullopt;
  return time + std::chrono::milliseconds(*part);
}

std::optional<std::int64_t> iso_time(std::string_view text) {
  using namespace std::chrono;
  const auto y = digits(text, 4);
  if (!y || !took(text, '-')) return std::nullopt;
  const auto m = digits(text, 2);
  if (!m || !took(text, '-')) return std::nullopt;
  const auto d = digits(text, 2);
  if (!d) return std::nullopt;
  const year_month_day date(year(static_cast<int>(*y)), month(*m), day(*d));
  if (!date.ok()) return std::nullopt;
  milliseconds at = sys_days(date).time_since_epoch();
  if (took(text, 'T') || took(text, ' ')) {
    const auto time = time_of_day(text);
    if (!time) return std::nullopt;
    at += *time;
  }
  took(text, 'Z');
  if (!text.empty()) return std::nullopt;
  return at.count();
}

template <typename T>
std::optional<T> whole_number(std::string_view text) {
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<ReplayFrom> parse_replay_from(std::string_view text, std::int64_t now_ms) {
  text = trim(text);
  if (text.starts_with('@')) {
    if (const auto ms = whole_number<std::int64_t>(text.substr(1)))
      return ReplayFrom(FromTime{*ms});
  } else if (text.starts_with('-')) {
    const bool unit = text.find_first_not_of("-0123456789") != std::string_view::npos;
    auto before = parse_duration(text.substr(1), std::chrono::milliseconds(1));
    if (unit && before.ok() && before->count() > 0)
      return ReplayFrom(FromTime{now_ms - before->count()});
  } else if (const auto sequence = whole_number<std::uint64_t>(text)) {
    return ReplayFrom(FromSequence{*sequence});
  } else if (const auto time = iso_time(text)) {
    return ReplayFrom(FromTime{*time});
  }
  return Invalid(in_quotes(text) +
                 " is neither a sequence nor a time: 1200, 2026-11-21T10:30:00Z (UTC), -1h, or "
                 "@1763721000000 (milliseconds since 1970)");
}

}  // namespace sluice

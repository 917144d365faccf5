#include "sinks/compaction_name.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace sluice {
namespace {

constexpr std::size_t time_digits_min = 10;  // seconds since 1970, and everything finer
constexpr std::array<std::string_view, 2> numbered_codecs = {".bz2", ".lz4"};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

struct Run {
  std::size_t begin;
  std::size_t end;
  std::size_t size() const noexcept { return end - begin; }
};

/// The last run of digits that ends at `limit` or before it.
std::optional<Run> last_run(std::string_view name, std::size_t limit) noexcept {
  std::size_t end = limit;
  while (end > 0 && !is_digit(name[end - 1])) --end;
  if (end == 0) return std::nullopt;
  std::size_t begin = end;
  while (begin > 0 && is_digit(name[begin - 1])) --begin;
  return Run{begin, end};
}

std::size_t digits_end(std::string_view name, std::size_t from) noexcept {
  while (from < name.size() && is_digit(name[from])) ++from;
  return from;
}

/// Where "-12" or "+12" ends that begins at `at`; `at` when there is none.
std::size_t suffix_end(std::string_view name, std::size_t at, char sign) noexcept {
  if (at >= name.size() || name[at] != sign) return at;
  const std::size_t end = digits_end(name, at + 1);
  return end == at + 1 ? at : end;
}

/// Whether `run` is what stands behind `sign`, behind another digit.
bool is_behind(std::string_view name, const Run& run, char sign) noexcept {
  return run.begin >= 2 && name[run.begin - 1] == sign && is_digit(name[run.begin - 2]);
}

std::optional<Run> number_of(std::string_view name) noexcept {
  std::optional<Run> run = last_run(name, name.size());
  for (; run; run = last_run(name, run->begin)) {
    if (run->size() < time_digits_min) continue;
    run->end = suffix_end(name, run->end, '-');
    return run;
  }
  std::size_t limit = name.size();
  for (const std::string_view codec : numbered_codecs) {
    if (name.ends_with(codec)) limit -= codec.size();
  }
  run = last_run(name, limit);
  if (!run) return run;
  // The mark of a merge is no number: "12+37", or "12+37-2".
  const auto before = last_run(name, run->begin);
  if (before && is_behind(name, *run, '-') && is_behind(name, *before, '+')) run = before;
  if (is_behind(name, *run, '+')) run = last_run(name, run->begin);
  return run;
}

}  // namespace

NumberedName parse_numbered_name(std::string_view name) noexcept {
  NumberedName parts;
  const std::optional<Run> number = number_of(name);
  if (!number) {
    const std::size_t dot = std::min(name.find('.'), name.size());
    parts.prefix = name.substr(0, dot);
    parts.extension = name.substr(dot);
    return parts;
  }
  parts.prefix = name.substr(0, number->begin);
  parts.number = name.substr(number->begin, number->size());
  const std::size_t plus_end = suffix_end(name, number->end, '+');
  std::size_t end = number->end;
  if (plus_end > end) {
    const auto digits = name.substr(end + 1, plus_end - end - 1);
    const char* const last = digits.data() + digits.size();
    if (std::from_chars(digits.data(), last, parts.behind).ec == std::errc()) {
      end = suffix_end(name, plus_end, '-');
    }
  }
  parts.mark = name.substr(number->end, end - number->end);
  parts.extension = name.substr(end);
  return parts;
}

std::string merged_name(std::string_view first, std::uint64_t behind, unsigned attempt) {
  const NumberedName parts = parse_numbered_name(first);
  std::string name;
  name.append(parts.prefix).append(parts.number).append("+").append(std::to_string(behind));
  if (attempt > 0) name.append("-").append(std::to_string(attempt + 1));
  return name.append(parts.extension);
}

bool is_before(std::string_view name, std::string_view other) noexcept {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < name.size() && j < other.size()) {
    if (!is_digit(name[i]) || !is_digit(other[j])) {
      if (name[i] != other[j]) {
        return static_cast<unsigned char>(name[i]) < static_cast<unsigned char>(other[j]);
      }
      ++i;
      ++j;
      continue;
    }
    const std::size_t i_end = digits_end(name, i);
    const std::size_t j_end = digits_end(other, j);
    while (i + 1 < i_end && name[i] == '0') ++i;
    while (j + 1 < j_end && other[j] == '0') ++j;
    if (i_end - i != j_end - j) return i_end - i < j_end - j;
    const int order = name.substr(i, i_end - i).compare(other.substr(j, j_end - j));
    if (order != 0) return order < 0;
    i = i_end;
    j = j_end;
  }
  if (i == name.size() && j == other.size()) return name < other;  // 1 and 01
  return i == name.size();
}

}  // namespace sluice

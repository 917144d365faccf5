#include "core/base/nearest_name.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>

namespace sluice {
namespace {

constexpr std::size_t kWordMax = 128;
constexpr std::size_t kNamesMax = 200;

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

/// Optimal string alignment: insert, delete, replace, swap neighbours. REQUIRES: both <= kWordMax.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::array<std::array<std::size_t, kWordMax + 1>, 3> rows{};
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i - 1) % 3];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], rows[(i - 2) % 3][j - 2] + 1);
      }
    }
  }
  return rows[a.size() % 3][b.size()];
}

bool ends_as_part(std::string_view whole, std::string_view part) {
  return part.size() >= 4 && whole.size() > part.size() + 1 && whole.ends_with(part) &&
         whole[whole.size() - part.size() - 1] == '.';
}

}  // namespace

std::string_view nearest_name(std::string_view word, const std::vector<std::string_view>& names) {
  if (word.empty() || word.size() > kWordMax) return {};
  const std::string wanted = lowered(word);
  std::string_view best;
  std::size_t best_distance = kWordMax;
  for (std::string_view name : std::span(names).first(std::min(names.size(), kNamesMax))) {
    if (name.empty() || name.size() > kWordMax) continue;
    const std::string candidate = lowered(name);
    std::size_t distance = edit_distance(wanted, candidate);
    const std::size_t shorter = std::min(wanted.size(), candidate.size());
    const std::size_t allowed = std::max<std::size_t>(1, shorter / 3);
    // Short words are near to everything: of two letters only the case may differ.
    if (shorter <= 2 && distance > 0) distance = kWordMax;
    if (distance > allowed) {
      if (!ends_as_part(candidate, wanted) && !ends_as_part(wanted, candidate)) continue;
      distance = allowed;
    }
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace sluice

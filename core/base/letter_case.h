// Upper and lower case, of ASCII and nothing else: names of codecs, schemes and units.
#pragma once

#include <string>

namespace sluice {

constexpr char lower_case(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string lower_case(std::string text) {
  for (char& c : text) c = lower_case(c);
  return text;
}

}  // namespace sluice

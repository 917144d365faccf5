// Settings of one component without a configuration file.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "core/config/settings.h"

namespace sluice {

inline Settings test_settings(const ComponentInfo& info, const std::string& component,
                              const std::map<std::string, std::string>& values) {
  std::map<std::string, Settings::Value, std::less<>> map;
  for (const auto& [key, value] : values) map[key] = {value, {}, 0};
  const std::size_t blank = component.find(' ');
  return {component, component.substr(blank + 1), info, std::move(map)};
}

/// The type with this alias in one of the catalogues; nullptr when there is none.
template <typename Types>
auto find_type(const Types& types, std::string_view alias) -> decltype(types[0]) {
  static std::remove_cvref_t<decltype(types[0])> const none = nullptr;
  for (const auto& type : types) {
    if (type->info->alias == alias) return type;
  }
  return none;
}

}  // namespace sluice

#include "core/base/system_properties.h"

#include <cstdlib>
#include <utility>

namespace sluice {
namespace {

using Properties = std::map<std::string, std::string, std::less<>>;

Properties& properties() {
  static Properties all;
  return all;
}

}  // namespace

void set_system_properties(Properties given) { properties() = std::move(given); }

std::optional<std::string> system_property(std::string_view name) {
  const auto found = properties().find(name);
  if (found == properties().end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> environment_variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace sluice

// ${...} in values, resolved after parsing, so that a value can never become a key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/config/diagnostics.h"
#include "core/config/document.h"

namespace sluice {

/// Where ${...} finds its values.
struct SubstitutionSources {
  /// -Dname=value: ${sys:name}.
  std::map<std::string, std::string, std::less<>> system_properties;
  /// Empty: the process's environment.
  std::function<std::optional<std::string>(const std::string&)> environment;
  /// -DpropertiesImplementation=...EnvVarResolverProperties: ${NAME} is the environment's too.
  bool bare_environment = false;
  const Clock* clock = &Clock::system();
};

/// Bounds: what a value may expand to, all values together, and how deep references may nest.
inline constexpr std::size_t kExpandedBytesMax = std::size_t{64} * 1024;
inline constexpr std::size_t kExpandedBytesTotalMax = std::size_t{4} * 1024 * 1024;
inline constexpr int kExpansionDepthMax = 32;

/// Replaces ${...} in the values of `entries` (their keys are unique).
///
/// ${env:X}, ${sys:x}, ${date:yyyy-MM-dd}, ${some.key} (another entry's value), ${x:-default};
/// names may hold ${...} themselves; $${ is a literal ${. What environment and -D bring in is not
/// looked at again. What cannot be resolved stays as it is, with a warning. Entries that others
/// refer to are added to `referenced`, by index.
void substitute(std::vector<Entry>& entries, const SubstitutionSources& sources,
                std::vector<Diagnostic>& diagnostics, std::vector<std::size_t>& referenced);

}  // namespace sluice

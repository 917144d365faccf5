#include "core/config/source_parts.h"

#include <utility>

namespace sluice {
std::vector<InterceptorPlan> read_interceptors(const RawComponent& raw,
                                               std::span<const ComponentInfo* const> types,
                                               ComponentReader& reader,
                                               std::vector<Reason>& reasons) {
  std::vector<InterceptorPlan> result;
  for (Settings& each : reader.parts_of(raw, {"interceptors", "interceptor", {}, types}, reasons)) {
    result.push_back({std::move(each)});
  }
  return result;
}

}  // namespace sluice

// Steps and outputs of a microbatch sink, as its tests configure them.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "analytics/step_types.h"
#include "sinks/batch_output.h"
#include "tests/catch.h"
#include "tests/support/settings.h"

namespace sluice::testing {

using PartValues = std::map<std::string, std::string>;

inline const ComponentInfo& part_type(std::span<const ComponentInfo* const> types,
                                      std::string_view alias) {
  for (const ComponentInfo* const type : types) {
    if (type->alias == alias) return *type;
  }
  FAIL("no such type");
  return *types[0];
}

inline Settings step(const std::string& type, const std::string& name, const PartValues& values) {
  return test_settings(part_type(analytics::step_types(), type), "step " + name, values);
}

inline Settings output(const std::string& type, const std::string& name, const PartValues& values) {
  return test_settings(part_type(batch_output_types(), type), "output " + name, values);
}

}  // namespace sluice::testing

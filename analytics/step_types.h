// The types of steps, and their keys.
#pragma once

#include <span>

#include "core/config/component.h"

namespace sluice::analytics {

/// Every type of step that a file may name.
std::span<const ComponentInfo* const> step_types();

}  // namespace sluice::analytics

// A catalog for tests: tables like those of the components that are built, and the real table of
// those that are not. Own tables, so that these tests do not change when a component gains a key.
#pragma once

#include "core/config/component.h"

namespace sluice {

Catalog test_catalog();

}  // namespace sluice

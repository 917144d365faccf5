// Flume's types that are not built yet: known by name, so that `check` can say so.
#pragma once

#include "core/config/component.h"

namespace sluice {

/// Types of Flume 1.11 (and of older releases, where configurations still use them) that no factory
/// of the catalog builds. A type that gets built leaves this table in the same change.
Catalog flume_types_not_built();

}  // namespace sluice

// What the ssl and compression keys of a component that connects ask for.
#pragma once

#include "core/base/status.h"
#include "core/config/settings.h"
#include "core/net/stream_layers.h"

namespace sluice {

/// REQUIRES: settings with compression_keys, compression_client_keys, tls_client_keys and
/// tls_rule_keys.
/// Errors: Invalid (a file that cannot be used, or keys that do not fit together).
Result<StreamLayers> client_layers(const Settings& settings);

}  // namespace sluice

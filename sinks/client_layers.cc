#include "sinks/client_layers.h"

#include <utility>

#include "core/config/tls_keys.h"
#include "core/config/wire_keys.h"

namespace sluice {

Result<StreamLayers> client_layers(const Settings& settings) {
  StreamLayers layers;
  layers.deflate = is_deflated(settings);
  layers.deflate_level = static_cast<int>(settings.integer("compression-level"));
  layers.order = settings.text("compression-order") == "inside" ? LayerOrder::TlsOutside
                                                                : LayerOrder::DeflateOutside;
  auto tls = tls_client_settings(settings);
  if (!tls.ok()) return tls.status();
  if (!tls->has_value()) return layers;
  auto context = TlsContext::for_client(**tls);
  if (!context.ok()) return context.status();
  layers.tls = *std::move(context);
  return layers;
}

}  // namespace sluice

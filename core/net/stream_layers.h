// What lies between the bytes of a protocol and the wire: TLS, compression, both, or nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/status.h"
#include "core/net/byte_stream.h"
#include "core/net/tls_context.h"

namespace sluice {

/// Which of both is outside when both are on: what the wire shows.
enum class LayerOrder : unsigned char {
  DeflateOutside,  ///< The wire shows zlib, in which TLS is: Flume 1.10 and later.
  TlsOutside,      ///< The wire shows TLS, in which zlib is: Flume 1.9 and before.
};

/// A value, shared by all connections of a component. Default: nothing, the bytes go as they are.
struct StreamLayers {
  std::shared_ptr<const TlsContext> tls = nullptr;  ///< Null: no TLS.
  bool deflate = false;   ///< One zlib stream a direction, for the whole connection.
  int deflate_level = 6;  ///< 0..9, of what we send.
  /// Nothing: who accepts goes by the first byte that comes, who connects puts deflate outside.
  std::optional<LayerOrder> order = std::nullopt;

  bool none() const noexcept { return tls == nullptr && !deflate; }
  /// The order is not known before the peer's first byte.
  bool by_first_byte() const noexcept { return tls != nullptr && deflate && !order; }
};

/// The order that a sender's first byte tells.
LayerOrder order_of_first_byte(char first) noexcept;

/// The layers of an accepted connection on top of its socket. REQUIRES: order, if both are on.
/// Errors: Retry (no memory).
Result<std::unique_ptr<ByteStream>> accept_layers(const StreamLayers& layers,
                                                  std::unique_ptr<ByteStream> socket);
/// The same for a connection that we made to `host`.
Result<std::unique_ptr<ByteStream>> connect_layers(const StreamLayers& layers,
                                                   const std::string& host,
                                                   std::unique_ptr<ByteStream> socket);

}  // namespace sluice

#include "core/net/stream_layers.h"

#include <utility>

#include "core/net/deflate_stream.h"
#include "core/net/tls_stream.h"

namespace sluice {
namespace {

constexpr char tls_handshake_record = 0x16;

using Stream = std::unique_ptr<ByteStream>;

template <typename AddTls>
Result<Stream> stack(const StreamLayers& layers, DeflateStream::Memory memory, Stream socket,
                     AddTls add_tls) {
  const auto deflated = [&](Stream below) {
    return std::make_unique<DeflateStream>(std::move(below), layers.deflate_level, memory);
  };
  if (layers.tls == nullptr) {
    if (layers.deflate) socket = deflated(std::move(socket));
    return socket;
  }
  if (!layers.deflate) return add_tls(std::move(socket));
  if (layers.order.value_or(LayerOrder::DeflateOutside) == LayerOrder::DeflateOutside) {
    return add_tls(deflated(std::move(socket)));
  }
  auto tls = add_tls(std::move(socket));
  if (!tls.ok()) return tls.status();
  return Stream(deflated(*std::move(tls)));
}

}  // namespace

LayerOrder order_of_first_byte(char first) noexcept {
  return first == tls_handshake_record ? LayerOrder::TlsOutside : LayerOrder::DeflateOutside;
}

Result<Stream> accept_layers(const StreamLayers& layers, Stream socket) {
  SLUICE_ASSERT(!layers.by_first_byte(), "layers of an accepted connection without their order");
  return stack(layers, DeflateStream::Memory::Small, std::move(socket),
               [&](Stream below) { return TlsStream::accept(layers.tls, std::move(below)); });
}

Result<Stream> connect_layers(const StreamLayers& layers, const std::string& host, Stream socket) {
  return stack(layers, DeflateStream::Memory::Full, std::move(socket), [&](Stream below) {
    return TlsStream::connect(layers.tls, host, std::move(below));
  });
}

}  // namespace sluice

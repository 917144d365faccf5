// One outgoing connection, used by threads that may block on it.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/stream_layers.h"

namespace sluice {

/// A connected TCP socket. Every wait ends with its deadline or with stop. Movable.
///
/// One thread may write while another one reads; whatever else is one thread's. With layers
/// everything is about what is inside of them: write_all() ends with a flush, so that the peer can
/// read all of it.
class TcpStream {
 public:
  struct Target {
    std::string host;
    std::uint16_t port = 0;
    /// "host:port" for messages.
    std::string text() const { return host + ":" + std::to_string(port); }
  };

  /// Tries every address of the host, each with its share of the time, which the TLS handshake is
  /// part of. Errors: Retry (with each address's reason), Closed (stop).
  static Result<TcpStream> connect(const Target& target, Deadline deadline,
                                   const std::stop_token& stop, const StreamLayers& layers = {});

  TcpStream(TcpStream&&) noexcept;
  TcpStream& operator=(TcpStream&&) noexcept;
  ~TcpStream();  ///< Closes.

  /// Writes all of it. Errors: Retry (broken or too slow; how much arrived is not known), Closed.
  Status write_all(std::span<const iovec> pieces, Deadline deadline, const std::stop_token& stop);
  /// Waits for bytes. 0 bytes: the deadline passed. Errors: Closed (the peer finished, or stop),
  /// Retry (broken; with layers also: cut off before their end).
  Result<std::size_t> read_some(std::span<char> into, Deadline deadline,
                                const std::stop_token& stop);
  /// True when the peer has closed or reset the connection; what is written now would be lost.
  /// No wait. Bytes that the peer sends are thrown away, up to a bound: one that never stops
  /// sending must not hold us for ever.
  bool peer_is_gone(std::size_t wasted_bytes_max = 4 << 20) noexcept;
  /// The end of a connection whose peer may answer: says that nothing more is coming and throws the
  /// answers away until the peer has finished too, says nothing for `silence_max`, or the deadline
  /// passes. Closing with unread answers would be a reset, which can overtake what was written.
  void finish(milliseconds silence_max, Deadline deadline) noexcept;
  /// Ends the connection in both directions at once: whoever waits on it returns, with an error.
  /// For any thread, as long as the stream is there.
  void shutdown_now() noexcept;

 private:
  class Impl;
  explicit TcpStream(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice

// Listens and tells its owner which connections can be read: readiness, not data, so that a waiting
// connection owns no memory but itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/event/memory_account.h"
#include "core/net/ip_filter.h"
#include "core/net/stream_layers.h"

namespace sluice {

/// One accepted connection. Lives in its TcpServer; used on the server's thread only.
///
/// With layers everything here is about what is inside of them: read_some() gives plain text,
/// send() ends what it sends so that the peer can read all of it, finish() ends TLS and compression
/// too.
class TcpConnection {
 public:
  virtual ~TcpConnection() = default;

  virtual std::uint64_t id() const noexcept = 0;         ///< Never used twice by a server.
  virtual const std::string& peer() const noexcept = 0;  ///< "127.0.0.1:4711".

  /// Reads what is there, at most into.size() bytes; 0 when there is nothing just now.
  /// Errors: Closed (the peer has finished), Retry (the connection broke; with layers also: it was
  /// cut off before their end, or what came is not what they speak).
  virtual Result<std::size_t> read_some(std::span<char> into) = 0;

  /// Sends behind what is still unsent; never blocks. While more than a bound is unsent the server
  /// does not report the connection readable, so a peer that never reads stops being read.
  virtual void send(std::string_view bytes) = 0;
  /// Does not report the connection readable any more. For owners that have seen its end and still
  /// owe it answers.
  virtual void stop_reading() = 0;
  /// Closes once everything is sent; what still arrives is thrown away. The connection is reported
  /// to on_close() later, not within this call; at the latest after 5 s.
  virtual void finish() = 0;

  /// For the owner: whatever it keeps a connection.
  std::shared_ptr<void> state;
};

/// A listener and its connections, driven by one thread.
class TcpServer {
 public:
  struct Options {
    std::string host = {};                     ///< Empty or "0.0.0.0": every address.
    std::uint16_t port = 0;                    ///< 0: the system chooses; see port().
    std::string name = {};                     ///< For messages: "source r1".
    std::size_t unsent_bytes_max = 64 * 1024;  ///< A connection.
    MemoryAccount* window = nullptr;           ///< Pays for what is unsent, when given.
    StreamLayers layers = {};                  ///< TLS and compression.
    /// A connection whose TLS handshake takes longer is closed.
    milliseconds handshake_max{10'000};
    std::shared_ptr<IpFilter> filter =
        nullptr;  ///< Asked before anything is read; null: everybody may.
  };
  struct Handler {
    /// A connection is there; with TLS, once its handshake is done. One whose handshake fails is
    /// told in the log and never reported.
    std::function<void(TcpConnection&)> on_open;
    /// There is something to read (data or the end). What is left unread is reported again.
    std::function<void(TcpConnection&)> on_readable;
    /// Its last call; the connection is gone afterwards.
    std::function<void(TcpConnection&)> on_close;
  };

  static std::unique_ptr<TcpServer> make(Options options, Handler handler);
  virtual ~TcpServer() = default;

  /// Binds and listens. Errors: Retry (taken port, no such address yet), each with the address.
  virtual Status open() = 0;
  virtual std::uint16_t port() const noexcept = 0;

  /// Waits up to `wait_max` for something to happen and reports everything that is ready, once.
  virtual void run_round(milliseconds wait_max) = 0;
  /// Ends the connection after this round (on_close() follows). For owners whose read failed.
  virtual void drop(TcpConnection& connection) = 0;
  /// Runs `task` on the server's thread within a round. Thread-safe.
  virtual void post(std::function<void()> task) = 0;
  /// The connection with this id, or nullptr when it is gone.
  virtual TcpConnection* find(std::uint64_t id) noexcept = 0;
  /// Also those whose handshake is not done.
  virtual std::size_t connections() const noexcept = 0;

  /// Stops listening and closes all connections (on_close() for each). Unsent replies get one more
  /// chance to go out.
  virtual void close() = 0;
};

}  // namespace sluice

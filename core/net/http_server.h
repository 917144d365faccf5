// A small HTTP server for people and collectors that look at an agent; not a way for events in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace sluice {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// What a handler sees of a request. Its body has been read and thrown away.
struct HttpRequest {
  std::string method;        ///< "GET", as the client wrote it.
  std::string path;          ///< "/metrics": without host and query; not decoded.
  std::string query;         ///< What stands behind the '?'.
  HttpHeaders headers = {};  ///< As they came; names in any case.

  /// The first header of this name, in any case; empty when there is none.
  std::string_view header(std::string_view name) const noexcept;
};

/// A body that goes on while the connection lives. All calls come from the server's thread and may
/// neither block nor throw; it is destroyed when the client has gone or is dropped.
class HttpFeed {
 public:
  virtual ~HttpFeed() = default;
  /// What comes next; empty: nothing just now, HttpServer::wake() says when to ask again. It is not
  /// asked before the last piece has been sent, so nothing piles up for a client that reads slowly.
  virtual std::string next() = 0;
  /// What is sent when there was nothing for `heartbeat_every`, so that both ends learn when the
  /// other one has gone. Not empty.
  virtual std::string heartbeat() const = 0;
};

/// What goes back. A response to HEAD is sent without its body.
struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain;charset=utf-8";
  std::string body = {};
  HttpHeaders headers = {};  ///< Beside type and length; no line ends in them.
  /// Behind `body`; the connection ends with it. Not asked for anything when the request was HEAD.
  std::unique_ptr<HttpFeed> feed = {};
};

/// Serves HTTP/1.0 and 1.1 with keep-alive on one thread of its own.
///
/// Whatever a client sends costs only its own connection: a request has to be complete, and its
/// answer to be read, within `request_max` and the size limits below, else the connection is closed
/// (with 400, 413 or 431 where an answer makes sense). When `connections_max` are open, the one
/// that has been silent longest makes room for the next, so that idle or slow clients cannot lock a
/// collector out. Whoever asks in a pipeline gets the answers in order. Bodies of answers that are
/// being sent hold `answers_bytes_max` at most, all clients together: the next one that is larger
/// than 64 KiB gets 503 instead, unless it is the only one.
///
/// A server that listens on a loopback address answers 403 to whom asks for another host than
/// localhost, an address or the name that it is bound by: a page from elsewhere whose name was made
/// to lead here (DNS rebinding) could read everything otherwise.
///
/// Connections with a feed count apart: the one above `feeds_max` gets 503, those that are there
/// stay. One is dropped when it does not read a piece within `request_max` (beside what the
/// system's buffers hold), and when it sends anything or ends its side.
class HttpServer {
 public:
  struct Options {
    std::string host = {};      ///< Empty or "0.0.0.0": every address.
    std::uint16_t port = 0;     ///< 0: the system chooses; see port().
    std::string name = "http";  ///< Of the thread, and for messages.
    std::size_t connections_max = 64;
    milliseconds request_max{10'000};  ///< Also how long an idle connection is kept.
    std::uint32_t header_bytes_max = 8 * 1024;
    std::uint64_t body_bytes_max = 4 * 1024;
    std::uint64_t answers_bytes_max = 32 << 20;
    std::size_t feeds_max = 32;
    milliseconds heartbeat_every{15'000};
  };
  /// Runs on the server's thread, for all connections one after the other: it must neither block
  /// nor throw.
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  HttpServer(Options options, Handler handler);
  ~HttpServer();  ///< stop().
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds, listens and starts the thread. Ok also when it runs already.
  /// Errors: Retry (taken port, no such address), with the address; may be called again.
  Status start();
  /// Closes the listener and every connection, and waits for the thread, which takes no longer than
  /// the handler's current call. Called by whoever called start(), never by the handler.
  void stop();
  /// Feeds may have something now. Any thread at any time; does not wait.
  void wake();

  /// While it runs: where it listens.
  std::uint16_t port() const noexcept;

 private:
  class Impl;
  const Options options_;
  const Handler handler_;
  mutable std::mutex mutex_;
  std::unique_ptr<Impl> impl_;  ///< Only while it runs; mutex_ guards it from wake().
};

}  // namespace sluice

// Two ends of connections with TLS and compression: an echoing server on a thread of its own.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/net/tcp_server.h"
#include "core/net/tcp_stream.h"
#include "tests/catch.h"
#include "tests/support/certificates.h"
#include "tests/support/sockets.h"

namespace sluice::testing {

using Context = std::shared_ptr<const TlsContext>;

/// One CA, and a server's and a client's certificate that it has signed.
struct TestTls {
  TestStores stores;
  TestCertificate ca = make_certificate({.name = "test ca"});
  TestCertificate server_certificate = make_certificate({.name = "server", .issuer = &ca});
  TestCertificate client_certificate = make_certificate({.name = "client", .issuer = &ca});

  TlsSettings server_settings() const {
    return {.component = "source r1",
            .keystore = stores.pem("server.pem", server_certificate),
            .truststore = stores.trust("ca.pem", ca)};
  }
  TlsSettings client_settings() const {
    return {.component = "sink k1", .truststore = stores.trust("ca.pem", ca)};
  }
  Context server() const { return server(server_settings()); }
  Context client() const { return client(client_settings()); }

  static Context server(const TlsSettings& settings) {
    auto made = TlsContext::for_server(settings);
    INFO(made.status().message());
    REQUIRE(made.ok());
    return *made;
  }
  static Context client(const TlsSettings& settings) {
    auto made = TlsContext::for_client(settings);
    INFO(made.status().message());
    REQUIRE(made.ok());
    return *made;
  }
};

/// Answers what it reads with the same, on a thread of its own. Figures may be read meanwhile.
class LayeredEcho {
 public:
  using OnRead = std::function<void(TcpServer&, TcpConnection&)>;

  /// `on_read` replaces the echo; it runs on the server's thread.
  explicit LayeredEcho(TcpServer::Options options, OnRead on_read = {})
      : on_read_(std::move(on_read)) {
    options.host = "127.0.0.1";
    options.name = "source r1";
    server_ =
        TcpServer::make(std::move(options), {.on_open = [this](TcpConnection&) { ++opened; },
                                             .on_readable = [this](TcpConnection& c) { read(c); },
                                             .on_close = [this](TcpConnection&) { ++closed; }});
    REQUIRE(server_->open().ok());
    port = server_->port();
    thread_ = std::jthread([this](std::stop_token stop) {
      while (!stop.stop_requested()) {
        server_->run_round(milliseconds(5));
        connections = server_->connections();
      }
      server_->close();
    });
  }
  /// Closes the server, as an agent that stops.
  void close() {
    thread_.request_stop();
    thread_.join();
  }
  /// How the last connection ended that its peer ended.
  Status last_end() const {
    const std::lock_guard lock(mutex_);
    return last_end_;
  }

  std::atomic<int> opened{0};
  std::atomic<int> closed{0};
  std::atomic<int> ended{0};
  std::atomic<std::size_t> connections{0};
  std::atomic<std::uint64_t> read_bytes{0};
  std::uint16_t port = 0;

 private:
  void read(TcpConnection& connection) {
    if (on_read_) return on_read_(*server_, connection);
    auto got = connection.read_some(buffer_);
    if (got.ok()) {
      read_bytes += *got;
      if (*got > 0) connection.send({buffer_.data(), *got});
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      last_end_ = got.status();
    }
    ++ended;
    if (got.code() == Code::Closed) return connection.finish();
    server_->drop(connection);
  }

  const OnRead on_read_;
  std::string buffer_ = std::string(3000, '\0');
  std::unique_ptr<TcpServer> server_;
  mutable std::mutex mutex_;
  Status last_end_;  // guarded by mutex_
  std::jthread thread_;
};

inline Result<TcpStream> connect_to(std::uint16_t port, const StreamLayers& layers,
                                    const std::string& host = "127.0.0.1") {
  return TcpStream::connect({host, port}, Deadline::in(test_patience), {}, layers);
}

inline Status send_text(TcpStream& stream, std::string text) {
  const iovec piece{text.data(), text.size()};
  return stream.write_all({&piece, 1}, Deadline::in(test_patience), {});
}

/// So many bytes, fewer when the peer ends or patience is over.
inline std::string read_text(TcpStream& stream, std::size_t bytes) {
  const Deadline deadline = Deadline::in(test_patience);
  std::string all;
  std::string buffer(100'000, '\0');
  while (all.size() < bytes) {
    auto got = stream.read_some({buffer.data(), std::min(buffer.size(), bytes - all.size())},
                                deadline, {});
    if (!got.ok() || *got == 0) break;
    all.append(buffer, 0, *got);
  }
  return all;
}

}  // namespace sluice::testing

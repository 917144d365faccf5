// TLS and compression under the server and the stream, in both orders, and every way they fail.

#include "core/net/stream_layers.h"

#include <openssl/ssl.h>
#include <zlib.h>

#include <optional>

#include "tests/support/captured_log.h"
#include "tests/support/layered.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::connect_to;
using testing::LayeredEcho;
using testing::make_certificate;
using testing::read_text;
using testing::send_text;
using testing::TestCertificate;
using testing::TestTls;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Text that neither compresses to nothing nor repeats.
std::string much_text(std::size_t bytes) {
  std::string text;
  text.reserve(bytes + 20);
  for (std::uint64_t i = 1; text.size() < bytes; ++i) text += std::to_string(i * 2654435761) + ",";
  text.resize(bytes);
  return text;
}

/// Every combination, as (server, client).
std::vector<std::pair<StreamLayers, StreamLayers>> all_layers(const TestTls& tls) {
  const auto server = tls.server();
  const auto client = tls.client();
  const auto outside = LayerOrder::DeflateOutside;
  const auto inside = LayerOrder::TlsOutside;
  return {
      {{}, {}},
      {{.deflate = true}, {.deflate = true, .deflate_level = 1}},
      {{.tls = server}, {.tls = client}},
      {{.tls = server, .deflate = true, .order = outside},
       {.tls = client, .deflate = true, .order = outside}},
      {{.tls = server, .deflate = true, .order = inside},
       {.tls = client, .deflate = true, .order = inside}},
      // Who accepts goes by the first byte.
      {{.tls = server, .deflate = true}, {.tls = client, .deflate = true}},
      {{.tls = server, .deflate = true}, {.tls = client, .deflate = true, .order = inside}},
  };
}

TEST_CASE("text goes both ways under every combination of layers") {
  const TestTls tls;
  for (const auto& [server, client] : all_layers(tls)) {
    LayeredEcho echo({.layers = server});
    auto stream = connect_to(echo.port, client);
    INFO(stream.status().message());
    REQUIRE(stream.ok());
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{20}, std::size_t{70'000}}) {
      const std::string text = much_text(bytes);
      REQUIRE(send_text(*stream, text).ok());
      CHECK((read_text(*stream, bytes) == text));
    }
    CHECK_FALSE(stream->peer_is_gone());
    stream->finish(test_patience, Deadline::in(test_patience));
    CHECK(eventually([&] { return echo.closed == 1; }));
    CHECK(echo.last_end().code() == Code::Closed);
    CHECK(echo.opened == 1);
  }
}

TEST_CASE("one thread writes while another reads, much more than any buffer holds") {
  const TestTls tls;
  for (const auto& [server, client] : all_layers(tls)) {
    LayeredEcho echo({.layers = server});
    auto stream = connect_to(echo.port, client);
    REQUIRE(stream.ok());
    const std::string text = much_text(6 << 20);
    std::string received;
    std::jthread reader([&] { received = read_text(*stream, text.size()); });
    std::vector<iovec> pieces;
    std::string copy = text;
    for (std::size_t at = 0; at < copy.size();) {
      const std::size_t bytes = std::min(copy.size() - at, at % 977 + 1);
      pieces.push_back({copy.data() + at, bytes});
      at += bytes;
    }
    CHECK(stream->write_all(pieces, Deadline::in(3 * test_patience), {}).ok());
    reader.join();
    CHECK((received == text));
  }
}

TEST_CASE("a reader that waits returns when another thread shuts the connection down") {
  const TestTls tls;
  for (const auto& [server, client] : all_layers(tls)) {
    LayeredEcho echo({.layers = server});
    auto stream = connect_to(echo.port, client);
    REQUIRE(stream.ok());
    std::atomic<bool> returned{false};
    std::jthread reader([&] {
      char buffer[10];
      CHECK_FALSE(stream->read_some(buffer, Deadline::in(3 * test_patience), {}).ok());
      returned = true;
    });
    stream->shutdown_now();
    CHECK(eventually([&] { return returned.load(); }));
  }
}

TEST_CASE("the stop of the reader does not keep the writer awake") {
  LayeredEcho echo({});
  auto stream = connect_to(echo.port, {});
  REQUIRE(stream.ok());
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  char buffer[10];
  CHECK(stream->read_some(buffer, Deadline::never(), stop.get_token()).code() == Code::Closed);
  CHECK(send_text(*stream, "still there").ok());
  CHECK(read_text(*stream, 11) == "still there");
}

TEST_CASE("what the layers hold is reported without anything new on the socket") {
  const TestTls tls;
  for (const auto& [server, client] : all_layers(tls)) {
    std::atomic<std::uint64_t> bytes{0};
    LayeredEcho echo({.layers = server}, [&](TcpServer& owner, TcpConnection& connection) {
      char few[7];
      auto got = connection.read_some(few);
      if (!got.ok()) return owner.drop(connection);
      bytes += *got;
    });
    auto stream = connect_to(echo.port, client);
    REQUIRE(stream.ok());
    REQUIRE(send_text(*stream, std::string(20'000, 'x')).ok());
    CHECK(eventually([&] { return bytes == 20'000; }));
  }
}

TEST_CASE("an owner that leaves data unread is asked again") {
  const TestTls tls;
  std::atomic<int> asked{0};
  std::atomic<std::uint64_t> bytes{0};
  LayeredEcho echo({.layers = {.tls = tls.server()}}, [&](TcpServer&, TcpConnection& connection) {
    if (++asked % 3 != 0) return;
    char few[100];
    auto got = connection.read_some(few);
    if (got.ok()) bytes += *got;
  });
  auto stream = connect_to(echo.port, {.tls = tls.client()});
  REQUIRE(stream.ok());
  REQUIRE(send_text(*stream, std::string(5'000, 'x')).ok());
  CHECK(eventually([&] { return bytes == 5'000; }));
}

TEST_CASE("a peer that does not read is not read, with layers too") {
  const TestTls tls;
  LayeredEcho echo({.unsent_bytes_max = 1000, .layers = {.tls = tls.server()}});
  auto stream = connect_to(echo.port, {.tls = tls.client()});
  REQUIRE(stream.ok());
  std::string much(64 << 20, 'm');
  const iovec piece{much.data(), much.size()};
  CHECK(stream->write_all({&piece, 1}, Deadline::in(milliseconds(300)), {}).code() == Code::Retry);
  CHECK(echo.read_bytes < much.size());
}

// ---- What the wire shows

/// The first bytes that a stream with these layers sends.
std::string first_bytes(const StreamLayers& layers, std::size_t bytes) {
  TestReceiver receiver;
  std::jthread client([&] {
    auto ignored = TcpStream::connect({"127.0.0.1", receiver.port()},
                                      Deadline::in(milliseconds(500)), {}, layers);
    if (ignored.ok()) static_cast<void>(send_text(*ignored, "text"));
  });
  CHECK(eventually([&] { return receiver.received().size() >= bytes; }));
  return receiver.received();
}

std::string inflated(const std::string& bytes) {
  std::string out(100'000, '\0');
  z_stream zlib{};
  REQUIRE(::inflateInit(&zlib) == Z_OK);
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  zlib.avail_in = static_cast<uInt>(bytes.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  ::inflate(&zlib, Z_SYNC_FLUSH);
  out.resize(out.size() - zlib.avail_out);
  ::inflateEnd(&zlib);
  return out;
}

TEST_CASE("the wire shows what Flume 1.11 and Flume 1.9 show") {
  const TestTls tls;
  const std::string newer = first_bytes({.tls = tls.client(), .deflate = true}, 100);
  CHECK(newer.starts_with("\x78\x9c"));
  CHECK(inflated(newer).starts_with("\x16\x03"));
  const std::string older =
      first_bytes({.tls = tls.client(), .deflate = true, .order = LayerOrder::TlsOutside}, 100);
  CHECK(older.starts_with("\x16\x03"));
  const std::string only = first_bytes({.deflate = true}, 10);
  CHECK(only.starts_with("\x78\x9c"));
  CHECK(inflated(only) == "text");
}

TEST_CASE("a server tells the order by a first byte that comes alone and late") {
  const TestTls tls;
  LayeredEcho echo({.layers = {.tls = tls.server(), .deflate = true}});
  TestClient early(echo.port);
  auto stream = connect_to(echo.port,
                           {.tls = tls.client(), .deflate = true, .order = LayerOrder::TlsOutside});
  REQUIRE(stream.ok());
  CHECK(eventually([&] { return echo.connections == 2 && echo.opened == 1; }));
}

// ---- Ends and cuts

TEST_CASE("a server that closes says goodbye in every layer") {
  const TestTls tls;
  for (const auto& [server, client] : all_layers(tls)) {
    LayeredEcho echo({.layers = server});
    auto stream = connect_to(echo.port, client);
    REQUIRE(stream.ok());
    REQUIRE(send_text(*stream, "one").ok());
    REQUIRE(read_text(*stream, 3) == "one");
    echo.close();
    char buffer[10];
    const auto end = stream->read_some(buffer, Deadline::in(test_patience), {});
    CHECK(end.code() == Code::Closed);
    CHECK(stream->peer_is_gone());
  }
}

TEST_CASE("a connection that is cut off is told apart from one that ends") {
  const TestTls tls;
  for (const auto& [server, client] : all_layers(tls)) {
    if (server.none()) continue;  // there both are the same
    LayeredEcho echo({.layers = server});
    {
      auto stream = connect_to(echo.port, client);
      REQUIRE(stream.ok());
      REQUIRE(send_text(*stream, "one").ok());
      REQUIRE(read_text(*stream, 3) == "one");
    }
    REQUIRE(eventually([&] { return echo.ended == 1; }));
    CHECK(echo.last_end().code() == Code::Retry);
    CHECK(has(echo.last_end().message(), "cut off"));
    CHECK(has(echo.last_end().message(), "connection from 127.0.0.1:"));
    CHECK(eventually([&] { return echo.closed == 1; }));
  }
}

TEST_CASE("a client is told when its server is cut off") {
  const TestTls tls;
  for (const auto& [server, client] : all_layers(tls)) {
    if (server.none()) continue;
    LayeredEcho echo({.layers = server}, [](TcpServer& owner, TcpConnection& connection) {
      char few[10];
      auto got = connection.read_some(few);
      if (got.ok() && *got == 0) return;
      connection.send("last");
      owner.drop(connection);
    });
    auto stream = connect_to(echo.port, client);
    REQUIRE(stream.ok());
    REQUIRE(send_text(*stream, "one").ok());
    CHECK(read_text(*stream, 4) == "last");
    char buffer[10];
    const auto end = stream->read_some(buffer, Deadline::in(test_patience), {});
    CHECK(end.code() == Code::Retry);
    CHECK(has(end.status().message(), "cut off"));
    CHECK(stream->peer_is_gone());
  }
}

// ---- Handshakes that fail

/// What a client is told. The server says what `captured` holds.
std::string refusal(const LayeredEcho& echo, const StreamLayers& client,
                    const std::string& host = "127.0.0.1") {
  auto stream = connect_to(echo.port, client, host);
  if (!stream.ok()) {
    CHECK(stream.code() == Code::Retry);
    return stream.status().message();
  }
  // With TLS 1.3 a server refuses behind the client's handshake.
  char buffer[10];
  const auto end = stream->read_some(buffer, Deadline::in(test_patience), {});
  CHECK(end.code() == Code::Retry);
  return end.status().message();
}

TEST_CASE("a server whose certificate nobody vouches for is refused") {
  const TestTls tls;
  CapturedLog captured;
  LayeredEcho echo({.layers = {.tls = tls.server()}});
  TlsSettings settings = tls.client_settings();
  settings.truststore = tls.stores.trust("other.pem", make_certificate({.name = "other ca"}));
  const std::string told = refusal(echo, {.tls = TestTls::client(settings)});
  CHECK(has(told, "certificate verify failed: unable to get local issuer certificate"));
  CHECK(has(told, "truststore"));
  CHECK(has(told, "127.0.0.1:" + std::to_string(echo.port)));
  CHECK(eventually([&] { return captured.has("source r1: connection from 127.0.0.1:"); }));
  CHECK(captured.has("does not accept our certificate"));
  settings.trust_all = true;
  CHECK(connect_to(echo.port, {.tls = TestTls::client(settings)}).ok());
  CHECK(eventually([&] { return echo.opened == 1; }));
}

TEST_CASE("the system's CAs are asked when there is no truststore") {
  const TestTls tls;
  LayeredEcho echo({.layers = {.tls = tls.server()}});
  CHECK(has(refusal(echo, {.tls = TestTls::client({.component = "sink k1"})}),
            "certificate verify failed"));
}

TEST_CASE("a certificate that is in the truststore is trusted without its CA") {
  const TestTls tls;
  LayeredEcho echo({.layers = {.tls = tls.server()}});
  TlsSettings settings = tls.client_settings();
  settings.truststore = tls.stores.trust("pinned.pem", tls.server_certificate);
  CHECK(connect_to(echo.port, {.tls = TestTls::client(settings)}).ok());
}

TEST_CASE("an expired certificate is refused") {
  TestTls tls;
  tls.server_certificate = make_certificate({.valid_until = -60, .issuer = &tls.ca});
  LayeredEcho echo({.layers = {.tls = tls.server()}});
  const std::string told = refusal(echo, {.tls = tls.client()});
  CHECK(has(told, "certificate has expired"));
  CHECK(has(told, "renewed"));
}

TEST_CASE("a certificate for another host is refused unless verify-hostname is off") {
  TestTls tls;
  tls.server_certificate =
      make_certificate({.names = "DNS:web.example.com,IP:10.0.0.1", .issuer = &tls.ca});
  LayeredEcho echo({.layers = {.tls = tls.server()}});
  const std::string by_address = refusal(echo, {.tls = tls.client()});
  CHECK(has(by_address, "it is for web.example.com, 10.0.0.1, not for 127.0.0.1"));
  CHECK(has(by_address, "verify-hostname = false"));
  CHECK(has(refusal(echo, {.tls = tls.client()}, "localhost"), "not for localhost"));
  TlsSettings settings = tls.client_settings();
  settings.verify_host = false;
  CHECK(connect_to(echo.port, {.tls = TestTls::client(settings)}).ok());
}

TEST_CASE("a host is known by its alternative names, or its common name where there are none") {
  TestTls tls;
  LayeredEcho echo({.layers = {.tls = tls.server()}});
  CHECK(connect_to(echo.port, {.tls = tls.client()}, "localhost").ok());
  tls.server_certificate = make_certificate({.name = "localhost", .names = "", .issuer = &tls.ca});
  LayeredEcho common({.layers = {.tls = tls.server()}});
  CHECK(connect_to(common.port, {.tls = tls.client()}, "localhost").ok());
  CHECK(has(refusal(common, {.tls = tls.client()}), "it is for localhost, not for 127.0.0.1"));
}

TEST_CASE("senders show certificates where that is asked for") {
  const TestTls tls;
  TlsSettings server = tls.server_settings();
  server.client_auth = true;
  TlsSettings client = tls.client_settings();
  for (const std::string protocol : {"TLSv1.2", "TLSv1.3"}) {
    client.include_protocols = {protocol};
    CapturedLog captured;
    LayeredEcho echo({.layers = {.tls = TestTls::server(server)}});
    client.keystore = {};
    const std::string told = refusal(echo, {.tls = TestTls::client(client)});
    INFO(told);
    CHECK(has(told, "keystore"));
    CHECK(eventually([&] { return captured.has("peer did not return a certificate"); }));
    CHECK(captured.has("need-client-auth = true"));
    CHECK(echo.opened == 0);

    client.keystore = tls.stores.pem("client.pem", tls.client_certificate);
    auto stream = connect_to(echo.port, {.tls = TestTls::client(client)});
    REQUIRE(stream.ok());
    REQUIRE(send_text(*stream, "one").ok());
    CHECK(read_text(*stream, 3) == "one");

    client.keystore = tls.stores.pem("stranger.pem", make_certificate({.name = "stranger"}));
    const std::string stranger = refusal(echo, {.tls = TestTls::client(client)});
    INFO(stranger);
    CHECK(has(stranger, "does not accept our certificate"));
    CHECK(eventually([&] { return captured.has("put the CA of the senders' certificates"); }));
  }
}

TEST_CASE("both sides speak what both lists allow, or nothing") {
  const TestTls tls;
  TlsSettings server = tls.server_settings();
  server.include_protocols = {"TLSv1.2"};
  CapturedLog captured;
  LayeredEcho echo({.layers = {.tls = TestTls::server(server)}});
  TlsSettings client = tls.client_settings();
  CHECK(connect_to(echo.port, {.tls = TestTls::client(client)}).ok());
  client.exclude_protocols = {"TLSv1.2"};
  CHECK(has(refusal(echo, {.tls = TestTls::client(client)}), "include-protocols"));
  CHECK(eventually([&] { return captured.has("no TLS version in common"); }));
  client.exclude_protocols = {};
  client.include_cipher_suites = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
  CHECK(connect_to(echo.port, {.tls = TestTls::client(client)}).ok());
  // The server's key is of the other kind.
  client.include_cipher_suites = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"};
  CHECK(has(refusal(echo, {.tls = TestTls::client(client)}), "no cipher suite in common"));
  CHECK(eventually([&] { return captured.has("both sides have no cipher suite in common"); }));
}

TEST_CASE("TLS 1.0 is spoken by those who ask for it") {
  const TestTls tls;
  TlsSettings server = tls.server_settings();
  TlsSettings client = tls.client_settings();
  client.include_protocols = {"TLSv1"};
  CapturedLog captured;
  LayeredEcho newer({.layers = {.tls = TestTls::server(server)}});
  CHECK_FALSE(connect_to(newer.port, {.tls = TestTls::client(client)}).ok());
  server.include_protocols = {"TLSv1", "TLSv1.2"};
  LayeredEcho older({.layers = {.tls = TestTls::server(server)}});
  CHECK(connect_to(older.port, {.tls = TestTls::client(client)}).ok());
}

TEST_CASE("plain text at a port of TLS is told as such, once and then rarely") {
  const TestTls tls;
  CapturedLog captured;
  LayeredEcho echo({.layers = {.tls = tls.server()}});
  for (int i = 0; i < 7; ++i) {
    TestClient plain(echo.port);
    REQUIRE(plain.send(i % 2 == 0 ? "GET / HTTP/1.1\r\n\r\n" : "hello\n"));
    plain.read_to_end();
    CHECK(plain.ended());
  }
  CHECK(captured.has("plain text came where TLS was expected: set ssl = true at the sender"));
  CHECK(eventually([&] { return captured.has("4 failed handshakes so far"); }));
  CHECK_FALSE(captured.has("3 failed handshakes so far"));
  CHECK(echo.opened == 0);
  CHECK(echo.closed == 0);
}

TEST_CASE("compressed bytes where TLS was expected tell the other order") {
  const TestTls tls;
  CapturedLog captured;
  LayeredEcho echo(
      {.layers = {.tls = tls.server(), .deflate = true, .order = LayerOrder::TlsOutside}});
  static_cast<void>(TcpStream::connect({"127.0.0.1", echo.port}, Deadline::in(milliseconds(200)),
                                       {}, {.tls = tls.client(), .deflate = true}));
  CHECK(eventually([&] { return captured.has("the peer has compression outside of TLS"); }));
}

TEST_CASE("TLS where compression was expected is told") {
  const TestTls tls;
  LayeredEcho echo({.layers = {.deflate = true}});
  const auto refused = connect_to(echo.port, {.tls = tls.client()});
  CHECK(refused.code() == Code::Retry);
  CHECK(has(echo.last_end().message(), "compression-type must be the same on both sides"));
}

TEST_CASE("a client is told that its server speaks no TLS") {
  const TestTls tls;
  LayeredEcho plain({});  // answers a handshake with itself
  TestReceiver silent;
  const auto none = TcpStream::connect({"127.0.0.1", silent.port()},
                                       Deadline::in(milliseconds(100)), {}, {.tls = tls.client()});
  CHECK(none.code() == Code::Retry);
  CHECK(has(none.status().message(), "not done in time"));
  LayeredEcho greets({}, [](TcpServer&, TcpConnection& connection) {
    char waste[1000];
    static_cast<void>(connection.read_some(waste));
    connection.send("220 hello\r\n");
  });
  CHECK(has(refusal(greets, {.tls = tls.client()}),
            "plain text came where TLS was expected: set ssl = true at the receiver"));
}

TEST_CASE("a handshake that stops half way ends in time and leaves the others alone") {
  const TestTls tls;
  CapturedLog captured;
  LayeredEcho echo({.layers = {.tls = tls.server()}, .handshake_max = milliseconds(50)});
  TestClient says_nothing(echo.port);
  TestClient says_half(echo.port);
  REQUIRE(says_half.send(std::string("\x16\x03\x01\x02\x00\x01", 6)));
  auto stream = connect_to(echo.port, {.tls = tls.client()});
  REQUIRE(stream.ok());
  says_nothing.read_to_end();
  CHECK(says_nothing.ended());
  says_half.read_to_end();
  CHECK(says_half.ended());
  CHECK(captured.has("no TLS handshake within 50 ms"));
  REQUIRE(send_text(*stream, "one").ok());
  CHECK(read_text(*stream, 3) == "one");
  CHECK(echo.opened == 1);
  CHECK(echo.connections == 1);
}

TEST_CASE("somebody who only knocks is no failure") {
  const TestTls tls;
  CapturedLog captured;
  LayeredEcho echo({.layers = {.tls = tls.server()}});
  {
    TestClient knocks(echo.port);
    CHECK(eventually([&] { return echo.connections == 1; }));
  }
  CHECK(eventually([&] { return echo.connections == 0; }));
  CHECK_FALSE(captured.has("failed handshakes"));
}

TEST_CASE("a stop or a deadline ends a handshake") {
  const TestTls tls;
  TestReceiver silent;
  std::stop_source stop;
  std::jthread stopper([&] {
    eventually([&] { return silent.bytes() > 0; });
    stop.request_stop();
  });
  const auto stopped = TcpStream::connect({"127.0.0.1", silent.port()}, Deadline::never(),
                                          stop.get_token(), {.tls = tls.client()});
  CHECK(stopped.code() == Code::Closed);
}

TEST_CASE("a peer cannot renegotiate") {
  const TestTls tls;
  TlsSettings client = tls.client_settings();
  client.include_protocols = {"TLSv1.2"};
  const auto context = TestTls::client(client);
  CHECK((SSL_CTX_get_options(context->get()) & SSL_OP_NO_RENEGOTIATION) != 0);
  CHECK((SSL_CTX_get_options(tls.server()->get()) & SSL_OP_NO_RENEGOTIATION) != 0);
}

}  // namespace
}  // namespace sluice

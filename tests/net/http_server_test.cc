#include "core/net/http_server.h"

#include <atomic>
#include <memory>
#include <random>
#include <vector>

#include "tests/catch.h"
#include "tests/net/http_client.h"

namespace sluice {
namespace {

HttpServer::Options on_any_port() { return {.host = "127.0.0.1", .port = 0}; }

/// Nobody is dropped for being slow while a test lasts.
HttpServer::Options patient() {
  HttpServer::Options options = on_any_port();
  options.request_max = milliseconds(60'000);
  return options;
}

/// Answers with what it was asked.
HttpResponse echo(const HttpRequest& request) {
  return {.body = request.method + " " + request.path + " " + request.query};
}

/// A running server on a port of its own.
class Running {
 public:
  explicit Running(HttpServer::Options options = on_any_port(), HttpServer::Handler handler = echo)
      : server_(std::move(options), std::move(handler)) {
    REQUIRE(server_.start().ok());
    REQUIRE(server_.port() != 0);
  }
  HttpServer& operator*() { return server_; }
  HttpServer* operator->() { return &server_; }
  std::uint16_t port() const { return server_.port(); }
  /// Somebody new gets an answer.
  bool answers() { return HttpClient(port()).get("/alive").body == "GET /alive "; }

 private:
  HttpServer server_;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// True when `over` says so within a generous time; it makes the time pass itself.
template <typename Over>
bool soon(Over over) {
  const Deadline deadline = Deadline::in(milliseconds(8'000));
  while (!deadline.passed()) {
    if (over()) return true;
  }
  return false;
}

/// Those who do what they should have time for it on a loaded machine too.
HttpServer::Options impatient() {
  HttpServer::Options options = on_any_port();
  options.request_max = milliseconds(2'000);
  return options;
}

}  // namespace

TEST_CASE("requests of one connection are answered one after the other") {
  Running server;
  HttpClient client(server.port());
  const auto first = client.get("/a?x=1&y=2");
  CHECK(first.status == 200);
  CHECK(first.body == "GET /a x=1&y=2");
  CHECK(first.headers.at("Content-Type") == "text/plain;charset=utf-8");
  CHECK(client.get("/b").body == "GET /b ");
  CHECK(client.get("/c").body == "GET /c ");
}

TEST_CASE("an answer has the status and type that the handler chose") {
  Running server(on_any_port(), [](const HttpRequest&) {
    return HttpResponse{.status = 503, .content_type = "application/json", .body = "{}"};
  });
  const auto answer = HttpClient(server.port()).get("/");
  CHECK(answer.status == 503);
  CHECK(answer.headers.at("Content-Type") == "application/json");
  CHECK(answer.body == "{}");
}

TEST_CASE("HEAD gets the length of the body without the body") {
  Running server;
  HttpClient client(server.port());
  REQUIRE(client.send("HEAD /h HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const auto answer = client.read_answer(true);
  CHECK(answer.status == 200);
  CHECK(answer.headers.at("Content-Length") == "8");
  const auto next = client.get("/next");
  CHECK(next.status == 200);
  CHECK(next.body == "GET /next ");
}

TEST_CASE("a 405 says what is allowed") {
  Running server(on_any_port(), [](const HttpRequest&) { return HttpResponse{.status = 405}; });
  CHECK(HttpClient(server.port()).get("/").headers.at("Allow") == "GET, HEAD");
}

TEST_CASE("the form of a request that proxies send is understood") {
  Running server;
  HttpClient client(server.port());
  CHECK(client.get("http://host:41414/metrics?a").body == "GET /metrics a");
  CHECK(client.get("http://host").body == "GET / ");
}

TEST_CASE("who asks a server on a loopback address for another host is refused") {
  int asked = 0;
  Running server(patient(), [&](const HttpRequest&) {
    ++asked;
    return HttpResponse{};
  });
  HttpClient client(server.port());
  const auto status = [&](const std::string& header) {
    client.send("GET / HTTP/1.1\r\n" + header + "\r\n");
    return client.read_answer().status;
  };
  for (const char* host :
       {"evil.example", "evil.example:41414", "localhost.evil.example", "127.0.0.1.evil.example",
        "[::1].evil.example", "[evil]", "a:b:c", "2130706433.", "localhost:1:2"}) {
    INFO(host);
    CHECK(status(std::string("Host: ") + host + "\r\n") == 403);
  }
  CHECK(status("host: evil.example\r\n") == 403);
  CHECK(asked == 0);
  for (const char* host : {"localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:80", "[::1]",
                           "[::1]:80", "192.0.2.7:80", ""}) {
    INFO(host);
    CHECK(status(std::string("Host: ") + host + "\r\n") == 200);
  }
  CHECK(status("") == 200);
}

TEST_CASE("a server is asked for by the name that it is bound by, and on other addresses by any") {
  HttpServer::Options options = patient();
  options.host = "0.0.0.0";
  Running everywhere(options);
  HttpClient client(everywhere.port());
  REQUIRE(client.send("GET / HTTP/1.1\r\nHost: agent.example\r\n\r\n"));
  CHECK(client.read_answer().status == 200);
  options.host = "localhost";
  Running local(options);
  HttpClient other(local.port());
  REQUIRE(other.send("GET / HTTP/1.1\r\nHost: agent.example\r\n\r\n"));
  CHECK(other.read_answer().status == 403);
}

TEST_CASE("HTTP/1.0 and Connection: close end the connection behind the answer") {
  Running server;
  HttpClient old(server.port());
  REQUIRE(old.send("GET /old HTTP/1.0\r\n\r\n"));
  CHECK(old.read_answer().body == "GET /old ");
  CHECK(old.hung_up());
  HttpClient closing(server.port());
  REQUIRE(closing.send("GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  CHECK(closing.read_answer().body == "GET /x ");
  CHECK(closing.hung_up());
}

TEST_CASE("pipelined requests are answered in order") {
  Running server;
  HttpClient client(server.port());
  std::string all;
  for (int i = 0; i < 100; ++i) {
    all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  }
  REQUIRE(client.send(all));
  for (int i = 0; i < 100; ++i) {
    CHECK(client.read_answer().body == "GET /" + std::to_string(i) + " ");
  }
}

TEST_CASE("what is no HTTP is answered with 400 and costs the connection") {
  Running server;
  for (const char* garbage : {"\x16\x03\x01\x02\n\r\n\r\n", "hello\r\n\r\n", "GET /\r\n\r\n",
                              "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nbad header\r\n\r\n"}) {
    INFO(garbage);
    HttpClient client(server.port());
    REQUIRE(client.send(garbage));
    CHECK(client.read_answer().status == 400);
    CHECK(client.hung_up());
  }
  CHECK(server.answers());
}

TEST_CASE("random bytes do not harm the next client") {
  Running server;
  std::mt19937 random(20240607);
  for (int i = 0; i < 200; ++i) {
    std::string bytes = i % 2 == 0 ? "GET / HTTP/1.1\r\n" : "";
    const std::size_t size = random() % 3000;
    for (std::size_t n = 0; n < size; ++n) bytes += static_cast<char>(random());
    HttpClient client(server.port());
    client.send(bytes);
  }
  CHECK(server.answers());
}

TEST_CASE("a header without an end is answered with 431") {
  Running server;
  HttpClient one_line(server.port());
  one_line.send("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x'));
  CHECK(one_line.read_answer().status == 431);
  CHECK(one_line.hung_up());
  HttpClient many_lines(server.port());
  std::string lines = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i) lines += "X-" + std::to_string(i) + ": y\r\n";
  many_lines.send(lines);
  CHECK(many_lines.read_answer().status == 431);
  CHECK(server.answers());
}

TEST_CASE("a header just within the limit passes and one above does not") {
  Running server;
  const std::string head = "GET / HTTP/1.1\r\nX: ";
  const std::size_t limit = HttpServer::Options{}.header_bytes_max;
  HttpClient within(server.port());
  REQUIRE(within.send(head + std::string(limit - head.size() - 64, 'x') + "\r\n\r\n"));
  CHECK(within.read_answer().status == 200);
  HttpClient beyond(server.port());
  REQUIRE(beyond.send(head + std::string(limit, 'x') + "\r\n\r\n"));
  CHECK(beyond.read_answer().status == 431);
}

TEST_CASE("a small body is thrown away and a large one refused") {
  Running server;
  HttpClient small(server.port());
  REQUIRE(small.send("POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"));
  CHECK(small.read_answer().body == "POST /p ");
  CHECK(small.get("/next").body == "GET /next ");
  HttpClient large(server.port());
  REQUIRE(
      large.send("POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\nhello"));
  CHECK(large.read_answer().status == 413);
  CHECK(large.hung_up());
  HttpClient chunked(server.port());
  chunked.send("POST /p HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n8000\r\n" +
               std::string(0x8000, 'b'));
  CHECK(chunked.read_answer().status == 413);
}

TEST_CASE("a request that does not become complete in time is dropped") {
  Running server(impatient());
  HttpClient silent(server.port());
  HttpClient slow(server.port());
  REQUIRE(slow.send("GET / HTTP/1.1\r\nHo"));
  CHECK(silent.hung_up());
  CHECK(slow.hung_up());
  CHECK(server.answers());
}

TEST_CASE("a drop now and then does not keep a request alive") {
  Running server(impatient());
  HttpClient dripping(server.port());
  REQUIRE(dripping.send("GET / HTTP/1.1\r\nX: "));
  CHECK(soon([&] { return !dripping.send("x") || !server.answers(); }));
  CHECK(server.answers());
}

TEST_CASE("a client that does not read its answer holds up nobody") {
  Running server(impatient(), [](const HttpRequest& request) {
    if (request.path == "/big") return HttpResponse{.body = std::string(64 << 20, 'x')};
    return echo(request);
  });
  HttpClient lazy(server.port());
  REQUIRE(lazy.send("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(server.answers());
  CHECK(soon([&] { return !lazy.send("x") || !server.answers(); }));
  CHECK(server.answers());
}

TEST_CASE("answers that nobody reads hold no more than they may, and small ones go on") {
  HttpServer::Options options = patient();
  options.answers_bytes_max = 48 << 20;
  std::atomic<int> asked{0};
  Running server(options, [&](const HttpRequest& request) {
    ++asked;
    // More than the system's buffers hold.
    if (request.path == "/big") return HttpResponse{.body = std::string(32 << 20, 'x')};
    if (request.path == "/some") return HttpResponse{.body = std::string(1 << 20, 'x')};
    return echo(request);
  });
  const std::string big = "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n";
  auto lazy = std::make_unique<HttpClient>(server.port());
  REQUIRE(lazy->send(big));
  REQUIRE(soon([&] { return asked == 1; }));
  HttpClient other(server.port());
  const auto refused = other.get("/big");
  CHECK(refused.status == 503);
  CHECK(refused.headers.at("Retry-After") == "1");
  CHECK(other.get("/some").body.size() == 1 << 20);
  CHECK(server.answers());
  REQUIRE(other.send("HEAD /big HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(other.read_answer(true).headers.at("Content-Length") == std::to_string(32 << 20));
  lazy.reset();
  CHECK(soon([&] { return other.get("/big").body.size() == 32 << 20; }));
  // What has been read holds nothing any more, though its connection is kept.
  CHECK(soon([&] { return HttpClient(server.port()).get("/big").status == 200; }));
}

TEST_CASE("an answer that is larger than all may be is sent when it is the only one") {
  HttpServer::Options options = patient();
  options.answers_bytes_max = 1 << 20;
  Running server(
      options, [](const HttpRequest&) { return HttpResponse{.body = std::string(2 << 20, 'x')}; });
  HttpClient client(server.port());
  CHECK(client.get("/").body.size() == 2 << 20);
  CHECK(client.get("/").body.size() == 2 << 20);
}

TEST_CASE("the connection that is silent longest makes room for a new one") {
  HttpServer::Options options = patient();
  options.connections_max = 2;
  Running server(options);
  HttpClient first(server.port());
  REQUIRE(first.get("/1").status == 200);
  HttpClient second(server.port());
  REQUIRE(second.get("/2").status == 200);
  REQUIRE(first.get("/1").status == 200);
  HttpClient third(server.port());
  CHECK(third.get("/3").status == 200);
  CHECK(second.hung_up());
  CHECK(first.get("/1").status == 200);
}

TEST_CASE("three hundred silent connections do not lock a collector out") {
  Running server(patient());
  std::vector<std::unique_ptr<HttpClient>> silent;
  for (int i = 0; i < 300; ++i) silent.push_back(std::make_unique<HttpClient>(server.port()));
  CHECK(server.answers());
  CHECK(silent.front()->hung_up());
}

TEST_CASE("a stop is prompt whatever clients are doing") {
  const auto begin = Clock::system().steady();
  {
    Running server(patient());
    HttpClient idle(server.port());
    REQUIRE(idle.get("/").status == 200);
    HttpClient slow(server.port());
    REQUIRE(slow.send("GET / HT"));
    server->stop();
    CHECK(idle.hung_up());
    CHECK(slow.hung_up());
    CHECK_FALSE(HttpClient(server.port()).connected());
  }
  CHECK(Clock::system().steady() - begin < std::chrono::seconds(20));
}

TEST_CASE("a taken port is an error that names it and that another try can heal") {
  auto first = std::make_unique<Running>();
  HttpServer::Options options = on_any_port();
  options.port = first->port();
  HttpServer second(options, echo);
  const Status status = second.start();
  CHECK(status.code() == Code::Retry);
  CHECK(contains(status.message(), "127.0.0.1:" + std::to_string(options.port)));
  CHECK(second.port() == 0);
  first.reset();
  REQUIRE(second.start().ok());
  CHECK(second.port() == options.port);
  CHECK(second.start().ok());
  CHECK(HttpClient(second.port()).get("/").status == 200);
}

TEST_CASE("an address that is none of ours is an error") {
  HttpServer server({.host = "192.0.2.1", .port = 0}, echo);
  const Status status = server.start();
  CHECK(status.code() == Code::Retry);
  CHECK(contains(status.message(), "192.0.2.1"));
}

TEST_CASE("a server that was never started stops") {
  HttpServer server(on_any_port(), echo);
  server.stop();
  CHECK(server.port() == 0);
}

}  // namespace sluice

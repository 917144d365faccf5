// Bodies that go on: who gets which piece when, and what becomes of those who do not read.
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "core/net/http_server.h"
#include "tests/catch.h"
#include "tests/net/http_client.h"
#include "tests/support/eventually.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

/// What all feeds of a server give, piece by piece, and how many of them there are.
struct Paper {
  void print(const std::string& piece) {
    const std::lock_guard lock(mutex);
    pieces.push_back(piece);
  }
  std::mutex mutex;
  std::vector<std::string> pieces;  // guarded by mutex
  std::atomic<int> readers{0};
  std::atomic<int> asked{0};
};

class Reader final : public HttpFeed {
 public:
  explicit Reader(Paper& paper) : paper_(paper) { ++paper_.readers; }
  ~Reader() override { --paper_.readers; }
  std::string next() override {
    ++paper_.asked;
    const std::lock_guard lock(paper_.mutex);
    return at_ < paper_.pieces.size() ? paper_.pieces[at_++] : std::string();
  }
  std::string heartbeat() const override { return ":beat\n"; }

 private:
  Paper& paper_;
  std::size_t at_ = 0;
};

/// A server whose /feed goes on, and whose other paths say who is there.
class Press {
 public:
  explicit Press(HttpServer::Options options = {})
      : server_(on_loopback(std::move(options)),
                [this](const HttpRequest& request) { return answer(request); }) {
    REQUIRE(server_.start().ok());
  }
  HttpServer* operator->() { return &server_; }
  Paper& paper() { return paper_; }
  void print(const std::string& piece) {
    paper_.print(piece);
    server_.wake();
  }
  bool has_readers(int count) {
    return eventually([&] { return paper_.readers == count; });
  }
  bool answers() { return HttpClient(server_.port()).get("/").body == "here"; }

 private:
  static HttpServer::Options on_loopback(HttpServer::Options options) {
    options.host = "127.0.0.1";
    return options;
  }
  HttpResponse answer(const HttpRequest& request) {
    if (request.path != "/feed") return {.body = "here"};
    return {.content_type = "text/event-stream",
            .body = "hello " + std::string(request.header("x-NAME")) + "\n",
            .headers = {{"Cache-Control", "no-store"}},
            .feed = std::make_unique<Reader>(paper_)};
  }

  Paper paper_;
  HttpServer server_;
};

/// A client that has asked for the feed.
class Subscriber {
 public:
  explicit Subscriber(std::uint16_t port, int receive_buffer = 0) : client_(port, receive_buffer) {
    sent_ = client_.send("GET /feed HTTP/1.1\r\nHost: localhost\r\nX-Name: me\r\n\r\n");
  }
  TestClient* operator->() { return &client_; }
  bool sent() const { return sent_; }
  /// Up to and with `end`; less when it does not come.
  std::string read_to(const std::string& end) {
    std::string text;
    while (!text.ends_with(end)) {
      const std::string one = client_.read(1);
      if (one.empty()) break;
      text += one;
    }
    return text;
  }
  bool joined() { return read_to("hello me\n").ends_with("hello me\n"); }

 private:
  TestClient client_;
  bool sent_ = false;
};

/// Those who do what they should have time for it on a loaded machine too.
HttpServer::Options impatient() { return {.request_max = milliseconds(2'000)}; }

}  // namespace

TEST_CASE("a feed begins with the header and the body and goes on as it is woken") {
  Press press;
  Subscriber client(press->port());
  const std::string head = client.read_to("\r\n\r\n");
  CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(head.find("\r\nContent-Type: text/event-stream\r\n") != std::string::npos);
  CHECK(head.find("\r\nCache-Control: no-store\r\n") != std::string::npos);
  CHECK(head.find("\r\nConnection: close\r\n") != std::string::npos);
  CHECK(head.find("Content-Length") == std::string::npos);
  CHECK(client.read_to("\n") == "hello me\n");
  press.print("one\n");
  CHECK(client.read_to("\n") == "one\n");
  press.print("two\n");
  press.print("three\n");
  CHECK(client.read_to("three\n") == "two\nthree\n");
  CHECK(press.answers());
}

TEST_CASE("a feed is longer than a request may take") {
  Press press(impatient());
  Subscriber client(press->port());
  REQUIRE(client.joined());
  CHECK_FALSE(eventually([&] { return press.paper().readers == 0; }, milliseconds(2'500)));
  press.print("late\n");
  CHECK(client.read_to("\n") == "late\n");
}

TEST_CASE("a feed that has nothing to say beats, also when others are woken all the time") {
  Press press({.heartbeat_every = milliseconds(400)});
  Subscriber client(press->port());
  REQUIRE(client.joined());
  CHECK(client.read_to("\n") == ":beat\n");
  CHECK(client.read_to("\n") == ":beat\n");
  std::jthread busy([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const int before = press.paper().asked;
      press->wake();
      static_cast<void>(eventually([&] { return press.paper().asked > before; }));
    }
  });
  CHECK(client.read_to("\n") == ":beat\n");
}

TEST_CASE("HEAD of a feed is its header") {
  Press press;
  HttpClient client(press->port());
  REQUIRE(client.send("HEAD /feed HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(client.read_answer(true).headers.at("Content-Type") == "text/event-stream");
  CHECK(press.has_readers(0));
  CHECK(client.get("/").body == "here");
}

TEST_CASE("a client that does not read its feed is dropped and nothing piles up for it") {
  Press press(impatient());
  Subscriber lazy(press->port(), 4096);
  Subscriber keen(press->port());
  REQUIRE(lazy.sent());
  REQUIRE(keen.joined());
  REQUIRE(press.has_readers(2));
  // More than the system's buffers hold; the keen one reads all of it.
  const std::string piece = std::string(1 << 20, 'x') + "\n";
  constexpr int pieces = 40;
  for (int i = 0; i < pieces; ++i) {
    press.print(piece);
    REQUIRE(keen->read(piece.size()).size() == piece.size());
  }
  CHECK(press.has_readers(1));
  // The one was asked for all and once more; the other was not asked while it did not read.
  CHECK(press.paper().asked < 3 * pieces);
  CHECK(press.answers());
}

TEST_CASE("a client that reads a little now and then is dropped from its feed") {
  Press press(impatient());
  Subscriber dripping(press->port(), 4096);
  REQUIRE(press.has_readers(1));
  press.print(std::string(64 << 20, 'x'));
  CHECK(eventually([&] {
    static_cast<void>(dripping->read(2048, milliseconds(10)));
    return press.paper().readers == 0;
  }));
  CHECK(press.answers());
}

TEST_CASE("a client that goes, ends its side or says more leaves its feed") {
  Press press;
  Subscriber closes(press->port());
  Subscriber resets(press->port());
  Subscriber ends(press->port());
  Subscriber talks(press->port());
  for (Subscriber* each : {&closes, &resets, &ends, &talks}) REQUIRE(each->joined());
  REQUIRE(press.has_readers(4));
  closes->close();
  CHECK(press.has_readers(3));
  resets->reset();
  CHECK(press.has_readers(2));
  ends->half_close();
  CHECK(press.has_readers(1));
  CHECK(talks->send("more"));
  CHECK(press.has_readers(0));
  CHECK(press.answers());
}

TEST_CASE("feeds have a bound of their own, and leave room for requests") {
  Press press({.connections_max = 2, .request_max = milliseconds(60'000), .feeds_max = 3});
  std::vector<std::unique_ptr<Subscriber>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<Subscriber>(press->port()));
    REQUIRE(clients.back()->joined());
  }
  HttpClient fourth(press->port());
  const auto refused = fourth.get("/feed");
  CHECK(refused.status == 503);
  CHECK(refused.headers.at("Retry-After") == "10");
  CHECK(fourth.get("/").body == "here");
  // Whoever asks for nothing makes room; feeds stay.
  std::vector<std::unique_ptr<HttpClient>> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(std::make_unique<HttpClient>(press->port()));
  CHECK(press.answers());
  press.print("all\n");
  for (const auto& client : clients) CHECK(client->read_to("\n") == "all\n");
  clients.pop_back();
  REQUIRE(press.has_readers(2));
  Subscriber next(press->port());
  CHECK(next.joined());
}

TEST_CASE("many clients come and go while pieces are printed") {
  Press press({.feeds_max = 8});
  std::jthread printer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) press->wake();
  });
  press.print("piece\n");
  for (int i = 0; i < 200; ++i) {
    Subscriber client(press->port());
    if (i % 3 == 0) continue;
    const std::string got = client.read_to("\n");
    CHECK((got.starts_with("HTTP/1.1 200") || got.starts_with("HTTP/1.1 503")));
    if (i % 3 == 1) client->reset();
  }
  CHECK(press.has_readers(0));
}

TEST_CASE("a stop ends feeds at once, and waking it then is nothing") {
  Press press({.request_max = milliseconds(60'000)});
  Subscriber idle(press->port());
  REQUIRE(idle.joined());
  Subscriber lazy(press->port(), 4096);
  REQUIRE(press.has_readers(2));
  for (int i = 0; i < 20; ++i) press.print(std::string(1 << 20, 'x'));
  const auto begin = Clock::system().steady();
  std::jthread waker([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) press->wake();
  });
  press->stop();
  CHECK(Clock::system().steady() - begin < std::chrono::seconds(20));
  CHECK(press.paper().readers == 0);
  CHECK(press->start().ok());
  Subscriber again(press->port());
  CHECK(again.joined());
}

TEST_CASE("a request has its headers, found in any case") {
  HttpRequest request{"GET", "/", "", {{"Last-Event-ID", "7"}, {"last-event-id", "8"}}};
  CHECK(request.header("last-event-id") == "7");
  CHECK(request.header("LAST-EVENT-ID") == "7");
  CHECK(request.header("Last-Event").empty());
}

}  // namespace sluice

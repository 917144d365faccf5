#include "agent/monitoring.h"

#include <atomic>
#include <mutex>

#include "tests/catch.h"
#include "tests/net/http_client.h"
#include "tests/support/sockets.h"

namespace sluice {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Monitoring of an agent with one source, whose health a test sets.
class Watched {
 public:
  explicit Watched(Monitoring::Options options = {.bind = "127.0.0.1", .port = 0})
      : monitoring_(std::move(options), registry_, views_,
                    {.components =
                         [this] {
                           const std::lock_guard lock(mutex_);
                           return components_;
                         },
                     .alive = [this] { return alive_.load(); }}) {
    counters_.made.add(42, 4200);
    counters_.put.add(42, 4200);
    registry_.add(SourceMetrics{"r1", "netcat", &counters_});
  }
  Monitoring* operator->() { return &monitoring_; }
  ViewBoard& views() { return views_; }
  void set_components(std::vector<ComponentHealth> components) {
    const std::lock_guard lock(mutex_);
    components_ = std::move(components);
  }
  void set_alive(bool alive) { alive_ = alive; }
  HttpResponse get(std::string path) { return monitoring_.answer({"GET", std::move(path), {}}); }

 private:
  SourceCounters counters_;
  MetricsRegistry registry_;
  ViewBoard views_;
  std::mutex mutex_;
  std::vector<ComponentHealth> components_;  // guarded by mutex_
  std::atomic<bool> alive_{true};
  Monitoring monitoring_;
};

}  // namespace

TEST_CASE("metrics are Flume's JSON in any case of the path") {
  Watched agent;
  for (const char* path : {"/metrics", "/METRICS", "/Metrics"}) {
    INFO(path);
    const HttpResponse answer = agent.get(path);
    CHECK(answer.status == 200);
    CHECK(answer.content_type == "application/json;charset=utf-8");
    CHECK(contains(answer.body, "{\"SOURCE.r1\":{\"Type\":\"SOURCE\""));
    CHECK(contains(answer.body, "\"EventReceivedCount\":\"42\""));
  }
  CHECK(agent.get("/metrics/").status == 404);
  CHECK(agent.get("/metric").status == 404);
}

TEST_CASE("prometheus is text of version 0.0.4") {
  Watched agent;
  const HttpResponse answer = agent.get("/prometheus");
  CHECK(answer.status == 200);
  CHECK(answer.content_type.starts_with("text/plain; version=0.0.4"));
  CHECK(contains(answer.body,
                 "sluice_source_put_events_total{component=\"r1\",type=\"netcat\"} 42\n"));
}

TEST_CASE("an agent is healthy while its loop lives, ready or not") {
  Watched agent;
  agent.set_components({{"source r1", false, "retrying"}});
  CHECK(agent.get("/healthz").status == 200);
  agent.set_alive(false);
  CHECK(agent.get("/healthz").status == 503);
}

TEST_CASE("an agent is ready when every component is, and else names those that are not") {
  Watched agent;
  agent.set_components({{"source r1", true, "running"}, {"sink k1", true, "running"}});
  CHECK(agent.get("/readyz").status == 200);
  agent.set_components({{"source r1", false, "port taken"},
                        {"channel c1", true, "running"},
                        {"sink k1", false, "retrying"}});
  const HttpResponse answer = agent.get("/readyz");
  CHECK(answer.status == 503);
  CHECK(answer.body == "source r1: port taken\nsink k1: retrying\n");
}

TEST_CASE("the page at the root keeps Flume's line and links to everything") {
  Watched agent;
  const HttpResponse answer = agent.get("/");
  CHECK(answer.status == 200);
  CHECK(answer.content_type == "text/html;charset=utf-8");
  CHECK(contains(answer.body, "For Flume metrics please click <a href = \"./metrics\"> here</a>."));
  for (const char* link : {"./metrics", "./prometheus", "./healthz", "./readyz", "./view"}) {
    INFO(link);
    CHECK(contains(answer.body, "href=\"" + std::string(link) + "\""));
  }
}

TEST_CASE("other paths are not found and other methods are refused") {
  Watched agent;
  CHECK(agent.get("/favicon.ico").status == 404);
  CHECK(agent.get("").status == 404);
  CHECK(agent->answer({"TRACE", "/metrics", {}}).status == 403);
  CHECK(agent->answer({"OPTIONS", "/metrics", {}}).status == 403);
  CHECK(agent->answer({"POST", "/metrics", {}}).status == 405);
  CHECK(agent->answer({"DELETE", "/", {}}).status == 405);
  CHECK(agent->answer({"HEAD", "/metrics", {}}).status == 200);
}

TEST_CASE("monitoring is served over a socket") {
  Watched agent;
  REQUIRE(agent->start().ok());
  HttpClient client(agent->port());
  const auto metrics = client.get("/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.headers.at("Content-Type") == "application/json;charset=utf-8");
  CHECK(contains(metrics.body, "SOURCE.r1"));
  CHECK(client.get("/prometheus?x=1").status == 200);
  REQUIRE(client.send("TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(client.read_answer().status == 403);
  REQUIRE(client.send("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(client.read_answer(true).headers.at("Content-Length") ==
        std::to_string(metrics.body.size()));
  agent->stop();
  CHECK(client.hung_up());
}

TEST_CASE("views are found under /view and their streams are woken") {
  Watched agent;
  CHECK(contains(agent.get("/view").body, "There is none"));
  const auto view = agent.views().open({.sink = "mb", .output = "live", .columns_json = "[]"});
  CHECK(contains(agent.get("/view").body, "href=\"view/mb/live\""));
  CHECK(agent.get("/view/mb/other").status == 404);
  REQUIRE(agent->start().ok());
  HttpClient page(agent->port());
  CHECK(page.get("/view/mb/live").headers.at("Content-Type") == "text/html;charset=utf-8");
  TestClient stream(agent->port());
  REQUIRE(stream.send("GET /view/mb/live/events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  std::string got;
  const auto has = [&](const std::string& text) {
    while (!contains(got, text)) {
      const std::string more = stream.read(1);
      if (more.empty()) return false;
      got += more;
    }
    return true;
  };
  REQUIRE(has("retry: 2000\n\n"));
  agent.views().show(*view, {1000, "{\"time\":1000}"});
  CHECK(has("id: 1000\ndata: {\"time\":1000}\n\n"));
  agent->stop();
  CHECK_FALSE(has("more"));
  CHECK(stream.ended());
  agent.views().show(*view, {2000, "{}"});
}

TEST_CASE("the address to bind is obeyed and a taken port is an error") {
  Watched first;
  REQUIRE(first->start().ok());
  Watched second({.bind = "127.0.0.1", .port = first->port()});
  CHECK(second->start().code() == Code::Retry);
  Watched elsewhere({.bind = "127.0.0.2", .port = first->port()});
  CHECK(elsewhere->start().ok());
}

TEST_CASE("Flume's address and port are the defaults") {
  const Monitoring::Options options;
  CHECK(options.bind == "0.0.0.0");
  CHECK(options.port == 41414);
}

}  // namespace sluice

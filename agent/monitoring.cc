#include "agent/monitoring.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/base/assert.h"

namespace sluice {
namespace {

constexpr unsigned http_ok = 200;
constexpr unsigned http_forbidden = 403;
constexpr unsigned http_not_found = 404;
constexpr unsigned http_method_not_allowed = 405;
constexpr unsigned http_unavailable = 503;

constexpr std::string_view page =
    R"(<!DOCTYPE html>
<html lang="en"><head><title>Sluice</title></head><body>
For Flume metrics please click <a href = "./metrics"> here</a>.
<ul>
<li><a href="./metrics">metrics</a>: Flume's names, JSON</li>
<li><a href="./prometheus">prometheus</a>: every counter, as text for Prometheus</li>
<li><a href="./healthz">healthz</a>: does the agent live?</li>
<li><a href="./readyz">readyz</a>: does every component run?</li>
<li><a href="./view">view</a>: results as they come</li>
</ul>
</body></html>
)";

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

Monitoring::Monitoring(Options options, const MetricsRegistry& registry, ViewBoard& views,
                       Health health)
    : registry_(registry),
      health_(std::move(health)),
      board_(views),
      views_(views),
      server_({.host = std::move(options.bind), .port = options.port, .name = "monitoring"},
              [this](const HttpRequest& request) { return answer(request); }) {
  SLUICE_ASSERT(health_.components && health_.alive, "monitoring was wired without health");
}

Status Monitoring::start() {
  Status status = server_.start();
  if (status.ok() && !listener_) listener_ = board_.listen([this] { server_.wake(); });
  return status;
}

void Monitoring::stop() {
  listener_.reset();  // before the server, which is woken by it
  server_.stop();
}

HttpResponse Monitoring::answer(const HttpRequest& request) const {
  if (request.method == "TRACE" || request.method == "OPTIONS") {
    return {.status = http_forbidden, .body = request.method + " is not allowed.\n"};
  }
  if (request.method != "GET" && request.method != "HEAD") {
    return {.status = http_method_not_allowed, .body = "Only GET and HEAD are answered.\n"};
  }
  if (equals_ignoring_case(request.path, "/metrics")) {
    return {.content_type = "application/json;charset=utf-8", .body = registry_.flume_json()};
  }
  if (request.path == "/prometheus") {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = registry_.prometheus()};
  }
  if (request.path == "/healthz") {
    if (health_.alive()) return {.body = "alive\n"};
    return {.status = http_unavailable, .body = "the agent's loop does not turn\n"};
  }
  if (request.path == "/readyz") return readiness();
  if (request.path == "/") {
    return {.content_type = "text/html;charset=utf-8", .body = std::string(page)};
  }
  if (auto response = views_.answer(request)) return *std::move(response);
  return {.status = http_not_found,
          .body = "Nothing here; there are /metrics, /prometheus, /healthz, /readyz and /view.\n"};
}

HttpResponse Monitoring::readiness() const {
  std::string missing;
  for (const ComponentHealth& health : health_.components()) {
    if (!health.ready) missing += health.component + ": " + health.state + "\n";
  }
  if (missing.empty()) return {.status = http_ok, .body = "ready\n"};
  return {.status = http_unavailable, .body = std::move(missing)};
}

}  // namespace sluice

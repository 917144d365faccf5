// What an agent tells about itself over HTTP: metrics, Prometheus text, health.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/metrics/registry.h"
#include "core/net/http_server.h"
#include "sinks/view_board.h"
#include "sinks/view_pages.h"

namespace sluice {

/// How a component is just now.
struct ComponentHealth {
  std::string component;  ///< "source r1"
  bool ready = false;     ///< It does its work.
  std::string state;      ///< "running", "retrying", ...: a word or a sentence for a person.
};

/// The monitoring server of one agent.
///
///   /metrics     Flume's JSON, in any case, as Flume has it
///   /prometheus  the same counters and more for Prometheus
///   /healthz     200 while the agent's loop lives, else 503
///   /readyz      200 when every component is ready, else 503 and a line for each that is not
///   /view...     results of outputs of type view (sinks/view_pages.h)
///   /            a page with links to them
///
/// Everything else is 404. TRACE and OPTIONS get 403 as from Flume; what is neither GET nor HEAD,
/// 405. Nobody is asked for a password and nothing can be changed through it.
class Monitoring {
 public:
  struct Options {
    std::string bind = "0.0.0.0";  ///< -Dflume.monitoring.bind; Flume binds every address.
    std::uint16_t port = 41414;    ///< -Dflume.monitoring.port; 0: the system chooses.
  };
  /// Called on the server's thread; must not block and must be safe beside the agent's own work.
  struct Health {
    std::function<std::vector<ComponentHealth>()> components;
    std::function<bool()> alive;
  };

  /// `registry` and `views` outlive it. Nothing is opened yet.
  Monitoring(Options options, const MetricsRegistry& registry, ViewBoard& views, Health health);
  ~Monitoring() { stop(); }

  /// Errors: Retry, with the address (a taken port); the agent runs without it and may call again.
  Status start();
  void stop();
  std::uint16_t port() const noexcept { return server_.port(); }

  /// What a request is answered with. Thread-safe.
  HttpResponse answer(const HttpRequest& request) const;

 private:
  HttpResponse readiness() const;

  const MetricsRegistry& registry_;
  const Health health_;
  ViewBoard& board_;
  const ViewPages views_;
  HttpServer server_;
  std::unique_ptr<ViewBoard::Listener> listener_;  ///< While the server runs.
};

}  // namespace sluice

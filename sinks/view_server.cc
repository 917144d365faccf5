#include "sinks/view_server.h"

#include <utility>

#include "core/base/log.h"

namespace sluice {

ViewServer::ViewServer(Options options, ViewBoard& board)
    : options_(std::move(options)),
      board_(board),
      pages_(board, {options_.sink, options_.output}),
      server_({.host = options_.bind, .port = options_.port, .name = options_.output},
              [this](const HttpRequest& request) { return answer(request); }) {}

ViewServer::~ViewServer() { stop(); }

void ViewServer::start() {
  if (listener_) return;
  if (const Status status = server_.start(); !status.ok()) {
    if (!failed_) {
      log::error("sink {}: view {}: {}; it is tried again while the sink runs", options_.sink,
                 options_.output, status.message());
    }
    failed_ = true;
    return;
  }
  listener_ = board_.listen([this] { server_.wake(); });
  log::info("sink {}: view {}: http on port {}", options_.sink, options_.output, server_.port());
}

void ViewServer::stop() {
  listener_.reset();  // before the server, which is woken by it
  server_.stop();
}

HttpResponse ViewServer::answer(const HttpRequest& request) const {
  if (request.method != "GET" && request.method != "HEAD") {
    return {.status = 405, .body = "Only GET and HEAD are answered.\n"};
  }
  if (request.path == "/") return pages_.front();
  if (auto response = pages_.answer(request)) return *std::move(response);
  return {.status = 404, .body = "Nothing here; / has what there is.\n"};
}

}  // namespace sluice

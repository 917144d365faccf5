#include "sinks/view_server.h"

#include <utility>

#include "core/base/log.h"

namespace sluice {
namespace {

constexpr milliseconds pause_first{200};
constexpr milliseconds pause_most{30'000};

}  // namespace

ViewServer::ViewServer(Options options, ViewBoard& board, const Clock& clock)
    : options_(std::move(options)),
      board_(board),
      clock_(clock),
      pages_(board, {options_.sink, options_.output}),
      server_({.host = options_.bind, .port = options_.port, .name = options_.output},
              [this](const HttpRequest& request) { return answer(request); }),
      backoff_(pause_first, pause_most) {}

ViewServer::~ViewServer() { stop(); }

void ViewServer::start() {
  if (listener_ || (failed_ && clock_.steady() < next_try_)) return;
  if (const Status status = server_.start(); !status.ok()) {
    if (!failed_) {
      log::error("sink {}: view {}: {}; it is tried again while the sink runs", options_.sink,
                 options_.output, status.message());
    }
    failed_ = true;
    next_try_ = clock_.steady() + backoff_.next();
    return;
  }
  failed_ = false;
  backoff_.reset();
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

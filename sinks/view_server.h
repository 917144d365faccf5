// A port that has nothing but the views of one output.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/http_server.h"
#include "sinks/view_board.h"
#include "sinks/view_pages.h"

namespace sluice {

/// Serves the views of an output: their paths as ViewPages has them, and at / the page itself, or
/// a list of them. One thread calls it; it answers on one of its own.
class ViewServer {
 public:
  struct Options {
    std::string sink;
    std::string output;
    std::string bind = "127.0.0.1";
    std::uint16_t port = 0;  ///< 0: the system chooses.
  };
  /// The board and the clock outlive it.
  ViewServer(Options options, ViewBoard& board, const Clock& clock = Clock::system());
  ~ViewServer();

  /// Listens, unless it does so already. A port that is taken is said once; later calls try it
  /// again, but not before a pause, which grows up to half a minute: a try may wait for names.
  void start();
  /// Ends every connection.
  void stop();
  std::uint16_t port() const noexcept { return server_.port(); }

 private:
  HttpResponse answer(const HttpRequest& request) const;

  const Options options_;
  ViewBoard& board_;
  const Clock& clock_;
  const ViewPages pages_;
  HttpServer server_;
  std::unique_ptr<ViewBoard::Listener> listener_;  ///< While the server runs.
  bool failed_ = false;                            ///< The last try, and it was said.
  Backoff backoff_;
  SteadyTime next_try_;  ///< While it has failed.
};

}  // namespace sluice

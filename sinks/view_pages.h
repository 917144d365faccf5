// Views over HTTP: pages for people, JSON and streams for programs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/net/http_server.h"
#include "sinks/view_board.h"

namespace sluice {

/// Answers what is asked about views.
///
///   /view                            a page with links to all of them
///   /view/SINK/OUTPUT                the page of one; where an output shows several steps,
///                                    /view/SINK/OUTPUT/STEP
///   /view/SINK/OUTPUT/data.json      what it remembers, the latest batch last
///   /view/SINK/OUTPUT/events         server-sent events: one a batch, its id is the batch's time.
///                                    Behind Last-Event-ID come all batches that are remembered,
///                                    without it the latest one, and then those to come
///
/// What is shown comes from anybody's events: pages let no script run but their own, which puts
/// data into the page as text only, and load nothing from anywhere. Thread-safe; the board outlives
/// it and its feeds.
class ViewPages {
 public:
  /// Which views it knows, by the start of their paths: {} all of the board, {"mb", "live"} those
  /// of one output.
  explicit ViewPages(const ViewBoard& board, std::vector<std::string> only = {})
      : board_(board), only_(std::move(only)) {}

  /// Nothing: the path is not one of views; 404: there is no such view. REQUIRES: GET or HEAD.
  std::optional<HttpResponse> answer(const HttpRequest& request) const;
  /// For a server of nothing but views: their list, or where there is one, its page.
  HttpResponse front() const;

 private:
  std::vector<ViewBoard::View> views() const;

  const ViewBoard& board_;
  const std::vector<std::string> only_;
};

}  // namespace sluice

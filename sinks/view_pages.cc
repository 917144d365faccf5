#include "sinks/view_pages.h"

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include "analytics/result_text.h"
#include "sinks/view_page.h"

namespace sluice {
namespace {

using Path = std::vector<std::string>;

constexpr std::string_view hex_digits = "0123456789ABCDEF";
constexpr unsigned http_not_found = 404;

/// A name as a segment of a path.
std::string segment_of(std::string_view name) {
  std::string segment;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '~' || (c == '.' && name.size() > 2);
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      segment += c;
    } else {
      segment.append("%").append(1, hex_digits[byte >> 4]).append(1, hex_digits[byte & 15]);
    }
  }
  return segment;
}

std::string decoded(std::string_view segment) {
  std::string name;
  for (std::size_t i = 0; i < segment.size(); ++i) {
    unsigned byte = 0;
    const char* const digits = segment.data() + i + 1;
    const bool escaped = segment[i] == '%' && i + 2 < segment.size() &&
                         std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2;
    name += escaped ? static_cast<char>(byte) : segment[i];
    if (escaped) i += 2;
  }
  return name;
}

/// Its segments, decoded; an end of '/' is none.
Path path_of(std::string_view text) {
  Path path;
  while (text.starts_with('/')) {
    text.remove_prefix(1);
    const std::string_view segment = text.substr(0, text.find('/'));
    text.remove_prefix(segment.size());
    if (!segment.empty() || !text.empty()) path.push_back(decoded(segment));
  }
  return path;
}

/// mb/live
std::string joined(const Path& path) {
  std::string text;
  for (const std::string& segment : path) {
    text += (text.empty() ? "" : "/") + segment_of(segment);
  }
  return text;
}

std::string random_nonce() {
  std::random_device random;
  std::string nonce;
  for (int i = 0; i < 32; ++i) nonce += hex_digits[random() & 15];
  return nonce;
}

/// What every answer about results has: nobody keeps it, and nobody guesses what it is.
HttpHeaders headers_of(std::string policy = "default-src 'none'") {
  return {{"Cache-Control", "no-store"},
          {"X-Content-Type-Options", "nosniff"},
          {"Referrer-Policy", "no-referrer"},
          {"Content-Security-Policy", std::move(policy)}};
}

HttpResponse html(std::string body, const std::string& nonce) {
  const std::string own = "'nonce-" + nonce + "'";
  return {.content_type = "text/html;charset=utf-8",
          .body = std::move(body),
          .headers = headers_of(
              "default-src 'none'; script-src " + own + "; style-src " + own +
              "; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
              "frame-ancestors 'none'")};
}

HttpResponse page_of(const ResultView& view, std::string_view base) {
  const std::string nonce = random_nonce();
  std::string name = view.plan().output;
  if (!view.plan().step.empty()) name += " " + view.plan().step;
  return html(view_page(view.plan().sink, name, base, nonce), nonce);
}

/// `before`: what leads from the page to the paths of views.
HttpResponse list_of(const std::vector<ViewBoard::View>& views, const std::string& before) {
  std::vector<ViewLink> links;
  for (const auto& view : views) {
    const Path path = view->path();
    std::string text = path[0] + " / " + path[1];
    if (path.size() > 2) text += " / " + path[2];
    links.push_back({before + joined(path), std::move(text)});
  }
  const std::string nonce = random_nonce();
  return html(view_list_page(links, nonce), nonce);
}

HttpResponse data_of(const ResultView& view) {
  const ResultView::Plan& plan = view.plan();
  std::string json = "{\"sink\":";
  analytics::append_json_text(json, plan.sink);
  json += ",\"output\":";
  analytics::append_json_text(json, plan.output);
  json += ",\"step\":";
  analytics::append_json_text(json, plan.step);
  json += ",\"interval_ms\":" + std::to_string(plan.interval.count());
  json += ",\"remember_ms\":" + std::to_string(plan.remember.count());
  json += ",\"columns\":" + plan.columns_json + ",\"batches\":[";
  bool first = true;
  for (const auto& batch : view.batches()) {
    json.append(first ? "\n" : ",\n").append(batch->json);
    first = false;
  }
  json += "]}\n";
  return {.content_type = "application/json;charset=utf-8",
          .body = std::move(json),
          .headers = headers_of()};
}

/// The batches of a view for one client.
class BatchFeed final : public HttpFeed {
 public:
  /// `last`: the one that the client has; none: the next one is the latest.
  BatchFeed(ViewBoard::View view, std::optional<std::int64_t> last)
      : view_(std::move(view)), last_(last) {}

  std::string next() override {
    const auto latest = view_->last();
    if (!latest) return {};
    // Names have begun anew, or this is the first one for the client.
    if (!last_ || latest->time_ms < *last_) last_ = latest->time_ms - 1;
    const auto batch = view_->after(*last_);
    if (!batch) return {};
    last_ = batch->time_ms;
    return "id: " + std::to_string(batch->time_ms) + "\ndata: " + batch->json + "\n\n";
  }
  std::string heartbeat() const override { return ":\n\n"; }

 private:
  const ViewBoard::View view_;
  std::optional<std::int64_t> last_;
};

HttpResponse events_of(ViewBoard::View view, const HttpRequest& request) {
  std::optional<std::int64_t> last;
  const std::string_view id = request.header("Last-Event-ID");
  std::int64_t time = 0;
  const auto read = std::from_chars(id.data(), id.data() + id.size(), time);
  if (!id.empty() && read.ec == std::errc() && read.ptr == id.data() + id.size()) last = time;
  auto headers = headers_of();
  headers.emplace_back("X-Accel-Buffering", "no");  // proxies pass on what comes as it comes
  return {.content_type = "text/event-stream",
          .body = "retry: 2000\n\n",
          .headers = std::move(headers),
          .feed = std::make_unique<BatchFeed>(std::move(view), last)};
}

}  // namespace

std::vector<ViewBoard::View> ViewPages::views() const {
  auto all = board_.views();
  std::erase_if(all, [this](const ViewBoard::View& view) {
    const Path path = view->path();
    return !std::equal(only_.begin(), only_.end(), path.begin());
  });
  return all;
}

HttpResponse ViewPages::front() const {
  const auto all = views();
  if (all.size() != 1) return list_of(all, "view/");
  return page_of(*all.front(), "view/" + joined(all.front()->path()) + "/");
}

std::optional<HttpResponse> ViewPages::answer(const HttpRequest& request) const {
  Path path = path_of(request.path);
  if (path.empty() || path.front() != "view") return std::nullopt;
  const bool folder = request.path.ends_with('/');
  path.erase(path.begin());
  const auto all = views();
  if (path.empty()) return list_of(all, folder ? "" : "view/");
  for (const auto& view : all) {
    if (view->path() != path) continue;
    return page_of(*view, folder ? "" : segment_of(path.back()) + "/");
  }
  const std::string what = path.back();
  path.pop_back();
  for (const auto& view : all) {
    if (view->path() != path) continue;
    if (what == "data.json") return data_of(*view);
    if (what == "events") return events_of(view, request);
  }
  return HttpResponse{.status = http_not_found,
                      .body = "There is no such view; /view has all of them.\n",
                      .headers = headers_of()};
}

}  // namespace sluice

// What views remember, and what is answered about them.
#include "sinks/view_pages.h"

#include <thread>

#include "sinks/view_page.h"
#include "sinks/view_server.h"
#include "tests/catch.h"
#include "tests/net/http_client.h"
#include "tests/support/captured_log.h"
#include "tests/support/eventually.h"

namespace sluice {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ResultView::Plan plan(const std::string& output, const std::string& step = {}) {
  return {.sink = "mb",
          .output = output,
          .step = step,
          .columns_json = R"([{"name":"n","type":"int"}])",
          .interval = milliseconds(1000),
          .remember = milliseconds(10'000)};
}

ShownBatch batch(std::int64_t time_ms) {
  return {time_ms, "{\"time\":" + std::to_string(time_ms) + "}"};
}

std::vector<std::int64_t> times(const ResultView& view) {
  std::vector<std::int64_t> all;
  for (const auto& each : view.batches()) all.push_back(each->time_ms);
  return all;
}

HttpRequest get(std::string path, HttpHeaders headers = {}) {
  return {"GET", std::move(path), "", std::move(headers)};
}

/// Everything that a stream has just now.
std::string all_of(HttpFeed& feed) {
  std::string all;
  for (std::string piece = feed.next(); !piece.empty(); piece = feed.next()) all += piece;
  return all;
}

std::string event(std::int64_t time_ms) {
  const std::string time = std::to_string(time_ms);
  return "id: " + time + "\ndata: {\"time\":" + time + "}\n\n";
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

using Times = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("a view remembers batches for its time, and always the last one") {
  ResultView view(plan("live"));
  CHECK(view.last() == nullptr);
  for (const std::int64_t time : {1000, 2000, 11'000}) view.add(batch(time));
  CHECK(times(view) == Times{2000, 11'000});
  view.add(batch(1'000'000));
  CHECK(times(view) == Times{1'000'000});
  auto forgetful = plan("none");
  forgetful.remember = milliseconds(0);
  ResultView none(forgetful);
  none.add(batch(1000));
  none.add(batch(2000));
  CHECK(times(none) == Times{2000});
}

TEST_CASE("what a view remembers is bounded in batches") {
  auto long_ago = plan("live");
  long_ago.remember = milliseconds(86'400'000);
  ResultView view(long_ago);
  for (std::int64_t time = 1; time <= 2500; ++time) view.add(batch(time));
  CHECK(view.batches().size() == 2000);
  CHECK(view.batches().front()->time_ms == 501);
  CHECK(view.last()->time_ms == 2500);
}

TEST_CASE("what a view remembers is bounded in bytes") {
  auto small = plan("live");
  small.bytes_max = 100;
  ResultView view(small);
  for (std::int64_t time = 1; time <= 5; ++time) view.add({time, std::string(40, 'x')});
  CHECK(times(view) == Times{4, 5});
  view.add({6, std::string(1000, 'x')});
  CHECK(times(view) == Times{6});
  view.add({7, std::string(60, 'x')});
  CHECK(times(view) == Times{7});
}

TEST_CASE("batches whose names begin anew take the place of those they repeat") {
  ResultView view(plan("live"));
  for (const std::int64_t time : {1000, 2000, 3000}) view.add(batch(time));
  view.add({2000, "again"});
  CHECK(times(view) == Times{1000, 2000});
  CHECK(view.last()->json == "again");
}

TEST_CASE("a view that is opened again remembers, unless it has other columns") {
  ViewBoard board;
  const auto view = board.open(plan("live"));
  board.show(*view, batch(1000));
  CHECK(board.open(plan("live")) == view);
  auto other = plan("live");
  other.columns_json = "[]";
  CHECK(board.open(other)->last() == nullptr);
  CHECK(board.views().size() == 1);
}

TEST_CASE("listeners are told as long as they live") {
  ViewBoard board;
  const auto view = board.open(plan("live"));
  int told = 0;
  auto listener = board.listen([&] { ++told; });
  board.show(*view, batch(1000));
  CHECK(told == 1);
  listener.reset();
  board.show(*view, batch(2000));
  CHECK(told == 1);
}

TEST_CASE("data.json has the columns and what is remembered") {
  ViewBoard board;
  const auto view = board.open(plan("live"));
  board.show(*view, batch(1000));
  board.show(*view, batch(2000));
  const auto answer = ViewPages(board).answer(get("/view/mb/live/data.json"));
  REQUIRE(answer);
  CHECK(answer->content_type == "application/json;charset=utf-8");
  CHECK(answer->body ==
        "{\"sink\":\"mb\",\"output\":\"live\",\"step\":\"\",\"interval_ms\":1000,"
        "\"remember_ms\":10000,\"columns\":[{\"name\":\"n\",\"type\":\"int\"}],\"batches\":[\n"
        "{\"time\":1000},\n{\"time\":2000}]}\n");
}

TEST_CASE("a stream begins with the latest batch, or behind the last one that the client has") {
  ViewBoard board;
  const auto view = board.open(plan("live"));
  const ViewPages pages(board);
  auto fresh = pages.answer(get("/view/mb/live/events"));
  REQUIRE(fresh);
  CHECK(fresh->content_type == "text/event-stream");
  CHECK(all_of(*fresh->feed).empty());
  for (const std::int64_t time : {1000, 2000, 3000}) board.show(*view, batch(time));
  CHECK(all_of(*fresh->feed) == event(3000));
  auto late = pages.answer(get("/view/mb/live/events"));
  CHECK(all_of(*late->feed) == event(3000));
  auto back = pages.answer(get("/view/mb/live/events", {{"last-event-id", "1000"}}));
  CHECK(all_of(*back->feed) == event(2000) + event(3000));
  auto long_gone = pages.answer(get("/view/mb/live/events", {{"Last-Event-ID", "-5"}}));
  CHECK(all_of(*long_gone->feed) == event(1000) + event(2000) + event(3000));
  for (const char* id : {"", "x", "12x", "99999999999999999999999999"}) {
    auto odd = pages.answer(get("/view/mb/live/events", {{"Last-Event-ID", id}}));
    CHECK(all_of(*odd->feed) == event(3000));
  }
  board.show(*view, batch(4000));
  for (auto* each : {&fresh, &late, &back}) CHECK(all_of(*(*each)->feed) == event(4000));
}

TEST_CASE("a stream goes on where names of batches begin anew") {
  ViewBoard board;
  const auto view = board.open(plan("live"));
  auto stream = ViewPages(board).answer(get("/view/mb/live/events", {{"Last-Event-ID", "9000"}}));
  board.show(*view, batch(1000));
  CHECK(all_of(*stream->feed) == event(1000));
}

TEST_CASE("every answer about views forbids what it does not need") {
  ViewBoard board;
  board.open(plan("live"));
  const ViewPages pages(board);
  for (const char* path : {"/view", "/view/mb/live", "/view/mb/live/data.json",
                           "/view/mb/live/events", "/view/none/there"}) {
    INFO(path);
    const auto answer = pages.answer(get(path));
    REQUIRE(answer);
    const HttpRequest as_headers{"", "", "", answer->headers};
    CHECK(as_headers.header("Cache-Control") == "no-store");
    CHECK(as_headers.header("X-Content-Type-Options") == "nosniff");
    CHECK(as_headers.header("Content-Security-Policy").starts_with("default-src 'none'"));
    CHECK_FALSE(contains(std::string(as_headers.header("Content-Security-Policy")), "unsafe"));
  }
}

TEST_CASE("a page runs its own script only, with another nonce each time") {
  ViewBoard board;
  board.open(plan("live"));
  const ViewPages pages(board);
  const auto nonce_of = [&] {
    const auto answer = pages.answer(get("/view/mb/live"));
    const HttpRequest as_headers{"", "", "", answer->headers};
    const std::string policy(as_headers.header("Content-Security-Policy"));
    const std::size_t at = policy.find("script-src 'nonce-") + 18;
    const std::string nonce = policy.substr(at, policy.find('\'', at) - at);
    CHECK(nonce.size() == 32);
    CHECK(contains(answer->body, "<script nonce=\"" + nonce + "\">"));
    CHECK(contains(answer->body, "<style nonce=\"" + nonce + "\">"));
    return nonce;
  };
  CHECK(nonce_of() != nonce_of());
}

TEST_CASE("names cannot break out of a page or a path") {
  CHECK(html_text("<a b=\"c\" d='e'>&") == "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
  ViewBoard board;
  auto odd = plan("</title><script>alert(1)</script>{{nonce}}");
  odd.sink = "a/b\"c d%";
  const auto view = board.open(odd);
  board.show(*view, batch(1000));
  const ViewPages pages(board);
  const auto list = pages.answer(get("/view"));
  const std::size_t at = list->body.find("href=\"view/") + 6;
  const std::string path = "/" + list->body.substr(at, list->body.find('"', at) - at);
  CHECK(path.starts_with("/view/a%2Fb%22c%20d%25/%3C"));
  const auto page = pages.answer(get(path));
  REQUIRE(page->status == 200);
  CHECK_FALSE(contains(page->body, "alert(1)</script>"));
  CHECK(contains(page->body, "{{nonce}}"));
  const std::size_t base = page->body.find("data-base=\"") + 11;
  const std::string data = path.substr(0, path.rfind('/') + 1) +
                           page->body.substr(base, page->body.find('"', base) - base) + "data.json";
  CHECK(contains(pages.answer(get(data))->body, "{\"time\":1000}"));
}

TEST_CASE("pages ask below themselves, with and without a slash at their end") {
  ViewBoard board;
  board.open(plan("live"));
  const ViewPages pages(board);
  CHECK(contains(pages.answer(get("/view/mb/live"))->body, "data-base=\"live/\""));
  CHECK(contains(pages.answer(get("/view/mb/live/"))->body, "data-base=\"\""));
  CHECK(contains(pages.front().body, "data-base=\"view/mb/live/\""));
  CHECK(contains(pages.answer(get("/view"))->body, "href=\"view/mb/live\""));
  CHECK(contains(pages.answer(get("/view/"))->body, "href=\"mb/live\""));
}

TEST_CASE("the steps of an output have views of their own") {
  ViewBoard board;
  for (const char* step : {"events", "other"})
    board.show(*board.open(plan("live", step)), batch(1));
  const ViewPages pages(board);
  CHECK(contains(pages.front().body, "href=\"view/mb/live/events\""));
  CHECK(contains(pages.front().body, "mb / live / other"));
  CHECK(pages.answer(get("/view/mb/live/events"))->content_type == "text/html;charset=utf-8");
  CHECK(pages.answer(get("/view/mb/live/events/events"))->feed != nullptr);
  CHECK(pages.answer(get("/view/mb/live"))->status == 404);
}

TEST_CASE("paths that are none of a view's are not answered for it") {
  ViewBoard board;
  board.open(plan("live"));
  const ViewPages pages(board);
  CHECK_FALSE(pages.answer(get("/")));
  CHECK_FALSE(pages.answer(get("/viewer")));
  CHECK_FALSE(pages.answer(get("/metrics/view")));
  for (const char* path : {"/view/mb", "/view/mb/live/else", "/view/mb/live/data.json/x",
                           "/view//mb/live", "/view/%zz/%", "/view/mb/../mb/live"}) {
    INFO(path);
    CHECK(pages.answer(get(path))->status == 404);
  }
}

TEST_CASE("a port of its own has the views of its output, and streams that are woken") {
  testing::CapturedLog log;
  ViewBoard board;
  const auto view = board.open(plan("live"));
  board.open(plan("other"));
  ViewServer server({.sink = "mb", .output = "live"}, board);
  server.start();
  REQUIRE(server.port() != 0);
  HttpClient client(server.port());
  CHECK(contains(client.get("/").body, "data-base=\"view/mb/live/\""));
  CHECK(client.get("/view/mb/live/data.json").status == 200);
  CHECK(client.get("/view/mb/other/data.json").status == 404);
  CHECK(client.get("/metrics").status == 404);
  REQUIRE(client.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(client.read_answer().status == 405);
  server.stop();
  CHECK(client.hung_up());
}

TEST_CASE("a port that is taken is tried again after pauses that grow, and said each time anew") {
  testing::CapturedLog log;
  ViewBoard board;
  const auto view = board.open(plan("live"));
  ViewServer first({.sink = "mb", .output = "first"}, board);
  first.start();
  const std::uint16_t port = first.port();
  ManualClock clock;
  ViewServer second({.sink = "mb", .output = "live", .port = port}, board, clock);
  // Each try has begun a pause that is twice as long as the last one.
  for (const int pause : {200, 400, 800, 1600, 3200, 6400, 12'800, 25'600, 30'000}) {
    second.start();
    CHECK(second.port() == 0);
    clock.advance(milliseconds(pause));
  }
  second.start();
  CHECK(count_of(log.text(), "cannot listen") == 1);
  first.stop();
  clock.advance(milliseconds(29'999));
  second.start();
  CHECK(second.port() == 0);
  clock.advance(milliseconds(1));
  second.start();
  CHECK(second.port() == port);
  board.show(*view, batch(1000));
  second.stop();
  ViewServer third({.sink = "mb", .output = "third", .port = port}, board);
  third.start();
  REQUIRE(third.port() == port);
  second.start();
  CHECK(count_of(log.text(), "cannot listen") == 2);
  third.stop();
  clock.advance(milliseconds(200));
  second.start();
  CHECK(second.port() == port);
}

}  // namespace sluice

#include "core/event/batch_builder.h"
#include "sinks/sink.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {

extern const SinkType logger_sink;

namespace {

using testing::CapturedLog;

struct Heard final : DeliveryListener {
  void delivered(std::uint32_t, Delivery delivery) override {
    ++calls;
    ok = delivery.status.ok();
  }
  int calls = 0;
  bool ok = false;
};

/// Delivers events that have the header block to a logger sink.
Heard deliver(const std::vector<std::string>& bodies, const std::string& headers,
              const std::map<std::string, std::string>& settings) {
  SlabPool pool;
  BatchBuilder builder(pool, EventHeaders::Own);
  builder.renew();
  for (const std::string& body : bodies) REQUIRE(builder.append(body, headers));
  SinkCounters counters;
  const auto sink = logger_sink.make(testing::make_settings("sink", *logger_sink.info, settings),
                                     {counters, FileSystem::real(), Clock::system()});
  Heard heard;
  REQUIRE(sink->open({}).ok());
  sink->deliver(builder.seal(), {}, DeliveryDone(heard, 0));
  sink->close();
  return heard;
}

std::string header(std::string_view name, std::string_view value) {
  std::string block;
  append_header(block, name, value);
  return block;
}

TEST_CASE("An event is logged in Flume's words") {
  const CapturedLog log;
  const Heard heard = deliver({"hello"}, header("a", "1"), {});
  CHECK(heard.calls == 1);
  CHECK(heard.ok);
  const std::string gap(34, ' ');
  CHECK(log.has("[info] Event: { headers:{a=1} body: 68 65 6C 6C 6F" + gap + "hello }\n"));
}

TEST_CASE("An empty body without headers is logged as Flume does") {
  const CapturedLog log;
  deliver({""}, "", {});
  CHECK(log.has("Event: { headers:{} body: }\n"));
}

TEST_CASE("Sixteen bytes are shown unless maxBytesToLog says otherwise") {
  const std::string body = "0123456789abcdefXY";
  SECTION("default") {
    const CapturedLog log;
    deliver({body}, "", {});
    CHECK(log.has("65 66 0123456789abcdef }\n"));
  }
  SECTION("two") {
    const CapturedLog log;
    deliver({body}, "", {{"maxBytesToLog", "2"}});
    CHECK(log.has(" body: 30 31 " + std::string(42, ' ') + "01 }\n"));
  }
  SECTION("more than a row stays one line of the log") {
    const CapturedLog log;
    deliver({body}, "", {{"maxBytesToLog", "40"}});
    CHECK(log.has("0123456789abcdef\\n00000010 58 59 " + std::string(42, ' ') + "XY }\n"));
  }
}

TEST_CASE("Every event of a batch is logged, in order") {
  const CapturedLog log;
  deliver({"1", "2", "3"}, "", {});
  const std::string text = log.text();
  CHECK(text.find(" 1 }") < text.find(" 2 }"));
  CHECK(text.find(" 2 }") < text.find(" 3 }"));
  CHECK(text.find(" 3 }") != std::string::npos);
}

TEST_CASE("Events are delivered even when the log shows none") {
  const CapturedLog log(log::Level::Warn);
  const Heard heard = deliver({"hello"}, "", {});
  CHECK(heard.ok);
  CHECK(log.text().empty());
}

TEST_CASE("A line feed in a header makes no second line") {
  const CapturedLog log;
  deliver({"x"}, header("a", "1\n2026 [error] forged"), {});
  const std::string text = log.text();
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
}

}  // namespace
}  // namespace sluice

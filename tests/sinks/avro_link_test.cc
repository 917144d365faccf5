// Calls over one connection, and every way in which their receiver can misbehave.

#include "sinks/avro_link.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "tests/catch.h"
#include "tests/support/avro_peer.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

using namespace std::string_literals;

/// What became of numbered calls; thread-safe.
class Outcomes {
 public:
  AvroLink::Done of(int call) {
    return [this, call](AvroLink::Outcome outcome) {
      const std::lock_guard lock(mutex_);
      ++times_[call];
      outcomes_[call] = std::move(outcome);
    };
  }
  /// Waits for it.
  AvroLink::Outcome get(int call) {
    REQUIRE(eventually([&] { return is_there(call); }));
    const std::lock_guard lock(mutex_);
    CHECK(times_[call] == 1);
    return outcomes_[call];
  }
  bool is_there(int call) {
    const std::lock_guard lock(mutex_);
    return times_.count(call) > 0;
  }

 private:
  std::mutex mutex_;
  std::map<int, int> times_;                   // guarded by mutex_
  std::map<int, AvroLink::Outcome> outcomes_;  // guarded by mutex_
};

AvroLink::Options to(std::uint16_t port, milliseconds request_timeout = test_patience) {
  return {{"127.0.0.1", port}, test_patience, request_timeout};
}

std::unique_ptr<AvroLink> linked(const AvroLink::Options& options, std::stop_token stop = {}) {
  auto link = AvroLink::connect(options, std::move(stop));
  REQUIRE(link.ok());
  return *std::move(link);
}

AvroTestServer::Options ours_without_answers() {
  return {.ours = true, .answer = [](const auto&) { return AvroTestServer::Answer(); }};
}

class Link {
 public:
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  Outcomes outcomes;
  void call(AvroLink& link, int number) {
    link.call(batch_of(pool, {std::to_string(number)}), {}, outcomes.of(number));
  }
};

// ---- connecting

TEST_CASE("a Flume is told from an agent of our own") {
  AvroTestServer flume;
  AvroTestServer ours({.ours = true});
  CHECK_FALSE(linked(to(flume.port()))->is_ours());
  CHECK(linked(to(ours.port()))->is_ours());
  CHECK_FALSE(flume.protocol_shown());
}

TEST_CASE("a server that does not know us gets our protocol before any event") {
  AvroTestServer server({.nones = 1});
  Link test;
  const auto link = linked(to(server.port()));
  CHECK(server.protocol_shown());
  test.call(*link, 1);
  CHECK(test.outcomes.get(1).status.ok());
  CHECK(server.bodies() == std::vector<std::string>{"1"});
}

TEST_CASE("a handshake that fails says why") {
  const auto failure = [](std::uint16_t port, milliseconds timeout = test_patience) {
    auto link = AvroLink::connect({{"127.0.0.1", port}, timeout, test_patience}, {});
    CHECK(link.code() == Code::Retry);
    return link.status().message();
  };
  const auto has = [](const std::string& message, const std::string& words) {
    INFO(message);
    CHECK(message.find(words) != std::string::npos);
  };
  AvroTestServer deaf({.greets = false});
  has(failure(deaf.port(), milliseconds(50)), "no answer to the handshake within 50 ms");
  AvroTestServer unwilling({.nones = 1000});
  has(failure(unwilling.port()), "does not accept Flume's protocol");
  has(failure(free_port()), "refused");
  for (const std::string& answer :
       {"HTTP/1.1 400 Bad Request\r\n\r\n"s, avro_frame(1, {"\6"}), avro_frame(2, {avro_both}),
        avro_frame(1, {""}), avro_u32(1) + avro_u32(1) + avro_u32(0x7FFFFFFF)}) {
    AvroTestServer server({.greets = false});
    std::jthread later([&] {
      REQUIRE(eventually([&] { return server.accepted() == 1; }));
      server.send(answer);
    });
    const std::string message = failure(server.port());
    has(message, "cannot talk to 127.0.0.1:");
    has(message, "what answers is no avro source");
    has(message, "agree on ssl and compression-type");
  }
  AvroTestServer gone({.greets = false});
  std::jthread later([&] {
    REQUIRE(eventually([&] { return gone.accepted() == 1; }));
    gone.hang_up();
  });
  // As a receiver does that expects TLS or compression, or lets nobody of our address in.
  const std::string message = failure(gone.port());
  has(message, "no handshake");
  has(message, "agree on ssl and compression-type, and do its ipFilterRules let us in?");
}

TEST_CASE("stop ends a handshake that nobody answers") {
  AvroTestServer deaf({.greets = false});
  std::stop_source stop;
  std::jthread stopper([&] {
    REQUIRE(eventually([&] { return deaf.accepted() == 1; }));
    stop.request_stop();
  });
  const auto begin = Clock::system().steady();
  CHECK_FALSE(AvroLink::connect(to(deaf.port()), stop.get_token()).ok());
  CHECK(Clock::system().steady() - begin < milliseconds(3000));
}

// ---- answers

TEST_CASE("answers find their calls in any order") {
  AvroTestServer server(ours_without_answers());
  Link test;
  const auto link = linked(to(server.port()));
  for (int i = 0; i < 4; ++i) test.call(*link, i);
  REQUIRE(server.wait_for_calls(4));
  const auto calls = server.calls();
  server.answer(calls[2].serial, avro_failed);
  CHECK(test.outcomes.get(2).status.code() == Code::Retry);
  CHECK_FALSE(test.outcomes.get(2).may_have_arrived);
  CHECK_FALSE(test.outcomes.is_there(0));
  server.send(avro_frame(calls[3].serial, {avro_ok}) +
              avro_frame(calls[0].serial, {"", avro_ok.substr(0, 1), avro_ok.substr(1)}));
  CHECK(test.outcomes.get(3).status.ok());
  CHECK(test.outcomes.get(0).status.ok());
  CHECK_FALSE(test.outcomes.is_there(1));
  const std::string last = avro_frame(calls[1].serial, {avro_ok});
  for (const char c : last) server.send({&c, 1});
  CHECK(test.outcomes.get(1).status.ok());
  CHECK(link->broken().ok());
  CHECK(link->wait_until_idle({}));
  link->finish();
}

TEST_CASE("what is not OK is to be tried again, and the connection is good") {
  AvroTestServer server(ours_without_answers());
  Link test;
  const auto link = linked(to(server.port()));
  int call = 0;
  const auto answered = [&](const std::string& payload) {
    test.call(*link, ++call);
    REQUIRE(server.wait_for_calls(static_cast<std::size_t>(call)));
    server.answer(server.calls().back().serial, payload);
    const AvroLink::Outcome outcome = test.outcomes.get(call);
    CHECK_FALSE(outcome.may_have_arrived);
    CHECK((outcome.status.ok() || outcome.status.code() == Code::Retry));
    return outcome.status.message();
  };
  CHECK(answered(avro_failed) == "the receiver answered FAILED: its channel may be full");
  CHECK(answered("\0\0\4"s) != "");  // UNKNOWN
  CHECK(answered(avro_error("java.io.EOFException")) ==
        "the receiver answered with an error: java.io.EOFException");
  CHECK(answered(avro_ok).empty());
  CHECK(link->broken().ok());
}

TEST_CASE("garbage breaks the link, and every call on its way may have arrived") {
  for (const std::string& garbage :
       {"HTTP/1.1 200 OK\r\n\r\n"s, avro_frame(4711, {avro_ok}), avro_u32(1) + avro_u32(0),
        avro_u32(2) + avro_u32(1) + avro_u32(0xFFFFFFFF), avro_frame(2, {"\0\0\x66"s}),
        avro_frame(2, {""}), avro_frame(2, {"\0\1\0\x7F"s})}) {
    AvroTestServer server(ours_without_answers());
    Link test;
    const auto link = linked(to(server.port()));
    test.call(*link, 1);
    test.call(*link, 2);
    REQUIRE(server.wait_for_calls(2));
    REQUIRE(server.calls()[0].serial == 2);  // the handshake was the first
    server.send(garbage);
    for (const int call : {1, 2}) {
      CHECK(test.outcomes.get(call).status.code() == Code::Retry);
      CHECK(test.outcomes.get(call).may_have_arrived);
    }
    CHECK(eventually([&] { return !link->broken().ok(); }));
    test.call(*link, 3);
    CHECK(test.outcomes.get(3).status.code() == Code::Retry);
    CHECK_FALSE(test.outcomes.get(3).may_have_arrived);  // it was never sent
    CHECK(server.calls().size() == 2);
  }
}

TEST_CASE("a second answer to one call breaks the link") {
  AvroTestServer server({.ours = true});
  Link test;
  const auto link = linked(to(server.port()));
  test.call(*link, 1);
  CHECK(test.outcomes.get(1).status.ok());
  server.answer(server.calls()[0].serial, avro_ok);
  CHECK(eventually([&] { return !link->broken().ok(); }));
}

TEST_CASE("an answer that does not come in time ends every call") {
  AvroTestServer server(ours_without_answers());
  Link test;
  const auto link = linked(to(server.port(), milliseconds(60)));
  const auto begin = Clock::system().steady();
  test.call(*link, 1);
  test.call(*link, 2);
  CHECK(test.outcomes.get(1).status.message() == "no answer within request-timeout = 60 ms");
  CHECK(test.outcomes.get(1).may_have_arrived);
  CHECK(test.outcomes.get(2).may_have_arrived);
  CHECK(Clock::system().steady() - begin >= milliseconds(60));
  CHECK_FALSE(link->broken().ok());
}

TEST_CASE("a link may rest longer than a request may take") {
  AvroTestServer server({.ours = true});
  Link test;
  const auto link = linked(to(server.port(), milliseconds(40)));
  for (int i = 0; i < 3; ++i) {
    test.call(*link, i);
    CHECK(test.outcomes.get(i).status.ok());
    CHECK_FALSE(eventually([&] { return !link->broken().ok(); }, milliseconds(100)));
  }
}

TEST_CASE("a server that hangs up ends the calls on their way, and the link") {
  AvroTestServer server(ours_without_answers());
  Link test;
  const auto link = linked(to(server.port()));
  test.call(*link, 1);
  test.call(*link, 2);
  REQUIRE(server.wait_for_calls(2));
  server.hang_up();
  CHECK(test.outcomes.get(1).may_have_arrived);
  CHECK(test.outcomes.get(1).status.message().ends_with("; the receiver's log may say why"));
  CHECK(test.outcomes.get(2).may_have_arrived);
  CHECK(eventually([&] { return !link->broken().ok(); }));
}

TEST_CASE("what was sent behind a call that one of ours answered FAILED did not arrive") {
  AvroTestServer server(ours_without_answers());
  Link test;
  const auto link = linked(to(server.port()));
  for (const int call : {1, 2, 3}) test.call(*link, call);
  REQUIRE(server.wait_for_calls(3));
  server.answer(server.calls()[1].serial, avro_failed);
  CHECK(test.outcomes.get(2).status.message().find("answered FAILED") != std::string::npos);
  test.call(*link, 4);
  REQUIRE(server.wait_for_calls(4));
  server.hang_up();
  CHECK(test.outcomes.get(1).may_have_arrived);
  for (const int call : {3, 4}) {
    CHECK_FALSE(test.outcomes.get(call).may_have_arrived);
    CHECK(test.outcomes.get(call).status.code() == Code::Retry);
    CHECK(test.outcomes.get(call).status.message() ==
          "the receiver answered FAILED to a call before it");
  }
}

TEST_CASE("what one of ours answered OK behind a call that failed has arrived") {
  AvroTestServer server(ours_without_answers());
  Link test;
  const auto link = linked(to(server.port()));
  test.call(*link, 1);
  test.call(*link, 2);
  REQUIRE(server.wait_for_calls(2));
  server.answer(server.calls()[0].serial, avro_failed);
  server.answer(server.calls()[1].serial, avro_ok);
  CHECK(test.outcomes.get(1).status.code() == Code::Retry);
  CHECK(test.outcomes.get(2).status.ok());
}

TEST_CASE("a server that hangs up while nothing is sent is noticed") {
  AvroTestServer server;
  const auto link = linked(to(server.port()));
  CHECK(link->broken().ok());
  server.hang_up();
  CHECK(eventually([&] { return !link->broken().ok(); }));
}

TEST_CASE("a receiver that stops reading is given up, and nothing waits for ever") {
  std::atomic<bool> resting{true};
  AvroTestServer server({.ours = true, .answer = [&](const auto&) {
                           eventually([&] { return !resting; });
                           return AvroTestServer::Answer();
                         }});
  Link test;
  const auto link = linked(to(server.port(), milliseconds(200)));
  test.call(*link, 1);
  const std::string large(10'000'000, 'x');
  const Batch batch = batch_of(test.pool, {large, large, large, large});
  const auto begin = Clock::system().steady();
  link->call(batch, {}, test.outcomes.of(2));
  CHECK(Clock::system().steady() - begin < milliseconds(5000));
  CHECK(test.outcomes.get(1).status.code() == Code::Retry);
  CHECK(test.outcomes.get(1).may_have_arrived);
  CHECK(test.outcomes.get(2).status.code() == Code::Retry);
  resting = false;
}

// ---- the end

TEST_CASE("after a stop answers to what was sent still count") {
  AvroTestServer server(ours_without_answers());
  Link test;
  std::stop_source stop;
  const auto link = linked(to(server.port()), stop.get_token());
  test.call(*link, 1);
  REQUIRE(server.wait_for_calls(1));
  stop.request_stop();
  CHECK_FALSE(eventually([&] { return test.outcomes.is_there(1); }, milliseconds(30)));
  server.answer(server.calls()[0].serial, avro_ok);
  CHECK(test.outcomes.get(1).status.ok());
}

TEST_CASE("after a stop a receiver that does not answer is not waited for long") {
  AvroTestServer server(ours_without_answers());
  Link test;
  std::stop_source stop;
  const auto link = linked(to(server.port()), stop.get_token());
  test.call(*link, 1);
  REQUIRE(server.wait_for_calls(1));
  const auto begin = Clock::system().steady();
  stop.request_stop();
  CHECK(test.outcomes.get(1).status.code() == Code::Closed);
  CHECK(test.outcomes.get(1).may_have_arrived);
  CHECK(Clock::system().steady() - begin < milliseconds(4000));
}

TEST_CASE("a link that is destroyed ends its calls") {
  AvroTestServer server(ours_without_answers());
  Link test;
  {
    const auto link = linked(to(server.port()));
    test.call(*link, 1);
    REQUIRE(server.wait_for_calls(1));
  }
  CHECK(test.outcomes.is_there(1));
  CHECK_FALSE(test.outcomes.get(1).status.ok());
  CHECK(test.outcomes.get(1).may_have_arrived);
}

// ---- what is sent

TEST_CASE("our own agents get the origins of events, a Flume gets none") {
  const auto metadata_at = [](bool ours) {
    AvroTestServer server({.ours = ours});
    Link test;
    const auto link = linked(to(server.port()));
    const Batch batch = batch_of(test.pool, {"a", "b"}, {{"h", "v"}})
                            .with_provenance(Provenance::dense({3, 4}, 5, 2));
    link->call(batch, {}, test.outcomes.of(1));
    CHECK(test.outcomes.get(1).status.ok());
    REQUIRE(server.wait_for_calls(1));
    CHECK(server.calls()[0].events ==
          std::vector<TestEvent>{{"a", {{"h", "v"}}}, {"b", {{"h", "v"}}}});
    return server.calls()[0].metadata;
  };
  CHECK(metadata_at(false) == "\0"s);
  const auto origins = sluice_origins(metadata_at(true), 2);
  REQUIRE(origins.ok());
  REQUIRE(origins->known());
  CHECK(origins->origin(0) == Origin{{3, 4}, 5});
  CHECK(origins->origin(1) == Origin{{3, 4}, 6});
}

}  // namespace
}  // namespace sluice

// Calls of Flume's clients and of our own agents over real sockets.

#include <algorithm>
#include <string>
#include <vector>

#include "sources/catalog.h"
#include "tests/catch.h"
#include "tests/support/avro_peer.h"
#include "tests/support/captured_log.h"
#include "tests/support/source_rig.h"

namespace sluice {
namespace {

using Values = std::initializer_list<std::pair<std::string, std::string>>;
using Bodies = std::vector<std::string>;

class Avro {
 public:
  explicit Avro(Values more = {}, SourceRig::Options options = {}, Committer* committer = nullptr)
      : port_(free_port()) {
    const SourceType* const type = find_type(source_types(), "avro");
    std::map<std::string, Settings::Value, std::less<>> values;
    values["bind"] = {"127.0.0.1", {}, 0};
    values["port"] = {std::to_string(port_), {}, 0};
    for (const auto& [key, value] : more) values[key] = {value, {}, 0};
    rig = std::make_unique<SourceRig>(*type, Settings("source r1", "r1", *type->info, values),
                                      std::move(options), committer);
    REQUIRE(rig->open().ok());
    rig->start();
  }
  ~Avro() {
    rig->stop();
    CHECK(rig->window().used_bytes() == 0);
    CHECK(rig->balanced());
    CHECK(rig->counters().connections_open.get() == 0);
  }
  AvroTestClient client() const { return AvroTestClient(port_); }
  /// One that the source knows.
  AvroTestClient friendly_client(const std::string& meta = {}) const {
    AvroTestClient client(port_);
    REQUIRE(client.shake_hands(meta));
    return client;
  }
  /// Events with their headers and, where they are known, origins.
  std::vector<TestEvent> take_events(std::size_t count, std::vector<Origin>* origins = nullptr) {
    std::vector<TestEvent> events;
    const Deadline deadline = patiently();
    while (events.size() < count && !deadline.passed()) {
      Taken taken = rig->channel().take({.events_max = 1000, .wait_max = milliseconds(50)}, {});
      const Batch& batch = taken.batch();
      for (std::uint32_t i = 0; i < batch.size(); ++i) {
        events.push_back({std::string(batch.body(i)), headers_of(batch[i])});
        if (origins != nullptr && batch.provenance().known()) {
          origins->push_back(batch.provenance().origin(i));
        }
      }
      if (!taken.empty()) commit(std::move(taken));
    }
    return events;
  }

  std::unique_ptr<SourceRig> rig;

 private:
  const std::uint16_t port_;
};

std::vector<TestEvent> events_of(const Bodies& bodies) {
  std::vector<TestEvent> events;
  for (const std::string& body : bodies) events.push_back({body});
  return events;
}

SourceRig::Options small_channel(std::uint64_t events, milliseconds keep_alive) {
  SourceRig::Options options;
  options.channel.capacity_events = events;
  options.channel.keep_alive = keep_alive;
  options.processor.on_full = OnFull::Reject;
  return options;
}

// ---- handshakes

TEST_CASE("a call is answered with its serial, the first one with a handshake too") {
  Avro avro;
  AvroTestClient client = avro.client();
  REQUIRE(client.send(1, avro_hello() + avro_call("append", avro_event({"hello", {{"h", "v"}}}))));
  CHECK(client.answer() == AvroTestAnswer{1, avro_both + avro_ok});
  REQUIRE(client.send(4'000'000'000, avro_batch_call(events_of({"l1", "l2"}))));
  CHECK(client.answer() == AvroTestAnswer{4'000'000'000, avro_ok});
  CHECK(avro.take_events(3) == std::vector<TestEvent>{{"hello", {{"h", "v"}}}, {"l1"}, {"l2"}});
  CHECK(avro.rig->counters().made.events.get() == 3);
}

TEST_CASE("a client that expects another server is told who we are, and its call is executed") {
  Avro avro;
  AvroTestClient client = avro.client();
  const std::string hello = avro_hash() + '\0' + std::string(16, 'x') + '\0';
  CHECK(client.ask(hello + avro_batch_call(events_of({"a"}))) ==
        '\2' + ('\2' + avro_text(flume_protocol())) + '\2' + avro_hash() + '\0' + avro_ok);
  CHECK(client.ask(avro_batch_call(events_of({"b"}))) == avro_ok);
  CHECK(avro.rig->take(2) == Bodies{"a", "b"});
}

TEST_CASE(
    "a client that we do not know shows its protocol first, and is known to all connections") {
  Avro avro;
  AvroTestClient client = avro.client();
  const std::string stranger(16, 's');
  const std::string none = '\4' + ('\2' + avro_text(flume_protocol())) + '\2' + avro_hash() + '\0';
  const std::string call = avro_batch_call(events_of({"once"}));
  CHECK(client.ask(stranger + '\0' + avro_hash() + '\0' + call) == none);
  CHECK(client.ask(stranger + '\0' + avro_hash() + '\0' + call) == none);
  CHECK(client.ask(stranger + '\2' + avro_text("{its text}") + avro_hash() + '\0' + call) ==
        avro_both + avro_ok);
  AvroTestClient later = avro.client();
  CHECK(later.ask(stranger + '\0' + avro_hash() + '\0' + call) == avro_both + avro_ok);
  CHECK(avro.rig->take(2) == Bodies{"once", "once"});
  CHECK(avro.rig->channel().size_events() == 0);
}

TEST_CASE("a ping gets a handshake, and nothing where that is over") {
  Avro avro;
  AvroTestClient client = avro.client();
  CHECK(client.ask(avro_hello() + avro_call("", "")) == avro_both);
  CHECK(client.ask(avro_call("", "")).empty());
}

TEST_CASE("our own agents are greeted, others are not") {
  Avro avro;
  AvroTestClient ours = avro.client();
  CHECK(ours.ask(avro_hello(sluice_greeting()) + avro_call("", "")) ==
        std::string(3, '\0') + '\2' + sluice_greeting());
  AvroTestClient other = avro.client();
  CHECK(other.ask(avro_hello(avro_map({{"other", "1"}})) + avro_call("", "")) == avro_both);
}

// ---- bytes

TEST_CASE("a call may come in any buffers") {
  Avro avro;
  AvroTestClient client = avro.client();
  const std::string payload = avro_hello() + avro_batch_call(events_of({"one", "", "three"}));
  for (const std::size_t buffer_bytes : {1U, 2U, 7U, 33U, 34U, 35U, 1000U}) {
    REQUIRE(client.send(1, payload, buffer_bytes));
    CHECK(client.answer() == AvroTestAnswer{1, avro_both + avro_ok});
    CHECK(avro.rig->take(3) == Bodies{"one", "", "three"});
    client = avro.client();
  }
  const std::string call = avro_batch_call(events_of({"again"}));
  REQUIRE(client.shake_hands());
  REQUIRE(client.raw().send(avro_frame(9, {"", call.substr(0, 3), "", "", call.substr(3), ""})));
  CHECK(client.answer() == AvroTestAnswer{9, avro_ok});
  CHECK(avro.rig->take(1) == Bodies{"again"});
}

TEST_CASE("a call larger than a slab, large bodies, then small ones again") {
  Avro avro;
  AvroTestClient client = avro.friendly_client();
  Bodies bodies;
  for (const std::size_t bytes : {0U, 1U, 1'048'576U, 600'000U, 8192U, 700'000U}) {
    bodies.push_back(std::string(bytes, static_cast<char>('a' + bodies.size())));
  }
  for (const std::size_t buffer_bytes : {8192U, 100'000U, 10'000'000U}) {
    REQUIRE(client.send(2, avro_batch_call(events_of(bodies)), buffer_bytes));
    CHECK(client.answer() == AvroTestAnswer{2, avro_ok});
    CHECK((avro.rig->take(bodies.size()) == bodies));
    CHECK(client.ask(avro_batch_call(events_of({"small"}))) == avro_ok);
    CHECK(avro.rig->take(1) == Bodies{"small"});
  }
}

TEST_CASE("calls of many connections that come byte by byte, in turns") {
  Avro avro;
  constexpr std::size_t clients_count = 24;
  std::vector<AvroTestClient> clients;
  std::vector<std::string> bytes;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < clients_count; ++i) {
    clients.push_back(avro.client());
    Bodies bodies;
    for (std::size_t n = 0; n <= i % 5; ++n) {
      bodies.push_back(std::to_string(i) + "." + std::to_string(n) + std::string(n * 20, '-'));
    }
    bytes.push_back(avro_frame(7, avro_hello() + avro_batch_call(events_of(bodies)), 1 + i));
    longest = std::max(longest, bytes.back().size());
  }
  for (std::size_t at = 0; at < longest; ++at) {
    for (std::size_t i = 0; i < clients_count; ++i) {
      if (at < bytes[i].size()) REQUIRE(clients[i].raw().send({bytes[i].data() + at, 1}));
    }
  }
  std::size_t events = 0;
  for (std::size_t i = 0; i < clients_count; ++i) {
    REQUIRE(clients[i].answer() == AvroTestAnswer{7, avro_both + avro_ok});
    events += i % 5 + 1;
  }
  std::vector<Bodies> by_client(clients_count);
  for (const std::string& body : avro.rig->take(events)) {
    by_client.at(std::stoul(body)).push_back(body);
  }
  for (std::size_t i = 0; i < clients_count; ++i) {
    INFO(i);
    REQUIRE(by_client[i].size() == i % 5 + 1);
    for (std::size_t n = 0; n < by_client[i].size(); ++n) {
      CHECK(by_client[i][n] ==
            std::to_string(i) + "." + std::to_string(n) + std::string(n * 20, '-'));
    }
  }
}

TEST_CASE("several calls in one packet, and the rest of one in the next") {
  Avro avro;
  AvroTestClient client = avro.friendly_client();
  std::string bytes;
  for (std::uint32_t serial = 10; serial < 40; ++serial) {
    bytes += avro_frame(serial, {avro_batch_call(events_of({std::to_string(serial)}))});
  }
  REQUIRE(client.raw().send(bytes.substr(0, bytes.size() - 5)));
  for (std::uint32_t serial = 10; serial < 39; ++serial) {
    CHECK(client.answer() == AvroTestAnswer{serial, avro_ok});
  }
  REQUIRE(client.raw().send(bytes.substr(bytes.size() - 5)));
  CHECK(client.answer() == AvroTestAnswer{39, avro_ok});
  const Bodies bodies = avro.rig->take(30);
  REQUIRE(bodies.size() == 30);
  for (std::size_t i = 0; i < 30; ++i) CHECK(bodies[i] == std::to_string(10 + i));
}

// ---- headers and origins

TEST_CASE("headers, the same ones and different ones") {
  Avro avro;
  AvroTestClient client = avro.friendly_client();
  const auto arrives = [&](const std::vector<TestEvent>& events) {
    REQUIRE(client.ask(avro_batch_call(events)) == avro_ok);
    CHECK(avro.take_events(events.size()) == events);
  };
  const TestHeaders first{{"host", "h1"}, {"topic", "logs"}};
  arrives({{"a", first}, {"b", first}, {"c", first}});
  arrives({{"a", first}, {"b", first}});  // those of the call before
  const TestHeaders second{{"host", "h2"}, {"topic", "logs"}};
  arrives({{"a", second}, {"b", second}});
  arrives({{"a", first}, {"b", first}});
  arrives({{"a"}, {"b"}});
  arrives({{"a", first}, {"b", {{"host", "h2"}}}, {"c"}, {"d"}, {"e", first}, {"f", first}});
  arrives({{"", {{"only", ""}}}, {"", {{"other", "x"}}}, {""}});
  arrives({{"a"}, {"b", first}});
  for (char last = 'a'; last < 'z'; ++last) {  // 0 to 25 headers
    TestHeaders row;
    for (char name = 'a'; name < last; ++name) row.emplace_back(std::string(1, name), "v");
    arrives({{"a"}, {"b", row}, {"c", first}, {"d", row}});
  }
  TestHeaders many;
  for (int i = 100; i < 400; ++i) many.emplace_back("name" + std::to_string(i), std::to_string(i));
  many.emplace_back("value", std::string(100'000, 'v'));
  arrives({{std::string(700'000, 'x'), many}, {"y", first}, {"z", many}});
  REQUIRE(client.ask(avro_call("append", avro_event({"last", first}))) == avro_ok);
  CHECK(avro.take_events(1) == std::vector<TestEvent>{{"last", first}});
}

TEST_CASE("of two headers with one name the last one counts, whatever bytes they are") {
  Avro avro;
  AvroTestClient client = avro.friendly_client();
  const TestHeaders doubled{
      {"n", "1"}, {"m", "2"}, {"n", "3"}, {"\xFF\xC0", std::string("\0\xFE", 2)}};
  REQUIRE(client.ask(avro_batch_call({{"a", doubled}, {"b"}})) == avro_ok);
  CHECK(avro.take_events(2) ==
        std::vector<TestEvent>{
            {"a", {{"m", "2"}, {"n", "3"}, {"\xFF\xC0", std::string("\0\xFE", 2)}}}, {"b"}});
}

TEST_CASE("an event map in several blocks, and one with its size") {
  Avro avro;
  AvroTestClient client = avro.friendly_client();
  // {a: 1} and {b: 2} as two blocks, the second with its bytes; the events in two blocks as well.
  const std::string map = avro_count(1) + avro_text("a") + avro_text("1") + '\1' + avro_count(4) +
                          avro_text("b") + avro_text("2") + '\0';
  const std::string parameters =
      avro_count(1) + map + avro_text("x") + avro_count(1) + avro_event({"y"}) + '\0';
  REQUIRE(client.ask(avro_call("appendBatch", parameters)) == avro_ok);
  CHECK(avro.take_events(2) == std::vector<TestEvent>{{"x", {{"a", "1"}, {"b", "2"}}}, {"y"}});
}

TEST_CASE("our agents' events keep their origins, a Flume's metadata is passed over") {
  const OriginId id{7, 9};
  const auto call = [&](std::uint64_t sequence) {
    return avro_call("appendBatch", avro_events(events_of({"a", "b", "c"})),
                     sluice_metadata(Provenance::dense(id, sequence, 3)));
  };
  Avro avro;
  std::vector<Origin> origins;
  AvroTestClient ours = avro.friendly_client(sluice_greeting());
  REQUIRE(ours.ask(call(40)) == avro_ok);
  CHECK(avro.take_events(3, &origins).size() == 3);
  CHECK(origins == std::vector<Origin>{{id, 40}, {id, 41}, {id, 42}});
  origins.clear();
  AvroTestClient flume = avro.friendly_client();
  REQUIRE(flume.ask(call(50)) == avro_ok);
  CHECK(avro.take_events(3, &origins).size() == 3);
  CHECK(origins.empty());
}

TEST_CASE("compressed calls are what went into them") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  for (const CallCompression compression : {CallCompression::Lz4, CallCompression::Zstd}) {
    Avro avro;
    AvroTestClient ours = avro.friendly_client(sluice_greeting());
    SluiceCallWriter writer;
    const auto payload = [&](const Batch& batch) {
      const std::string frame(writer.append_batch(1, batch, compression));
      return frame.substr(12);
    };
    const Batch batch = batch_of(pool, Bodies(300, std::string(40, 'x')), {{"h", "v"}})
                            .with_provenance(Provenance::dense({7, 9}, 40, 300));
    REQUIRE(ours.ask(payload(batch)) == avro_ok);
    std::vector<Origin> origins;
    const std::vector<TestEvent> events = avro.take_events(300, &origins);
    CHECK(events == std::vector<TestEvent>(300, {std::string(40, 'x'), {{"h", "v"}}}));
    CHECK(origins.back() == Origin{{7, 9}, 339});
    // Very short ones, whose index needs more than they do themselves.
    REQUIRE(ours.ask(payload(batch_of(pool, Bodies(3000, "")))) == avro_ok);
    CHECK(avro.take_events(3000).size() == 3000);
    std::string damaged = payload(batch);
    damaged[damaged.size() - 9] ^= 0x55;
    damaged.resize(damaged.size() - 4);
    CHECK(ours.ask(damaged) == avro_error("a damaged call: what is compressed in it"));
  }
}

TEST_CASE("origins that fit no event are an error, and nothing is put") {
  Avro avro;
  AvroTestClient ours = avro.friendly_client(sluice_greeting());
  const std::string two = avro_events(events_of({"a", "b"}));
  const std::string three_origins = sluice_metadata(Provenance::dense({1, 2}, 0, 3));
  CHECK(ours.ask(avro_call("appendBatch", two, three_origins)) ==
        avro_error("origins of 3 events for a batch of 2"));
  const std::string garbage = avro_map({{"sluice.origins", "\x7F garbage"}});
  CHECK(ours.ask(avro_call("appendBatch", two, garbage)).starts_with(std::string("\0\1\0", 3)));
  CHECK(ours.ask(avro_batch_call(events_of({"good"}))) == avro_ok);
  CHECK(avro.rig->take(1) == Bodies{"good"});
  CHECK(avro.rig->channel().size_events() == 0);
  CHECK(avro.rig->counters().rejected_lines.get() == 2);
}

// ---- answers that wait, and FAILED

TEST_CASE("an answer waits until the channel has the events") {
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  Avro avro({}, {}, &committer);
  AvroTestClient client = avro.friendly_client();
  REQUIRE(client.send(5, avro_batch_call(events_of({"a"}))));
  REQUIRE(eventually([&] { return committer.submitted() == 1; }));
  CHECK(client.answer(milliseconds(20)).serial == 0);
  AvroTestClient other = avro.friendly_client();  // nobody waits for it
  committer.resume();
  CHECK(client.answer() == AvroTestAnswer{5, avro_ok});
}

TEST_CASE("a full channel answers FAILED, and the sender may try again") {
  const testing::CapturedLog log;
  Avro avro({}, small_channel(2, milliseconds(1)));
  AvroTestClient client = avro.friendly_client();
  CHECK(client.ask(avro_batch_call(events_of({"1", "2"}))) == avro_ok);
  CHECK(client.ask(avro_batch_call(events_of({"3"}))) == avro_failed);
  CHECK(client.ask(avro_call("append", avro_event({"3"}))) == avro_failed);
  CHECK(log.has("a call of 1 events is answered with FAILED"));
  CHECK(avro.rig->take(2) == Bodies{"1", "2"});
  CHECK(client.ask(avro_batch_call(events_of({"3"}))) == avro_ok);
  CHECK(avro.rig->take(1) == Bodies{"3"});
  CHECK(avro.rig->channel().size_events() == 0);
}

TEST_CASE("while a channel is full, calls do not wait one behind the other for its keep-alive") {
  Avro avro({}, small_channel(1, milliseconds(1000)));
  AvroTestClient client = avro.friendly_client();
  REQUIRE(client.ask(avro_batch_call(events_of({"1"}))) == avro_ok);
  const auto begin = Clock::system().steady();
  CHECK(client.ask(avro_batch_call(events_of({"2"}))) == avro_failed);
  CHECK(Clock::system().steady() - begin >= milliseconds(1000));
  for (int i = 0; i < 5; ++i) {
    CHECK(client.ask(avro_batch_call(events_of({"2"}))) == avro_failed);
  }
  CHECK(Clock::system().steady() - begin < milliseconds(4000));
  CHECK(avro.rig->take(1) == Bodies{"1"});
  CHECK(client.ask(avro_batch_call(events_of({"2"}))) == avro_ok);
  // There was room, so patience is back.
  const auto again = Clock::system().steady();
  CHECK(client.ask(avro_batch_call(events_of({"3"}))) == avro_failed);
  CHECK(Clock::system().steady() - again >= milliseconds(1000));
}

TEST_CASE("while a channel is full, many senders wait together") {
  Avro avro({}, small_channel(1, milliseconds(1000)));
  AvroTestClient first = avro.friendly_client();
  REQUIRE(first.ask(avro_batch_call(events_of({"1"}))) == avro_ok);
  REQUIRE(first.ask(avro_batch_call(events_of({"2"}))) == avro_failed);
  std::vector<AvroTestClient> senders;
  for (int i = 0; i < 100; ++i) senders.push_back(avro.friendly_client());
  const auto begin = Clock::system().steady();
  for (AvroTestClient& each : senders) {
    REQUIRE(each.send(2, avro_batch_call(events_of({"2"}))));
  }
  for (AvroTestClient& each : senders) CHECK(each.answer() == AvroTestAnswer{2, avro_failed});
  // One behind the other they would wait ten seconds.
  CHECK(Clock::system().steady() - begin < milliseconds(5000));
}

TEST_CASE("behind a FAILED nothing of our own agents overtakes") {
  Avro avro({}, small_channel(2, milliseconds(1)));
  AvroTestClient client = avro.friendly_client(sluice_greeting());
  REQUIRE(client.ask(avro_batch_call(events_of({"1"}))) == avro_ok);
  // The second call does not fit, the third one would.
  REQUIRE(client.raw().send(avro_frame(12, {avro_batch_call(events_of({"2", "3"}))}) +
                            avro_frame(13, {avro_batch_call(events_of({"4"}))})));
  CHECK(client.answer() == AvroTestAnswer{12, avro_failed});
  CHECK(client.answer().serial == 0);
  CHECK(client.raw().ended());
  CHECK(avro.rig->take(1) == Bodies{"1"});
  CHECK(avro.rig->channel().size_events() == 0);
}

TEST_CASE("a commit that is refused later is answered with FAILED") {
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.refuse_next(Retry("the disk is full"));
  SourceRig::Options options;
  options.processor.on_full = OnFull::Reject;
  Avro avro({}, std::move(options), &committer);
  AvroTestClient client = avro.friendly_client();
  CHECK(client.ask(avro_batch_call(events_of({"1"}))) == avro_failed);
  // What comes before the committer has told everybody of the refusal is refused too.
  CHECK(eventually([&] { return client.ask(avro_batch_call(events_of({"1"}))) == avro_ok; }));
  CHECK(avro.rig->take(1) == Bodies{"1"});
}

TEST_CASE("calls on their way are answered before the source closes") {
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  Avro avro({}, {}, &committer);
  AvroTestClient client = avro.friendly_client();
  REQUIRE(client.send(1, avro_batch_call(events_of({"1"}))));
  REQUIRE(client.send(2, avro_batch_call(events_of({"2"}))));
  REQUIRE(eventually([&] { return committer.submitted() == 2; }));
  std::jthread stopper([&] { avro.rig->stop(); });
  CHECK(client.answer(milliseconds(20)).serial == 0);
  committer.resume();
  CHECK(client.answer() == AvroTestAnswer{1, avro_ok});
  CHECK(client.answer() == AvroTestAnswer{2, avro_ok});
  CHECK(client.answer().serial == 0);
  CHECK(client.raw().ended());
}

TEST_CASE("a client that finishes behind its calls gets its answers") {
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  Avro avro({}, {}, &committer);
  AvroTestClient client = avro.friendly_client();
  REQUIRE(client.send(1, avro_batch_call(events_of({"1"}))));
  client.raw().half_close();
  REQUIRE(eventually([&] { return committer.submitted() == 1; }));
  committer.resume();
  CHECK(client.answer() == AvroTestAnswer{1, avro_ok});
  CHECK(client.raw().read_to_end().empty());
  CHECK(client.raw().ended());
}

TEST_CASE("a client that is gone before its answer costs nothing") {
  LateCommitter committer({.late_by = milliseconds(0)});
  committer.pause();
  Avro avro({}, {}, &committer);
  {
    AvroTestClient client = avro.friendly_client();
    REQUIRE(client.send(1, avro_batch_call(events_of({"1"}))));
    REQUIRE(eventually([&] { return committer.submitted() == 1; }));
    client.raw().reset();
  }
  CHECK(eventually([&] { return avro.rig->counters().connections_open.get() == 0; }));
  committer.resume();
  CHECK(avro.rig->take(1) == Bodies{"1"});
}

// ---- what is no call

TEST_CASE("a call that cannot be read is answered with an error, and the next one is served") {
  const testing::CapturedLog log;
  Avro avro;
  AvroTestClient client = avro.friendly_client();
  CHECK(client.ask(avro_call("nope", "")) == avro_error("No such remote message: nope"));
  CHECK(client.ask(avro_call("appendBatch", avro_count(2) + avro_event({"cut"}))) ==
        avro_error("a damaged Avro event (number 2)"));
  CHECK(client.ask(avro_call("append", avro_event({"a"}) + "more")) ==
        avro_error("a damaged Avro call: there are bytes behind its events"));
  CHECK(client.ask("\2").starts_with(std::string("\0\1\0", 3)));
  CHECK(client.ask(avro_batch_call({})) == avro_ok);
  CHECK(client.ask(avro_batch_call(events_of({"good"}))) == avro_ok);
  CHECK(avro.rig->take(1) == Bodies{"good"});
  CHECK(avro.rig->channel().size_events() == 0);
  CHECK(avro.rig->counters().rejected_lines.get() == 4);
  CHECK(log.has("is answered with an error: No such remote message: nope"));
}

TEST_CASE("a stranger's long words are neither sent back nor logged whole") {
  const testing::CapturedLog log;
  Avro avro;
  AvroTestClient client = avro.friendly_client();
  const std::string answer = client.ask(avro_call(std::string(1'000'000, 'n'), ""));
  CHECK(answer.size() < 1000);
  CHECK(answer.find("No such remote message: nnn") != std::string::npos);
  CHECK(log.text().size() < 5000);
}

TEST_CASE("what is no call closes its connection and no other") {
  const testing::CapturedLog log;
  Avro avro({{"maxCallBytes", "65536"}});
  AvroTestClient good = avro.friendly_client();
  const auto is_closed = [&](const std::string& bytes) {
    AvroTestClient client = avro.client();
    REQUIRE(client.raw().send(bytes));
    CHECK(client.raw().read_to_end().empty());
    CHECK(client.raw().ended());
  };
  is_closed("GET / HTTP/1.1\r\n\r\n");
  is_closed(avro_u32(1) + avro_u32(0));
  is_closed(avro_u32(1) + avro_u32(0x80000000));
  is_closed(avro_u32(1) + avro_u32(1) + avro_u32(0x7FFFFFFF));
  is_closed(avro_u32(1) + avro_u32(2) + avro_u32(0xFFFFFFFF));
  is_closed(avro_frame(1, {"no handshake"}));
  is_closed(avro_u32(1) + avro_u32(1) + avro_u32(65525) + "x");
  CHECK(avro.rig->counters().rejected_lines.get() == 7);
  CHECK(log.has("sent what is no call: a frame of 790644820 buffers; it looks like HTTP"));
  CHECK(good.ask(avro_batch_call(events_of({"good"}))) == avro_ok);
  CHECK(avro.rig->take(1) == Bodies{"good"});
}

TEST_CASE("a call of maxCallBytes passes and one of a byte more does not") {
  const testing::CapturedLog log;
  Avro avro({{"maxCallBytes", "65536"}});
  AvroTestClient client = avro.friendly_client();
  const std::size_t around =
      12 + avro_batch_call(events_of({std::string(65'000, 'x')})).size() - 65'000;
  const std::string fits(65'536 - around, 'x');
  CHECK(client.ask(avro_batch_call(events_of({fits}))) == avro_ok);
  CHECK((avro.rig->take(1) == Bodies{fits}));
  REQUIRE(client.send(3, avro_batch_call(events_of({fits + "x"}))));
  CHECK(client.answer().serial == 0);
  CHECK(client.raw().ended());
  CHECK(log.has("a call of more than 65536 bytes"));
  CHECK(log.has("raise maxCallBytes, or lower batch-size there"));
  CHECK(avro.rig->channel().size_events() == 0);
}

TEST_CASE("unfinished calls of all connections hold bounded memory, and others are served") {
  const testing::CapturedLog log;
  Avro avro({{"maxCallBytes", "262144"}});
  AvroTestClient good = avro.friendly_client();
  const std::string half =
      avro_u32(1) + avro_u32(1) + avro_u32(200'000) + std::string(100'000, 'h');
  std::vector<AvroTestClient> stalled;
  for (int i = 0; i < 30; ++i) {
    stalled.push_back(avro.client());
    REQUIRE(stalled.back().raw().send(half));
    REQUIRE(good.ask(avro_batch_call(events_of({std::to_string(i)}))) == avro_ok);
  }
  CHECK(avro.rig->take(30).size() == 30);
  CHECK(log.has("unfinished calls of all connections together hold more than maxCallBytes"));
  // Two of them are still waited for, and one that is small never is in the way.
  CHECK(eventually([&] { return avro.rig->counters().rejected_lines.get() == 28; }));
  CHECK(avro.rig->window().peak_bytes() <= avro.rig->window().limit_bytes());
  AvroTestClient small = avro.client();
  const std::string bytes = avro_frame(1, {avro_hello() + avro_batch_call(events_of({"small"}))});
  REQUIRE(small.raw().send(bytes.substr(0, bytes.size() / 2)));
  small.raw().read(1, milliseconds(20));
  REQUIRE(small.raw().send(bytes.substr(bytes.size() / 2)));
  CHECK(small.answer() == AvroTestAnswer{1, avro_both + avro_ok});
  // What the stalled ones held is given back when they go.
  stalled.clear();
  REQUIRE(eventually([&] { return avro.rig->counters().connections_open.get() == 2; }));
  const std::string large =
      avro_frame(9, {avro_batch_call(events_of({std::string(200'000, 'g')}))});
  REQUIRE(good.raw().send(large.substr(0, 190'000)));
  CHECK(good.answer(milliseconds(20)).serial == 0);
  REQUIRE(good.raw().send(large.substr(190'000)));
  CHECK(good.answer() == AvroTestAnswer{9, avro_ok});
}

TEST_CASE("a connection that breaks in the middle of a call leaves no event and is told") {
  const testing::CapturedLog log;
  Avro avro;
  const std::string call = avro_frame(2, {avro_batch_call(events_of({"torn"}))});
  AvroTestClient reset = avro.friendly_client();
  REQUIRE(reset.raw().send(std::string_view(call).substr(0, call.size() - 1)));
  CHECK(reset.answer(milliseconds(20)).serial == 0);
  reset.raw().reset();
  CHECK(eventually([&] { return avro.rig->counters().read_failures.get() == 1; }));
  AvroTestClient finished = avro.friendly_client();
  REQUIRE(finished.raw().send(std::string_view(call).substr(0, 5)));
  finished.raw().half_close();
  CHECK(finished.raw().read_to_end().empty());
  CHECK(avro.rig->counters().read_failures.get() == 2);
  CHECK(log.has("left in the middle of a call (5 bytes of it came"));
  CHECK(avro.rig->channel().size_events() == 0);
  { const AvroTestClient polite = avro.friendly_client(); }
  CHECK(eventually([&] { return avro.rig->counters().connections_open.get() == 0; }));
  CHECK(avro.rig->counters().read_failures.get() == 2);
}

TEST_CASE("a million empty events are a call, more are an error") {
  Avro avro;
  AvroTestClient client = avro.friendly_client();
  const auto call = [](std::size_t events) {
    return avro_call("appendBatch", avro_count(events) + std::string(2 * events + 1, '\0'));
  };
  CHECK(client.ask(call(1'048'577)) == avro_error("a batch of more than 1048576 events"));
  CHECK(client.ask(call(1'048'576)) == avro_ok);
  std::size_t taken = 0;
  while (avro.rig->channel().size_events() > 0) {
    Taken some = take_now(avro.rig->channel(), 100'000);
    REQUIRE_FALSE(some.empty());
    taken += some.batch().size();
    commit(std::move(some));
  }
  CHECK(taken == 1'048'576);
}

TEST_CASE("ipFilterRules say who may connect") {
  {
    Avro avro({{"ipFilter", "true"}, {"ipFilterRules", "deny:ip:127.*"}});
    AvroTestClient client = avro.client();
    CHECK_FALSE(client.shake_hands());
    CHECK(avro.rig->counters().connections_opened.get() == 0);
  }
  Avro avro({{"ipFilter", "true"}, {"ipFilterRules", "allow:ip:127.0.0.1,deny:ip:*"}});
  AvroTestClient client = avro.friendly_client();
  CHECK(client.ask(avro_batch_call(events_of({"a"}))) == avro_ok);
  CHECK(avro.rig->take(1) == Bodies{"a"});
}

TEST_CASE("an avro source without what its keys need stays down and says what") {
  const SourceType* const type = find_type(source_types(), "avro");
  const auto says = [&](Values more, std::string_view word) {
    std::map<std::string, Settings::Value, std::less<>> values;
    values["bind"] = {"127.0.0.1", {}, 0};
    values["port"] = {"0", {}, 0};
    for (const auto& [key, value] : more) values[key] = {value, {}, 0};
    SourceRig rig(*type, Settings("source r1", "r1", *type->info, values), {});
    const Status status = rig.open();
    INFO(status.message());
    CHECK(status.code() == Code::Invalid);
    CHECK(status.message().find(word) != std::string::npos);
  };
  says({{"ssl", "true"}}, "keystore");
  says({{"ipFilter", "true"}}, "ipFilterRules");
  says({{"ipFilter", "true"}, {"ipFilterRules", "allow:ip"}}, "allow:ip");
}

TEST_CASE("an avro port that is taken says so and is free again after close") {
  const std::uint16_t port = free_port();
  const SourceType* const type = find_type(source_types(), "avro");
  const Settings settings = test_settings(*type->info, "source r1",
                                          {{"bind", "127.0.0.1"}, {"port", std::to_string(port)}});
  SourceRig first(*type, settings, {});
  REQUIRE(first.open().ok());
  SourceRig second(*type, settings, {});
  CHECK(second.open().code() == Code::Retry);
  first.start();
  first.stop();
  CHECK(second.open().ok());
}

}  // namespace
}  // namespace sluice

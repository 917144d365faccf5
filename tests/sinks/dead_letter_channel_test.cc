// A picky sink, and its dead letters in channels in memory, of the same store and of another one.

#include "sinks/dead_letter_channel.h"

#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "core/event/origin_text.h"
#include "sinks/dead_letter_file.h"
#include "sinks/sink_runner.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/eventually.h"
#include "tests/support/late_committer.h"
#include "tests/support/memory_channels.h"
#include "tests/support/picky_sink.h"
#include "tests/support/receipt_book.h"

namespace sluice {
namespace {

using testing::TempDirectory;
using Bodies = std::vector<std::string>;

SinkRunner::Options quick(const Channel& from, DeadLetters* place) {
  return {.name = "sink k1",
          .committer = const_cast<Channel&>(from).committer(),
          .dead_letters = place,
          .sink = "k1",
          .backoff_first = milliseconds(1),
          .backoff_max = milliseconds(4)};
}

/// Two stores and the channels that a test asks for.
struct World {
  const TempDirectory directory;
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  ManualClock clock;
  SharedStore one{{.path = directory.path("one"), .free_bytes_min = 1 << 20}, {}};
  SharedStore two{{.path = directory.path("two"), .free_bytes_min = 1 << 20}, {}};

  std::unique_ptr<Channel> channel(const std::string& name, const std::string& where,
                                   std::uint64_t capacity = 1000) {
    std::unique_ptr<Channel> made;
    if (where == "memory") {
      auto options = roomy_channel(name);
      options.capacity_events = capacity;
      made = std::make_unique<MemoryChannel>(options, pool);
    } else {
      auto options = stored_channel(name);
      options.capacity_events = capacity;
      made = std::make_unique<DurableChannel>(options, where == "one" ? one : two, pool);
    }
    REQUIRE(made->open().ok());
    return made;
  }
};

bool put_bodies(World& world, Channel& channel, const Bodies& bodies) {
  return put(channel, batch_of(world.pool, bodies, {{"host", "h1"}}));
}

Bodies take_bodies(Channel& channel) {
  Taken taken = take_now(channel);
  Bodies bodies = bodies_of(taken.batch());
  if (!taken.empty()) commit(std::move(taken));
  return bodies;
}

std::map<std::string, std::string> header_map(const Event& event) {
  std::map<std::string, std::string> map;
  for (auto& [name, value] : headers_of(event)) {
    CHECK(map.emplace(std::move(name), std::move(value)).second);
  }
  return map;
}

const Bodies mixed{"good 1", "bad 1", "good 2", "bad 2", "bad 3", "good 3"};
const Bodies good{"good 1", "good 2", "good 3"};
const Bodies bad{"bad 1", "bad 2", "bad 3"};

TEST_CASE("dead letters go into any channel, with what is known of them, and the books balance") {
  const testing::CapturedLog log;
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"memory", "memory"},
                                                        {"one", "one"},
                                                        {"one", "two"},
                                                        {"memory", "one"},
                                                        {"one", "memory"}}) {
    INFO(from << " -> " << to);
    World world;
    const auto c1 = world.channel("c1", from);
    const auto dead = world.channel("dead", to);
    REQUIRE(put_bodies(world, *c1, mixed));
    c1->close();
    SinkCounters counters;
    DeadLetterChannel place(*dead, world.pool, counters, world.clock);
    PickySink sink;
    sink.fail(2);
    SinkRunner runner(quick(*c1, &place), *c1, sink, counters);
    CHECK(runner.run({}).ok());
    CHECK(sink.delivered() == good);
    CHECK(c1->size_events() == 0);
    Taken taken = take_now(*dead);
    REQUIRE(bodies_of(taken.batch()) == bad);
    const auto headers = header_map(taken.batch()[1]);
    CHECK(headers.at("host") == "h1");
    CHECK(headers.at("deadletter.sink") == "k1");
    CHECK(headers.at("deadletter.channel") == "c1");
    CHECK(headers.at("deadletter.sequence") == "3");
    CHECK(headers.at("deadletter.reason") == "it is bad");
    CHECK(headers.at("deadletter.attempts") == "3");
    CHECK(headers.at("deadletter.time") == "1700000000000");
    const bool has_origin = from != "memory";
    CHECK(headers.count("deadletter.origin") == (has_origin ? 1 : 0));
    CHECK(headers.size() == (has_origin ? 8 : 7));
    CHECK(counters.dead_lettered.events.get() == 3);
    CHECK(counters.dead_lettered.bytes.get() == 15);
    CHECK(counters.dead_letters_put.events.get() == dead->counters().put.events.get());
    CHECK(counters.dead_letters_put.bytes.get() == dead->counters().put.bytes.get());
    CHECK(counters.delivered.events.get() == 3);
    CHECK(c1->counters().committed.bytes.get() ==
          counters.delivered.bytes.get() + counters.dead_lettered.bytes.get());
    CHECK(log.has("3 events can never be delivered: it is bad; they are put into channel dead"));
    commit(std::move(taken));
  }
}

TEST_CASE("within a store it is one commit, across stores the put is one of its own") {
  World world;
  for (const bool same : {true, false}) {
    const auto c1 = world.channel(same ? "c1" : "c2", "one");
    const auto dead = world.channel("dead", same ? "one" : "two");
    REQUIRE(put_bodies(world, *c1, mixed));
    c1->close();
    const auto works = [](SharedStore& store) { return store.commits().counters().works.get(); };
    const std::uint64_t one = works(world.one);
    SinkCounters counters;
    DeadLetterChannel place(*dead, world.pool, counters, world.clock);
    PickySink sink;
    SinkRunner runner(quick(*c1, &place), *c1, sink, counters);
    CHECK(runner.run({}).ok());
    CHECK(works(world.one) == one + 1);
    if (!same) CHECK(works(world.two) == 1);
    CHECK(take_bodies(*dead) == bad);
  }
}

TEST_CASE("a full dead-letter channel holds up the dead letters, not the rest") {
  for (const std::string where : {"memory", "one"}) {
    World world;
    const auto c1 = world.channel("c1", where);
    const auto dead = world.channel("dead", where, 3);
    REQUIRE(put_bodies(world, *dead, {"x"}));
    SinkCounters counters;
    DeadLetterChannel place(*dead, world.pool, counters, world.clock);
    PickySink sink;
    SinkRunner runner(quick(*c1, &place), *c1, sink, counters);
    std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
    REQUIRE(put_bodies(world, *c1, mixed));
    REQUIRE(eventually([&] { return counters.failures.get() > 3; }));
    CHECK_FALSE(runner.healthy());
    CHECK(dead->size_events() == 1);
    // Neighbours go on, and so does what comes behind.
    REQUIRE(put_bodies(world, *c1, {"good 4"}));
    CHECK(eventually([&] { return counters.delivered.events.get() == 4; }));
    CHECK(c1->size_events() == 3);
    CHECK(take_bodies(*dead) == Bodies{"x"});
    REQUIRE(eventually([&] { return counters.dead_lettered.events.get() == 3; }));
    CHECK(eventually([&] { return runner.healthy(); }));
    CHECK(sink.delivered() == Bodies{"good 1", "good 2", "good 3", "good 4"});
    Taken taken = take_now(*dead);
    CHECK(bodies_of(taken.batch()) == bad);
    CHECK(std::stoi(header_map(taken.batch()[0]).at("deadletter.attempts")) > 3);
    commit(std::move(taken));
  }
}

TEST_CASE("a full disk refuses dead letters and lets what is delivered go") {
  const testing::CapturedLog log;
  const TempDirectory directory;
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  Store::Options where{.path = directory.path("store"), .free_bytes_min = 1 << 20};
  for (const bool full : {false, true, false}) {
    where.free_bytes_min = full ? std::uint64_t{1} << 60 : 1 << 20;
    SharedStore store(where, {});
    DurableChannel c1(stored_channel("c1"), store, pool);
    DurableChannel dead(stored_channel("dead"), store, pool);
    REQUIRE(c1.open().ok());
    REQUIRE(dead.open().ok());
    if (!full && c1.size_events() == 0) {
      REQUIRE(put(c1, batch_of(pool, mixed)));
      for (int i = 0; i < 3; ++i) REQUIRE(put(c1, batch_of(pool, {std::string(7000, 'g')})));
      continue;
    }
    SinkCounters counters;
    DeadLetterChannel place(dead, pool, counters, Clock::system());
    PickySink sink;
    SinkRunner runner(quick(c1, &place), c1, sink, counters);
    std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
    if (full) {
      REQUIRE(eventually([&] { return counters.channel_failures.get() > 3; }));
      CHECK(dead.size_events() == 0);
      CHECK(counters.dead_lettered.events.get() == 0);
      CHECK_FALSE(log.has("can never be delivered"));
      CHECK_FALSE(log.has("delivering again"));
    } else {
      REQUIRE(eventually([&] { return counters.dead_lettered.events.get() == 3; }));
      CHECK(take_bodies(dead) == bad);
      CHECK(c1.size_events() == 0);
    }
  }
}

TEST_CASE("a refused commit puts no dead letter, and each is put once in the end") {
  World world;
  const auto c1 = world.channel("c1", "memory");
  const auto dead = world.channel("dead", "memory");
  auto book = std::make_shared<ReceiptBook>();
  for (std::uint64_t i = 0; i < 20; ++i) {
    const Batch batch = batch_of(world.pool, {"bad " + std::to_string(i), std::string(7000, 'g')});
    REQUIRE(put(*c1, batch.with_receipt(Receipt::make(book, i, 2))));
  }
  c1->close();
  LateCommitter committer(
      {.seed = Catch::rngSeed() + 3, .refusals = 0.4, .late_by = milliseconds(0)});
  committer.refuse_next(Retry("the disk is full"));  // chance may refuse none of so few
  SinkCounters counters;
  DeadLetterChannel place(*dead, world.pool, counters, world.clock);
  PickySink sink;
  SinkRunner::Options options = quick(*c1, &place);
  options.committer = &committer;
  SinkRunner runner(std::move(options), *c1, sink, counters);
  CHECK(runner.run({}).ok());
  CHECK(committer.refused() > 0);
  CHECK(counters.dead_lettered.events.get() == 20);
  CHECK(counters.dead_letters_put.events.get() == 20);
  Bodies all = take_bodies(*dead);
  REQUIRE(all.size() == 20);
  std::sort(all.begin(), all.end());
  CHECK(std::unique(all.begin(), all.end()) == all.end());
  for (std::uint64_t i = 0; i < 20; ++i) CHECK(book->delivered(i));
}

TEST_CASE("what was delivered around rejected events is committed at once, with its note") {
  World world;
  const auto c1 = world.channel("c1", "memory");
  REQUIRE(put_bodies(world, *c1, mixed));
  LateCommitter committer({.late_by = milliseconds(0)});
  SinkCounters counters;
  PickySink sink;
  sink.note_under("file");
  SinkRunner::Options options = quick(*c1, nullptr);
  options.committer = &committer;
  SinkRunner runner(std::move(options), *c1, sink, counters);
  std::jthread thread([&](std::stop_token stop) { CHECK(runner.run(std::move(stop)).ok()); });
  REQUIRE(eventually([&] { return sink.offers() > 2; }));
  CHECK(counters.delivered.events.get() == 3);
  CHECK(committer.submitted() == 1);
  CHECK(committer.note("file") == "1");
  CHECK(c1->size_events() == 3);
}

TEST_CASE("a dead letter that is rejected again bears the later rejection") {
  World world;
  const auto c1 = world.channel("c1", "memory");
  const auto dead = world.channel("dead", "memory");
  const auto grave = world.channel("grave", "memory");
  REQUIRE(put_bodies(world, *c1, {"good 1", "bad 1"}));
  c1->close();
  for (const auto& [from, to] : {std::pair(c1.get(), dead.get()), {dead.get(), grave.get()}}) {
    SinkCounters counters;
    DeadLetterChannel place(*to, world.pool, counters, world.clock);
    PickySink sink;
    SinkRunner::Options options = quick(*from, &place);
    options.sink = "k" + from->name();
    SinkRunner runner(std::move(options), *from, sink, counters);
    CHECK(runner.run({}).ok());
    to->close();
  }
  Taken taken = take_now(*grave);
  REQUIRE(bodies_of(taken.batch()) == Bodies{"bad 1"});
  const auto headers = header_map(taken.batch()[0]);
  CHECK(headers.at("deadletter.sink") == "kdead");
  CHECK(headers.at("deadletter.channel") == "dead");
  CHECK(headers.at("deadletter.sequence") == "0");
  CHECK(headers.at("host") == "h1");
  commit(std::move(taken));
}

TEST_CASE(
    "the origin of what was read from disk becomes a header, and is not the origin any more") {
  World world;
  DurableChannel c1(stored_channel("c1", 0), world.one, world.pool);  // nothing stays in memory
  REQUIRE(c1.open().ok());
  const auto dead = world.channel("dead", "one");
  REQUIRE(put_bodies(world, c1, {"good 1"}));
  REQUIRE(put_bodies(world, c1, {"bad 1"}));
  c1.close();
  SinkCounters counters;
  DeadLetterChannel place(*dead, world.pool, counters, world.clock);
  PickySink sink;
  SinkRunner runner(quick(c1, &place), c1, sink, counters);
  CHECK(runner.run({}).ok());
  Taken taken = take_now(*dead);
  REQUIRE(bodies_of(taken.batch()) == Bodies{"bad 1"});
  const Origin before{part_of(world.one.store().opening(), "c1"), 1};
  CHECK(header_map(taken.batch()[0]).at("deadletter.origin") == to_string(before));
  const Provenance& now = taken.batch().provenance();
  CHECK_FALSE((now.known() && now.origin(0) == before));
  commit(std::move(taken));
}

TEST_CASE("a dead letter without an origin has none beside others that have one") {
  World world;
  const auto c1 = world.channel("c1", "memory");
  const auto dead = world.channel("dead", "memory");
  const Origin before{{4, 2}, 17};
  const auto known = Provenance::dense(before.id, before.sequence, 1);
  const auto row = Provenance::concat({{known, 1}, {Provenance(), 1}});
  REQUIRE(put(*c1, batch_of(world.pool, {"bad 1", "bad 2"}).with_provenance(row)));
  c1->close();
  SinkCounters counters;
  DeadLetterChannel place(*dead, world.pool, counters, world.clock);
  PickySink sink;
  SinkRunner runner(quick(*c1, &place), *c1, sink, counters);
  CHECK(runner.run({}).ok());
  Taken taken = take_now(*dead);
  REQUIRE(bodies_of(taken.batch()) == Bodies{"bad 1", "bad 2"});
  CHECK(header_map(taken.batch()[0]).at("deadletter.origin") == to_string(before));
  CHECK(header_map(taken.batch()[1]).count("deadletter.origin") == 0);
  commit(std::move(taken));
}

TEST_CASE("into the file each dead letter goes before its take is committed") {
  World world;
  const auto c1 = world.channel("c1", "one");
  REQUIRE(put_bodies(world, *c1, mixed));
  c1->close();
  const std::string path = world.directory.path("dead.jsonl");
  DeadLetterFile file({.path = path}, FileSystem::real(), world.clock);
  SinkCounters counters;
  PickySink sink;
  SinkRunner runner(quick(*c1, &file), *c1, sink, counters);
  CHECK(runner.run({}).ok());
  auto text = FileSystem::real().read(path, 0, 1 << 20);
  REQUIRE(text.ok());
  CHECK(std::count(text->begin(), text->end(), '\n') == 3);
  for (const std::string& body : bad) {
    CHECK(text->find("\"body\":\"" + body + "\"") != std::string::npos);
  }
  CHECK(counters.dead_lettered.events.get() == 3);
  CHECK(counters.dead_letters_put.events.get() == 0);
}

}  // namespace
}  // namespace sluice

// `sluice channel` on stores that durable channels made.

#include "agent/channel_command.h"

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/durable_channels.h"
#include "tests/support/flipped_bits.h"
#include "tests/support/memory_channels.h"

namespace sluice {
namespace {

using nlohmann::json;
using testing::CapturedLog;
using testing::TempDirectory;

struct Told {
  int status = 0;
  std::string out;
  std::string err;
};

Told run(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"channel"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const auto line = parse_command_line(all);
  if (!line.ok()) FAIL(line.status().message());
  std::ostringstream out;
  std::ostringstream err;
  Told told;
  told.status = run_channel(line.value(), out, err);
  told.out = out.str();
  told.err = err.str();
  return told;
}

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line));
  return all;
}

/// Two channels: c1 has 30 events of which some are out, c2 has none.
struct Stored {
  Stored() {
    SharedStore store({.path = path, .free_bytes_min = 1 << 20}, {});
    DurableChannel one(stored_channel("c1"), store, pool);
    DurableChannel two(stored_channel("c2"), store, pool);
    REQUIRE(one.open().ok());
    REQUIRE(two.open().ok());
    for (std::uint64_t first : {0, 10, 20}) REQUIRE(put(one, numbered(pool, first, 10)));
    const Taken held = take_now(one, 3);
    commit(take_now(one, 2));  // 3 and 4
    CHECK(held.batch().size() == 3);
  }
  /// Something wrong, behind the channels' back.
  template <typename F>
  void change(F&& f) {
    auto store = Store::open({.path = path, .free_bytes_min = 1 << 20});
    REQUIRE(store.ok());
    StoreBatch batch = store.value()->batch();
    f(batch);
    REQUIRE(store.value()->write(batch).ok());
  }

  TempDirectory directory;
  std::string path = directory.path("store");
  SlabPool pool{64 * 1024, keep_no_free_slabs};
};

/// Takes a few bytes, then fails as a pipe that nobody reads or a full disk does.
class BrokenBuffer final : public std::streambuf {
 public:
  explicit BrokenBuffer(int error) : error_(error) {}

 private:
  std::streamsize xsputn(const char*, std::streamsize) override {
    errno = error_;
    return 0;
  }
  int overflow(int) override { return traits_type::eof(); }
  const int error_;
};

}  // namespace

TEST_CASE("channel ls shows every channel with what waits in it") {
  const Stored stored;
  const Told told = run({"ls", "--store", stored.path, "--json"});
  CHECK(told.status == 0);
  const json all = json::parse(told.out);
  REQUIRE(all.size() == 2);
  CHECK(all[0]["channel"] == "c1");
  CHECK(all[0]["number"] == 0);
  CHECK(all[0]["events"] == 28);
  CHECK(all[0]["bytes"] == 48);  // 10 of one digit, less two, and 20 of two
  CHECK(all[0]["oldest"] == 0);
  CHECK(all[0]["next"] == 30);
  CHECK(all[1]["events"] == 0);
  CHECK_FALSE(all[1].contains("oldest"));
  const Told text = run({"ls", "--store", stored.path});
  CHECK(text.out.find("\nc1       ") != std::string::npos);
  CHECK(text.out.find("  28  ") != std::string::npos);
}

TEST_CASE("channel ls shows when the oldest waiting event was made") {
  const Stored stored;
  {
    SharedStore store({.path = stored.path, .free_bytes_min = 1 << 20}, {});
    SlabPool pool;
    DurableChannel two(stored_channel("c2"), store, pool);
    REQUIRE(two.open().ok());
    REQUIRE(put(two, batch_of(pool, {"x"}, {{"timestamp", "1700000000000"}})));
  }
  CHECK(json::parse(run({"ls", "--store", stored.path, "--json"}).out)[1]["oldestTimestamp"] ==
        "1700000000000");
}

TEST_CASE("channel stat tells the account, the frames and the notes") {
  Stored stored;
  stored.change([](StoreBatch& batch) {
    batch.put_row("note/taildir/r1/00ff",
                  "1 " + std::string(32, 'a') + " 1 2 3 4 0 1234 4 0 /var/log/a file.log");
    batch.put_row("note/taildir/r1/gone", "");
    batch.put_row("note/k1", "sixteen\n");
  });
  const Told told = run({"stat", "c1", "--store", stored.path, "--json"});
  CHECK(told.status == 0);
  const json stat = json::parse(told.out);
  CHECK(stat["putEvents"] == 30);
  CHECK(stat["outEvents"] == 2);
  CHECK(stat["waitingEvents"] == 28);
  CHECK(stat["lowestSequence"] == 0);
  CHECK(stat["outOfOrder"] == json::parse("[[3,4]]"));
  CHECK(stat["frames"] == 3);
  CHECK(stat["frameBytes"] > 3 * 64);
  CHECK(stat["storeOpenings"] == 2);
  CHECK(stat["notes"]["taildir/r1/00ff"] == "/var/log/a file.log at byte 1234");
  CHECK(stat["notes"]["k1"] == "sixteen\\x0A");
  CHECK_FALSE(stat["notes"].contains("taildir/r1/gone"));
  const Told text = run({"stat", "c1", "--store", stored.path});
  CHECK(text.out.find("outOfOrder         3 to 4\n") != std::string::npos);
  CHECK(text.out.find("  taildir/r1/00ff  /var/log/a file.log at byte 1234\n") !=
        std::string::npos);
}

TEST_CASE("channel peek shows the next events, as many as are asked for") {
  const Stored stored;
  CHECK(lines_of(run({"peek", "c1", "--store", stored.path, "--json"}).out).size() == 10);
  const auto four =
      lines_of(run({"peek", "c1", "--store", stored.path, "--json", "--count", "4"}).out);
  REQUIRE(four.size() == 4);
  CHECK(four[2]["sequence"] == 2);
  CHECK(four[3]["sequence"] == 5);
  const Told text = run({"peek", "c1", "--store", stored.path, "--from", "12", "--count", "1"});
  CHECK(text.out.find("12  ") == 0);
  CHECK(text.out.find("{}\n  12\n") != std::string::npos);
  CHECK(run({"peek", "c1", "--store", stored.path, "--count", "0"}).out.empty());
}

TEST_CASE("channel peek shows bytes that are no text as a hex dump, and cuts what is long") {
  const Stored stored;
  {
    SharedStore store({.path = stored.path, .free_bytes_min = 1 << 20}, {});
    SlabPool pool;
    DurableChannel two(stored_channel("c2"), store, pool);
    REQUIRE(two.open().ok());
    REQUIRE(
        put(two, batch_of(pool, {"\xFF\xFE", std::string(5000, 'x'), "\x1B[2J"}, {{"k", "v"}})));
  }
  const std::string text = run({"peek", "c2", "--store", stored.path}).out;
  CHECK(text.find("{k=v}\n   FF FE ") != std::string::npos);
  CHECK(text.find("(5000 bytes; channel export gives all of them)") != std::string::npos);
  CHECK(text.find('\x1B') == std::string::npos);
  CHECK(text.size() < 4000);
}

TEST_CASE("channel export writes each waiting event once, as a line of JSON") {
  const Stored stored;
  const Told told = run({"export", "c1", "--jsonl", "--store", stored.path});
  CHECK(told.status == 0);
  const auto events = lines_of(told.out);
  REQUIRE(events.size() == 28);
  CHECK(events[0]["body"] == "0");
  CHECK(events[3]["sequence"] == 5);
  CHECK(events[27]["body"] == "29");
  CHECK(events[27]["origin"]["sequence"] == 29);
  CHECK(events[27]["origin"]["id"].get<std::string>().size() == 32);
  const auto part = lines_of(
      run({"export", "c1", "--jsonl", "--store", stored.path, "--from", "4", "--to", "6"}).out);
  REQUIRE(part.size() == 2);
  CHECK(part[1]["sequence"] == 6);
}

TEST_CASE("channel export keeps every byte, whatever it is") {
  const Stored stored;
  const std::string text = "\"quoted\" \\ \t\xC3\xA4\xE2\x82\xAC line\nfeed \x01";
  {
    SharedStore store({.path = stored.path, .free_bytes_min = 1 << 20}, {});
    SlabPool pool;
    DurableChannel two(stored_channel("c2"), store, pool);
    REQUIRE(two.open().ok());
    REQUIRE(put(two, batch_of(pool, {text, "\xFF\xFE"}, {{"k\"", "v\n"}, {"b", "\xFF"}})));
  }
  const auto events = lines_of(run({"export", "c2", "--jsonl", "--store", stored.path}).out);
  REQUIRE(events.size() == 2);
  CHECK(events[0]["body"] == text);
  CHECK(events[0]["headers"] == json{{"k\"", "v\n"}});
  CHECK(events[0]["headersBase64"] == json{{"Yg==", "/w=="}});
  CHECK_FALSE(events[1].contains("body"));
  CHECK(events[1]["bodyBase64"] == "//4=");
}

TEST_CASE("channel export into a file never writes over one") {
  const Stored stored;
  const std::string file = stored.directory.path("events.jsonl");
  const Told told = run({"export", "c1", "--jsonl", "--store", stored.path, "--output", file});
  CHECK(told.status == 0);
  CHECK(told.out.empty());
  CHECK(told.err.find("28 events of channel c1 are in ") == 0);
  std::stringstream content;
  content << std::ifstream(file).rdbuf();
  CHECK(lines_of(content.str()).size() == 28);
  const Told again = run({"export", "c1", "--jsonl", "--store", stored.path, "--output", file});
  CHECK(again.status == 2);
  CHECK(again.err.find("already") != std::string::npos);
}

TEST_CASE("a reader that goes ends an export quietly, and a full disk does not") {
  const Stored stored;
  const auto line =
      parse_command_line({"channel", "export", "c1", "--jsonl", "--store", stored.path});
  REQUIRE(line.ok());
  for (const int error : {EPIPE, ENOSPC}) {
    BrokenBuffer buffer(error);
    std::ostream out(&buffer);
    std::ostringstream err;
    CHECK(run_channel(line.value(), out, err) == (error == EPIPE ? 0 : 1));
    CHECK((err.str().find("cannot write") != std::string::npos) == (error != EPIPE));
  }
}

TEST_CASE("channel verify is content with a store that is well") {
  const Stored stored;
  const Told told = run({"verify", "--store", stored.path});
  CHECK(told.status == 0);
  CHECK(told.out ==
        "channel c1: 3 frames, 28 events, 48 bytes can be read; 0 events cannot\n"
        "channel c2: 0 frames, 0 events, 0 bytes can be read; 0 events cannot\n");
}

TEST_CASE("channel verify tells of every kind of damage, and the others go on") {
  Stored stored;
  const auto found = [&](const std::string& what) {
    const Told told = run({"verify", "--store", stored.path});
    CHECK(told.status == 1);
    UNSCOPED_INFO(told.out);
    return told.out.find(what) != std::string::npos;
  };
  const Batch batch_in_slab = numbered(stored.pool, 10, 10);
  Frame frame = encode_frame(batch_in_slab, {});
  SECTION("a frame with a wrong checksum") {
    frame.head[70] = static_cast<char>(frame.head[70] ^ 1);
    stored.change([&](StoreBatch& batch) {
      batch.remove_frame(0, 10);
      batch.put_frame(0, 10, frame);
    });
    CHECK(found("channel c1: sequences 10 to 19 (10 events, in a frame of " +
                std::to_string(frame.bytes()) + " bytes) cannot be read: a damaged frame"));
    const Told told = run({"export", "c1", "--jsonl", "--store", stored.path});
    CHECK(told.status == 1);
    CHECK(lines_of(told.out).size() == 18);
    CHECK(told.err.find("sequences 10 to 19") != std::string::npos);
  }
  SECTION("a frame that is not there") {
    stored.change([&](StoreBatch& batch) { batch.remove_frame(0, 20); });
    CHECK(found("channel c1: sequences 20 to 29 (10 events) cannot be read: it is not there"));
  }
  SECTION("a frame that overlaps the next one") {
    stored.change([&](StoreBatch& batch) { batch.put_frame(0, 15, frame); });
    CHECK(found("the frame at sequence 15 overlaps the one before it, which ends at 19"));
  }
  SECTION("a frame beyond the account") {
    stored.change([&](StoreBatch& batch) { batch.put_frame(0, 30, frame); });
    CHECK(found("at sequence 30 lies beyond the account's end 30"));
  }
  SECTION("an account that counts other events") {
    Account account;
    account.next = 30;
    account.put_bytes = 50;
    account.out_events = 5;
    stored.change([&](StoreBatch& batch) { batch.put_row("account/0", account.encode()); });
    CHECK(found(
        "channel c1: 30 events are in its frames (0 of them cannot be read), 25 by its account"));
  }
  SECTION("an account that counts other bytes") {
    Account account;
    account.next = 30;
    account.put_bytes = 77;
    stored.change([&](StoreBatch& batch) { batch.put_row("account/0", account.encode()); });
    CHECK(found("channel c1: 50 bytes are in its frames, 77 by its account"));
  }
  SECTION("an account that cannot be read") {
    stored.change([&](StoreBatch& batch) { batch.put_row("account/0", "x"); });
    CHECK(found("channel c1: a damaged channel account"));
  }
  CHECK(found("channel c2: 0 frames"));
}

TEST_CASE("channel verify tells programs the same: findings with their sequences") {
  Stored stored;
  const auto verified = [&](int status) {
    const Told told = run({"verify", "--json", "--store", stored.path});
    CHECK(told.status == status);
    json report = json::parse(told.out);
    CHECK(report["sound"] == (status == 0));
    REQUIRE(report["channels"].size() == 2);
    return report;
  };
  const json well = verified(0);
  CHECK(well["findings"].empty());
  CHECK(well["channels"][0] == json{{"store", stored.path},
                                    {"channel", "c1"},
                                    {"frames", 3},
                                    {"events", 28},
                                    {"bytes", 48},
                                    {"unreadableEvents", 0},
                                    {"sound", true},
                                    {"findings", json::array()}});
  const Batch batch_in_slab = numbered(stored.pool, 10, 10);
  const Frame whole = encode_frame(batch_in_slab, {});
  Frame frame = encode_frame(batch_in_slab, {});
  frame.head[70] = static_cast<char>(frame.head[70] ^ 1);
  stored.change([&](StoreBatch& batch) {
    batch.remove_frame(0, 10);
    batch.put_frame(0, 10, frame);
  });
  json channel = verified(1)["channels"][0];
  CHECK(channel["unreadableEvents"] == 10);
  CHECK(channel["sound"] == false);
  REQUIRE(channel["findings"].size() == 1);
  CHECK(channel["findings"][0]["firstSequence"] == 10);
  CHECK(channel["findings"][0]["lastSequence"] == 19);
  CHECK(channel["findings"][0]["frameBytes"] == frame.bytes());
  stored.change([&](StoreBatch& batch) {
    batch.remove_frame(0, 10);
    batch.put_frame(0, 10, whole);
    batch.remove_frame(0, 20);
  });
  channel = verified(1)["channels"][0];
  REQUIRE(channel["findings"].size() == 1);
  CHECK(channel["findings"][0]["firstSequence"] == 20);
  CHECK_FALSE(channel["findings"][0].contains("frameBytes"));
  stored.change([&](StoreBatch& batch) { batch.put_row("account/0", "x"); });
  const json all = verified(1);
  channel = all["channels"][0];
  CHECK_FALSE(channel.contains("events"));
  REQUIRE(channel["findings"].size() == 1);
  CHECK(channel["findings"][0]["text"] == "a damaged channel account");
  CHECK(all["channels"][1]["sound"] == true);
}

TEST_CASE("a store or a channel that is not there is said with what there is") {
  const Stored stored;
  const Told channel = run({"peek", "c3", "--store", stored.path});
  CHECK(channel.status == 2);
  CHECK(channel.err.find("there is no channel c3 in ") == 0);
  CHECK(channel.err.find("; there are: c1, c2\n") != std::string::npos);
  const Told store = run({"ls", "--store", stored.path + "x"});
  CHECK(store.status == 2);
  CHECK(store.err.find("there is no store in ") == 0);
  ::unsetenv("STATE_DIRECTORY");
  CHECK(run({"ls"}).err.find("which store? --store DIR, or --name AGENT") == 0);
}

TEST_CASE("the stores of an agent are found as the agent finds them") {
  const Stored stored;
  const std::string state = stored.directory.path("");
  const std::string file = stored.directory.path("a.conf");
  CHECK(run({"peek", "c1", "-Dsluice.state.dir=" + state}).status == 0);
  std::ofstream(file) << "a1.sources = r1\na1.channels = c1 c2\na1.sinks = k1 k2\n"
                         "a1.sources.r1.type = seq\na1.sources.r1.channels = c1\n"
                         "a1.channels.c1.type = memory\n"
                         "a1.channels.c2.type = rocksdb\na1.channels.c2.directory = "
                      << stored.path
                      << "\na1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n"
                         "a1.sinks.k2.type = null\na1.sinks.k2.channel = c2\n";
  const Told own = run({"ls", "--json", "-n", "a1", "-f", file});
  INFO(own.err);
  CHECK(own.status == 0);
  CHECK(json::parse(own.out).at(0)["store"] == stored.path);
  const Told none = run({"ls", "-n", "a2", "-f", file});
  CHECK(none.status == 2);
  CHECK(none.err.find("no channel that keeps events on disk") != std::string::npos);
}

}  // namespace sluice

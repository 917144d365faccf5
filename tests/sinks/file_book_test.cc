// What the next process hears of files that are not finished.

#include "sinks/file_book.h"

#include <map>

#include "sinks/catalog.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/fake_file_system.h"
#include "tests/support/hdfs_model.h"

namespace sluice {
namespace {

std::map<std::uint32_t, std::string> in_use(FileBook& book) {
  auto files = book.read();
  REQUIRE(files.ok());
  std::map<std::uint32_t, std::string> names;
  for (const BookedFile& each : *files) names[each.slot] = each.in_use;
  return names;
}

TEST_CASE("a line has a file whatever its names are") {
  BookedFile file;
  file.in_use = std::string("/a b%\n\x01\x7f", 9) + "\xc3\xa9";
  file.final_name = "%";
  file.spool = "";
  file.making = "sequence gzip text";
  const std::string line = encode(file);
  CHECK(line.find('\n') == std::string::npos);
  const auto back = decode_booked_file(line);
  REQUIRE(back.has_value());
  CHECK(back->in_use == file.in_use);
  CHECK(back->final_name == file.final_name);
  CHECK(back->spool.empty());
  CHECK(back->making == file.making);
  for (const char* bad : {"", "1", "2 a b % %", "1 a b %", "1 a%2 b % %", "1 a%zz b % %"}) {
    INFO(bad);
    CHECK_FALSE(decode_booked_file(bad).has_value());
  }
}

TEST_CASE("a journal has what was begun and has not ended") {
  FakeFileSystem files;
  {
    const auto book = make_journal_book(files, "/state/k1.files");
    CHECK(in_use(*book).empty());
    const std::vector<BookedFile> both{{0, "/a.tmp", "/a"}, {1, "/b.tmp", "/b"}};
    REQUIRE(book->begin(both).ok());
    book->end(0);
    const BookedFile next{2, "/c.tmp", "/c"};
    REQUIRE(book->begin({&next, 1}).ok());
    const BookedFile again{0, "/d.tmp", "/d"};
    REQUIRE(book->begin({&again, 1}).ok());
    CHECK_FALSE(book->length(0, 7).has_value());
  }
  using Names = std::map<std::uint32_t, std::string>;
  const auto book = make_journal_book(files, "/state/k1.files");
  CHECK(in_use(*book) == Names{{0, "/d.tmp"}, {1, "/b.tmp"}, {2, "/c.tmp"}});
  for (const std::uint32_t slot : {0U, 1U, 2U}) book->end(slot);
  REQUIRE(book->flush().ok());
  CHECK(in_use(*make_journal_book(files, "/state/k1.files")).empty());
}

TEST_CASE("a torn line of a journal is passed over, and a long one is made short") {
  FakeFileSystem files;
  const auto book = make_journal_book(files, "/j");
  const BookedFile kept{7, "/kept.tmp", "/kept"};
  REQUIRE(book->begin({&kept, 1}).ok());
  files.bytes_left(5);
  const BookedFile torn{8, "/torn.tmp", "/torn"};
  CHECK_FALSE(book->begin({&torn, 1}).ok());
  files.bytes_left(UINT64_MAX / 2);
  for (int i = 0; i < 40'000; ++i) {
    const BookedFile each{8, "/file-" + std::to_string(i) + ".tmp", "/file"};
    REQUIRE(book->begin({&each, 1}).ok());
    book->end(8);
  }
  CHECK(files.files().at("/j").size() < (1 << 20) + 100);
  const BookedFile last{8, "/last.tmp", "/last"};
  REQUIRE(book->begin({&last, 1}).ok());
  files.put_file("/j", files.files().at("/j") + "9 1 /torn");
  using Names = std::map<std::uint32_t, std::string>;
  const auto again = make_journal_book(files, "/j");
  CHECK(in_use(*again) == Names{{7, "/kept.tmp"}, {8, "/last.tmp"}});
  // What is written next does not become a part of the torn line.
  const BookedFile more{10, "/more.tmp", "/more"};
  REQUIRE(again->begin({&more, 1}).ok());
  CHECK(in_use(*make_journal_book(files, "/j")) ==
        Names{{7, "/kept.tmp"}, {8, "/last.tmp"}, {10, "/more.tmp"}});
}

/// Delivers and never ends: what a killed process leaves.
class Forgotten final : private DeliveryListener {
 public:
  void deliver(Sink& sink, const Batch& batch) { sink.deliver(batch, {}, DeliveryDone(*this, 0)); }

 private:
  void delivered(std::uint32_t, Delivery delivery) override { CHECK(delivery.status.ok()); }
};

TEST_CASE("behind a channel in memory what a killed agent left is finished too") {
  for (const bool compressed : {false, true}) {
    FakeFileSystem files;
    ManualClock clock;
    SinkCounters counters;
    SlabPool pool(64 * 1024);
    const Settings settings = compressed
                                  ? testing::hdfs_settings({{"hdfs.fileType", "CompressedStream"},
                                                            {"hdfs.codeC", "gzip"}})
                                  : testing::hdfs_settings();
    const SinkType* const type = find_type(sink_types(), "hdfs");
    const SinkContext context{counters, files, clock, nullptr, "/state"};
    {
      const auto sink = type->make(settings, context);
      REQUIRE(sink->open({}).ok());
      Forgotten().deliver(*sink, numbered(pool, 0, 3));
    }
    const auto sink = type->make(settings, context);
    REQUIRE(sink->open({}).ok());
    sink->tend();  // what is in a spool is finished behind the start
    std::vector<std::string> names;
    for (const auto& [path, content] : files.files()) {
      if (path.find("/out/") == 0) names.push_back(path);
      CHECK_FALSE(path.ends_with(".spool"));
    }
    CHECK(names == std::vector<std::string>{std::string("/out/FlumeData.1700000000001") +
                                            (compressed ? ".gz" : "")});
    if (!compressed) CHECK(files.files().at(names[0]) == "0\n1\n2\n");
  }
}

}  // namespace
}  // namespace sluice

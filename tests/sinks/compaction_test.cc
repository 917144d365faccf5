#include "sinks/compaction.h"

#include <random>

#include "sinks/compaction_journal.h"
#include "tests/support/seeds.h"
#include "tests/support/small_files.h"

namespace sluice {
namespace {

using namespace testing;
using Names = std::vector<std::string>;

std::string name_of(int number, const SmallFormat& format) {
  return "FlumeData.170000000000" + std::to_string(number) + format.extension;
}

/// So many files of three records each; the records in order.
Records fill(SmallDirectory& directory, const SmallFormat& format, int files, int from = 1) {
  Records all;
  for (int number = from; number < from + files; ++number) {
    const std::string file = std::to_string(number);
    const Records some = {"first of " + file, std::string(200, 'x') + file, "last of " + file};
    directory.put(name_of(number, format), format.make(some));
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

TEST_CASE("files of every format become one with the same records in the same order") {
  for (const SmallFormat& format : small_formats()) {
    INFO(format.name);
    SmallDirectory directory;
    const Records all = fill(directory, format, 5);
    REQUIRE(directory.run().ok());
    CHECK(directory.names() == Names{"FlumeData.1700000000001+4" + format.extension});
    CHECK(directory.records(format) == all);
    CHECK_FALSE(directory.heard.trouble);
    REQUIRE(directory.heard.merges.size() == 1);
    const Merge& merge = directory.heard.merges.front();
    CHECK(merge.first == name_of(1, format));
    CHECK(merge.last == name_of(5, format));
    CHECK(merge.files == 5);
    CHECK(merge.name == directory.names().front());
    CHECK(merge.bytes_after == directory.visible().front().second.size());
  }
}

TEST_CASE("keys of SequenceFiles, their class and their compression stay") {
  SmallDirectory directory;
  const SequenceFileWriter::Options options{.value = SequenceValue::Text,
                                            .compression = SequenceCompression::Block,
                                            .codec = HadoopCodec::Zstandard,
                                            .level = {}};
  directory.put("a.1", sequence_file(options, {{-7, "one"}, {8, ""}}));
  directory.put("a.2", sequence_file(options, {{INT64_MAX, "three"}}));
  REQUIRE(directory.run().ok());
  REQUIRE(directory.names() == Names{"a.1+1"});
  const std::string merged = directory.visible().front().second;
  CHECK(read_sequence(merged).records ==
        SequenceRecords{{-7, "one"}, {8, ""}, {INT64_MAX, "three"}});
  SequenceFileReader reader;
  std::string_view window = merged;
  REQUIRE(reader.next(window).ok());
  CHECK(reader.header()->value == options.value);
  CHECK(reader.header()->compression == options.compression);
  CHECK(reader.header()->codec == options.codec);
  CHECK(reader.header()->sync != known_sync());
}

TEST_CASE("an Avro file gets a marker of its own, and keeps its header") {
  SmallDirectory directory;
  const SmallFormat format = avro_format("deflate");
  fill(directory, format, 2);
  REQUIRE(directory.run().ok());
  const AvroContent read = read_avro_file(directory.visible().front().second);
  CHECK(read.schema == R"("string")");
  CHECK(read.codec == "deflate");
  CHECK(read.sync != avro_sync);
  CHECK(read.blocks == std::vector<std::uint64_t>(6, 1));
}

TEST_CASE("compressed files become one stream, as Hadoop's bzip2 of 2014 wants it") {
  SmallDirectory directory;
  const SmallFormat format = compressed_format(HadoopCodec::Bzip2);
  const Records all = fill(directory, format, 3);
  REQUIRE(directory.run().ok());
  CHECK(directory.visible().front().second == compressed(HadoopCodec::Bzip2, joined(all)));
}

TEST_CASE("neighbours are merged until the size is reached") {
  SmallDirectory directory;
  directory.options.size_bytes = 100;
  for (int i = 1; i <= 12; ++i) {
    directory.put("a." + std::to_string(i), std::string(39, static_cast<char>('a' + i)) + "\n");
  }
  directory.put("a.50", std::string(49, 'y') + "\n");
  directory.put("a.51", std::string(48, 'z') + "\n");
  const auto counts = directory.run();
  REQUIRE(counts.ok());
  // Three make 120 bytes; 50 bytes are half of the size; the 49 of the last one are alone.
  CHECK(directory.names() == Names{"a.1+2", "a.4+2", "a.7+2", "a.10+2", "a.50", "a.51"});
  CHECK(counts.value().large == 1);
  CHECK(counts.value().alone == 1);
}

TEST_CASE("a merged file that is still small is merged again, and says how many are in it") {
  SmallDirectory directory;
  const SmallFormat format = text_format();
  Records all = fill(directory, format, 3);
  REQUIRE(directory.run().ok());
  const Records more = fill(directory, format, 2, 4);
  REQUIRE(directory.run().ok());
  all.insert(all.end(), more.begin(), more.end());
  CHECK(directory.names() == Names{"FlumeData.1700000000001+4.log"});
  CHECK(directory.records(format) == all);
  REQUIRE(directory.run().ok());
  CHECK(directory.heard.merges.empty());
}

TEST_CASE("formats, prefixes and extensions do not mix") {
  SmallDirectory directory;
  for (const char* const prefix : {"a.", "b.", "a12."}) {
    for (const char* const number : {"1700000000001", "1700000000002"}) {
      for (const char* const extension : {"", ".log"}) {
        directory.put(std::string(prefix) + number + extension, "x\n");
      }
    }
  }
  directory.put("a.1700000000003.log", sequence_file({}, {{1, "x"}}));
  directory.put("a.1700000000004.log",
                sequence_file({.value = SequenceValue::Text, .level = {}}, {{1, "x"}}));
  directory.put("a.1700000000005.log", avro_file(R"("string")", "null", {}));
  directory.put("a.1700000000006.log", avro_file(R"("string")", "deflate", {}));
  directory.put("a.1700000000007.log", avro_file(R"("bytes")", "null", {}));
  const auto counts = directory.run();
  REQUIRE(counts.ok());
  CHECK(counts.value().alone == 5);
  CHECK(directory.names() ==
        Names{"a.1700000000001+1", "a.1700000000001+1.log", "a.1700000000003.log",
              "a.1700000000004.log", "a.1700000000005.log", "a.1700000000006.log",
              "a.1700000000007.log", "a12.1700000000001+1", "a12.1700000000001+1.log",
              "b.1700000000001+1", "b.1700000000001+1.log"});
}

TEST_CASE("what is hidden, in use, empty, young or a link is left alone") {
  SmallDirectory directory;
  const std::string path = std::string(SmallDirectory::path) + "/";
  for (const char* const name :
       {".a.1", ".a.2", "_a.1", "_a.2", "a.1.tmp", "a.2.tmp", "a.6", "a.7", "a.8", "a.9"}) {
    directory.put(name, "x\n");
  }
  directory.put("a.4", "");
  directory.put("a.5", "");
  directory.inputs.links = {path + "a.6", path + "a.7"};
  const std::int64_t now_ns = directory.clock.wall_ms() * 1'000'000;
  directory.inputs.modified_ns[path + "a.8"] = now_ns - 599'000'000'000;
  directory.inputs.modified_ns[path + "a.9"] = now_ns + 5'000'000'000;
  const auto before = directory.all();
  const auto counts = directory.run();
  REQUIRE(counts.ok());
  CHECK(directory.all() == before);
  CHECK(counts.value().in_use == 2);
  CHECK(counts.value().empty == 2);
  CHECK(counts.value().young == 2);
  directory.inputs.modified_ns[path + "a.9"] = now_ns - 601'000'000'000;
  directory.options.age_min = std::chrono::seconds(500);
  REQUIRE(directory.run().ok());
  CHECK(directory.names().back() == "a.8+1");
}

TEST_CASE("a file that cannot be merged stays with its reason, and costs itself") {
  const std::string gz = compressed(HadoopCodec::Gzip, "a\n");
  const SmallFormat avro = avro_format("deflate");
  std::string bad_marker = avro.make({"a", "b"});
  bad_marker[bad_marker.size() - 20] ^= 1;
  std::string bad_data = avro_file(R"("string")", "null", {{avro_text("a"), "\x7f"}});
  std::string wrong_last = avro.make({"a"});
  wrong_last.back() ^= 1;
  const std::string seq = sequence_file({}, {{1, "a"}, {2, "b"}});
  struct Case {
    SmallFormat format;
    std::string content;
    std::string why;
    bool damaged;
  };
  const std::vector<Case> table = {
      {text_format(), "a\nb", "it does not end in a line feed", false},
      {text_format(), std::string("a\0b\n", 4), "it holds bytes 0, so it is no text", false},
      {compressed_format(HadoopCodec::Gzip), gz.substr(0, gz.size() - 3), "it is torn", true},
      {compressed_format(HadoopCodec::Gzip), gz + "garbage", "damaged", true},
      {compressed_format(HadoopCodec::Gzip), "no gzip\n", "damaged", true},
      {compressed_format(HadoopCodec::Gzip), compressed(HadoopCodec::Gzip, "a\nb"),
       "it does not end in a line feed", false},
      {compressed_format(HadoopCodec::Gzip), compressed(HadoopCodec::Gzip, avro.make({"a\n"})),
       "a container file inside a compressed one", false},
      {compressed_format(HadoopCodec::Snappy), std::string(40, '\x01'), "damaged", true},
      {sequence_format({}, "seq"), seq.substr(0, seq.size() - 1), "torn", true},
      {sequence_format({}, "seq"), "SEQ\x05 of old", "version", false},
      {sequence_format({}, "seq"), seq + std::string(30, '\x01'), "no LongWritable", true},
      {avro, bad_marker, "the block at byte", true},
      {avro, wrong_last, "does not end in the file's sync marker", true},
      {avro, avro.make({"a"}).substr(0, 75), "it is torn", true},
      {avro_format("null"), bad_data, "a record of it is damaged", true},
      {avro, "Obj\x01", "it is torn in its header", true},
  };
  for (const Case& each : table) {
    INFO(each.format.name << ": " << each.why);
    SmallDirectory directory;
    const Records all = fill(directory, each.format, 4);
    const std::string bad = name_of(2, each.format);
    directory.put(bad, each.content);
    REQUIRE(directory.run().ok());
    CHECK(directory.heard.reasons[bad].find(each.why) != std::string::npos);
    INFO(directory.heard.reasons[bad]);
    CHECK(directory.heard.trouble == each.damaged);
    auto left = directory.all();
    CHECK(left[bad] == each.content);
    const std::string merged = "FlumeData.1700000000001+2" + each.format.extension;
    CHECK(directory.names() == Names{merged, bad});
    Records wanted(all.begin(), all.begin() + 3);
    wanted.insert(wanted.end(), all.begin() + 6, all.end());
    CHECK(each.format.read(left[merged]) == wanted);
  }
}

TEST_CASE("a dry run tells the same and changes nothing") {
  for (const SmallFormat& format : small_formats()) {
    INFO(format.name);
    SmallDirectory directory;
    fill(directory, format, 5);
    directory.put("broken.1.gz", "x");
    directory.put("broken.2.gz", "x");
    directory.put(".compact-old.part", "x");
    const auto before = directory.all();
    directory.options.dry_run = true;
    REQUIRE(directory.run().ok());
    CHECK(directory.all() == before);
    CHECK(directory.files.syncs() == 0);
    const Heard told = directory.heard;
    directory.options.dry_run = false;
    REQUIRE(directory.run().ok());
    REQUIRE(told.merges.size() == 1);
    REQUIRE(directory.heard.merges.size() == 1);
    CHECK(told.merges.front().name == directory.heard.merges.front().name);
    CHECK(told.merges.front().files == 5);
    CHECK(told.merges.front().bytes_after == 0);
    CHECK(told.reasons == directory.heard.reasons);
  }
}

TEST_CASE("a name that is taken is passed over, whoever takes it and when") {
  SmallDirectory directory;
  const SmallFormat format = text_format();
  const Records all = fill(directory, format, 2);
  directory.options.size_bytes = 2000;
  const std::string foreign(1999, 'z');
  directory.put("FlumeData.1700000000001+1.log", foreign);
  int opened = 0;
  directory.inputs.on_open = [&](const std::string& path) {
    // The third opening of a file is the one that copies it: names are chosen by then.
    if (path.ends_with("2.log") && ++opened == 3) {
      directory.put("FlumeData.1700000000001+1-2.log", foreign);
    }
  };
  REQUIRE(directory.run().ok());
  REQUIRE(opened == 3);
  auto left = directory.all();
  CHECK(left.size() == 3);
  CHECK(left["FlumeData.1700000000001+1.log"] == foreign);
  CHECK(left["FlumeData.1700000000001+1-2.log"] == foreign);
  CHECK(lines_in(left["FlumeData.1700000000001+1-3.log"]) == all);
  CHECK(directory.heard.merges.front().name == "FlumeData.1700000000001+1-3.log");
}

TEST_CASE("a merge whose name would be too long is not made") {
  SmallDirectory directory;
  const std::string prefix(243, 'p');
  directory.put(prefix + "1.log", "x\n");
  directory.put(prefix + "2.log", "x\n");
  REQUIRE(directory.run().ok());
  CHECK(directory.names() == Names{prefix + "1.log", prefix + "2.log"});
  CHECK(directory.heard.reasons.size() == 1);
}

TEST_CASE("an original that changes while it is merged stops the merge") {
  const SmallFormat format = text_format();
  for (const char* const how : {"longer", "touched", "torn", "gone"}) {
    INFO(how);
    SmallDirectory directory;
    fill(directory, format, 3);
    const std::string path = std::string(SmallDirectory::path) + "/" + name_of(2, format);
    int opened = 0;
    directory.inputs.on_open = [&](const std::string& opening) {
      if (opening != path || ++opened != 3) return;
      const std::string content = directory.all()[name_of(2, format)];
      if (how == std::string("longer")) directory.put(name_of(2, format), content + "more\n");
      if (how == std::string("touched")) directory.inputs.modified_ns[path] = 77;
      if (how == std::string("torn")) directory.put(name_of(2, format), "torn");
      if (how == std::string("gone")) CHECK(directory.files.remove(path).ok());
    };
    REQUIRE(directory.run().ok());
    REQUIRE(opened == 3);
    CHECK(directory.heard.merges.empty());
    CHECK(directory.heard.trouble);
    CHECK(directory.heard.reasons.begin()->second.find("given up") != std::string::npos);
    const Names names = directory.names();
    CHECK(names.size() == (how == std::string("gone") ? 2 : 3));
    CHECK(names.front() == name_of(1, format));
    // Nothing of it is left behind, and the next run does it.
    if (how == std::string("longer")) {
      REQUIRE(directory.run().ok());
      CHECK(directory.names() == Names{"FlumeData.1700000000001+2.log"});
      CHECK(directory.records(format).size() == 10);
    }
  }
}

TEST_CASE("a full disk stops the run, and nothing has changed") {
  for (const SmallFormat& format : small_formats()) {
    INFO(format.name);
    SmallDirectory directory;
    fill(directory, format, 3);
    const auto before = directory.all();
    directory.files.bytes_left(50);
    const auto counts = directory.run();
    REQUIRE(counts.code() == Code::Retry);
    INFO(counts.status().message());
    CHECK(counts.status().message().find("no space left") != std::string::npos);
    CHECK(counts.status().message().find("and they stay") != std::string::npos);
    CHECK(directory.all() == before);
    CHECK(directory.heard.merges.empty());
  }
}

TEST_CASE("a disk that has no room for the journal leaves everything as it was") {
  SmallDirectory directory;
  fill(directory, text_format(), 3);
  const auto before = directory.all();
  std::uint64_t bytes = 0;
  for (const auto& [name, content] : before) bytes += content.size();
  directory.files.bytes_left(bytes + 10);
  CHECK(directory.run().code() == Code::Retry);
  CHECK(directory.all() == before);
}

enum class End : unsigned char { Kill, PowerCut, AnyOrder };

/// How a run ends in the midst of it. The same seed is the same end.
class Death {
 public:
  Death(End end, std::uint64_t seed) : end_(end), random_(seed) {}
  void befall(FakeFileSystem& files) {
    files.revive();
    if (end_ == End::PowerCut) files.cut_power();
    if (end_ == End::AnyOrder) files.cut_power_in_any_order([this] { return random_() % 2 == 0; });
  }

 private:
  const End end_;
  std::mt19937_64 random_;
};

/// Compacts a directory that dies at the n-th change, and is compacted again. False when there was
/// no such change.
bool survives(const SmallFormat& format, std::uint64_t n, End end, bool twice, unsigned seed) {
  SmallDirectory directory;
  directory.options.size_bytes = 2000;
  directory.options.age_min = std::chrono::seconds(0);
  const Records all = fill(directory, format, 6);
  Death death(end, seed);
  directory.files.die_at(n);
  static_cast<void>(directory.run());
  const bool died = directory.files.is_dead();
  death.befall(directory.files);
  if (twice) {
    directory.files.die_at(n % 7 + 1);
    static_cast<void>(directory.run());
    death.befall(directory.files);
  }
  const auto counts = directory.run();
  INFO(counts.status().message());
  REQUIRE(counts.ok());
  CHECK_FALSE(directory.heard.trouble);
  CHECK(directory.records(format) == all);
  for (const std::string& name : directory.names()) {
    INFO(name);
    CHECK(name.starts_with("FlumeData."));
  }
  CHECK(directory.names().size() < 6);
  return died;
}

void survives_every_step(const SmallFormat& format, End end, bool twice, unsigned seed) {
  std::uint64_t n = 1;
  for (; n < 1000; ++n) {
    INFO(format.name << ", change " << n << ", end " << static_cast<int>(end) << ", twice " << twice
                     << ", seed " << seed);
    if (!survives(format, n, end, twice, seed)) break;
  }
  CHECK(n > 15);
  CHECK(n < 1000);
}

TEST_CASE("whatever a kill interrupts, behind another run each record is in one file") {
  for (const SmallFormat& format : {text_format(), compressed_format(HadoopCodec::Gzip),
                                    sequence_format({}, "seq"), avro_format("null")}) {
    for (const bool twice : {false, true}) {
      survives_every_step(format, End::Kill, twice, 0);
      survives_every_step(format, End::PowerCut, twice, 0);
    }
  }
}

TEST_CASE("the same holds on a disk that writes names in an order of its own") {
  for (unsigned i = 0; i < seeds(40); ++i) {
    survives_every_step(text_format(), End::AnyOrder, i % 2 == 1, Catch::rngSeed() + i);
  }
}

CompactionJournal journal_of(const SmallDirectory& directory, const Names& names) {
  CompactionJournal journal{"t", "a.1+1.log", 0, {}};
  auto all = directory.all();
  for (const std::string& name : names) journal.originals.push_back({name, all[name].size(), 0});
  return journal;
}

TEST_CASE("a journal is what it was, and nothing else is one") {
  CompactionJournal journal{
      "0123456789ab", "a\n1.log", 77, {{"b\xff", 1, -5}, {"c", 2, 1LL << 60}}};
  const std::string bytes = encode(journal);
  auto read = decode_compaction_journal(journal.journal_name(), bytes);
  REQUIRE(read.ok());
  CHECK(encode(*read) == bytes);
  CHECK(read->token == journal.token);
  CHECK(read->originals.size() == 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string other = bytes;
    other[i] ^= 4;
    CHECK(decode_compaction_journal(journal.journal_name(), other).code() == Code::Reject);
    CHECK(decode_compaction_journal(journal.journal_name(), bytes.substr(0, i)).code() ==
          Code::Reject);
  }
  CHECK_FALSE(decode_compaction_journal(journal.journal_name(), bytes + "x").ok());
  journal.originals[0].name = "../b";
  CHECK_FALSE(decode_compaction_journal(journal.journal_name(), encode(journal)).ok());
}

TEST_CASE("a file that took the name of an original is not removed with it") {
  SmallDirectory directory;
  directory.options.size_bytes = 10;
  directory.put("a.1.log", "one one\n");
  directory.put("a.2.log", "two two\n");
  CompactionJournal journal = journal_of(directory, {"a.1.log", "a.2.log"});
  journal.part_bytes = 16;
  directory.put(journal.part_name(), "one one\ntwo two\n");
  directory.put(journal.journal_name(), encode(journal));
  directory.put("a.2.log", "something else\n");
  REQUIRE(directory.run().ok());
  auto left = directory.all();
  CHECK(directory.names() == Names{"a.1+1.log", "a.2.log"});
  CHECK(left["a.2.log"] == "something else\n");
  CHECK(directory.heard.finishes == Names{"a.1+1.log"});
  CHECK(directory.heard.trouble);
  CHECK(directory.heard.reasons.count("a.2.log") == 1);
}

TEST_CASE("a journal without its part takes nothing away") {
  SmallDirectory directory;
  directory.options.size_bytes = 10;
  directory.put("a.1.log", "one one\n");
  directory.put("a.2.log", "two two\n");
  const CompactionJournal journal = journal_of(directory, {"a.1.log", "a.2.log"});
  directory.put(journal.journal_name(), encode(journal));
  REQUIRE(directory.run().ok());
  CHECK(directory.names() == Names{"a.1.log", "a.2.log"});
}

TEST_CASE("a damaged journal, or one of another part, keeps the directory as it is") {
  for (const bool damaged : {false, true}) {
    SmallDirectory directory;
    directory.put("a.1.log", "one one\n");
    directory.put("a.2.log", "two two\n");
    CompactionJournal journal = journal_of(directory, {"a.1.log", "a.2.log"});
    journal.part_bytes = 16;
    directory.put(journal.part_name(), damaged ? "one one\ntwo two\n" : "one one\n");
    directory.put(journal.journal_name(), encode(journal) + (damaged ? "x" : ""));
    const auto before = directory.all();
    CHECK(directory.run().code() == Code::Retry);
    CHECK(directory.all() == before);
  }
}

TEST_CASE("a dry run tells of a merge that waits for its end, and merges none of its files") {
  SmallDirectory directory;
  directory.options.dry_run = true;
  directory.put("a.1.log", "one one\n");
  directory.put("a.2.log", "two two\n");
  directory.put("a.3.log", "three\n");
  CompactionJournal journal = journal_of(directory, {"a.1.log", "a.2.log"});
  journal.part_bytes = 16;
  directory.put(journal.part_name(), "one one\ntwo two\n");
  directory.put(journal.journal_name(), encode(journal));
  REQUIRE(directory.run().ok());
  CHECK(directory.heard.finishes == Names{"a.1+1.log"});
  CHECK(directory.heard.merges.empty());
}

TEST_CASE("what was begun and not decided on is removed when it is old") {
  SmallDirectory directory;
  directory.put(".compact-a.part", "x");
  directory.put(".compact-b.draft", "x");
  directory.put(".compact-c.part", "x");
  directory.put(".compact-lock", "");
  directory.inputs.modified_ns[std::string(SmallDirectory::path) + "/.compact-c.part"] =
      directory.clock.wall_ms() * 1'000'000;
  REQUIRE(directory.run().ok());
  CHECK(directory.names() == Names{".compact-c.part", ".compact-lock"});
}

}  // namespace
}  // namespace sluice

#include "sources/line_reader.h"

#include <algorithm>
#include <random>

#include "tests/catch.h"
#include "tests/support/pipeline.h"
#include "tests/support/seeds.h"

namespace sluice {

extern const SourceType seq_source;

namespace {

using testing::Pipeline;

/// A reader in front of a channel; the pipeline's own source is never started.
struct Reading {
  explicit Reading(LineReader::Options options, std::uint64_t capacity = 1'000'000)
      : pipeline(
            seq_source, {},
            {.channel = {{.name = "c1", .capacity_events = capacity}}, .slab_bytes = 64 * 1024}),
        outlet("source x1",
               {pipeline.out, pipeline.counters, pipeline.pool, pipeline.window, Clock::system()}),
        lines(outlet, options) {}

  void feed(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::span<char> space = lines.space();
      REQUIRE_FALSE(space.empty());
      const std::size_t some = std::min(space.size(), bytes.size());
      std::copy_n(bytes.begin(), some, space.begin());
      REQUIRE(lines.took(some, {}).ok());
      bytes.remove_prefix(some);
    }
  }
  std::vector<std::string> rest() { return pipeline.read_rest(); }

  Pipeline pipeline;
  Outlet outlet;
  LineReader lines;
};

using Lines = std::vector<std::string>;

TEST_CASE("lines: only a line feed ends a line and a carriage return stays") {
  Reading reading({});
  reading.feed("a\r\nb\rc\n\nd");
  CHECK(reading.rest() == Lines{"a\r", "b\rc", ""});
  REQUIRE(reading.lines.finish({}).ok());
  CHECK(reading.rest() == Lines{"d"});
}

TEST_CASE("lines: with trim_cr three kinds of line ends count and are dropped") {
  Reading reading({.trim_cr = true});
  reading.feed("a\r\nb\rc\n\nd\r\re\n\rf\r\n\r\n");
  CHECK(reading.rest() == Lines{"a", "b", "c", "", "d", "", "e", "", "f", ""});
  REQUIRE(reading.lines.finish({}).ok());
  CHECK(reading.rest().empty());
}

TEST_CASE("lines: a CRLF that two reads tear apart ends one line") {
  Reading reading({.trim_cr = true});
  reading.feed("a\r");
  CHECK(reading.rest() == Lines{"a"});
  reading.feed("\nb\r");
  reading.feed("c\n");
  CHECK(reading.rest() == Lines{"b", "c"});
}

/// What sinks that write text make of all that is there.
std::string as_text(Pipeline& pipeline) {
  std::string text;
  const auto events = pipeline.channel.counters().stored.events.get();
  for (std::uint64_t seen = 0; seen < events;) {
    Taken taken = pipeline.channel.take({.events_max = 1'000'000}, {});
    taken.batch().for_each_text_run([&](std::string_view run, bool line_feed_inside) {
      text += run;
      if (!line_feed_inside) text += '\n';
    });
    seen += taken.batch().size();
    Commit commit;
    commit.take(std::move(taken));
    REQUIRE(std::move(commit).wait().ok());
  }
  return text;
}

TEST_CASE("lines: sinks write them with one line feed each, whatever ended them") {
  Reading trimmed({.trim_cr = true});
  trimmed.feed("a\r\nb\rc\nd\r\n\r\ne\n");
  CHECK(as_text(trimmed.pipeline) == "a\nb\nc\nd\n\ne\n");
  Reading cut({.line_bytes_max = 1024});
  const std::string kib(1024, 'x');
  cut.feed("a\n" + kib + "tail\nb\n");
  REQUIRE(cut.lines.finish({}).ok());
  CHECK(as_text(cut.pipeline) == "a\n" + kib + "\ntail\nb\n");
}

TEST_CASE("lines: a line is put as soon as its end was read") {
  Reading reading({});
  reading.feed("one\ntw");
  CHECK(reading.rest() == Lines{"one"});
  reading.feed("o\n");
  CHECK(reading.rest() == Lines{"two"});
}

TEST_CASE("lines: a torn line is dropped and its length is told") {
  Reading reading({});
  reading.feed("whole\ntorn");
  CHECK(reading.lines.drop_unfinished() == 4);
  CHECK(reading.lines.drop_unfinished() == 0);
  reading.feed("next\n");
  CHECK(reading.rest() == Lines{"whole", "next"});
}

TEST_CASE("lines: one that is too long is cut into pieces and counted once") {
  Reading reading({.line_bytes_max = 1024});
  const std::string kib(1024, 'x');
  reading.feed("short\n" + kib + kib + "tail\n" + kib + "\nlast\n");
  CHECK(reading.rest() == Lines{"short", kib, kib, "tail", kib, "last"});
  CHECK(reading.lines.cut_lines() == 1);
  reading.feed(kib);
  CHECK(reading.rest().empty());
  reading.feed("y");
  CHECK(reading.rest() == Lines{kib});
  reading.feed(kib);
  REQUIRE(reading.lines.finish({}).ok());
  CHECK(reading.rest() == Lines{"y" + kib.substr(1), "x"});
  CHECK(reading.lines.cut_lines() == 2);
}

TEST_CASE("lines: an endless line needs no more memory than its bound allows") {
  constexpr std::size_t line_bytes_max = 1 << 20;
  Reading reading({.line_bytes_max = line_bytes_max});
  const std::string chunk(256 * 1024, 'z');
  std::size_t bytes = 0;
  for (int i = 0; i < 64; ++i) {
    reading.feed(chunk);
    for (const std::string& piece : reading.rest()) bytes += piece.size();
  }
  // The last piece waits: the line may end behind it.
  CHECK(bytes == 15 * line_bytes_max);
  CHECK(reading.pipeline.window.peak_bytes() <= 3 * line_bytes_max + (1 << 20));
  CHECK(reading.lines.cut_lines() == 1);
}

TEST_CASE("lines: a long line within the bound passes whole through small slabs") {
  Reading reading({});
  const std::string line(201'200, 'q');
  reading.feed("before\n" + line + "\nbehind\n");
  CHECK(reading.rest() == Lines{"before", line, "behind"});
}

TEST_CASE("lines: batches fit a channel of ten events") {
  Reading reading({}, 10);
  std::jthread feeder([&] {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += std::to_string(i) + "\n";
    reading.feed(text);
  });
  const Lines got = reading.pipeline.read(1000);
  REQUIRE(got.size() == 1000);
  for (int i = 0; i < 1000; ++i) REQUIRE(got[static_cast<std::size_t>(i)] == std::to_string(i));
}

TEST_CASE("lines: what no channel took is counted") {
  Reading reading({}, 2);
  reading.feed("1\n2\n");
  reading.pipeline.channel.close();
  const std::span<char> space = reading.lines.space();
  std::copy_n("3\n", 2, space.begin());
  CHECK(reading.lines.took(2, {}).code() == Code::Closed);
  CHECK(reading.pipeline.counters.rejected_lines.get() == 1);
  CHECK(reading.outlet.lost_events() == 1);
}

/// What the reader promises, in the plainest code.
Lines model(std::string_view text, const LineReader::Options& options) {
  Lines lines;
  std::string line;
  bool after_return = false;
  const auto end_line = [&] {
    lines.push_back(line);
    line.clear();
  };
  for (const char c : text) {
    if (c == '\n' && after_return) {
      after_return = false;
      continue;
    }
    after_return = options.trim_cr && c == '\r';
    if (c == '\n' || after_return) {
      end_line();
      continue;
    }
    if (line.size() == options.line_bytes_max) {
      end_line();
    }
    line += c;
  }
  if (!line.empty()) end_line();
  return lines;
}

TEST_CASE("lines: any bytes in any pieces give what the model gives") {
  std::mt19937_64 random(20240601);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (std::uint64_t round = 0; round < seeds(60); ++round) {
    const LineReader::Options options{.line_bytes_max = 1024 + below(3000),
                                      .trim_cr = round % 2 == 1};
    Reading reading(options, 1 + below(2000) * below(2000));
    const std::size_t length_max = 1 + below(round % 5 == 0 ? 9000 : 60);
    std::string text;
    while (text.size() < 400'000) {
      text.append(below(length_max), static_cast<char>('a' + below(26)));
      constexpr const char* ends[] = {"\n", "\r\n", "\r", "\n\n", "\xFF"};
      text += ends[below(5)];
    }
    std::jthread feeder([&] {
      std::string_view left = text;
      while (!left.empty()) {
        const std::size_t some = std::min(left.size(), 1 + below(round % 3 == 0 ? 40'000 : 900));
        reading.feed(left.substr(0, some));
        left.remove_prefix(some);
      }
      REQUIRE(reading.lines.finish({}).ok());
    });
    const Lines wanted = model(text, options);
    const Lines got = reading.pipeline.read(wanted.size());
    feeder.join();
    REQUIRE(got == wanted);
    REQUIRE(reading.rest().empty());
  }
}

std::shared_ptr<const LineGroups> stack_traces() {
  return *LineGroups::make(LineGroups::Options{.start_pattern = "^S", .lines_max = 1000});
}

TEST_CASE("lines: groups are put when the next one begins, when told, and at the end") {
  Reading reading({.groups = stack_traces()});
  reading.feed("S one\n a\n b\nS t");
  CHECK(reading.rest().empty());
  reading.feed("wo\n c");
  CHECK(reading.rest() == Lines{"S one\n a\n b"});
  CHECK(reading.lines.holds_group());
  REQUIRE(reading.lines.end_group({}).ok());
  CHECK(reading.rest() == Lines{"S two"});
  CHECK_FALSE(reading.lines.holds_group());
  reading.feed("\nS three\n d\nS four");
  CHECK(reading.rest() == Lines{" c"});
  REQUIRE(reading.lines.finish({}).ok());
  CHECK(reading.rest() == Lines{"S three\n d", "S four"});
}

TEST_CASE("lines: groups of any size in any pieces are what was written") {
  std::mt19937_64 random(Catch::rngSeed() + 3);
  Lines wanted;
  std::string text;
  for (int i = 0; i < 400; ++i) {
    std::string event = "S" + std::to_string(i);
    // Now and then more than a slab has.
    const std::uint64_t lines = random() % (i % 50 == 0 ? 900 : 10);
    for (std::uint64_t line = 0; line < lines; ++line) {
      event += "\n" + std::string(random() % 200, 'x');
    }
    text += event + "\n";
    wanted.push_back(event);
  }
  Reading reading({.line_bytes_max = 4096, .groups = stack_traces()}, 7);
  Lines got;
  std::string_view left = text;
  while (!left.empty()) {
    const std::size_t some = std::min<std::size_t>(left.size(), 1 + random() % 700);
    std::thread taker([&] {
      for (std::string& body : reading.rest()) got.push_back(std::move(body));
    });
    reading.feed(left.substr(0, some));
    taker.join();
    left.remove_prefix(some);
    for (std::string& body : reading.rest()) got.push_back(std::move(body));
  }
  REQUIRE(reading.lines.finish({}).ok());
  for (std::string& body : reading.rest()) got.push_back(std::move(body));
  CHECK(got == wanted);
}

}  // namespace
}  // namespace sluice

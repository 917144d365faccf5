// test: timeout=600
// Random lives of files against an in-memory model: every line arrives, and arrives once, whatever
// happens to the file around it. SLUICE_FILE_SEQUENCES sets the number of sequences.

#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>
#include <set>
#include <sstream>

#include "sources/file_follower.h"
#include "sources/file_lines.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/fake_input_files.h"
#include "tests/support/memory_channels.h"
#include "tests/support/seeds.h"

namespace sluice {
namespace {

constexpr std::size_t slab_bytes = 64 * 1024;

ChannelProcessor::Options processor_options(Channel& channel) {
  ChannelProcessor::Options options;
  options.required = {&channel};
  return options;
}

/// The source without its thread: one step is a scan and a turn for every file.
class SteppedSource {
 public:
  SteppedSource(FakeInputFiles& files, std::shared_ptr<const LineGroups> groups)
      : files_(files), groups_(std::move(groups)), pool_(slab_bytes) {
    start({});
  }

  void step() {
    static_cast<void>(follower_->scan());
    while (FileGeneration* const generation = follower_->next()) {
      if (before_read) std::exchange(before_read, nullptr)();
      auto turn = lines_->read(*generation, generation->end(), {});
      REQUIRE(turn.ok());
      if (turn->at_end) {
        follower_->at_end(*generation, turn->looked_to, turn->holds_group);
      } else {
        follower_->read_later(*generation);
      }
    }
    Taken taken = take_now(channel_, 1'000'000);
    for (auto& body : bodies_of(taken.batch())) delivered.push_back(std::move(body));
    if (!taken.empty()) commit(std::move(taken));
    for (const auto& [number, mark] : deliveries_->take_advanced()) {
      const auto found = follower_->generations().find(number);
      if (found != follower_->generations().end()) found->second->delivered = mark;
    }
  }
  /// The system says that this file was written to; the next step scans in any case.
  void hear_of(const std::string& path) { static_cast<void>(follower_->look_at(path)); }
  /// Keeps what a position file keeps, as text.
  void restart() {
    std::vector<FilePosition> kept;
    for (const auto& [number, generation] : follower_->generations()) {
      FilePosition position = generation->at;
      position.mark = generation->delivered;
      const auto read = decode_position(encode(position));
      REQUIRE(read);
      kept.push_back(*read);
    }
    lines_.reset();
    follower_.reset();
    start(std::move(kept));
  }
  /// What it has said to be lost since it started.
  std::uint64_t lost_bytes() const { return follower_->lost_bytes(); }
  std::size_t generations() const { return follower_->generations().size(); }

  ManualClock clock;
  std::vector<std::string> delivered;
  /// Called once, when a file was compared and is read next.
  std::function<void()> before_read;

 private:
  void start(std::vector<FilePosition> kept) {
    deliveries_ = std::make_shared<Deliveries>();
    FileFollower::Options options;
    options.groups.push_back({"g", "/logs", *NamePattern::make(R"(app\.log(\.\d+)?)")});
    follower_ = std::make_unique<FileFollower>(std::move(options), files_, clock);
    follower_->restore(std::move(kept));
    FileLines::Options lines;
    lines.groups = groups_;
    lines_ = std::make_unique<FileLines>(
        lines, SourceContext{*out_, counters_, pool_, window_, clock}, deliveries_);
  }

  FakeInputFiles& files_;
  const std::shared_ptr<const LineGroups> groups_;
  SlabPool pool_;
  MemoryChannel channel_{roomy_channel(), pool_};
  SourceCounters counters_;
  MemoryAccount window_{"window", window_bytes_default};
  std::unique_ptr<ChannelProcessor> out_ =
      std::make_unique<ChannelProcessor>(processor_options(channel_), counters_);
  std::shared_ptr<Deliveries> deliveries_;
  std::unique_ptr<FileFollower> follower_;
  std::unique_ptr<FileLines> lines_;
};

/// What happens to the files, and what must come of it.
class Life {
 public:
  /// `meanwhile`: files change also while they are read, and not only between two steps.
  Life(std::uint64_t seed, bool births, std::shared_ptr<const LineGroups> groups,
       bool meanwhile = false)
      : joins_(groups != nullptr),
        meanwhile_(meanwhile),
        random_(seed),
        source_(files_, std::move(groups)) {
    files_.births = births;
    history << "seed " << seed << (births ? "" : " without births")
            << (joins_ ? " with groups" : "") << (meanwhile_ ? " meanwhile" : "") << "\n";
  }

  void run() {
    const int moves = 10 + pick(50);
    for (int i = 0; i < moves; ++i) move();
    // Everything held back or idle comes to its end.
    for (int i = 0; i < 4; ++i) {
      source_.step();
      source_.clock.advance(milliseconds(130'000));
    }
    source_.step();
    settle();
  }

  std::uint64_t lines = 0;
  std::uint64_t unknowable = 0;
  std::uint64_t unknowable_missing = 0;
  std::ostringstream history;

 private:
  using NodeRef = FakeInputFiles::NodeRef;
  struct Line {
    bool must = true;
    std::uint64_t life = 0;  ///< Of a file, from one truncation to the next.
    int arrived = 0;
  };

  /// Together with the next step: what a writer and logrotate do while the source reads.
  void step_meanwhile();
  void rotate_and_write();
  int pick(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  void say(const std::string& what) { history << what << "\n"; }

  void move();
  void write();
  void rotate(bool copy, bool copy_matches);
  void shift();
  void hide();
  void unhide();
  void remove_some();
  void remove(const std::string& path, NodeRef node);
  void forget_unread(const NodeRef& node, bool only_if_unknown = false) {
    forget_unread(life_of(node), only_if_unknown);
  }
  void forget_unread(std::uint64_t life, bool only_if_unknown = false);
  void settle();
  void note_arrived();

  std::uint64_t life_of(const NodeRef& node) {
    return node->serial * 1000 + truncations_[node->serial];
  }
  NodeRef current() {
    NodeRef node = files_.find(log);
    if (!node) {
      say("create");
      node = files_.create(log);
    }
    return node;
  }

  inline static const std::string log = "/logs/app.log";
  const bool joins_;
  const bool meanwhile_;
  std::mt19937_64 random_;
  FakeInputFiles files_;
  SteppedSource source_;
  std::map<std::string, Line> lines_;
  std::map<std::uint64_t, std::string> unfinished_;     ///< By life.
  std::map<std::uint64_t, std::uint64_t> truncations_;  ///< By file.
  std::set<std::uint64_t> copies_;
  std::map<std::uint64_t, std::vector<std::uint64_t>> hidden_copies_;  ///< By file that was copied.
  std::size_t arrived_ = 0;
  std::uint64_t next_ = 1000;
};

void Life::move() {
  switch (pick(meanwhile_ ? 17 : 16)) {
    case 0:
    case 1:
    case 2:
    case 3: write(); break;
    case 4:
    case 5:
    case 6:
      say("step");
      source_.step();
      note_arrived();
      break;
    case 7:
      say("shift");
      shift();
      if (files_.find(log)) files_.rename(log, log + ".1");
      break;
    case 8: rotate(true, true); break;
    case 9: rotate(true, false); break;
    case 10: rotate(false, false); break;
    case 11: remove_some(); break;
    case 12:
      say("restart");
      source_.restart();
      break;
    case 13: hide(); break;
    case 14: unhide(); break;
    case 16: step_meanwhile(); break;
    default: {
      const int ms = pick(3) == 0 ? 130'000 : 500;
      say("wait " + std::to_string(ms));
      source_.clock.advance(milliseconds(ms));
    }
  }
}

/// Lines with a number each, now and then without their end.
void Life::write() {
  const NodeRef node = current();
  std::string& unfinished = unfinished_[life_of(node)];
  std::string bytes;
  const int pieces = 1 + pick(pick(4) == 0 ? 200 : 5);
  for (int i = 0; i < pieces; ++i) {
    const std::string piece = std::to_string(next_++);
    bytes += piece;
    unfinished += piece;
    if (i + 1 == pieces && pick(4) == 0) {
      bytes += '-';
      unfinished += '-';
      break;
    }
    bytes += '\n';
    // The lines that belong to it come in the same write, so that time does not part them.
    for (int more = joins_ ? pick(4) : 0; more > 0; --more) {
      const std::string line = " at " + std::to_string(more);
      bytes += line + "\n";
      unfinished += "\n" + line;
    }
    lines_[std::exchange(unfinished, "")] = {true, life_of(node), 0};
  }
  say("write " + std::to_string(bytes.size()) + " " + bytes.substr(0, 30));
  files_.append(node, bytes);
  if (next_ % 2 == 0) source_.hear_of(log);
}

/// app.log.1 becomes app.log.2, and so on; the last goes.
void Life::shift() {
  for (int i = 3; i >= 1; --i) {
    const std::string path = log + "." + std::to_string(i);
    const NodeRef node = files_.find(path);
    if (!node) continue;
    if (i == 3) {
      remove(path, node);
    } else {
      files_.rename(path, log + "." + std::to_string(i + 1));
    }
  }
}

void Life::rotate(bool copy, bool copy_matches) {
  const NodeRef node = files_.find(log);
  if (!node || node->content.empty()) return;
  say(std::string(copy ? "copytruncate " : "truncate ") + (copy_matches ? "match" : "hidden"));
  if (copy_matches) shift();
  if (copy) {
    const std::string path = copy_matches ? log + ".1" : "/logs/old." + std::to_string(next_++);
    const NodeRef made = files_.create(path);
    copies_.insert(made->serial);
    files_.append(made, node->content);
    if (pick(3) == 0) {
      say("step between copy and truncate");
      source_.step();
      note_arrived();
    }
    for (auto& [text, line] : lines_) {
      if (line.life == life_of(node)) line.life = life_of(made);
    }
    if (!copy_matches) {
      forget_unread(made, true);
      hidden_copies_[node->serial].push_back(life_of(made));
    }
    if (!unfinished_[life_of(node)].empty()) lines_[unfinished_[life_of(node)]] = {false, 0, 0};
  } else {
    forget_unread(node);
  }
  const bool hole = pick(3) == 0;
  const std::size_t bytes = node->content.size();
  files_.truncate(node);
  ++truncations_[node->serial];
  if (pick(2) == 0) {
    source_.step();
    note_arrived();
  }
  if (hole) files_.append(node, std::string(bytes, '\0'));  // a writer that does not append
}

void Life::step_meanwhile() {
  const bool within = pick(2) == 0;
  say(within ? "step, within a read" : "step, before a read");
  std::function<void()>& hook = within ? files_.during_read : source_.before_read;
  hook = [this] { rotate_and_write(); };
  source_.step();
  hook = nullptr;
  note_arrived();
}

/// The file is soon longer than it was, so that its size does not give it away.
void Life::rotate_and_write() {
  const NodeRef node = files_.find(log);
  if (!node || node->content.empty()) return;
  const std::size_t before = node->content.size();
  say("copytruncate");
  shift();
  const NodeRef made = files_.create(log + ".1");
  copies_.insert(made->serial);
  files_.append(made, node->content);
  for (auto& [text, line] : lines_) {
    if (line.life == life_of(node)) line.life = life_of(made);
  }
  if (!unfinished_[life_of(node)].empty()) lines_[unfinished_[life_of(node)]] = {false, 0, 0};
  files_.truncate(node);
  ++truncations_[node->serial];
  while (node->content.size() < before + 100) write();
}

/// Renames to a name that does not match.
void Life::hide() {
  const std::string from = pick(2) == 0 ? log : log + ".1";
  const NodeRef node = files_.find(from);
  // A copy that goes out of sight before it is recognised is a new file when it comes back.
  if (!node || files_.find("/logs/hidden") || copies_.contains(node->serial)) return;
  say("hide " + from);
  forget_unread(node, true);
  files_.rename(from, "/logs/hidden");
}

void Life::unhide() {
  if (!files_.find("/logs/hidden") || files_.find(log + ".1")) return;
  say("unhide");
  files_.rename("/logs/hidden", log + ".1");
}

void Life::remove_some() {
  const auto& names = files_.names();
  if (names.empty()) return;
  const auto at = std::next(names.begin(), pick(static_cast<int>(names.size())));
  const std::string path = at->first;
  say("remove " + path);
  remove(path, at->second);
}

void Life::remove(const std::string& path, NodeRef node) {
  forget_unread(node);
  // Without the truncated file nothing leads to a copy whose name does not match.
  for (const auto life : hidden_copies_[node->serial]) forget_unread(life);
  files_.remove(path);
}

/// What was not read of it by now may be gone; with `only_if_unknown`, when none of it was read.
void Life::forget_unread(std::uint64_t life, bool only_if_unknown) {
  bool known = false;
  for (const auto& [text, line] : lines_) known |= line.life == life && line.arrived > 0;
  if (known && only_if_unknown) return;
  for (auto& [text, line] : lines_) {
    if (line.life == life && line.arrived == 0) line.must = false;
  }
  std::string& unfinished = unfinished_[life];
  if (!unfinished.empty()) lines_[unfinished] = {false, 0, 0};
}

void Life::note_arrived() {
  for (; arrived_ < source_.delivered.size(); ++arrived_) {
    const std::string& text = source_.delivered[arrived_];
    say("arrived " + text.substr(0, text.find('\n')));
    const auto line = lines_.find(text);
    if (line != lines_.end()) {
      ++line->second.arrived;
      continue;
    }
    // The unfinished line of a file that is gone: an event when its time is over.
    INFO(history.str() << "arrived: " << text);
    REQUIRE(text.ends_with('-'));
    lines_[text] = {false, 0, 1};
  }
}

void Life::settle() {
  note_arrived();
  for (const auto& [text, line] : lines_) {
    INFO(history.str() << "line: " << text);
    REQUIRE(line.arrived <= 1);
    if (line.must) REQUIRE(line.arrived == 1);
    ++lines;
    if (line.must) continue;
    ++unknowable;
    unknowable_missing += line.arrived == 0 ? 1 : 0;
  }
}

TEST_CASE("files: every line arrives once through any life of the files") {
  const char* const wanted = std::getenv("SLUICE_FILE_SEQUENCES");
  const std::uint64_t sequences = wanted != nullptr ? std::stoull(wanted) : seeds(3000);
  const char* const first = std::getenv("SLUICE_FILE_SEED");
  const std::uint64_t seed = first != nullptr ? std::stoull(first) : Catch::rngSeed();
  const auto groups = *LineGroups::make(LineGroups::Options{.start_pattern = "^[0-9]"});
  std::uint64_t lines = 0;
  std::uint64_t unknowable = 0;
  std::uint64_t missing = 0;
  for (std::uint64_t i = 0; i < sequences; ++i) {
    Life life(seed + i, i % 2 == 0, i % 3 == 0 ? groups : nullptr, i % 5 < 2);
    life.run();
    lines += life.lines;
    unknowable += life.unknowable;
    missing += life.unknowable_missing;
  }
  std::cout << sequences << " lives, " << lines
            << " lines; removed between two steps: " << unknowable << ", of which " << missing
            << " did not arrive\n";
  CHECK(missing * 2 < lines);
}

TEST_CASE("files: a file that is truncated and written anew while it is read") {
  const bool within = GENERATE(false, true);
  const bool begun = GENERATE(false, true);
  const bool hole = GENERATE(false, true);
  CAPTURE(within, begun, hole);
  FakeInputFiles files;
  SteppedSource source(files, nullptr);
  const auto node = files.create("/logs/app.log");
  if (hole) files.append(node, std::string(10, '\0'));
  if (begun) {
    files.append(node, "one 1\n");
    source.step();
  }
  files.append(node, "two 22\nthree 333\nfour 4444\n");
  auto& hook = within ? files.during_read : source.before_read;
  hook = [&] {
    files.append(files.create("/logs/app.log.1"), node->content);
    files.truncate(node);
    files.append(node, "five 55555555\nsix 666666666\nseven 7777777\neight 88888\n");
  };
  for (int i = 0; i < 4; ++i) {
    source.step();
    source.clock.advance(milliseconds(130'000));
  }
  std::vector<std::string> wanted{"eight 88888",   "five 55555555", "four 4444", "seven 7777777",
                                  "six 666666666", "three 333",     "two 22"};
  if (begun) wanted.push_back("one 1");
  std::sort(wanted.begin(), wanted.end());
  std::sort(source.delivered.begin(), source.delivered.end());
  CHECK(source.delivered == wanted);
}

TEST_CASE("files: a file that is truncated and at once as long as before is another one") {
  FakeInputFiles files;
  SteppedSource source(files, nullptr);
  const auto node = files.create("/logs/app.log");
  files.append(node, "one\n");
  source.step();
  source.hear_of("/logs/app.log");
  files.append(files.create("/logs/app.log.1"), node->content);
  files.truncate(node);
  files.append(node, "two\n");
  source.hear_of("/logs/app.log");
  source.step();
  source.step();
  CHECK(source.delivered == std::vector<std::string>{"one", "two"});
}

TEST_CASE("files: a copy that is made after its directory was listed is the copy all the same") {
  FakeInputFiles files;
  SteppedSource source(files, nullptr);
  const auto node = files.create("/logs/app.log");
  files.append(node, "one\n");
  source.step();
  files.after_list = [&] {
    files.append(files.create("/logs/app.log.1"), node->content);
    files.truncate(node);
    files.append(node, "two\n");
  };
  for (int i = 0; i < 4; ++i) {
    source.step();
    source.clock.advance(milliseconds(130'000));
  }
  CHECK(source.delivered == std::vector<std::string>{"one", "two"});
}

TEST_CASE("files: a loss that the source saw is reported to the byte, and nothing else is") {
  FakeInputFiles files;
  SteppedSource source(files, nullptr);
  const auto node = files.create("/logs/app.log");
  files.append(node, "one\nunfinished");
  source.step();
  CHECK(source.lost_bytes() == 0);
  const bool copied = GENERATE(false, true);
  CAPTURE(copied);
  if (copied) files.append(files.create("/logs/app.log.1"), node->content);
  files.truncate(node);
  files.append(node, "two\n");
  source.step();
  CHECK(source.lost_bytes() == (copied ? 0 : 10));
  // Read to its end, it may go; what came after the last look nobody can know of.
  files.truncate(node);
  source.step();
  CHECK(source.lost_bytes() == (copied ? 0 : 10));
  files.append(node, "three\n");
  files.truncate(node);
  source.step();
  CHECK(source.lost_bytes() == (copied ? 0 : 10));
  // Told of, and gone before it could be read.
  files.append(node, "four\n");
  source.step();
  files.append(node, "five\n");
  source.hear_of("/logs/app.log");
  files.truncate(node);
  source.step();
  CHECK(source.lost_bytes() == (copied ? 5 : 15));
  CHECK(source.delivered.size() == 3);
}

TEST_CASE("files: lives that once went wrong") {
  const auto groups = *LineGroups::make(LineGroups::Options{.start_pattern = "^[0-9]"});
  // A copy of a file whose first group still waits.
  Life(4689, false, groups).run();
  Life(113848, true, groups).run();
  // A copy under the inode of one that was held back, long before.
  Life(11163, false, groups).run();
  Life(302429, false, nullptr).run();
  Life(504621, false, nullptr).run();
}

}  // namespace
}  // namespace sluice

// Batch against a plain vector: every operation is done on both, and they must say the same.
//
// A fake durable channel gives some batches their origins; receipts, slabs and coverage are
// followed to the last one. A failure prints its seed.

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/event/compactor.h"
#include "core/wire/line_splitter.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/receipt_book.h"
#include "tests/support/seeds.h"

namespace sluice {
namespace {

struct ModelEvent {
  std::string body;
  std::map<std::string, std::string> own;
  std::optional<Origin> origin;
};

struct ModelHeaders {
  std::map<std::string, std::string> imposed;
  std::map<std::string, std::string> fallback;
};

/// A batch and what the model says of it.
struct Live {
  Batch batch;
  std::vector<ModelEvent> events;
  ModelHeaders shared;
  std::uint64_t token = 0;  ///< Of its receipt; 0: none.
  bool owes = false;        ///< Its events count for the receipt.
  std::optional<std::vector<OriginRange>> covered;
};

std::vector<OriginRange> merged(std::vector<OriginRange> ranges) {
  std::vector<OriginRange> out;
  for (const OriginRange& range : ranges) {
    if (!out.empty() && out.back().id == range.id && out.back().end == range.begin) {
      out.back().end = range.end;
    } else {
      out.push_back(range);
    }
  }
  return out;
}

std::vector<OriginRange> joined(std::vector<OriginRange> front,
                                const std::vector<OriginRange>& back) {
  front.insert(front.end(), back.begin(), back.end());
  return merged(std::move(front));
}

/// Numbers what it is given, as the first durable channel on an event's way does.
class FakeDurableChannel {
 public:
  void number(Live& live) {
    if (live.batch.provenance().known() || live.batch.empty()) return;
    const std::uint64_t begin = next_;
    next_ += live.batch.size();
    live.batch = live.batch.with_provenance(Provenance::dense(id_, begin, live.batch.size()));
    for (std::uint32_t i = 0; i < live.batch.size(); ++i) {
      live.events[i].origin = Origin{id_, begin + i};
    }
    live.covered = {{id_, begin, next_}};
    // Another opening of the store draws another id.
    if (next_ % 5 == 0) ++id_.low;
  }

 private:
  OriginId id_{7, 1};
  std::uint64_t next_ = 0;
};

class Model {
 public:
  explicit Model(std::uint64_t seed)
      : random_(seed), pool_(16 * 1024, keep_no_free_slabs), account_("test", UINT64_MAX / 2) {
    compactor_ = std::make_unique<Compactor>(pool_, account_);
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      INFO("step " << step);
      one_step();
      check_receipts();
      if (step % 50 == 0) check_slabs();
      while (lives_.size() > 40) settle(below(lives_.size()));
    }
    for (const Live& live : lives_) check(live);
    lives_.clear();
    check_receipts();
    check_slabs();
    REQUIRE(pool_.live_slabs() == 0);
    REQUIRE(account_.used_bytes() == 0);
    REQUIRE_FALSE(book_->twice());
  }

 private:
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }

  void one_step();
  void build();
  void fill_by_append(BatchBuilder& builder, Live& live, bool own);
  void fill_by_lines(BatchBuilder& builder, Live& live);
  void fill_by_mark(BatchBuilder& builder, Live& live);
  void cut_in_two(std::size_t at);
  void select(Live& live);
  void replicate(std::size_t at);
  void share(std::size_t at);
  void with_headers(Live& live);
  void without_some_headers(Live& live);
  void compact(Live& live);
  void concat();
  void settle(std::size_t at);
  void forget(std::size_t at);

  void check(const Live& live);
  void check_text(const Live& live);
  void check_origins(const Live& live);
  void check_receipts();
  void check_slabs();

  std::string body();
  std::map<std::string, std::string> some_headers(std::size_t most);

  std::mt19937_64 random_;
  SlabPool pool_;
  MemoryAccount account_;
  std::unique_ptr<Compactor> compactor_;
  std::unique_ptr<BatchBuilder> shared_builder_;
  std::unique_ptr<BatchBuilder> own_builder_;
  FakeDurableChannel durable_;
  std::shared_ptr<ReceiptBook> book_ = std::make_shared<ReceiptBook>();
  std::map<std::uint64_t, std::uint64_t> outstanding_;  ///< By token.
  std::uint64_t next_token_ = 1;
  std::vector<Live> lives_;
};

std::string Model::body() {
  std::size_t bytes = below(60);
  if (one_in(6)) bytes = 0;
  if (one_in(40)) bytes = 3000 + below(3000);
  std::string text(bytes, ' ');
  for (char& c : text) c = static_cast<char>(below(255) + 1);
  std::replace(text.begin(), text.end(), '\n', 'n');
  return text;
}

std::map<std::string, std::string> Model::some_headers(std::size_t most) {
  std::map<std::string, std::string> headers;
  for (std::size_t n = below(most + 1); n > 0; --n) {
    headers["h" + std::to_string(below(4))] =
        std::string(below(9), 'v') + std::to_string(below(100));
  }
  return headers;
}

std::string encoded_map(const std::map<std::string, std::string>& headers) {
  std::string block;
  for (const auto& [name, value] : headers) append_header(block, name, value);
  return block;
}

void Model::fill_by_append(BatchBuilder& builder, Live& live, bool own) {
  for (std::size_t n = 1 + below(30); n > 0; --n) {
    ModelEvent event{body(), {}, {}};
    if (one_in(10)) event.body += "\ninside";
    if (own) event.own = some_headers(3);
    if (!builder.append(event.body, encoded_map(event.own))) break;
    live.events.push_back(std::move(event));
  }
}

void Model::fill_by_lines(BatchBuilder& builder, Live& live) {
  const auto space = builder.space();
  const std::size_t begin = builder.position();
  std::size_t bytes = 0;
  for (std::size_t n = 1 + below(30); n > 0; --n) {
    const std::string line = body();
    if (bytes + line.size() + 1 > space.size()) break;
    std::copy(line.begin(), line.end(), space.begin() + static_cast<std::ptrdiff_t>(bytes));
    bytes += line.size();
    space[bytes++] = '\n';
    live.events.push_back({line, {}, {}});
  }
  const std::string torn = "unfinished";
  if (bytes + torn.size() <= space.size()) {
    std::copy(torn.begin(), torn.end(), space.begin() + static_cast<std::ptrdiff_t>(bytes));
    bytes += torn.size();
  }
  builder.written(bytes);
  const LineScan scan = split_lines({builder.base(), begin, begin, builder.position()},
                                    builder.index_top(), builder.entries_left());
  // What found no room in the index is not an event.
  live.events.resize(scan.events);
  builder.marked(scan.events, scan.body_bytes, true);
  builder.rewind(scan.line_begin);
}

void Model::fill_by_mark(BatchBuilder& builder, Live& live) {
  for (std::size_t n = 1 + below(10); n > 0; --n) {
    const std::string text = body();
    if (builder.space().size() < text.size() + 16) break;
    const std::size_t at = builder.position();
    std::copy(text.begin(), text.end(), builder.base() + at);
    builder.written(text.size());
    if (builder.entries_left() == 0) {
      builder.rewind(at);
      break;
    }
    builder.mark(at, text.size());
    live.events.push_back({text, {}, {}});
    if (one_in(3) && builder.space().size() > 8) {  // bytes that belong to no event
      std::copy_n("gap", 3, builder.base() + builder.position());
      builder.written(3);
    }
  }
}

void Model::build() {
  const bool own = one_in(3);
  auto& builder = own ? own_builder_ : shared_builder_;
  if (!builder) {
    builder = std::make_unique<BatchBuilder>(pool_, own ? EventHeaders::Own : EventHeaders::Shared,
                                             &account_);
  }
  if (builder->space().size() < 4000 || one_in(10)) builder->renew(one_in(5) ? 40'000 : 0);
  Live live;
  if (own) {
    fill_by_append(*builder, live, true);
  } else if (one_in(3)) {
    fill_by_append(*builder, live, false);
  } else if (one_in(2)) {
    fill_by_lines(*builder, live);
  } else {
    fill_by_mark(*builder, live);
  }
  REQUIRE(builder->marked_events() == live.events.size());
  if (one_in(15)) {
    builder->discard();
    return;
  }
  live.batch = builder->seal();
  if (live.batch.empty()) return;
  if (!one_in(4)) {
    live.token = next_token_++;
    live.owes = true;
    outstanding_[live.token] = live.batch.size();
    live.batch = live.batch.with_receipt(Receipt::make(book_, live.token, live.batch.size()));
  }
  check(live);
  lives_.push_back(std::move(live));
}

/// Consecutive slices share the events, the obligations and the coverage between them.
void Model::cut_in_two(std::size_t at) {
  Live whole = std::move(lives_[at]);
  lives_.erase(lives_.begin() + static_cast<std::ptrdiff_t>(at));
  const auto cut = static_cast<std::uint32_t>(1 + below(whole.batch.size() - 1));
  Live front = whole;
  front.batch = whole.batch.slice(0, cut);
  front.events.resize(cut);
  Live back = whole;
  back.batch = whole.batch.slice(cut, whole.batch.size() - cut);
  back.events.erase(back.events.begin(), back.events.begin() + cut);
  if (whole.covered) {
    front.covered = front.batch.provenance().covered();
    back.covered = back.batch.provenance().covered();
    REQUIRE(joined(*front.covered, *back.covered) == *whole.covered);
  }
  whole = {};
  for (Live* part : {&front, &back}) {
    check(*part);
    lives_.push_back(std::move(*part));
  }
}

void Model::select(Live& live) {
  std::vector<std::uint32_t> kept;
  std::vector<ModelEvent> events;
  const std::size_t keep_one_in = 1 + below(4);
  const bool neighbours = one_in(4);  // they need no index of their own
  const std::size_t first = below(live.batch.size() + 1);
  const std::size_t last = first + below(live.batch.size() + 1);
  for (std::uint32_t i = 0; i < live.batch.size(); ++i) {
    const bool out = neighbours ? i < first || i >= last : keep_one_in > 1 && !one_in(keep_one_in);
    if (out) continue;
    kept.push_back(i);
    events.push_back(live.events[i]);
  }
  Batch selected = live.batch.select(kept);
  if (live.owes) {
    const std::uint64_t dropped = live.batch.size() - kept.size();
    outstanding_[live.token] -= dropped;
    selected.receipt().settle(dropped);
  }
  live.batch = std::move(selected);
  live.events = std::move(events);
  if (live.events.empty()) live.shared = {};
  check(live);
}

void Model::replicate(std::size_t at) {
  Live copy = lives_[at];
  if (copy.owes && copy.batch.size() > 0 && outstanding_[copy.token] > 0) {
    copy.batch.receipt().expect_more(copy.batch.size());
    outstanding_[copy.token] += copy.batch.size();
  } else {
    copy.owes = false;
  }
  lives_.push_back(std::move(copy));
}

/// What an optional channel gets: the events without a say.
void Model::share(std::size_t at) {
  Live copy = lives_[at];
  copy.batch = copy.batch.with_receipt({});
  copy.token = 0;
  copy.owes = false;
  lives_.push_back(std::move(copy));
}

void Model::with_headers(Live& live) {
  live.shared = {some_headers(3), some_headers(3)};
  live.batch = live.batch.with_shared_headers(HeaderBlock(encoded_map(live.shared.imposed)),
                                              HeaderBlock(encoded_map(live.shared.fallback)));
  check(live);
}

/// What an interceptor does that takes headers away: their blocks leave the slab. Events may share
/// one block.
void Model::without_some_headers(Live& live) {
  if (!live.batch.own_headers()) return;
  const std::string gone = "h" + std::to_string(below(4));
  std::string blocks(below(5), '-');
  std::vector<IndexEntry> places;
  for (ModelEvent& event : live.events) {
    event.own.erase(gone);
    const std::string block = encoded_map(event.own);
    const std::size_t before = blocks.find(block);
    if (before != std::string::npos && !block.empty()) {
      places.push_back(
          {static_cast<std::uint32_t>(before), static_cast<std::uint32_t>(block.size())});
      continue;
    }
    places.push_back(
        {static_cast<std::uint32_t>(blocks.size()), static_cast<std::uint32_t>(block.size())});
    blocks += block;
  }
  live.batch = live.batch.with_own_headers(std::move(blocks), places);
  check(live);
}

/// The headers that an event shows: what is imposed wins, then its own, then the fallback.
std::map<std::string, std::string> shown(const Live& live, std::size_t i) {
  std::map<std::string, std::string> headers = live.shared.imposed;
  headers.insert(live.events[i].own.begin(), live.events[i].own.end());
  headers.insert(live.shared.fallback.begin(), live.shared.fallback.end());
  return headers;
}

/// What a copy into slabs with headers of their own does: every event gets all it shows.
void flatten(Live& live) {
  for (std::size_t i = 0; i < live.events.size(); ++i) live.events[i].own = shown(live, i);
  live.shared = {};
}

void Model::compact(Live& live) {
  live.batch = one_in(2) ? live.batch.compact(pool_) : compactor_->copy(live.batch);
  if (live.batch.own_headers()) flatten(live);
  check(live);
}

void Model::concat() {
  std::vector<Batch> parts;
  Live whole;
  bool known = false;
  std::vector<OriginRange> covered;
  for (std::size_t n = 2 + below(4); n > 0; --n) {
    Live live = lives_[below(lives_.size())];
    parts.push_back(live.batch);
    flatten(live);
    whole.events.insert(whole.events.end(), live.events.begin(), live.events.end());
    if (!live.covered) continue;
    known = true;
    covered = joined(covered, *live.covered);
  }
  whole.batch = Batch::concat(parts, pool_);
  if (known) whole.covered = covered;
  check(whole);
  lives_.push_back(std::move(whole));
}

void Model::settle(std::size_t at) {
  Live& live = lives_[at];
  if (live.owes) {
    live.batch.receipt().settle(live.batch.size());
    outstanding_[live.token] -= live.batch.size();
  }
  forget(at);
}

void Model::forget(std::size_t at) {
  lives_.erase(lives_.begin() + static_cast<std::ptrdiff_t>(at));
}

void Model::one_step() {
  if (lives_.empty() || one_in(4)) return build();
  const std::size_t at = below(lives_.size());
  switch (below(11)) {
    case 0:
      if (lives_[at].batch.size() > 1) cut_in_two(at);
      return;
    case 1: return select(lives_[at]);
    case 2: return replicate(at);
    case 3: return share(at);
    case 4:
      if (!lives_[at].batch.empty()) with_headers(lives_[at]);
      return;
    case 5: return concat();
    case 6:
    case 7: return compact(lives_[at]);
    case 8: durable_.number(lives_[at]); return check(lives_[at]);
    case 9:
      if (!lives_[at].batch.empty()) without_some_headers(lives_[at]);
      return;
    default: return one_in(5) ? forget(at) : settle(at);
  }
}

// ---- what must hold

void Model::check_text(const Live& live) {
  std::string expected;
  for (const ModelEvent& event : live.events) expected += event.body + "\n";
  std::string text;
  live.batch.for_each_text_run([&](std::string_view run, bool line_feed_inside) {
    text += run;
    if (!line_feed_inside) text += '\n';
  });
  REQUIRE(text == expected);
  if (live.batch.lines() && !live.batch.empty()) REQUIRE(live.batch.text() == expected);
}

void Model::check_origins(const Live& live) {
  const Provenance& provenance = live.batch.provenance();
  REQUIRE(provenance.known() == live.covered.has_value());
  if (!live.covered) return;
  REQUIRE(provenance.size() == live.batch.size());
  REQUIRE(provenance.covered() == *live.covered);
  for (std::uint32_t i = 0; i < live.batch.size(); ++i) {
    REQUIRE(provenance.origin(i) == live.events[i].origin.value_or(Origin{}));
  }
}

void Model::check(const Live& live) {
  REQUIRE(live.batch.size() == live.events.size());
  std::uint64_t body_bytes = 0;
  bool any_header = false;
  for (std::uint32_t i = 0; i < live.batch.size(); ++i) {
    REQUIRE(live.batch.body(i) == live.events[i].body);
    body_bytes += live.events[i].body.size();
    std::map<std::string, std::string> headers;
    live.batch.headers(i).for_each(
        [&](auto name, auto value) { REQUIRE(headers.emplace(name, value).second); });
    const auto expected = shown(live, i);
    REQUIRE(headers == expected);
    any_header = any_header || !expected.empty();
    std::string_view value;
    REQUIRE(live.batch.headers(i).find("h1", value) == (expected.count("h1") > 0));
    if (expected.count("h1") > 0) REQUIRE(value == expected.at("h1"));
  }
  REQUIRE(live.batch.body_bytes() == body_bytes);
  if (live.batch.without_headers()) REQUIRE_FALSE(any_header);
  REQUIRE(static_cast<bool>(live.batch.receipt()) == (live.token != 0));
  check_text(live);
  check_origins(live);
}

/// Delivered when nothing is outstanding; not delivered when the last holder is gone before.
void Model::check_receipts() {
  std::set<std::uint64_t> held;
  for (const Live& live : lives_) held.insert(live.token);
  for (const auto& [token, outstanding] : outstanding_) {
    REQUIRE(book_->delivered(token) == (outstanding == 0));
    REQUIRE(book_->not_delivered(token) == (outstanding > 0 && held.count(token) == 0));
  }
}

/// Exactly the slabs that views lie in are pinned.
void Model::check_slabs() {
  shared_builder_.reset();
  own_builder_.reset();
  compactor_->reset();
  std::set<const Slab*> pinned;
  for (const Live& live : lives_) {
    if (live.batch.slab() != nullptr) pinned.insert(live.batch.slab());
    check(live);
  }
  REQUIRE(pool_.live_slabs() == pinned.size());
  REQUIRE(account_.used_bytes() == 0);
}

TEST_CASE("a batch behaves like a plain vector of events") {
  const auto first_seed = Catch::rngSeed();
  for (std::uint64_t i = 0; i < seeds(40); ++i) {
    const std::uint64_t seed = first_seed + i;
    INFO("seed " << seed);
    Model(seed).run(400);
  }
}

}  // namespace
}  // namespace sluice

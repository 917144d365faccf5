// What of a table is written again, and that nothing is left of what has gone.
#include "analytics/sharded_state.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/catch.h"

namespace sluice::analytics {
namespace {

/// What one save() has put.
class Puts final : public StateWriter {
 public:
  void put(std::string_view key, std::string value) override {
    CHECK(all_.emplace(key, std::move(value)).second);
  }
  std::size_t size() const { return all_.size(); }
  bool has(const std::string& key) const { return all_.contains(key); }
  std::size_t removals() const {
    std::size_t count = 0;
    for (const auto& [key, value] : all_) count += value.empty() ? 1 : 0;
    return count;
  }
  const std::map<std::string, std::string>& all() const { return all_; }

 private:
  std::map<std::string, std::string> all_;
};

/// Items of 10 KiB, given by the shards that they are in.
Puts save(ShardedState& state, const std::vector<std::size_t>& shards) {
  Puts puts;
  state.save(puts, {.count = shards.size(),
                    .shard = [&](std::size_t item) { return shards[item]; },
                    .encode = [](std::size_t, ShardedState::Piece,
                                 std::string& out) { out.append(10 * 1024, 'x'); }});
  return puts;
}

TEST_CASE("a table is saved in pieces, and only what has changed again") {
  ShardedState state;
  std::vector<std::size_t> items(60, 3);
  items.resize(66, 5);
  CHECK(save(state, items).size() == 0);
  state.touch(3);
  state.touch(5);
  const Puts first = save(state, items);
  CHECK(first.size() == 14);  // five items fill a piece
  CHECK(first.removals() == 0);
  CHECK(save(state, items).size() == 0);
  state.touch(5);
  const Puts second = save(state, items);
  CHECK(second.size() == 2);
  CHECK(second.has("5/000000"));
  CHECK(second.has("5/000001"));
}

TEST_CASE("a table that shrinks leaves no pieces behind, in the same process or the next") {
  ShardedState state;
  state.touch(3);
  const Puts first = save(state, std::vector<std::size_t>(60, 3));
  REQUIRE(first.size() == 12);
  ShardedState next;
  for (const auto& [key, value] : first.all())
    CHECK(next.load(key, value.size()).piece == ShardedState::Piece::Whole);
  for (ShardedState* const each : {&state, &next}) {
    each->touch(3);
    const Puts shrunk = save(*each, {3});
    CHECK(shrunk.size() == 12);
    CHECK(shrunk.removals() == 11);
    each->touch(3);
    const Puts gone = save(*each, {});
    CHECK(gone.size() == 1);
    CHECK(gone.removals() == 1);
  }
}

/// Items of 100 bytes in one shard, of which only some have changed.
Puts save_some(ShardedState& state, std::size_t count, const std::vector<std::size_t>& changed) {
  Puts puts;
  const auto has = [&](std::size_t item) {
    return std::find(changed.begin(), changed.end(), item) != changed.end();
  };
  if (!changed.empty()) state.touch(7);
  state.save(puts, {.count = count,
                    .shard = [](std::size_t) { return std::size_t{7}; },
                    .changed = has,
                    .encode =
                        [](std::size_t item, ShardedState::Piece, std::string& out) {
                          out.append(100, static_cast<char>('a' + item % 26));
                        }});
  return puts;
}

TEST_CASE("a shard is saved as its changes until they are about as much as all of it") {
  ShardedState state;
  const Puts whole = save_some(state, 10, {0});
  CHECK(whole.all().at("7/000000").size() == 1000);
  std::size_t changes = 0;
  Puts puts = save_some(state, 10, {3, 5});
  for (; !puts.has("7/000000"); puts = save_some(state, 10, {3, 5}), ++changes) {
    REQUIRE(changes < 10);
    REQUIRE(puts.size() == 1);
    CHECK(puts.all().begin()->first == "7/d00000" + std::to_string(changes));
    CHECK(puts.all().begin()->second == std::string(100, 'd') + std::string(100, 'f'));
    CHECK(save_some(state, 10, {}).size() == 0);
  }
  CHECK(changes >= 3);
  CHECK(puts.all().at("7/000000").size() == 1000);
  CHECK(puts.removals() == changes);
  CHECK(save_some(state, 10, {1}).has("7/d000000"));
}

TEST_CASE("the next process goes on with the changes of a shard, and saves it whole in time") {
  ShardedState state;
  save_some(state, 10, {0});
  REQUIRE(save_some(state, 10, {1, 2, 3, 4}).has("7/d000000"));
  ShardedState next;
  CHECK(next.load("7/000000", 1000).piece == ShardedState::Piece::Whole);
  CHECK(next.load("7/d000000", 400).piece == ShardedState::Piece::Change);
  CHECK(save_some(next, 10, {1, 2, 3, 4}).has("7/d000001"));
  Puts puts = save_some(next, 10, {1, 2, 3, 4});
  while (!puts.has("7/000000")) puts = save_some(next, 10, {1, 2, 3, 4});
  CHECK(puts.has("7/d000000"));
  CHECK(puts.has("7/d000001"));
}

TEST_CASE("a shard of which something has gone is saved whole") {
  ShardedState state;
  save_some(state, 10, {0});
  CHECK(save_some(state, 10, {1}).has("7/d000000"));
  state.shrink(7);
  const Puts puts = save_some(state, 9, {});
  CHECK(puts.all().at("7/000000").size() == 900);
  CHECK(puts.all().at("7/d000000").empty());
}

TEST_CASE("keys of pieces that no table has are refused") {
  ShardedState state;
  CHECK(state.load("255/000000", 1).piece == ShardedState::Piece::Whole);
  CHECK(state.load("255/d000007", 1).piece == ShardedState::Piece::Change);
  for (const char* const key :
       {"256/000000", "3", "3/", "/000003", "3/x", "x/000003", "3/00001 ", "", "3/1", "3/0000001",
        "3/d", "3/d1", "3/d00x", "3/d0001", "d000"}) {
    INFO(key);
    CHECK(state.load(key, 1).piece == ShardedState::Piece::None);
  }
}

}  // namespace
}  // namespace sluice::analytics

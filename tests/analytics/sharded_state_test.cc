// What of a table is written again, and that nothing is left of what has gone.
#include "analytics/sharded_state.h"

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
  state.save(
      puts, shards.size(), [&](std::size_t item) { return shards[item]; },
      [](std::size_t, std::string& out) { out.append(10 * 1024, 'x'); });
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
  CHECK(second.has("5/0"));
  CHECK(second.has("5/1"));
}

TEST_CASE("a table that shrinks leaves no pieces behind, in the same process or the next") {
  ShardedState state;
  state.touch(3);
  const Puts first = save(state, std::vector<std::size_t>(60, 3));
  REQUIRE(first.size() == 12);
  ShardedState next;
  for (const auto& [key, value] : first.all()) CHECK(next.load(key));
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

TEST_CASE("keys of pieces that no table has are refused") {
  ShardedState state;
  CHECK(state.load("255/0"));
  for (const char* const key : {"256/0", "3", "3/", "/3", "3/x", "x/3", "3/1 ", ""}) {
    INFO(key);
    CHECK_FALSE(state.load(key));
  }
}

}  // namespace
}  // namespace sluice::analytics

#include "analytics/key_table.h"

#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/catch.h"
#include "tests/support/seeds.h"

namespace sluice::analytics {
namespace {

/// A key as the model has it: whether it is null, and its bytes.
using Key = std::pair<bool, std::string>;

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    return std::hash<std::string>()(key.second) + static_cast<std::size_t>(key.first);
  }
};

const Key null_key{true, ""};

/// A table and what it should be: a map, and the keys in their order.
class Pair {
 public:
  explicit Pair(std::uint64_t seed) : table_(seed) {}

  /// Adds one to the word of each key.
  void count(const std::vector<Key>& keys) {
    std::vector<Cell> cells;
    std::vector<std::uint8_t> nulls;
    bool any_null = false;
    for (const Key& key : keys) {
      cells.push_back(Cell::of(std::string_view(key.second)));
      nulls.push_back(key.first ? 1 : 0);
      any_null = any_null || key.first;
    }
    if (!any_null) nulls.clear();
    std::vector<std::uint64_t*> words(keys.size(), nullptr);
    table_.find_or_add(cells, nulls, words);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto [place, is_new] = counts_.try_emplace(keys[i], 0);
      if (is_new) order_.push_back(keys[i]);
      REQUIRE(*words[i] == place->second);
      *words[i] = ++place->second;
    }
  }

  template <typename Keep>
  void retain(Keep keeps) {
    std::vector<std::uint8_t> keep;
    std::vector<Key> kept;
    for (const Key& key : order_) {
      keep.push_back(keeps(key) ? 1 : 0);
      if (keep.back() != 0) {
        kept.push_back(key);
      } else {
        counts_.erase(key);
      }
    }
    table_.retain(keep);
    order_ = std::move(kept);
  }

  void clear() {
    table_.clear();
    order_.clear();
    counts_.clear();
  }

  void check() {
    REQUIRE(table_.size() == order_.size());
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const KeyTable::Entry entry = table_.entry(i);
      REQUIRE(entry.is_null == order_[i].first);
      REQUIRE(entry.key == order_[i].second);
      REQUIRE(*entry.word == counts_.at(order_[i]));
      if (entry.is_null) continue;
      // A copy elsewhere: it is the bytes that count.
      const std::string copy(entry.key);
      REQUIRE(table_.find(copy) == entry.word);
    }
  }

  bool has(const std::string& key) const { return counts_.contains(Key{false, key}); }
  KeyTable& table() noexcept { return table_; }
  std::size_t size() const noexcept { return order_.size(); }

 private:
  KeyTable table_;
  std::unordered_map<Key, std::uint64_t, KeyHash> counts_;
  std::vector<Key> order_;
};

/// Few different bytes, zeros among them: keys that begin alike, and that padding would make alike.
std::string random_key(std::mt19937_64& random, std::size_t bytes, unsigned letters) {
  std::string key(bytes, '\0');
  for (char& each : key) each = static_cast<char>(random() % letters);
  return key;
}

std::vector<Key> random_keys(std::mt19937_64& random, std::size_t count, unsigned letters) {
  constexpr std::size_t edges[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33};
  std::vector<Key> keys;
  for (std::size_t i = 0; i < count; ++i) {
    if (random() % 50 == 0) {
      keys.push_back(null_key);
      continue;
    }
    const std::size_t bytes =
        random() % 2 == 0 ? edges[random() % std::size(edges)] : random() % 41;
    keys.emplace_back(false, random_key(random, bytes, letters));
  }
  return keys;
}

TEST_CASE("a key table agrees with a map, whatever becomes of it") {
  const std::uint64_t seed = GENERATE(std::uint64_t{0}, std::uint64_t{0x9E3779B97F4A7C15U});
  std::mt19937_64 random(seed + 1);
  Pair pair(seed);
  const std::uint64_t turns = seeds(400);
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    const std::uint64_t what = random() % 20;
    if (what == 0) {
      pair.clear();
    } else if (what < 3) {
      const std::uint64_t of = 1 + random() % 4;
      pair.retain([&](const Key&) { return random() % (of + 1) != 0; });
    } else {
      const unsigned letters = random() % 2 == 0 ? 2 : 256;
      pair.count(random_keys(random, random() % 300, letters));
    }
    if (turn % 8 == 0) pair.check();
  }
  pair.check();
}

TEST_CASE("keys that differ only in zeros at their ends are different") {
  Pair pair(3);
  std::vector<Key> keys;
  for (std::size_t bytes = 0; bytes <= 40; ++bytes) {
    keys.emplace_back(false, std::string(bytes, '\0'));
    keys.emplace_back(false, std::string(bytes, 'x'));
    keys.emplace_back(false, std::string(bytes, 'x') + '\0');
  }
  keys.push_back(null_key);
  pair.count(keys);
  pair.count(keys);
  pair.check();
  CHECK(pair.size() == 122);  // "" and one zero come twice, null is another
}

TEST_CASE("bytes in front of and behind a key make no difference to it") {
  KeyTable table(11);
  const std::string key = "abcdefghijklmnopqrstuvwxyz";
  for (std::size_t bytes = 0; bytes <= key.size(); ++bytes) {
    std::uint64_t* word = nullptr;
    const Cell first = Cell::of(std::string_view(key).substr(0, bytes));
    table.find_or_add(std::span(&first, 1), {}, std::span(&word, 1));
    *word = bytes + 1;
  }
  // Also where a page begins and ends.
  std::string pages(3 * 4096, '#');
  for (std::size_t bytes = 0; bytes <= key.size(); ++bytes) {
    const auto page = 4096 - reinterpret_cast<std::uintptr_t>(pages.data()) % 4096;
    for (std::size_t at = page + 4096 - 40; at < page + 4096 + 4; ++at) {
      std::fill(pages.begin(), pages.end(), static_cast<char>('#' + at % 7));
      key.copy(pages.data() + at, bytes);
      const std::uint64_t* const found = table.find(std::string_view(pages).substr(at, bytes));
      REQUIRE(found != nullptr);
      REQUIRE(*found == bytes + 1);
    }
  }
}

TEST_CASE("an empty key may be a view of nothing at all") {
  KeyTable table(5);
  CHECK(table.find({}) == nullptr);
  const Cell nothing = Cell::of(std::string_view());
  std::uint64_t* word = nullptr;
  table.find_or_add(std::span(&nothing, 1), {}, std::span(&word, 1));
  *word = 7;
  REQUIRE(table.find("") != nullptr);
  CHECK(*table.find("") == 7);
  CHECK(table.size() == 1);
}

TEST_CASE("find adds nothing") {
  Pair pair(2);
  CHECK(pair.table().find("a") == nullptr);
  pair.count({{false, "a"}, {false, "a key that has no room in a slot"}, null_key});
  CHECK(pair.table().find("b") == nullptr);
  CHECK(pair.table().find("a key that has no room in a slut") == nullptr);
  CHECK(pair.table().find("") == nullptr);  // null is another key
  CHECK(pair.size() == 3);
  pair.check();
}

TEST_CASE("within one call the same key has the same word, and words do not move") {
  KeyTable table(1);
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) texts.push_back("key " + std::to_string(i % 2500));
  std::vector<Cell> cells;
  for (const std::string& text : texts) cells.push_back(Cell::of(std::string_view(text)));
  std::vector<std::uint64_t*> words(cells.size(), nullptr);
  table.find_or_add(cells, {}, words);
  CHECK(table.size() == 2500);
  for (std::size_t i = 0; i < 2500; ++i) {
    REQUIRE(words[i] == words[i + 2500]);
    REQUIRE(words[i] == table.find(texts[i]));
    REQUIRE(*words[i] == 0);
  }
}

TEST_CASE("a table grows to many keys, and gives the memory of those that go back") {
  const std::uint64_t seed = GENERATE(std::uint64_t{1}, std::uint64_t{77});
  Pair pair(seed);
  const auto text = [](std::size_t i) {
    return std::string(i % 3 == 0 ? 100 : 1, 'k') + std::to_string(i);
  };
  constexpr std::size_t many = 60'000;
  std::vector<Key> keys;
  for (std::size_t i = 0; i < many; ++i) {
    keys.emplace_back(false, text(i));
    if (keys.size() < 256) continue;
    pair.count(keys);
    keys.clear();
  }
  pair.count(keys);
  pair.check();
  const std::size_t most = pair.table().bytes();
  pair.retain([&](const Key& key) { return key.second.ends_with("77"); });
  pair.check();
  CHECK(pair.has(text(77)));
  CHECK(pair.size() == many / 100);
  CHECK(pair.table().bytes() < most / 4);
  CHECK(pair.table().find(text(78)) == nullptr);
  pair.count({{false, text(78)}, {false, text(77)}});
  pair.check();
}

TEST_CASE("a table that keeps all its keys stays as it is, one that keeps none is empty") {
  Pair pair(4);
  std::mt19937_64 random(4);
  pair.count(random_keys(random, 500, 256));
  pair.retain([](const Key&) { return true; });
  pair.check();
  pair.retain([](const Key&) { return false; });
  pair.check();
  CHECK(pair.size() == 0);
  pair.retain([](const Key&) { return false; });
  pair.count(random_keys(random, 500, 256));
  pair.check();
}

TEST_CASE("a table that was cleared keeps memory for as many keys, but not for ever") {
  KeyTable table(6);
  const auto add = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const std::string text = std::to_string(i);
      const Cell cell = Cell::of(std::string_view(text));
      std::uint64_t* word = nullptr;
      table.find_or_add(std::span(&cell, 1), {}, std::span(&word, 1));
      REQUIRE(*word == 0);
      *word = 1;
    }
  };
  add(100'000);
  const std::size_t most = table.bytes();
  table.clear();
  CHECK(table.size() == 0);
  CHECK(table.bytes() == most);
  add(10);
  table.clear();
  CHECK(table.bytes() < most / 10);
  add(10);
  CHECK(table.size() == 10);
}

}  // namespace
}  // namespace sluice::analytics

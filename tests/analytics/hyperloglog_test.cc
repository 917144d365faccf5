#include "analytics/hyperloglog.h"

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/catch.h"

namespace sluice::analytics {
namespace {

std::vector<std::uint64_t> random_hashes(std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> hashes(count);
  for (auto& hash : hashes) hash = random();
  return hashes;
}

HyperLogLog sketch_of(const std::vector<std::uint64_t>& hashes, std::size_t from, std::size_t to) {
  HyperLogLog sketch;
  for (std::size_t i = from; i < to; ++i) sketch.add(hashes[i]);
  return sketch;
}

std::string encoded(const HyperLogLog& sketch) {
  std::string bytes;
  sketch.encode(bytes);
  return bytes;
}

double error_of(double estimate, std::size_t truth) {
  return std::fabs(estimate / static_cast<double>(truth) - 1);
}

TEST_CASE("hyperloglog: few values are counted exactly, however often they come") {
  for (const std::size_t count : {0, 1, 2, 12, 13, 100, 1000, 3000}) {
    const auto hashes = random_hashes(count, 1);
    HyperLogLog sketch = sketch_of(hashes, 0, count);
    for (const auto hash : hashes) sketch.add(hash);
    CHECK(std::llround(sketch.estimate()) == static_cast<long long>(count));
  }
}

TEST_CASE("hyperloglog: the error is about 0.8 % at every size") {
  for (const std::size_t count : {3100, 5000, 10'000, 20'000, 40'000, 80'000, 160'000, 1'000'000}) {
    double squares = 0;
    const unsigned runs = count > 500'000 ? 5 : 30;
    for (unsigned seed = 0; seed < runs; ++seed) {
      const double error =
          error_of(sketch_of(random_hashes(count, seed + 10), 0, count).estimate(), count);
      CHECK(error < 0.03);
      squares += error * error;
    }
    CHECK(std::sqrt(squares / runs) < (runs == 5 ? 0.015 : 0.0105));
  }
}

TEST_CASE("hyperloglog: a Zipf text of a million words has about as many different ones") {
  constexpr std::size_t vocabulary = 200'000;
  std::vector<double> weights(vocabulary);
  for (std::size_t i = 0; i < vocabulary; ++i) {
    weights[i] = 1 / std::pow(static_cast<double>(i + 1), 1.05);
  }
  std::mt19937_64 random(7);
  std::discrete_distribution<std::size_t> zipf(weights.begin(), weights.end());
  const auto hashes = random_hashes(vocabulary, 8);
  HyperLogLog sketch;
  std::vector<bool> seen(vocabulary);
  std::size_t truth = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::size_t word = zipf(random);
    sketch.add(hashes[word]);
    if (!seen[word]) ++truth;
    seen[word] = true;
  }
  CHECK(error_of(sketch.estimate(), truth) < 0.025);
}

TEST_CASE("hyperloglog: merged parts are what one pass over all gives, whatever their sizes") {
  const auto hashes = random_hashes(30'000, 2);
  for (const std::size_t size : {20, 2000, 3072, 3073, 3500, 30'000}) {
    const std::string whole = encoded(sketch_of(hashes, 0, size));
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, size / 3, size - 1, size}) {
      HyperLogLog first = sketch_of(hashes, 0, cut);
      HyperLogLog second = sketch_of(hashes, cut / 2, size);  // Some are in both.
      const HyperLogLog kept = second;
      second.merge(first);
      first.merge(kept);
      CHECK(encoded(first) == whole);
      CHECK(encoded(second) == whole);
    }
  }
}

TEST_CASE("hyperloglog: the order of the values makes no difference") {
  auto hashes = random_hashes(2500, 3);
  const std::string before = encoded(sketch_of(hashes, 0, hashes.size()));
  std::shuffle(hashes.begin(), hashes.end(), std::mt19937_64(4));
  CHECK(encoded(sketch_of(hashes, 0, hashes.size())) == before);
}

TEST_CASE(
    "hyperloglog: hashes that differ late only are told apart in the list, not in registers") {
  HyperLogLog sketch;
  for (std::uint64_t rank = 0; rank < 39; ++rank) sketch.add((1ULL << 38) >> (rank + 1));
  CHECK(std::llround(sketch.estimate()) == 1);  // The same 26 bits: the rarest counts.
  sketch.add(0);
  sketch.add(1ULL << 37);  // What comes after the rarest changes nothing.
  const auto others = random_hashes(5000, 5);
  HyperLogLog dense = sketch_of(others, 0, others.size());
  const std::string before = encoded(dense);
  dense.merge(sketch);
  std::string expected = before;
  expected[2] = 51;  // Register 0: nothing but zeros follows.
  CHECK(encoded(dense) == expected);
}

TEST_CASE("hyperloglog: it takes no more memory than it says") {
  HyperLogLog sketch;
  CHECK(sketch.bytes() == 0);
  sketch.add(1);
  CHECK(sketch.bytes() == 64);
  const auto hashes = random_hashes(4000, 6);
  for (const auto hash : hashes) sketch.add(hash);
  CHECK(sketch.bytes() == 16384);
  HyperLogLog moved = std::move(sketch);
  HyperLogLog copy;
  copy = moved;
  CHECK(encoded(copy) == encoded(moved));
  copy = HyperLogLog();
  CHECK(copy.bytes() == 0);
  CHECK(copy.estimate() == 0);
}

TEST_CASE("hyperloglog: what is encoded is decoded, and nothing else is trusted") {
  for (const std::size_t size : {0, 1, 700, 3072, 9000}) {
    const HyperLogLog sketch = sketch_of(random_hashes(size, 9), 0, size);
    const std::string bytes = encoded(sketch);
    std::string_view in = bytes;
    HyperLogLog back;
    REQUIRE(HyperLogLog::decode(in, back));
    CHECK(in.empty());
    CHECK(encoded(back) == bytes);
    CHECK(back.bytes() == sketch.bytes());

    const std::size_t step = bytes.size() / 300 + 1;
    for (std::size_t cut = 0; cut < bytes.size(); cut += step) {
      const std::vector<char> exact(bytes.begin(), bytes.begin() + static_cast<long>(cut));
      in = {exact.data(), exact.size()};
      CHECK_FALSE(HyperLogLog::decode(in, back));
    }
    std::mt19937 random(10);
    for (int i = 0; i < 300; ++i) {
      std::string broken = bytes;
      broken[random() % broken.size()] = static_cast<char>(random());
      in = broken;
      if (!HyperLogLog::decode(in, back)) continue;
      CHECK(back.estimate() >= 0);
      back.add(random());
    }
  }
}

TEST_CASE("hyperloglog: entries that cannot be are refused") {
  HyperLogLog out;
  const auto is_read = [&](std::string_view in) { return HyperLogLog::decode(in, out); };
  using namespace std::literals;
  CHECK(is_read("\1\0\0"sv));
  CHECK(is_read("\1\0\1\1"sv));
  CHECK_FALSE(is_read("\2\0\0"sv));        // Another version.
  CHECK_FALSE(is_read("\1\2\0"sv));        // Another kind.
  CHECK_FALSE(is_read("\1\0\1\0"sv));      // Rank 0.
  CHECK_FALSE(is_read("\1\0\1\50"sv));     // Rank 40 of 38 bits.
  CHECK_FALSE(is_read("\1\0\2\1\1"sv));    // The same place twice.
  CHECK_FALSE(is_read("\1\0\x81\x18"sv));  // 3073 of them.
  std::string registers = "\1\1"s + std::string(16384, '\0');
  CHECK(is_read(registers));
  registers.back() = 52;
  CHECK_FALSE(is_read(registers));
}

}  // namespace
}  // namespace sluice::analytics

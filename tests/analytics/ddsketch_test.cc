#include "analytics/ddsketch.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"

namespace sluice::analytics {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

DDSketch sketch_of(const std::vector<double>& values) {
  DDSketch sketch;
  for (const double value : values) sketch.add(value);
  return sketch;
}

std::string encoded(const DDSketch& sketch) {
  std::string bytes;
  sketch.encode(bytes);
  return bytes;
}

std::vector<double> lognormal(std::size_t count, unsigned seed, double spread = 2) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> values(3, spread);
  std::vector<double> made(count);
  for (double& value : made) value = values(random);
  return made;
}

/// Every quantile that is asked for is within 1 % of the exact one.
void check_quantiles(const DDSketch& sketch, std::vector<double> values, double from = 0) {
  std::sort(values.begin(), values.end());
  REQUIRE(sketch.count() == values.size());
  for (const double q : {0.0, 0.0001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    if (q < from) continue;
    const auto rank = static_cast<std::size_t>(q * static_cast<double>(values.size() - 1));
    const double off = std::fabs(*sketch.quantile(q) - values[rank]);
    CHECK(off <= std::fabs(values[rank]) * 0.0100001);
  }
}

TEST_CASE("ddsketch: quantiles of a million lognormal values are within 1 %") {
  const auto values = lognormal(1'000'000, 1);
  const DDSketch sketch = sketch_of(values);
  check_quantiles(sketch, values);
  CHECK(sketch.bytes() < 16 * 1024);
}

TEST_CASE("ddsketch: quantiles of a million Zipf values are within 1 %") {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> share(1e-6, 1);
  std::vector<double> values(1'000'000);
  for (double& value : values) value = std::floor(std::pow(share(random), -1.2));
  check_quantiles(sketch_of(values), values);
}

TEST_CASE("ddsketch: every magnitude a double can have is within 1 %") {
  std::mt19937_64 random(3);
  std::vector<double> values{
      std::numeric_limits<double>::min(), std::numeric_limits<double>::max(), 1.0,   2.0,
      std::nextafter(1.0, 0.0),           std::nextafter(2.0, 0.0),           1e-300};
  for (int i = 0; i < 50'000; ++i) {
    const auto mantissa = 1 + static_cast<double>(random() >> 11) * 0x1p-53;
    values.push_back(std::ldexp(mantissa, static_cast<int>(random() % 2046) - 1022));
  }
  double worst = 0;
  for (const double value : values) {
    DDSketch sketch;
    sketch.add(value);
    sketch.add(-value);
    worst = std::max(worst, std::fabs(*sketch.quantile(1) / value - 1));
    worst = std::max(worst, std::fabs(*sketch.quantile(0) / value + 1));
  }
  CHECK(worst <= 0.0100001);
}

TEST_CASE("ddsketch: negative values and zeros have their place in the order") {
  std::mt19937_64 random(4);
  auto values = lognormal(10'000, 5);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % 3 == 0) values[i] = -values[i];
    if (i % 7 == 0) values[i] = 0;
  }
  check_quantiles(sketch_of(values), values);
  const DDSketch few = sketch_of({-8, -4, 0, 0, -0.0, 4, 8});
  CHECK(*few.quantile(0) == Approx(-8).epsilon(0.01));
  CHECK(*few.quantile(1.0 / 6) == Approx(-4).epsilon(0.01));
  CHECK(*few.quantile(0.5) == 0);
  CHECK(*few.quantile(5.0 / 6) == Approx(4).epsilon(0.01));
}

TEST_CASE("ddsketch: what is no number is left out, and what is hardly one is zero") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  DDSketch sketch = sketch_of({nan, infinity, -infinity, -nan});
  CHECK(sketch.count() == 0);
  CHECK_FALSE(sketch.quantile(0.5));
  sketch.add(std::numeric_limits<double>::denorm_min());
  sketch.add(-std::numeric_limits<double>::denorm_min());
  CHECK(sketch.count() == 2);
  CHECK(*sketch.quantile(0) == 0);
  CHECK(*sketch.quantile(1) == 0);
}

TEST_CASE("ddsketch: merged parts are what one pass over all gives") {
  for (const double spread : {0.1, 2.0, 15.0}) {  // The last spans more than there are buckets.
    auto values = lognormal(20'000, 6, spread);
    for (std::size_t i = 0; i < values.size(); i += 2) values[i] = -values[i];
    const std::string whole = encoded(sketch_of(values));
    for (const std::size_t cut : {0, 1, 77, 10'000, 20'000}) {
      const auto middle = values.begin() + static_cast<long>(cut);
      const DDSketch first = sketch_of({values.begin(), middle});
      const DDSketch second = sketch_of({middle, values.end()});
      DDSketch one = first;
      one.merge(second);
      DDSketch other = second;
      other.merge(first);
      CHECK(encoded(one) == whole);
      CHECK(encoded(other) == whole);
    }
  }
}

TEST_CASE("ddsketch: a window slides by merging and subtracting, as if made afresh") {
  std::deque<std::vector<double>> panes;
  DDSketch sliding;
  for (unsigned i = 0; i < 40; ++i) {
    auto pane = lognormal(i % 7 * 50, 100 + i, 1.0 + i % 5);
    for (std::size_t j = 0; j < pane.size(); j += 3) pane[j] = j % 2 == 0 ? 0 : -pane[j];
    sliding.merge(sketch_of(pane));
    panes.push_back(pane);
    if (panes.size() > 5) {
      sliding.subtract(sketch_of(panes.front()));
      panes.pop_front();
    }
    std::vector<double> all;
    for (const auto& each : panes) all.insert(all.end(), each.begin(), each.end());
    CHECK(encoded(sliding) == encoded(sketch_of(all)));
  }
  while (!panes.empty()) {
    sliding.subtract(sketch_of(panes.front()));
    panes.pop_front();
  }
  CHECK(sliding.count() == 0);
  CHECK(sliding.bytes() == 0);
}

TEST_CASE("ddsketch: a span beyond its buckets costs the smallest their bound, and no more") {
  std::vector<double> values;
  for (int exponent = -100; exponent <= 100; ++exponent) values.push_back(std::pow(10, exponent));
  const DDSketch up = sketch_of(values);
  std::reverse(values.begin(), values.end());
  CHECK(encoded(sketch_of(values)) == encoded(up));
  check_quantiles(up, values, 0.9999);
  // The upper 17 powers of ten are told apart.
  for (int place = 184; place <= 200; ++place) {
    const double q = (place + 0.5) / 200;
    const double truth = std::pow(10, std::min(place, 200) - 100);
    CHECK(*up.quantile(std::min(q, 1.0)) == Approx(truth).epsilon(0.0101));
  }
  CHECK(*up.quantile(0) > 1e81);
  CHECK(up.bytes() <= 2048 * 8);

  // Parts that are lumped, and parts that are not, come out again.
  DDSketch sum = up;
  const DDSketch small = sketch_of({1e-5, 1, 1e95});
  sum.merge(small);
  CHECK(sum.count() == 204);
  sum.subtract(small);
  CHECK(encoded(sum) == encoded(up));
  DDSketch from_small = small;
  from_small.merge(up);
  from_small.subtract(up);
  CHECK(from_small.count() == 3);
  from_small.subtract(small);
  CHECK(from_small.count() == 0);
}

TEST_CASE("ddsketch: what was trimmed by encoding still lumps what is below its floor") {
  std::vector<double> values{1e30, 1e-30, 1e20, 1e25};
  DDSketch sum = sketch_of(values);
  sum.subtract(sketch_of({1e30}));  // The top is free, so the encoded range is short.
  std::string bytes = encoded(sum);
  std::string_view in = bytes;
  DDSketch back;
  REQUIRE(DDSketch::decode(in, back));
  DDSketch plain = sketch_of({1e-20, 1e-10});
  const DDSketch what = plain;
  plain.merge(back);
  plain.subtract(what);
  CHECK(encoded(plain) == bytes);
  // All of it below the floor.
  plain = what;
  plain.merge(back);
  CHECK(plain.count() == 5);
  CHECK(*plain.quantile(0) > 1e10);
}

TEST_CASE("ddsketch: subtracting what was never there takes out nothing below zero") {
  DDSketch sketch = sketch_of({1, 2, 0});
  sketch.subtract(sketch_of({2, 2, 1e9, -4, 0, 0}));
  CHECK(sketch.count() == 1);
  CHECK(*sketch.quantile(0.5) == Approx(1).epsilon(0.01));
}

TEST_CASE("ddsketch: what is encoded is decoded, and nothing else is trusted") {
  for (const double spread : {0.0, 1.0, 20.0}) {
    auto values = lognormal(3000, 8, spread + 0.001);
    values.push_back(0);
    values.push_back(-17);
    const std::string bytes = encoded(sketch_of(values));
    std::string_view in = bytes;
    DDSketch back;
    REQUIRE(DDSketch::decode(in, back));
    CHECK(in.empty());
    CHECK(encoded(back) == bytes);
    CHECK(back.count() == values.size());
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      const std::vector<char> exact(bytes.begin(), bytes.begin() + static_cast<long>(cut));
      in = {exact.data(), exact.size()};
      CHECK_FALSE(DDSketch::decode(in, back));
    }
    std::mt19937 random(9);
    for (int i = 0; i < 2000; ++i) {
      std::string broken = bytes;
      for (auto left = random() % 4 + 1; left > 0; --left) {
        broken[random() % std::min<std::size_t>(broken.size(), 12)] = static_cast<char>(random());
      }
      in = broken;
      if (!DDSketch::decode(in, back) || back.count() == 0) continue;
      CHECK(std::isfinite(*back.quantile(0.3)));
      back.merge(sketch_of(values));
      back.subtract(sketch_of(values));
    }
  }
}

TEST_CASE("ddsketch: states that cannot be are refused") {
  DDSketch out;
  const auto is_read = [&](std::string_view in) { return DDSketch::decode(in, out); };
  using namespace std::literals;
  CHECK(is_read("\1\0\0\0"sv));
  CHECK(is_read("\1\0\1\0\5\0\0"sv));
  CHECK_FALSE(is_read("\2\0\0\0"sv));                // Another version.
  CHECK_FALSE(is_read("\1\0\x81\x10\0"sv));          // 2049 buckets.
  CHECK_FALSE(is_read("\1\0\1\0\0\0\0"sv));          // An empty end.
  CHECK_FALSE(is_read("\1\0\1\x82\xb0\4\5\0\0"sv));  // Bucket 35841.
  CHECK(is_read("\1\0\1\x80\xb0\4\5\0\0"sv));
  CHECK(std::isfinite(*out.quantile(1)));
  CHECK_FALSE(is_read("\1\0\1\0\5\1\2\0"sv));  // A floor above what is counted, not of a step.
  CHECK_FALSE(is_read("\1\0\1\4\5\1\2\0"sv));  // A floor that is not of a step.
  CHECK(is_read("\1\0\1\0\5\1\0\0"sv));
  const std::string most = std::string(9, '\xff') + "\1";
  CHECK(is_read("\1"s + most + "\0\0"s));
  CHECK_FALSE(is_read("\1"s + most + "\1\0\1\0\0"s));  // More than 2^64 numbers.
}

}  // namespace
}  // namespace sluice::analytics

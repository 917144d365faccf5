// Quantiles of many numbers from counts of logarithmic buckets: DDSketch with 1 % relative error.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::analytics {

/// Counts of one sign's magnitudes, in buckets between a lowest and a highest one. Part of
/// DDSketch.
class DdBuckets {
 public:
  static constexpr std::int32_t buckets_max = 2048;
  /// Every finite double above DDSketch::smallest is in a bucket between -index_max and index_max.
  static constexpr std::int32_t index_max = 35'840;

  void add(std::int32_t index) {
    const auto at = static_cast<std::uint32_t>(index) - static_cast<std::uint32_t>(low_);
    if (at < counts_.size()) {
      ++counts_[at];
      ++total_;
    } else {
      add(index, 1);
    }
  }
  void add(std::int32_t index, std::uint64_t count);
  void merge(const DdBuckets& other);
  void subtract(const DdBuckets& other) noexcept;

  std::uint64_t total() const noexcept { return total_; }
  /// The bucket of the value before which `rank` others come, smallest magnitude first.
  /// REQUIRES: rank < total().
  std::int32_t find(std::uint64_t rank) const noexcept;
  std::size_t bytes() const noexcept { return counts_.capacity() * sizeof(std::uint64_t); }
  /// bytes(), were there a bucket of this index too.
  std::size_t bytes_with(std::int32_t index) const noexcept;

  void encode(std::string& out) const;
  [[nodiscard]] bool decode(std::string_view& in);

 private:
  // Grown by so many at a time; that the ends are multiples of it makes the state a function of
  // what was added, whatever the order.
  static constexpr std::int32_t step = 32;
  static constexpr std::int32_t no_floor = std::numeric_limits<std::int32_t>::min();

  struct Range {  // Both are in it.
    std::int32_t first;
    std::int32_t last;
  };
  std::optional<Range> used() const noexcept;
  Range range_with(std::int32_t index) const noexcept;
  void cover(std::int32_t index);
  void raise_floor(std::int32_t floor);
  std::uint64_t& at(std::int32_t index) { return counts_[static_cast<std::size_t>(index - low_)]; }
  std::uint64_t at(std::int32_t index) const {
    return counts_[static_cast<std::size_t>(index - low_)];
  }

  std::vector<std::uint64_t> counts_;
  std::int32_t low_ = 0;           // The bucket of counts_[0].
  std::int32_t floor_ = no_floor;  // What is below counts in this bucket, once there were too many.
  std::uint64_t total_ = 0;
};

/// Tells quantiles of all numbers given to it, within 1 % of the true value's magnitude.
///
/// Numbers of either sign; zero, and magnitudes below the smallest normal double, are zero. NaN and
/// the infinities are left out, of count() too. For each sign there are at most 2048 buckets, which
/// reach from the largest magnitude down to the 10^17th of it; smaller ones count as that, so their
/// quantiles lose the bound, never those above.
///
/// Merging loses nothing and needs no order. What was merged can be subtracted again: exactly,
/// unless the numbers spanned more than the buckets reach, after which smaller ones stay lumped
/// until the sketch is empty.
///
/// Memory: 8 bytes for each bucket between the smallest and the largest in use, 32 KiB at most.
/// Not thread-safe. A value.
class DDSketch {
 public:
  static constexpr double error = 0.01;
  static constexpr double smallest = std::numeric_limits<double>::min();

  void add(double value) {
    const double magnitude = std::fabs(value);
    if (!(magnitude <= std::numeric_limits<double>::max())) return;
    if (magnitude < smallest) {
      ++zeros_;
    } else {
      (value > 0 ? positive_ : negative_).add(index_of(magnitude));
    }
  }
  /// Afterwards it is as if it had been given all that `other` was given too.
  void merge(const DDSketch& other);
  /// Takes out what `other` was given. REQUIRES: it was given, or merged in, before; what was not
  /// is left alone.
  void subtract(const DDSketch& other) noexcept;

  /// How many numbers there are.
  std::uint64_t count() const noexcept { return positive_.total() + negative_.total() + zeros_; }
  /// The number at place floor(q * (count - 1)) of all in order, about; nothing when there is none.
  /// REQUIRES: 0 <= q <= 1.
  std::optional<double> quantile(double q) const noexcept;

  /// What bytes() is when this value is added.
  std::size_t bytes_with(double value) const noexcept {
    const double magnitude = std::fabs(value);
    if (!(magnitude <= std::numeric_limits<double>::max()) || magnitude < smallest) return bytes();
    const std::int32_t index = index_of(magnitude);
    return value > 0 ? positive_.bytes_with(index) + negative_.bytes()
                     : positive_.bytes() + negative_.bytes_with(index);
  }
  /// Memory beside the object itself.
  std::size_t bytes() const noexcept { return positive_.bytes() + negative_.bytes(); }

  /// Appends its state: a byte of version, the zeros, the counts above and those below zero. The
  /// same state gives the same bytes.
  void encode(std::string& out) const;
  /// Reads what encode() wrote off the front of `in`. False, with both unspecified but usable, when
  /// it is anything else.
  [[nodiscard]] static bool decode(std::string_view& in, DDSketch& out);

 private:
  static std::int32_t index_of(double magnitude) noexcept;
  static double value_of(std::int32_t index) noexcept;

  DdBuckets positive_;
  DdBuckets negative_;
  std::uint64_t zeros_ = 0;
};

namespace dd {

// The logarithm to base 2 between two powers of two by a cubic, ((a s + b) s + c) s, whose slope
// against the true one is 10/7 ln 2 at least: so many more buckets (1 %), and no call of log().
// Of additions and multiplications only, it gives the same buckets on every machine.
inline constexpr double a = 6.0 / 35;
inline constexpr double b = -3.0 / 5;
inline constexpr double c = 10.0 / 7;
/// Buckets in a power of two: 7 / (10 ln gamma), where gamma = (1 + error) / (1 - error).
inline constexpr double buckets_per_octave = 34.99883330222076;

}  // namespace dd

inline std::int32_t DDSketch::index_of(double magnitude) noexcept {
  constexpr unsigned mantissa_bits = 52;
  constexpr std::uint64_t mantissa = (std::uint64_t{1} << mantissa_bits) - 1;
  const auto bits = std::bit_cast<std::uint64_t>(magnitude);
  const double exponent =
      static_cast<double>(static_cast<std::int32_t>(bits >> mantissa_bits) - 1023);
  const double s = std::bit_cast<double>((bits & mantissa) | std::bit_cast<std::uint64_t>(1.0)) - 1;
  const double log = ((dd::a * s + dd::b) * s + dd::c) * s + exponent;
  // Cutting off is rounding down for what is positive, and needs no call of floor().
  constexpr std::int32_t bias = 1 << 16;
  return static_cast<std::int32_t>(log * dd::buckets_per_octave + bias) - bias;
}

}  // namespace sluice::analytics

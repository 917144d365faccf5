#include "analytics/ddsketch.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "analytics/state_codec.h"
#include "core/base/assert.h"

namespace sluice::analytics {
namespace {

constexpr unsigned version = 1;

/// The magnitude where bucket `index` begins.
double lower_bound(std::int32_t index) noexcept {
  const double log = index / dd::buckets_per_octave;
  const double exponent = std::floor(log);
  const double wanted = log - exponent;
  // Newton's method on the cubic, nearly straight here: six steps reach the last bit.
  double s = wanted;
  for (int i = 0; i < 6; ++i) {
    const double off = ((dd::a * s + dd::b) * s + dd::c) * s - wanted;
    s -= off / ((3 * dd::a * s + 2 * dd::b) * s + dd::c);
  }
  return std::ldexp(1 + s, static_cast<int>(exponent));
}

}  // namespace

void DdBuckets::add(std::int32_t index, std::uint64_t count) {
  index = std::max(index, floor_);
  cover(index);
  at(std::max(index, floor_)) += count;
  total_ += count;
}

/// From the first bucket to behind the last one, when there is to be one for `index`.
DdBuckets::Range DdBuckets::range_with(std::int32_t index) const noexcept {
  const std::int32_t end = low_ + static_cast<std::int32_t>(counts_.size());
  const std::int32_t from = index & -step;  // Rounded down, of negative ones too.
  if (counts_.empty()) return {from, from + step};
  return {std::min(low_, from), std::max(end, from + step)};
}

std::size_t DdBuckets::bytes_with(std::int32_t index) const noexcept {
  const auto [low, end] = range_with(std::max(index, floor_));
  const auto buckets = static_cast<std::size_t>(std::min(end - low, buckets_max));
  return std::max(bytes(), buckets * sizeof(std::uint64_t));
}

/// Makes room for a bucket, at the price of the lowest ones if there would be too many.
void DdBuckets::cover(std::int32_t index) {
  const std::int32_t end = low_ + static_cast<std::int32_t>(counts_.size());
  if (!counts_.empty() && index >= low_ && index < end) return;
  auto [low, high] = range_with(index);
  if (high - low > buckets_max) low = floor_ = high - buckets_max;

  std::vector<std::uint64_t> grown(static_cast<std::size_t>(high - low));
  for (std::int32_t i = low_; i < end; ++i) {
    grown[static_cast<std::size_t>(std::max(i, low) - low)] += at(i);
  }
  counts_ = std::move(grown);
  low_ = low;
}

/// What is below counts in this bucket from now on.
void DdBuckets::raise_floor(std::int32_t floor) {
  floor_ = floor;
  if (counts_.empty() || low_ >= floor) return;
  const auto below = std::min(counts_.size(), static_cast<std::size_t>(floor - low_));
  const auto first_kept = counts_.begin() + static_cast<std::ptrdiff_t>(below);
  const std::uint64_t lumped = std::accumulate(counts_.begin(), first_kept, std::uint64_t{0});
  counts_.erase(counts_.begin(), first_kept);
  if (counts_.empty()) counts_.resize(step);
  low_ = floor;
  counts_.front() += lumped;
}

std::optional<DdBuckets::Range> DdBuckets::used() const noexcept {
  const auto is_used = [](std::uint64_t count) { return count != 0; };
  const auto first = std::find_if(counts_.begin(), counts_.end(), is_used);
  if (first == counts_.end()) return std::nullopt;
  const auto end = std::find_if(counts_.rbegin(), counts_.rend(), is_used).base();
  return Range{low_ + static_cast<std::int32_t>(first - counts_.begin()),
               low_ + static_cast<std::int32_t>(end - counts_.begin()) - 1};
}

void DdBuckets::merge(const DdBuckets& other) {
  const auto range = other.used();
  if (!range) return;
  if (other.floor_ > floor_) raise_floor(other.floor_);
  // The ends first: they decide what is lumped, and the rest then finds its room.
  cover(std::max(range->last, floor_));
  cover(std::max(range->first, floor_));
  for (std::int32_t i = range->first; i <= range->last; ++i) {
    at(std::max(i, floor_)) += other.at(i);
  }
  total_ += other.total_;
}

void DdBuckets::subtract(const DdBuckets& other) noexcept {
  const auto range = other.used();
  if (!range) return;
  const std::int32_t end = low_ + static_cast<std::int32_t>(counts_.size());
  for (std::int32_t i = range->first; i <= range->last; ++i) {
    const std::int32_t index = std::max(i, floor_);
    if (index < low_ || index >= end) continue;
    const std::uint64_t gone = std::min(at(index), other.at(i));
    at(index) -= gone;
    total_ -= gone;
  }
  if (total_ == 0) *this = DdBuckets();
}

std::int32_t DdBuckets::find(std::uint64_t rank) const noexcept {
  SLUICE_ASSERT(rank < total_, "there is a value of that rank");
  std::size_t i = 0;
  for (; i + 1 < counts_.size() && counts_[i] <= rank; ++i) rank -= counts_[i];
  return low_ + static_cast<std::int32_t>(i);
}

void DdBuckets::encode(std::string& out) const {
  const auto range = used();
  if (!range) return put_number(0, out);
  put_number(static_cast<std::uint64_t>(range->last - range->first) + 1, out);
  put_signed(range->first, out);
  for (std::int32_t i = range->first; i <= range->last; ++i) put_number(at(i), out);
  put_number(floor_ == no_floor ? 0 : 1, out);
  if (floor_ != no_floor) put_signed(floor_, out);
}

bool DdBuckets::decode(std::string_view& in) {
  *this = DdBuckets();
  std::uint64_t size = 0;
  std::int64_t first = 0;
  if (!take_number(in, size) || size > buckets_max) return false;
  if (size == 0) return true;
  if (!take_signed(in, first) || first < -index_max || first > index_max) return false;
  const auto index = static_cast<std::int32_t>(first);
  const std::int32_t last = index + static_cast<std::int32_t>(size) - 1;
  if (last > index_max) return false;
  cover(index);
  cover(last);
  if (floor_ != no_floor)
    return false;  // More, with the steps that both ends are in, than we have.
  for (std::int32_t i = index; i <= last; ++i) {
    std::uint64_t count = 0;
    if (!take_number(in, count) || __builtin_add_overflow(total_, count, &total_)) return false;
    at(i) = count;
  }
  if (at(index) == 0 || at(last) == 0) return false;
  unsigned with_floor = 0;
  if (!take_byte(in, 1, with_floor)) return false;
  if (with_floor == 0) return true;
  std::int64_t floor = 0;
  if (!take_signed(in, floor) || floor < -index_max - buckets_max || floor > index) return false;
  floor_ = static_cast<std::int32_t>(floor);
  return floor_ % step == 0;
}

void DDSketch::merge(const DDSketch& other) {
  positive_.merge(other.positive_);
  negative_.merge(other.negative_);
  zeros_ += other.zeros_;
}

void DDSketch::subtract(const DDSketch& other) noexcept {
  positive_.subtract(other.positive_);
  negative_.subtract(other.negative_);
  zeros_ -= std::min(zeros_, other.zeros_);
}

/// The number that is off by the same share from either end of the bucket: at most `error`.
double DDSketch::value_of(std::int32_t index) noexcept {
  constexpr double largest = std::numeric_limits<double>::max();
  const double low = std::min(lower_bound(index), largest);
  const double high = std::min(lower_bound(index + 1), largest);
  return low * (2 / (1 + low / high));
}

std::optional<double> DDSketch::quantile(double q) const noexcept {
  SLUICE_ASSERT(q >= 0 && q <= 1, "a quantile is a share");
  const std::uint64_t all = count();
  if (all == 0) return std::nullopt;
  auto rank = std::min(static_cast<std::uint64_t>(q * static_cast<double>(all - 1)), all - 1);
  if (rank < negative_.total()) return -value_of(negative_.find(negative_.total() - 1 - rank));
  rank -= negative_.total();
  if (rank < zeros_) return 0.0;
  return value_of(positive_.find(rank - zeros_));
}

void DDSketch::encode(std::string& out) const {
  out.push_back(static_cast<char>(version));
  put_number(zeros_, out);
  positive_.encode(out);
  negative_.encode(out);
}

bool DDSketch::decode(std::string_view& in, DDSketch& out) {
  out = DDSketch();
  unsigned read = 0;
  if (!take_byte(in, version, read) || read != version) return false;
  const bool whole =
      take_number(in, out.zeros_) && out.positive_.decode(in) && out.negative_.decode(in);
  std::uint64_t all = out.zeros_;
  return whole && !__builtin_add_overflow(all, out.positive_.total(), &all) &&
         !__builtin_add_overflow(all, out.negative_.total(), &all);
}

}  // namespace sluice::analytics

#include "analytics/hyperloglog.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "analytics/state_codec.h"

namespace sluice::analytics {
namespace {

constexpr unsigned version = 1;
constexpr unsigned kind_list = 0;
constexpr unsigned kind_registers = 1;

// A register holds the place of the first 1 among these bits, or one more when there is none.
constexpr unsigned dense_bits = 64 - HyperLogLog::precision;

// sigma() and tau() of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches"
// (2017), section 4: what empty and full registers tell, so that one formula serves every range.
double sigma(double x) noexcept {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double y = 1;
  double z = x;
  for (double before = -1; z != before;) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}

double tau(double x) noexcept {
  if (x == 0 || x == 1) return 0;
  double y = 1;
  double z = 1 - x;
  for (double before = -1; z != before;) {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}

}  // namespace

HyperLogLog::HyperLogLog(const HyperLogLog& other)
    : slots_count_(other.slots_count_), used_(other.used_) {
  if (other.slots_ != nullptr) {
    slots_ = std::make_unique_for_overwrite<std::uint32_t[]>(slots_count_);
    std::copy_n(other.slots_.get(), slots_count_, slots_.get());
  }
  if (other.dense_ != nullptr) {
    dense_ = std::make_unique_for_overwrite<std::uint8_t[]>(registers);
    std::memcpy(dense_.get(), other.dense_.get(), registers);
  }
}

HyperLogLog& HyperLogLog::operator=(const HyperLogLog& other) {
  if (this != &other) *this = HyperLogLog(other);
  return *this;
}

void HyperLogLog::swap(HyperLogLog& other) noexcept {
  std::swap(slots_, other.slots_);
  std::swap(slots_count_, other.slots_count_);
  std::swap(used_, other.used_);
  std::swap(dense_, other.dense_);
}

void HyperLogLog::add_sparse(std::uint64_t hash) {
  const auto index = static_cast<std::uint32_t>(hash >> (64 - sparse_precision));
  const std::uint64_t rest =
      (hash << sparse_precision) | (std::uint64_t{1} << (sparse_precision - 1));
  add_entry((index << rank_bits) | static_cast<std::uint32_t>(std::countl_zero(rest) + 1));
}

void HyperLogLog::add_entry(std::uint32_t entry) {
  if (dense_ != nullptr) return add_to_registers(entry);
  if (slots_count_ == 0) {
    slots_ = std::make_unique<std::uint32_t[]>(slots_min);
    slots_count_ = slots_min;
  }
  const std::uint32_t mask = slots_count_ - 1;
  const std::uint32_t index = entry >> rank_bits;
  std::uint32_t at = index & mask;
  for (; slots_[at] != 0; at = (at + 1) & mask) {
    if (slots_[at] >> rank_bits != index) continue;
    slots_[at] = std::max(slots_[at], entry);
    return;
  }
  if (used_ == slots_count_ / 4 * 3) {
    grow();
    return add_entry(entry);
  }
  slots_[at] = entry;
  ++used_;
}

void HyperLogLog::grow() {
  if (slots_count_ == slots_max) return make_dense();
  const auto old = std::move(slots_);
  const std::uint32_t count = slots_count_;
  slots_count_ *= 2;
  slots_ = std::make_unique<std::uint32_t[]>(slots_count_);
  used_ = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (old[i] != 0) add_entry(old[i]);
  }
}

void HyperLogLog::make_dense() {
  dense_ = std::make_unique<std::uint8_t[]>(registers);
  for (std::uint32_t i = 0; i < slots_count_; ++i) {
    if (slots_[i] != 0) add_to_registers(slots_[i]);
  }
  slots_.reset();
  slots_count_ = used_ = 0;
}

void HyperLogLog::add_to_registers(std::uint32_t entry) noexcept {
  constexpr unsigned more_bits = sparse_precision - precision;
  const std::uint32_t index = entry >> rank_bits;
  const std::uint32_t more = index & ((1U << more_bits) - 1);
  const std::uint32_t rank =
      more != 0 ? static_cast<std::uint32_t>(std::countl_zero(more << (32 - more_bits)) + 1)
                : more_bits + (entry & ((1U << rank_bits) - 1));
  std::uint8_t& held = dense_[index >> more_bits];
  held = std::max(held, static_cast<std::uint8_t>(rank));
}

void HyperLogLog::merge(const HyperLogLog& other) {
  if (other.dense_ == nullptr) {
    for (std::uint32_t i = 0; i < other.slots_count_; ++i) {
      if (other.slots_[i] != 0) add_entry(other.slots_[i]);
    }
    return;
  }
  if (dense_ == nullptr) make_dense();
  std::uint8_t* const mine = dense_.get();
  const std::uint8_t* const theirs = other.dense_.get();
  for (std::size_t i = 0; i < registers; ++i) mine[i] = std::max(mine[i], theirs[i]);
}

double HyperLogLog::estimate() const {
  if (dense_ == nullptr) {
    // Linear counting: how many hashes fill that many of 2^26 places.
    constexpr double places = std::uint64_t{1} << sparse_precision;
    return -places * std::log1p(-static_cast<double>(used_) / places);
  }
  std::array<std::uint32_t, dense_bits + 2> holding{};  // How many registers hold each rank.
  for (std::size_t i = 0; i < registers; ++i) ++holding[dense_[i]];
  constexpr double m = registers;
  double z = m * tau(1 - holding[dense_bits + 1] / m);
  for (unsigned rank = dense_bits; rank >= 1; --rank) z = 0.5 * (z + holding[rank]);
  z += m * sigma(holding[0] / m);
  constexpr double alpha = 0.721347520444481703680;  // 1 / (2 ln 2)
  return alpha * m * m / z;
}

void HyperLogLog::encode(std::string& out) const {
  out.push_back(static_cast<char>(version));
  if (dense_ == nullptr) return encode_list(out);
  out.push_back(static_cast<char>(kind_registers));
  out.append(reinterpret_cast<const char*>(dense_.get()), registers);
}

void HyperLogLog::encode_list(std::string& out) const {
  out.push_back(static_cast<char>(kind_list));
  std::vector<std::uint32_t> entries;
  entries.reserve(used_);
  std::copy_if(slots_.get(), slots_.get() + slots_count_, std::back_inserter(entries),
               [](std::uint32_t entry) { return entry != 0; });
  std::sort(entries.begin(), entries.end());
  put_number(entries.size(), out);
  std::uint32_t before = 0;
  for (const std::uint32_t entry : entries) {
    put_number(entry - before, out);
    before = entry;
  }
}

bool HyperLogLog::decode_list(std::string_view& in) {
  std::uint64_t count = 0;
  if (!take_number(in, count) || count > sparse_max) return false;
  std::uint64_t entry = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t before = entry;
    std::uint64_t more = 0;
    if (!take_number(in, more) || more > std::numeric_limits<std::uint32_t>::max()) return false;
    entry += more;
    if (entry > std::numeric_limits<std::uint32_t>::max()) return false;
    const std::uint64_t rank = entry & ((1U << rank_bits) - 1);
    if (rank == 0 || rank > 64 - sparse_precision + 1) return false;
    if (i > 0 && entry >> rank_bits <= before >> rank_bits) return false;
    add_entry(static_cast<std::uint32_t>(entry));
  }
  return true;
}

bool HyperLogLog::decode(std::string_view& in, HyperLogLog& out) {
  out = HyperLogLog();
  unsigned read = 0;
  if (!take_byte(in, version, read) || read != version) return false;
  if (!take_byte(in, kind_registers, read)) return false;
  if (read == kind_list) return out.decode_list(in);
  if (in.size() < registers) return false;
  const bool sound = std::all_of(in.begin(), in.begin() + registers, [](char rank) {
    return static_cast<unsigned char>(rank) <= dense_bits + 1;
  });
  if (!sound) return false;
  out.dense_ = std::make_unique_for_overwrite<std::uint8_t[]>(registers);
  std::memcpy(out.dense_.get(), in.data(), registers);
  in.remove_prefix(registers);
  return true;
}

}  // namespace sluice::analytics

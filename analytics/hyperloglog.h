// How many different values there were, without keeping them: HyperLogLog with 2^14 registers.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::analytics {

/// Counts different hashes; the same one counts once, however often it comes.
///
/// Up to sparse_max different hashes are kept apart with 26 bits each, and the count is exact but
/// for about one case in ten at the upper end, where it is one off. Above, the standard error is
/// 0.8 % at any size. What was added decides the state, neither order nor merges do.
///
/// Memory: 64 bytes for the first values, doubling up to 16 KiB; 16 KiB from then on.
/// Not thread-safe. A value; moved from, it is as new.
class HyperLogLog {
 public:
  static constexpr unsigned precision = 14;
  static constexpr std::size_t registers = std::size_t{1} << precision;
  static constexpr std::size_t sparse_max = 3072;

  HyperLogLog() = default;
  HyperLogLog(const HyperLogLog& other);
  HyperLogLog& operator=(const HyperLogLog& other);
  HyperLogLog(HyperLogLog&& other) noexcept { swap(other); }
  HyperLogLog& operator=(HyperLogLog&& other) noexcept {
    HyperLogLog taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~HyperLogLog() = default;

  /// All 64 bits must be well mixed, and the same value must have the same hash wherever sketches
  /// that meet are filled.
  void add(std::uint64_t hash) {
    if (dense_ == nullptr) return add_sparse(hash);
    std::uint8_t& rank = dense_[hash >> (64 - precision)];
    const auto now = static_cast<std::uint8_t>(
        std::countl_zero((hash << precision) | (std::uint64_t{1} << (precision - 1))) + 1);
    if (now > rank) rank = now;
  }

  /// Afterwards it is as if it had been given all that `other` was given too.
  void merge(const HyperLogLog& other);

  /// How many different hashes there were, about.
  double estimate() const;

  /// What bytes() is at most when one more hash is added.
  std::size_t bytes_with(std::uint64_t /*hash*/) const noexcept {
    if (dense_ != nullptr || used_ < slots_count_ / 4 * 3) return bytes();
    if (slots_count_ == slots_max) return registers;
    return std::max(slots_min, 2 * slots_count_) * sizeof(std::uint32_t);
  }
  /// Memory beside the object itself.
  std::size_t bytes() const noexcept {
    return dense_ != nullptr ? registers : slots_count_ * sizeof(std::uint32_t);
  }

  /// Appends its state: a byte of version, a byte that says whether it is a list, then the list,
  /// sorted, or the registers. The same state gives the same bytes.
  void encode(std::string& out) const;
  /// Reads what encode() wrote off the front of `in`. False, with both unspecified but usable, when
  /// it is anything else.
  [[nodiscard]] static bool decode(std::string_view& in, HyperLogLog& out);

 private:
  // An entry of the list: the first 26 bits of a hash, and in 6 bits the rank of the other 38.
  static constexpr unsigned sparse_precision = 26;
  static constexpr unsigned rank_bits = 6;
  static constexpr std::uint32_t slots_min = 16;
  static constexpr std::uint32_t slots_max = 4096;

  void swap(HyperLogLog& other) noexcept;
  void add_sparse(std::uint64_t hash);
  void add_entry(std::uint32_t entry);
  void add_to_registers(std::uint32_t entry) noexcept;
  void grow();
  void make_dense();
  void encode_list(std::string& out) const;
  bool decode_list(std::string_view& in);

  std::unique_ptr<std::uint32_t[]> slots_;  // A hash table of entries; 0 is a free slot.
  std::uint32_t slots_count_ = 0;           // A power of two.
  std::uint32_t used_ = 0;
  std::unique_ptr<std::uint8_t[]> dense_;  // The registers; null as long as the list serves.
};

}  // namespace sluice::analytics

// Groups by key: the hottest table of an analysis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "analytics/rows.h"
#include "core/base/huge_pages.h"

namespace sluice::analytics {

/// A hash table from keys (any bytes, or null) to a word of 64 bits, which knows in which order its
/// keys came. Open addressing, 32 bytes a slot: a key of up to 16 bytes lies in it, a longer one in
/// an arena.
///
/// Seeded, so that nobody can choose keys that collide. Not thread-safe.
class KeyTable {
 public:
  explicit KeyTable(std::uint64_t seed);

  /// For each key its word, which is 0 when the key is new: words[i] belongs to keys[i]. The
  /// pointers are valid until the next call. A null cell (`nulls` not empty) is a key of its own.
  void find_or_add(std::span<const Cell> keys, std::span<const std::uint8_t> nulls,
                   std::span<std::uint64_t*> words);
  /// The word of a key, null when it is not there. Valid until the next find_or_add().
  std::uint64_t* find(std::string_view key) noexcept;

  std::size_t size() const noexcept { return order_.size(); }
  struct Entry {
    std::string_view key;
    bool is_null = false;
    std::uint64_t* word = nullptr;
  };
  /// The entries in the order in which they came. REQUIRES: i < size(). Valid until the next
  /// find_or_add().
  Entry entry(std::size_t i) noexcept;

  /// entry(i) will be asked for soon. Those behind the one that was asked for are expected anyway.
  void expect(std::size_t i) const noexcept { __builtin_prefetch(&slots_[order_[i]]); }

  /// Keeps the entries whose `keep[i]` is not 0 (by their order); the memory of other long keys is
  /// given back when there is more of it than of theirs.
  void retain(std::span<const std::uint8_t> keep);
  /// Forgets all; the memory is kept for as many keys again, unless it is much more than the last
  /// ones needed.
  void clear();

  /// Of the keys that do not lie in their slots.
  std::size_t long_key_bytes() const noexcept { return long_key_bytes_; }
  std::size_t bytes() const noexcept {
    return slots_.capacity() * sizeof(Slot) + order_.capacity() * sizeof(std::uint32_t) +
           long_keys_.bytes();
  }

 private:
  /// A key as it is compared, and where to look first.
  struct Probe {
    std::uint64_t head;
    std::uint64_t tail;
    std::uint64_t hash;
    std::uint32_t bytes;
  };
  /// `head` and `tail` are the key, padded with zeros, or where it lies and its hash.
  struct alignas(32) Slot {
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    std::uint32_t bytes = empty;
    std::uint32_t unused = 0;
    std::uint64_t word = 0;

    /// True when it has the key and that lies in the slot.
    bool is(const Probe& probe) const noexcept {
      return ((head ^ probe.head) | (tail ^ probe.tail) | (bytes ^ probe.bytes)) == 0;
    }
  };
  static constexpr std::uint32_t empty = 0xFFFFFFFF;
  static constexpr std::uint32_t null_key = 0xFFFFFFFE;
  static constexpr std::uint32_t inline_bytes = 16;
  static constexpr std::size_t slots_min = 64;

  Probe probe_of(const char* data, std::size_t bytes) const noexcept;
  Probe probe_of_null() const noexcept;
  std::uint64_t hash_of(std::uint64_t head, std::uint64_t tail, std::uint32_t bytes) const noexcept;
  std::uint64_t hash_of(const Slot& slot) const noexcept;
  Slot* look_up(const Probe& probe, const char* data) noexcept;
  std::uint64_t* find_or_add(const Probe& probe, const char* data);
  void make_room(std::size_t more);
  void rehash(std::size_t slots);
  std::string_view key_of(const Slot& slot) const noexcept;

  std::uint64_t seed_;
  using Slots = std::vector<Slot, HugePageAllocator<Slot>>;

  Slots slots_;                       ///< A power of two of them.
  std::vector<std::uint32_t> order_;  ///< The slot of each key.
  std::size_t mask_ = 0;
  TextArena long_keys_;
  std::size_t long_key_bytes_ = 0;  ///< Of keys that are still there.
};

}  // namespace sluice::analytics

#include "analytics/key_table.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/base/assert.h"

namespace sluice::analytics {
namespace {

// Fuller than that, probes become long.
constexpr std::size_t most_full_of(std::size_t slots) { return slots / 4 * 3; }

struct Halves {
  std::uint64_t head;
  std::uint64_t tail;
};

inline std::uint64_t word_at(const void* memory) noexcept {
  std::uint64_t word = 0;
  __builtin_memcpy(&word, memory, sizeof word);
  return word;
}

/// 16 bytes of which only the first `bytes` count; the others are 0.
///
/// Reads beyond the key where that cannot leave its page: a short key costs two loads and no branch
/// on its length, which is hard to foretell. Sanitizers rightly think otherwise of such reads.
inline Halves load(const char* data, std::size_t bytes) noexcept {
  static_assert(std::endian::native == std::endian::little);
  if (bytes == 0) return {};  // maybe of no memory at all
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // 16 bytes from here on, less than 16 by so many as do not count.
  static constexpr std::array<unsigned char, 32> masks = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                          0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                          0xFF, 0xFF, 0xFF, 0xFF};
  constexpr std::uintptr_t page = 4096;
  if ((reinterpret_cast<std::uintptr_t>(data) & (page - 1)) <= page - sizeof(Halves)) {
    const unsigned char* const mask = masks.data() + 16 - bytes;
    return {word_at(data) & word_at(mask), word_at(data + 8) & word_at(mask + 8)};
  }
#endif
  Halves halves{};
  std::memcpy(&halves, data, bytes);
  return halves;
}

inline std::uint64_t mixed(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

KeyTable::KeyTable(std::uint64_t seed) : seed_(seed) { clear(); }

inline std::uint64_t KeyTable::hash_of(std::uint64_t head, std::uint64_t tail,
                                       std::uint32_t bytes) const noexcept {
  return mixed(head ^ seed_ ^ 0x9E3779B97F4A7C15U,
               tail ^ (seed_ << 1) ^ 0xD1B54A32D192ED03U ^ bytes);
}

inline KeyTable::Probe KeyTable::probe_of(const char* data, std::size_t bytes) const noexcept {
  if (bytes <= inline_bytes) {
    const Halves halves = load(data, bytes);
    const auto length = static_cast<std::uint32_t>(bytes);
    return {halves.head, halves.tail, hash_of(halves.head, halves.tail, length), length};
  }
  const std::uint64_t hash = XXH3_64bits_withSeed(data, bytes, seed_);
  return {0, hash, hash, static_cast<std::uint32_t>(bytes)};
}

KeyTable::Probe KeyTable::probe_of_null() const noexcept {
  return {0, 0, hash_of(0, 0, null_key), null_key};
}

std::uint64_t KeyTable::hash_of(const Slot& slot) const noexcept {
  const bool is_long = slot.bytes > inline_bytes && slot.bytes != null_key;
  return is_long ? slot.tail : hash_of(slot.head, slot.tail, slot.bytes);
}

std::string_view KeyTable::key_of(const Slot& slot) const noexcept {
  if (slot.bytes == null_key) return {};
  if (slot.bytes <= inline_bytes) return {reinterpret_cast<const char*>(&slot.head), slot.bytes};
  return {std::bit_cast<const char*>(slot.head), slot.bytes};
}

/// The slot that has the key, or where it belongs.
inline KeyTable::Slot* KeyTable::look_up(const Probe& probe, const char* data) noexcept {
  Slot* const slots = slots_.data();
  const bool in_slot = probe.bytes <= inline_bytes || probe.bytes == null_key;
  for (std::size_t at = probe.hash & mask_;; at = (at + 1) & mask_) {
    Slot& slot = slots[at];
    const std::uint64_t differs = (slot.tail ^ probe.tail) | (slot.bytes ^ probe.bytes);
    if (in_slot ? (differs | (slot.head ^ probe.head)) == 0
                : differs == 0 &&
                      std::memcmp(std::bit_cast<const char*>(slot.head), data, probe.bytes) == 0) {
      return &slot;
    }
    if (slot.bytes == empty) return &slot;
  }
}

/// Apart from the loop over many keys, whose registers it would take.
__attribute__((noinline)) std::uint64_t* KeyTable::find_or_add(const Probe& probe,
                                                               const char* data) {
  Slot* const slot = look_up(probe, data);
  if (slot->bytes == empty) {
    slot->head = probe.head;
    slot->tail = probe.tail;
    slot->bytes = probe.bytes;
    slot->word = 0;
    if (probe.bytes > inline_bytes && probe.bytes != null_key) {
      slot->head = std::bit_cast<std::uint64_t>(long_keys_.keep({data, probe.bytes}).data());
      long_key_bytes_ += probe.bytes;
    }
    order_.push_back(static_cast<std::uint32_t>(slot - slots_.data()));
  }
  return &slot->word;
}

void KeyTable::find_or_add(std::span<const Cell> keys, std::span<const std::uint8_t> nulls,
                           std::span<std::uint64_t*> words) {
  // While the slots of the first keys come from memory, the next ones are hashed.
  constexpr std::size_t ahead = 64;
  std::array<Probe, ahead> probes;
  make_room(keys.size());
  Slot* const slots = slots_.data();
  const std::size_t mask = mask_;
  for (std::size_t begin = 0; begin < keys.size(); begin += ahead) {
    const Cell* const some = keys.data() + begin;
    const std::size_t n = std::min(keys.size() - begin, ahead);
    for (std::size_t i = 0; i < n; ++i) {
      probes[i] = probe_of(some[i].text.data, some[i].text.bytes);
      __builtin_prefetch(slots + (probes[i].hash & mask), 1);
    }
    for (std::size_t i = 0; i < n && !nulls.empty(); ++i) {
      if (nulls[begin + i] != 0) probes[i] = probe_of_null();
    }
    for (std::size_t i = 0; i < n; ++i) {
      const Probe& probe = probes[i];
      Slot& first = slots[probe.hash & mask];
      Slot& second = slots[(probe.hash + 1) & mask];
      // Most keys lie where they are first looked for, or beside it. (A long one's slot is never
      // its probe.)
      words[begin + i] = first.is(probe)    ? &first.word
                         : second.is(probe) ? &second.word
                                            : find_or_add(probe, some[i].text.data);
    }
  }
}

std::uint64_t* KeyTable::find(std::string_view key) noexcept {
  Slot* const slot = look_up(probe_of(key.data(), key.size()), key.data());
  return slot->bytes == empty ? nullptr : &slot->word;
}

KeyTable::Entry KeyTable::entry(std::size_t i) noexcept {
  // They are mostly read one behind the other, and may lie anywhere.
  constexpr std::size_t ahead = 16;
  if (i + ahead < order_.size()) __builtin_prefetch(&slots_[order_[i + ahead]], 1);
  Slot& slot = slots_[order_[i]];
  return {key_of(slot), slot.bytes == null_key, &slot.word};
}

/// Words that are given out must not move within one call.
void KeyTable::make_room(std::size_t more) {
  std::size_t slots = slots_.size();
  while (order_.size() + more > most_full_of(slots)) slots *= 2;
  SLUICE_ASSERT(slots <= std::size_t{1} << 32, "a table of more keys than can be numbered");
  if (slots != slots_.size()) rehash(slots);
}

void KeyTable::rehash(std::size_t slots) {
  Slots before(slots);
  before.swap(slots_);
  mask_ = slots - 1;
  for (std::uint32_t& place : order_) {
    const Slot& slot = before[place];
    std::size_t at = hash_of(slot) & mask_;
    while (slots_[at].bytes != empty) at = (at + 1) & mask_;
    slots_[at] = slot;
    place = static_cast<std::uint32_t>(at);
  }
}

void KeyTable::retain(std::span<const std::uint8_t> keep) {
  SLUICE_ASSERT(keep.size() == order_.size(), "every key is kept or not");
  std::vector<std::uint32_t> kept;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const Slot& slot = slots_[order_[i]];
    if (keep[i] != 0) {
      kept.push_back(order_[i]);
    } else if (slot.bytes > inline_bytes && slot.bytes != null_key) {
      long_key_bytes_ -= slot.bytes;
    }
  }
  if (kept.size() == order_.size()) return;
  order_ = std::move(kept);
  std::size_t slots = slots_min;
  while (order_.size() * 2 > slots) slots *= 2;
  rehash(std::min(slots, slots_.size()));
  if (long_keys_.bytes() <= 2 * long_key_bytes_ + (1 << 20)) return;
  TextArena lean;
  for (const std::uint32_t place : order_) {
    Slot& slot = slots_[place];
    if (slot.bytes <= inline_bytes || slot.bytes == null_key) continue;
    slot.head = std::bit_cast<std::uint64_t>(lean.keep(key_of(slot)).data());
  }
  long_keys_ = std::move(lean);
}

void KeyTable::clear() {
  std::size_t slots = slots_min;
  while (order_.size() > most_full_of(slots)) slots *= 2;
  if (slots_.size() > 4 * slots || slots_.empty()) {
    slots_ = Slots(slots);
    order_ = {};
  } else if (order_.size() * 8 < slots_.size()) {
    for (const std::uint32_t place : order_) slots_[place] = Slot();
  } else {
    std::fill(slots_.begin(), slots_.end(), Slot());
  }
  order_.clear();
  mask_ = slots_.size() - 1;
  long_keys_.clear();
  long_key_bytes_ = 0;
}

}  // namespace sluice::analytics

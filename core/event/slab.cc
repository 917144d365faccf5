#include "core/event/slab.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "core/base/assert.h"

namespace sluice {

bool Slab::charge(MemoryAccount& account) noexcept {
  for (Payer& payer : payers_) {
    if (payer.account.load(std::memory_order_acquire) == &account) {
      ++payer.count;
      return true;
    }
  }
  for (Payer& payer : payers_) {
    MemoryAccount* nobody = nullptr;
    if (payer.account.compare_exchange_strong(nobody, &account, std::memory_order_acq_rel)) {
      payer.count = 1;
      account.charge(capacity_);
      return true;
    }
  }
  return false;
}

void Slab::release(MemoryAccount& account) noexcept {
  for (Payer& payer : payers_) {
    if (payer.account.load(std::memory_order_acquire) != &account) continue;
    if (--payer.count == 0) {
      account.release(capacity_);
      payer.account.store(nullptr, std::memory_order_release);
    }
    return;
  }
  SLUICE_ASSERT(false, "a slab is released by an account that does not pay for it");
}

bool Slab::charged_to(const MemoryAccount& account) const noexcept {
  for (const Payer& payer : payers_) {
    if (payer.account.load(std::memory_order_acquire) == &account) return true;
  }
  return false;
}

SlabPool::SlabPool(std::size_t slab_bytes, std::size_t keep_free_max)
    : slab_bytes_(slab_bytes), keep_free_max_(keep_free_max) {
  static_assert(sizeof(Slab) <= Slab::header_bytes);
  SLUICE_ASSERT(slab_bytes >= 4096, "slabs smaller than a page are never meant");
  free_.reserve(keep_free_max);
}

SlabPool::~SlabPool() {
  for (Slab* slab : free_) deallocate(slab);
  SLUICE_ASSERT(live_.load() == free_.size(), "a slab outlives its pool");
}

SlabRef SlabPool::acquire(std::size_t bytes_min) {
  if (bytes_min > slab_bytes_) return SlabRef(allocate(bytes_min));
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      Slab* const slab = free_.back();
      free_.pop_back();
      return SlabRef(slab);
    }
  }
  return SlabRef(allocate(slab_bytes_));
}

void SlabPool::give_back(Slab* slab) noexcept {
  for (const auto& payer : slab->payers_) {
    SLUICE_ASSERT(payer.account.load() == nullptr, "a slab is free while somebody pays for it");
  }
  if (slab->capacity_ == slab_bytes_) {
    const std::lock_guard lock(mutex_);
    if (free_.size() < keep_free_max_) {
      free_.push_back(slab);
      return;
    }
  }
  live_.fetch_sub(1, std::memory_order_relaxed);
  deallocate(slab);
}

Slab* SlabPool::allocate(std::size_t bytes) {
  constexpr std::size_t cache_line = 64;
  const std::size_t capacity = (bytes + cache_line - 1) / cache_line * cache_line;
  const std::size_t whole = Slab::header_bytes + capacity + Slab::readable_beyond;
  void* const memory =
      std::aligned_alloc(cache_line, (whole + cache_line - 1) / cache_line * cache_line);
  if (memory == nullptr) throw std::bad_alloc();
  Slab* const slab = new (memory) Slab(*this, capacity);
  std::memset(slab->data() + capacity, 0, Slab::readable_beyond);
  live_.fetch_add(1, std::memory_order_relaxed);
  return slab;
}

void SlabPool::deallocate(Slab* slab) noexcept {
  slab->~Slab();
  std::free(slab);
}

}  // namespace sluice

// Fixed blocks of memory that event bytes are read into once and never leave.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "core/event/memory_account.h"

namespace sluice {

class SlabPool;

/// A ref-counted block. Bodies grow from its front, the index of its batches from its end.
///
/// Thread rule: the bytes have one writer (a BatchBuilder); what is sealed into a Batch is never
/// written again, so readers on other threads need no lock.
class Slab {
 public:
  static constexpr std::size_t bytes_default = 512 * 1024;
  /// Readable bytes behind the end, so that wide loads may run over.
  static constexpr std::size_t readable_beyond = 64;

  char* data() noexcept { return reinterpret_cast<char*>(this) + header_bytes; }
  const char* data() const noexcept { return reinterpret_cast<const char*>(this) + header_bytes; }
  std::size_t capacity() const noexcept { return capacity_; }

  /// Charges the whole slab to `account`, once however often it is called; each call is matched by
  /// one release(). False when more than `payers_max` accounts already pay (copy the batch
  /// instead). REQUIRES: calls for one account are serialized by its owner.
  bool charge(MemoryAccount& account) noexcept;
  void release(MemoryAccount& account) noexcept;
  /// True when `account` pays already. Same thread rule as charge().
  bool charged_to(const MemoryAccount& account) const noexcept;

 private:
  friend class SlabPool;
  friend class SlabRef;
  static constexpr std::size_t header_bytes = 128;
  static constexpr std::size_t payers_max = 4;

  struct Payer {
    std::atomic<MemoryAccount*> account{nullptr};
    std::uint32_t count = 0;  ///< Touched only under the account owner's lock.
  };

  Slab(SlabPool& pool, std::size_t capacity) noexcept : pool_(&pool), capacity_(capacity) {}

  SlabPool* pool_;
  std::size_t capacity_;
  std::atomic<std::uint32_t> refs_{0};
  std::array<Payer, payers_max> payers_{};
};

/// Shared ownership of a slab; the last one returns it to its pool.
class SlabRef {
 public:
  SlabRef() noexcept = default;
  explicit SlabRef(Slab* slab) noexcept : slab_(slab) { retain(); }
  SlabRef(const SlabRef& other) noexcept : slab_(other.slab_) { retain(); }
  SlabRef(SlabRef&& other) noexcept : slab_(std::exchange(other.slab_, nullptr)) {}
  SlabRef& operator=(SlabRef other) noexcept {
    std::swap(slab_, other.slab_);
    return *this;
  }
  ~SlabRef() { reset(); }

  void reset() noexcept;
  Slab* get() const noexcept { return slab_; }
  Slab* operator->() const noexcept { return slab_; }
  explicit operator bool() const noexcept { return slab_ != nullptr; }

 private:
  void retain() noexcept {
    if (slab_) slab_->refs_.fetch_add(1, std::memory_order_relaxed);
  }
  Slab* slab_ = nullptr;
};

/// The one free list of an agent: last in, first out, so that the slab that is warm in the cache is
/// written next. Thread-safe. Outlives every slab and batch made from it.
class SlabPool {
 public:
  /// `keep_free_max` free slabs are kept for the next reader; more go back to the system.
  explicit SlabPool(std::size_t slab_bytes = Slab::bytes_default, std::size_t keep_free_max = 16);
  ~SlabPool();
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  std::size_t slab_bytes() const noexcept { return slab_bytes_; }

  /// A slab of at least `bytes_min` bytes; larger than slab_bytes() gets one of its own size.
  SlabRef acquire(std::size_t bytes_min = 0);

  std::size_t live_slabs() const noexcept { return live_.load(std::memory_order_relaxed); }

 private:
  friend class SlabRef;
  void give_back(Slab* slab) noexcept;
  Slab* allocate(std::size_t bytes);
  static void deallocate(Slab* slab) noexcept;

  const std::size_t slab_bytes_;
  const std::size_t keep_free_max_;
  std::atomic<std::size_t> live_{0};
  std::mutex mutex_;
  std::vector<Slab*> free_;  // guarded by mutex_; never grows beyond its reserved size
};

inline void SlabRef::reset() noexcept {
  Slab* const slab = std::exchange(slab_, nullptr);
  if (slab && slab->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    slab->pool_->give_back(slab);
  }
}

}  // namespace sluice

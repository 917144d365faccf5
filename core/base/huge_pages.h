// Memory for large tables that are read at random.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>

namespace sluice {

/// Asks the system to back the memory with huge pages, where it has any: fewer of the processor's
/// translations are missed. Changes nothing else, and never fails.
void prefer_huge_pages(void* memory, std::size_t bytes) noexcept;

/// An allocator whose large blocks begin at a huge page and prefer them.
template <typename T>
struct HugePageAllocator {
  using value_type = T;
  static constexpr std::size_t page = 2 << 20;

  HugePageAllocator() noexcept = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>& /*other*/) noexcept {}

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    void* const memory = ::operator new(bytes, alignment_of(bytes));
    if (bytes >= page) prefer_huge_pages(memory, bytes);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    ::operator delete(memory, alignment_of(count * sizeof(T)));
  }
  bool operator==(const HugePageAllocator&) const noexcept { return true; }

 private:
  static constexpr std::align_val_t alignment_of(std::size_t bytes) noexcept {
    constexpr std::size_t line = 64;
    return std::align_val_t(bytes >= page ? page : std::max(line, alignof(T)));
  }
};

}  // namespace sluice

#include "core/base/huge_pages.h"

#include <sys/mman.h>

namespace sluice {

void prefer_huge_pages(void* memory, std::size_t bytes) noexcept {
  static_cast<void>(madvise(memory, bytes, MADV_HUGEPAGE));
}

}  // namespace sluice

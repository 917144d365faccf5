// Memory that libbz2 gets again and again: it has no way to begin a second stream with the state of
// the first, and a stream of 900,000-byte blocks takes 7.5 MB.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/base/assert.h"

namespace sluice {

/// Keeps what was given back, for the next stream. For bzalloc, bzfree and opaque of one bz_stream
/// at a time, which must not move while the stream lives. One thread.
class Bzip2Memory {
 public:
  Bzip2Memory() = default;
  Bzip2Memory(const Bzip2Memory&) = delete;
  Bzip2Memory& operator=(const Bzip2Memory&) = delete;

  template <typename Stream>
  void lend_to(Stream& stream) noexcept {
    stream.opaque = this;
    stream.bzalloc = [](void* self, int items, int bytes) -> void* {
      return static_cast<Bzip2Memory*>(self)->get(static_cast<std::size_t>(items) *
                                                  static_cast<std::size_t>(bytes));
    };
    stream.bzfree = [](void* self, void* memory) { static_cast<Bzip2Memory*>(self)->put(memory); };
  }

 private:
  struct Block {
    std::unique_ptr<char[]> memory;
    std::size_t bytes = 0;
    bool used = false;
  };

  void* get(std::size_t bytes) {
    auto block = std::find_if(blocks_.begin(), blocks_.end(),
                              [&](const Block& b) { return !b.used && b.bytes >= bytes; });
    if (block == blocks_.end()) {
      // What is too small now is of a stream with smaller blocks: streams of all sizes together
      // must not keep the sum of them.
      std::erase_if(blocks_, [](const Block& b) { return !b.used; });
      block = blocks_.insert(blocks_.end(),
                             {std::make_unique_for_overwrite<char[]>(bytes), bytes, false});
    }
    block->used = true;
    return block->memory.get();
  }
  void put(void* memory) noexcept {
    if (memory == nullptr) return;
    auto block = std::find_if(blocks_.begin(), blocks_.end(),
                              [&](const Block& b) { return b.memory.get() == memory; });
    SLUICE_ASSERT(block != blocks_.end(), "libbz2 gives back what it got");
    block->used = false;
  }

  std::vector<Block> blocks_;
};

}  // namespace sluice

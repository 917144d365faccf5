#include "core/store/crc32c.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/base/assert.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace rocksdb::crc32c {

/// The checksum of what `crc` is the checksum of, with `data` behind it. Declared by RocksDB.
std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t bytes);

namespace {

using Function = std::uint32_t (*)(std::uint32_t, const char*, std::size_t);

/// The library's own.
Function next_in_line() {
  void* const found = dlsym(RTLD_NEXT, "_ZN7rocksdb6crc32c6ExtendEjPKcm");
  SLUICE_ASSERT(found != nullptr, "RocksDB has no CRC-32C of its own");
  return reinterpret_cast<Function>(found);
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t extend_sse42(std::uint32_t crc, const char* data,
                                                             std::size_t bytes) noexcept {
  std::uint64_t state = crc ^ 0xffffffffU;
  for (; bytes >= sizeof(std::uint64_t); bytes -= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, sizeof word);
    state = _mm_crc32_u64(state, word);
    data += sizeof word;
  }
  auto rest = static_cast<std::uint32_t>(state);
  for (; bytes > 0; --bytes) rest = _mm_crc32_u8(rest, static_cast<unsigned char>(*data++));
  return rest ^ 0xffffffffU;
}
#endif

Function fastest() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return extend_sse42;
#endif
  return next_in_line();
}

}  // namespace

std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t bytes) {
  static const Function function = fastest();
  return function(crc, data, bytes);
}

}  // namespace rocksdb::crc32c

namespace sluice {

std::uint32_t crc32c(std::string_view bytes) {
  return rocksdb::crc32c::Extend(0, bytes.data(), bytes.size());
}

bool rocksdb_uses_our_crc32c() noexcept {
  // What the loader finds first is what the library's calls go to.
  return dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm") ==
         reinterpret_cast<void*>(&rocksdb::crc32c::Extend);
}

}  // namespace sluice

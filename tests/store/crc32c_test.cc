// The checksum that replaces RocksDB's is the same checksum, and is the one in use.

#include "core/store/crc32c.h"

#include <dlfcn.h>

#include <cstdint>
#include <random>
#include <string>

#include "core/store/store.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace rocksdb::crc32c {
std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t bytes);
}

namespace sluice {
namespace {

TEST_CASE("RocksDB's calls reach our checksum") {
  const testing::TempDirectory directory;
  REQUIRE(Store::open({.path = directory.path("store")}).ok());
  CHECK(rocksdb_uses_our_crc32c());
}

TEST_CASE("our checksum is that of the standard, and of the library") {
  CHECK(rocksdb::crc32c::Extend(0, "123456789", 9) == 0xE3069283U);
  using Function = std::uint32_t (*)(std::uint32_t, const char*, std::size_t);
  void* const library = dlopen("librocksdb.so.7.8", RTLD_LAZY | RTLD_NOLOAD);
  REQUIRE(library != nullptr);
  const auto its_own =
      reinterpret_cast<Function>(dlsym(library, "_ZN7rocksdb6crc32c6ExtendEjPKcm"));
  REQUIRE(its_own != nullptr);
  std::mt19937_64 random(Catch::rngSeed());
  for (int round = 0; round < 2000; ++round) {
    std::string data(random() % 300, '\0');
    for (char& c : data) c = static_cast<char>(random());
    const auto before = static_cast<std::uint32_t>(random());
    REQUIRE(rocksdb::crc32c::Extend(before, data.data(), data.size()) ==
            its_own(before, data.data(), data.size()));
  }
}

}  // namespace
}  // namespace sluice

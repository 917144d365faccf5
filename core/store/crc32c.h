// RocksDB's checksum of its log, by the processor's own instruction.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

/// The CRC-32C of these bytes.
std::uint32_t crc32c(std::string_view bytes);

/// True when RocksDB computes its CRC-32C with our function.
///
/// Debian builds RocksDB for processors without the instruction, and the checksum of the log was a
/// third of the time that a durable channel took (docs/adr/0007). The library calls its function
/// through its symbol, so a program that defines the same symbol replaces it, and nothing else.
/// Where the processor lacks the instruction, the library's own function is called. Should a later
/// release resolve the symbol otherwise, its own function is used and this returns false.
bool rocksdb_uses_our_crc32c() noexcept;

}  // namespace sluice

// What stops RocksDB's reader of logs, taken out of its way.
//
// A log is a row of blocks of 32 KiB. In a block stand fragments of records, each with a checksum,
// a length and a type: a whole record, or its first part, one in the middle, its last one. A record
// is a write batch. RocksDB 7.8 drops a damaged fragment, but not all that it remembers of the
// record, and then takes the next one for damaged, too (docs/adr/0010).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice {

/// Makes a log that RocksDB reads to its end with kSkipAnyCorruptedRecords, and that keeps its
/// size. Damaged fragments are overwritten with what the reader drops and what ends the record
/// before; so are the fragments of records that make up no write batch, or one that was before. All
/// else stays as it is.
///
/// Returns at how many places; those at a torn end, which have nothing sound behind them, do not
/// count. REQUIRES: the log was written without compression and into no recycled file.
std::size_t mend_log(std::string& log);

/// True when the first damage in this log looks to RocksDB like its end: without a word it goes on
/// with the next log.
bool ends_unsaid(std::string_view log);

}  // namespace sluice

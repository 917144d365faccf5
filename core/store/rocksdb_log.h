// RocksDB's own messages, in our log.
#pragma once

#include <rocksdb/env.h>

#include <memory>
#include <string>

namespace sluice {

/// Warnings and errors go to the log, everything else to its debug level.
std::shared_ptr<rocksdb::Logger> make_rocksdb_log(std::string path);

}  // namespace sluice

// How far Flume's spooling directory source had read the one file that it was reading.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/input_file.h"

namespace sluice {

struct FlumeTracker {
  static constexpr const char* file_name = ".flumespool-main.meta";

  std::string path;  ///< Of the file, as Flume's spoolDir spells it.
  /// Bytes of lines and blobs; of Avro files the place of a sync marker.
  std::uint64_t offset = 0;
};

/// Reads what Flume's DurablePositionTracker writes: an Avro container whose header names the file
/// ("file"), with one record {long offset} appended at each commit; the last whole one counts, and
/// what a crash left behind it does not. Nothing when there is no such file, or an empty one.
/// Errors: Retry, Reject (it is no such container).
Result<std::optional<FlumeTracker>> read_flume_tracker(InputFiles& files, const std::string& path);

}  // namespace sluice

// The hdfs sink with the file system it writes to, for whoever brings another one: tests.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/config/settings.h"
#include "sinks/file_place.h"
#include "sinks/sink.h"

namespace sluice {

struct HdfsTarget {
  std::string file_system = {};                ///< "hdfs://nn:8020"; empty: this machine.
  std::unique_ptr<FilePlace> place = nullptr;  ///< With a file system.
  Status trouble = {};                         ///< Not ok: what open() says.
  std::size_t threads_min = 0;                 ///< For it, whatever the settings say.
};

/// REQUIRES: settings of the type, which were judged.
std::unique_ptr<Sink> make_hdfs_sink(const Settings& settings, SinkContext context,
                                     HdfsTarget target);

}  // namespace sluice

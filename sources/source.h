// Where events enter the agent.
#pragma once

#include <memory>
#include <stop_token>

#include "core/base/clock.h"
#include "core/base/directory_watch.h"
#include "core/base/file.h"
#include "core/base/input_file.h"
#include "core/base/status.h"
#include "core/config/settings.h"
#include "core/event/slab.h"
#include "core/metrics/counters.h"
#include "sources/channel_processor.h"

namespace sluice {

/// What a source is given. Everything outlives it.
struct SourceContext {
  ChannelProcessor& out;
  SourceCounters& counters;
  SlabPool& pool;
  MemoryAccount& window;  ///< Pays for the slabs that the source is filling.
  const Clock& clock;
  /// --once: a source that follows something ends when it has caught up.
  bool once = false;
  InputFiles& input = InputFiles::real();
  FileSystem& files = FileSystem::real();
  std::unique_ptr<DirectoryWatch> (*make_watch)() = DirectoryWatch::make;
};

/// Makes events. One thread calls open(), run() and close(), in this order, maybe again and again.
class Source {
 public:
  virtual ~Source() = default;

  /// Takes hold of what it reads from. Errors: Retry (a taken port: the agent tries again),
  /// Invalid.
  virtual Status open() = 0;

  /// Makes events until stop, or until there can be no more.
  ///
  /// Ok: finished for good (stop, or the end of a finite input). Retry: broken; the agent calls
  /// close(), backs off, and open()s again. Invalid and Fatal: it stays down.
  virtual Status run(std::stop_token stop) = 0;

  /// Lets go of everything; what was read and not yet put is counted, not hidden.
  virtual void close() = 0;
};

constexpr std::uint64_t window_bytes_default = 8 << 20;

/// A type of source: its tables and how to make one.
struct SourceType {
  const ComponentInfo* info;
  std::unique_ptr<Source> (*make)(const Settings& settings, SourceContext context);
  /// Limit of the source's memory account; null: window_bytes_default.
  std::uint64_t (*window_bytes)(const Settings& settings) = nullptr;
};

}  // namespace sluice

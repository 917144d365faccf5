// A sink of files that are sorted into buckets: what happens between a batch and its commit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sinks/bucket_files.h"
#include "sinks/bucket_path.h"
#include "sinks/event_sorter.h"
#include "sinks/file_book.h"
#include "sinks/file_place.h"
#include "sinks/sink.h"

namespace sluice {

struct BucketSinkParts {
  std::unique_ptr<FileBook> book;
  std::unique_ptr<BucketPath> path;
  std::unique_ptr<EventSorter> sorter = nullptr;  ///< Null: any events may share a file.
  BucketFiles::Options files;
  std::uint32_t batch_events = 100;            ///< A take.
  Status trouble = {};                         ///< Not ok: what open() says.
  std::string must_exist = {};                 ///< A directory that is waited for; empty: none.
  std::unique_ptr<FilePlace> place = nullptr;  ///< Null: this machine.
};

/// Behind a channel on disk takes are gathered for a moment and synced together, and their commit
/// says how long each file was then. Behind one in memory nothing is synced.
std::unique_ptr<Sink> make_bucket_sink(BucketSinkParts parts, const SinkContext& context);

}  // namespace sluice
